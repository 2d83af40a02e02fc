from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.metrics.conftest import draw_head

from convoscope.errors import DataError
from convoscope.metrics.doubts import ambiguous, doubted_labels
from convoscope.metrics.predictions import Predictions
from convoscope.metrics.review import Review, pooled, review


def said(split: str, *, seed: int = 0, unknown: int = 0, images: int = 120) -> Predictions:
    head = draw_head(images, 4, skill=1.5, seed=seed, unknown=unknown)
    ids = tuple(f"{split}/{k}" for k in range(images))
    return Predictions(split=split, ids=ids, heads={"class": head})


def test_splits_are_judged_together() -> None:
    one, other = said("validation"), said("test", seed=1)
    (head,) = review([one, other], top=1000)
    together = pooled([one, other])
    assert together.ids == (*one.ids, *other.ids)
    expected = doubted_labels(together, "class")
    assert [doubt.id for doubt in head.doubted] == [doubt.id for doubt in expected]
    assert head.doubts == len(expected) > 0
    assert head.labelled == 240
    names = one.heads["class"].class_names
    for shown, found in zip(head.doubted, expected, strict=True):
        assert shown.split == shown.id.split("/")[0]
        assert (shown.given, shown.suggested) == (names[found.given], names[found.suggested])


def test_only_the_first_are_kept_and_all_are_counted() -> None:
    (every,) = review([said("test")], top=1000)
    (few,) = review([said("test")], top=3)
    assert few.doubted == every.doubted[:3]
    assert few.ambiguous == every.ambiguous[:3]
    assert few.doubts == every.doubts > 3


def test_images_without_a_label_are_to_label_next_and_never_doubted() -> None:
    predictions = said("test", unknown=30)
    (head,) = review([predictions], top=1000)
    labels = predictions.heads["class"].labels
    unknown = {predictions.ids[k] for k in np.flatnonzero(labels < 0)}
    assert (head.labelled, head.unlabelled) == (90, 30)
    assert head.right == (predictions.heads["class"].logits.argmax(axis=1) == labels).sum() < 90
    assert {image.id for image in head.next} == unknown
    labelled = {doubt.id for doubt in head.doubted} | {image.id for image in head.ambiguous}
    assert not unknown & labelled
    assert all(image.given is None for image in head.next)
    order = [image.id for image in ambiguous(predictions, "class", count=120)]
    assert [image.id for image in head.next] == [name for name in order if name in unknown]
    margins = [image.margin for image in head.next]
    assert margins == sorted(margins)


def test_an_image_in_two_splits_counts_once() -> None:
    one = said("test")
    again = replace(said("more"), ids=one.ids)
    assert pooled([one, again]).ids == one.ids


def test_splits_with_other_classes_are_refused() -> None:
    other = Predictions(split="more", ids=("x",), heads={"class": draw_head(1, 5)})
    with pytest.raises(DataError, match="test and more: splits can be looked at together only"):
        review([said("test"), other], top=3)


def test_json_names_every_image_that_is_shown() -> None:
    found = Review(
        run="r", splits=("test",), heads=review([said("test", unknown=5)], top=4), notes=("n",)
    )
    content = found.to_json()
    assert set(content) == {"run", "splits", "heads", "notes"}
    lists = [content["heads"]["class"][key] for key in ("doubted", "ambiguous", "next")]
    assert {image["id"] for images in lists for image in images} == set(found.ids)
    assert all(0 <= image["margin"] <= 1 for image in lists[1])
