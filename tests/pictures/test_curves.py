from __future__ import annotations

import json
import math
from collections.abc import Callable

from tests.pictures.conftest import Drawing

from convoscope.pictures.curves import Curve, PhaseBegin, learning_curves
from convoscope.pictures.palette import standalone

EPOCHS = list(range(1, 11))
LOSSES = [
    Curve(name="train", colour="orange", values=[2 / epoch for epoch in EPOCHS]),
    Curve(name="validation", colour="blue", values=[2 / epoch + 0.03 * epoch for epoch in EPOCHS]),
]


def path_points(drawing: Drawing, colour: str) -> list[tuple[float, float]]:
    (path,) = [
        node for node in drawing.find("path", "curve") if colour in (node.get("class") or "")
    ]
    pairs = (path.get("d") or "").replace("M", " ").replace("L", " ").split()
    numbers = [float(word) for word in pairs]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def test_a_curve_has_a_point_per_epoch_and_falls_where_the_loss_falls(
    drawing: type[Drawing],
) -> None:
    points = path_points(drawing(learning_curves(EPOCHS, LOSSES, score="loss")), "orange")
    assert len(points) == len(EPOCHS)
    heights = [y for _, y in points]
    assert heights == sorted(heights)
    assert [x for x, _ in points] == sorted(x for x, _ in points)


def test_axes_are_named_with_their_units_and_curves_at_their_ends(drawing: type[Drawing]) -> None:
    svg = learning_curves(EPOCHS, LOSSES, score="loss", unit="nats", best_epoch=8)
    texts = drawing(svg).texts()
    assert {"loss (nats)", "epoch", "train", "validation", "best: epoch 8"} <= set(texts)


def test_an_epoch_without_a_score_leaves_a_gap(drawing: type[Drawing]) -> None:
    curve = Curve(name="train", colour="orange", values=[1.0, 0.5, math.nan, 0.3, 0.2])
    (path,) = drawing(learning_curves([1, 2, 3, 4, 5], [curve], score="loss")).find("path", "curve")
    assert (path.get("d") or "").count("M") == 2


def test_a_loss_that_falls_a_hundredfold_is_drawn_on_a_logarithmic_axis(
    drawing: type[Drawing],
) -> None:
    curve = Curve(name="train", colour="orange", values=[10.0**-k for k in range(5)])
    texts = drawing(learning_curves([1, 2, 3, 4, 5], [curve], score="loss", unit="nats")).texts()
    assert "loss (nats, log scale)" in texts
    assert {"1", "0.1", "0.01"} <= set(texts)


def test_an_accuracy_is_drawn_from_the_quarter_below_its_least_to_100(
    drawing: type[Drawing],
) -> None:
    curve = Curve(name="train", colour="orange", values=[0.6, 0.9])
    texts = drawing(learning_curves([1, 2], [curve], score="accuracy", is_share=True)).texts()
    assert "50\N{NO-BREAK SPACE}%" in texts
    assert "100\N{NO-BREAK SPACE}%" in texts
    assert "0\N{NO-BREAK SPACE}%" not in texts


def test_a_single_epoch_can_be_drawn(drawing: type[Drawing]) -> None:
    svg = learning_curves(
        [1], [Curve(name="train", colour="orange", values=[0.5])], score="loss", best_epoch=1
    )
    assert "1" in drawing(svg).texts()


def test_what_the_pointer_says_are_the_same_scores(drawing: type[Drawing]) -> None:
    said = json.loads(
        drawing(learning_curves(EPOCHS, LOSSES, score="loss")).root.get("data-hover") or ""
    )
    assert said["epochs"] == EPOCHS
    assert said["curves"][0]["said"][:2] == ["2", "1"]
    assert len(said["x"]) == len(EPOCHS)


PHASES = [PhaseBegin(1, "head alone"), PhaseBegin(5, "all that learns")]


def test_a_line_stands_between_the_last_epoch_of_a_phase_and_the_first_of_the_next(
    drawing: type[Drawing],
) -> None:
    chart = drawing(learning_curves(EPOCHS, LOSSES, score="loss", best_epoch=8, phases=PHASES))
    points = path_points(chart, "orange")
    upright = [n for n in chart.find("line", "axis") if n.get("x1") == n.get("x2")]
    (boundary,) = [n for n in upright if float(n.get("y1") or 0) < 100]
    assert points[3][0] < float(boundary.get("x1") or 0) < points[4][0]
    assert {"head alone", "all that learns", "best: epoch 8"} <= set(chart.texts())
    assert "phases: head alone, then all that learns from epoch 5" in (
        chart.root.get("aria-label") or ""
    )
    best = [n for n in chart.find("line", "dashed") if n.get("x1") == n.get("x2")]
    assert {float(n.get("x1") or 0) for n in best} == {round(points[7][0], 2)}


def test_a_phase_too_short_for_its_name_has_its_line_alone(drawing: type[Drawing]) -> None:
    short = [*PHASES, PhaseBegin(10, "a very long name of the last phase")]
    texts = drawing(learning_curves(EPOCHS, LOSSES, score="loss", phases=short)).texts()
    assert "head alone" in texts
    assert not any("very long name" in text for text in texts)


def test_one_phase_is_no_division(drawing: type[Drawing]) -> None:
    whole = learning_curves(EPOCHS, LOSSES, score="loss", phases=PHASES[:1])
    assert whole == learning_curves(EPOCHS, LOSSES, score="loss")


def test_the_whole_chart(golden: Callable[[str, str], None]) -> None:
    svg = learning_curves(EPOCHS, LOSSES, score="loss", unit="nats", best_epoch=8)
    golden("pictures/learning-curves.svg", standalone(svg))
