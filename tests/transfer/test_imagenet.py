"""The thousand class names: all there, all different, in the right order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from convoscope.transfer.imagenet import CLASSES, class_names


def test_there_are_a_thousand_and_no_two_are_alike() -> None:
    names = class_names()
    assert len(names) == CLASSES == 1000
    assert len({name.lower() for name in names}) == 1000
    assert all(name == name.strip() and name for name in names)


def test_the_ends_and_what_is_often_confused_stand_where_they_belong() -> None:
    names = class_names()
    assert (names[0], names[999]) == ("tench", "toilet tissue")
    assert (names[134], names[517]) == ("crane (bird)", "crane (machine)")
    assert (names[264], names[474]) == ("Cardigan Welsh corgi", "cardigan")
    assert (names[638], names[639]) == ("maillot (tights)", "maillot (tank suit)")


def test_every_name_is_one_of_the_words_of_an_independent_list(
    shared: Callable[[str], Path],
) -> None:
    file = shared("weights/mobilenet-tflite/imagenet_labels.txt")
    lines = file.read_text(encoding="utf-8").splitlines()[1:]  # the first is "background"
    assert len(lines) == CLASSES
    for name, line in zip(class_names(), lines, strict=True):
        plain = name.partition(" (")[0]
        assert plain in [word.strip() for word in line.split(",")], (name, line)
