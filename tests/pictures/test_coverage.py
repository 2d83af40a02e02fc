from __future__ import annotations

import numpy as np
from tests.pictures.conftest import Drawing

from convoscope.pictures.coverage import Kept, Threshold, coverage_chart


def curve(count: int) -> Kept:
    coverage = np.arange(1, count + 1) / count
    return Kept(name="test", coverage=coverage, accuracy=1 - 0.2 * coverage, colour="blue")


def test_the_curve_goes_from_the_surest_image_to_all_of_them(drawing: type[Drawing]) -> None:
    picture = drawing(coverage_chart([curve(50)]))
    (path,) = picture.find("path", "curve")
    points = [tuple(map(float, word.split())) for word in (path.get("d") or "")[1:].split("L")]
    assert len(points) == 50
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert [y for _, y in points] == sorted(y for _, y in points)
    assert points[-1][0] == 276
    assert "test 80 % at full coverage" in (picture.root.get("aria-label") or "").replace(
        "\N{NO-BREAK SPACE}", " "
    )


def test_many_images_do_not_make_a_large_file(drawing: type[Drawing]) -> None:
    few, many = coverage_chart([curve(500)]), coverage_chart([curve(50_000)])
    assert len(many) < 1.1 * len(few)


def test_a_threshold_lies_on_what_it_keeps(drawing: type[Drawing]) -> None:
    mark = Threshold("95 %", 0.25, 0.95)
    picture = drawing(coverage_chart([curve(100)], [mark]))
    (dot,) = picture.find("circle", "dot")
    (path,) = picture.find("path", "curve")
    assert f"{dot.get('cx')} {dot.get('cy')}" in (path.get("d") or "")
    assert "95 %" in picture.texts()


def test_the_names_of_near_thresholds_do_not_lie_on_one_another(drawing: type[Drawing]) -> None:
    marks = [Threshold("95 %", 0.45, 0.889), Threshold("99 %", 0.44, 0.886)]
    picture = drawing(coverage_chart([curve(100)], marks))
    first, second = picture.find("text", "strong")
    assert abs(float(first.get("y") or 0) - float(second.get("y") or 0)) > 15
