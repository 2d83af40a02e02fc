"""Row 4: three small networks for photographs, trained from scratch on five classes of Caltech-101.

The networks are compared with the published figures; the best of the three by validation accuracy
is tested, looked into, and its confusion matrices are shown. Augmentation, dropout and batch norm
are added to each of the three, so that what they are worth is a mean over networks and seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from convoscope.experiments.looking_in import confusion_matrices, looked_into
from convoscope.experiments.published import Beside, Published, beside
from convoscope.pictures.svg import element
from convoscope.report import wording
from convoscope.report.vary_page import Extra
from convoscope.runs import open_run
from convoscope.runs.variations import Trained, Variations

PUBLISHED = (
    Published(
        network="architecture-1",
        accuracy={"train": 1.0, "validation": 0.86, "test": 0.80},
        loss={"train": 0.0006, "validation": 1.0972, "test": 1.2876},
        parameters=211_701,
        epochs=77,
    ),
    Published(
        network="architecture-2",
        accuracy={"train": 0.932, "validation": 0.70, "test": 0.67},
        loss={"train": 0.2018, "validation": 1.0138, "test": 1.0630},
        parameters=48_405,
        epochs=29,
    ),
    Published(
        network="architecture-3",
        accuracy={"train": 1.0, "validation": 0.80, "test": 0.80},
        loss={"train": 0.0008, "validation": 1.0095, "test": 1.1839},
        parameters=62_805,
        epochs=97,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """The rows beside the published ones, and the best of the three networks as published."""

    rows: tuple[Beside, ...]
    best: Trained

    def to_json(self) -> dict[str, Any]:
        """What ``experiment row-4 --json`` has besides the variations."""
        return {"published": [row.to_json() for row in self.rows], "best": self.best.variant.name}


def outcome(found: Variations) -> Outcome:
    """What the variations say of the three networks as published, without additions."""
    plain = [one for one in found.trained if one.variant.levels["addition"] == "none"]
    by_network = {one.variant.levels["network"]: one for one in plain}
    rows = [
        row
        for published in PUBLISHED
        if published.network in by_network
        for row in beside(
            published, [open_run(path) for path in by_network[published.network].runs]
        )
    ]
    best = min(plain, key=lambda one: (-(one.validation.value or 0.0), one.validation_loss))
    return Outcome(rows=tuple(rows), best=best)


def extras(found: Variations) -> tuple[Extra, ...]:
    """The sections that the page of variations gets besides."""
    said = outcome(found)
    run = open_run(said.best.runs[0])
    name = said.best.variant.levels["network"]
    return (
        Extra(id="published", title="Published", body=_table(said.rows)),
        Extra(id="best", title=f"Best: {name}", body=_best(said) + confusion_matrices(run)),
        Extra(id="inside", title="Inside", body=looked_into(run)),
    )


def _best(said: Outcome) -> Markup:
    tested = [row for row in said.rows if row.split == "test" and row.network in _name(said)]
    words = [
        f"{_name(said)} has the best validation accuracy of the three: "
        f"{wording.share(said.best.validation.value)}, interval "
        f"{wording.interval(said.best.validation)}."
    ]
    words += [
        f"Tested once, it names {wording.share(row.ours.value)} of {row.images} test pictures "
        f"right on average over its seeds, interval {wording.interval(row.ours)}; published "
        f"{wording.share(row.published)}."
        for row in tested
    ]
    words.append("The matrices are those of its first seed.")
    return element("p", " ".join(words))


def _name(said: Outcome) -> str:
    return said.best.variant.levels["network"]


def _table(rows: Sequence[Beside]) -> Markup:
    heads = ("network", "split", "published", "ours", "interval", "over seeds", "inside")
    losses = ("published loss", "our loss")
    header = element("tr", *(element("th", word, scope="col") for word in (*heads, *losses)))
    body = [
        element(
            "tr",
            element("th", row.network, scope="row"),
            *(element("td", word) for word in _cells(row)),
        )
        for row in rows
    ]
    table = element("table", element("thead", header), element("tbody", *body))
    inside = sum(row.is_inside for row in rows)
    note = element(
        "p",
        f"{inside} of {len(rows)} published accuracies lie inside our 95 % intervals over "
        "pictures. The networks and the pictures are the published ones; initial weights, the "
        "order of batches and when learning stops are not, which is what the spread over seeds "
        "shows.",
    )
    return note + element("div", table, class_="scroll", tabindex="0")


def _cells(row: Beside) -> list[str]:
    return [
        row.split,
        wording.share(row.published),
        wording.share(row.ours.value),
        wording.interval(row.ours),
        f"{wording.share(row.least)} to {wording.share(row.most)}",
        "yes" if row.is_inside else "no",
        wording.score(row.published_loss),
        wording.score(row.loss),
    ]
