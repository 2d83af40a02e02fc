"""Row 11: activations of every layer, favourite inputs of every filter, heat, on one page."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.cli.conftest import looked_at_digits

from convoscope.errors import RunError, UnknownNameError
from convoscope.experiments.row_11 import found_inside, look_inside
from convoscope.pictures.mosaics import bright_scale, map_colours
from convoscope.runs import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return looked_at_digits(tmp_path_factory.mktemp("row-11"))


@pytest.fixture(scope="module")
def page(run: Run) -> Path:
    """The whole network looked into, on its own images."""
    return look_inside(run)


def test_every_layer_is_shown_for_at_least_six_images(page: Path) -> None:
    explained, _ = found_inside(page)
    text = page.read_text(encoding="utf-8")
    assert len(explained) >= 6
    for image in explained.images():
        assert list(image.maps) == ["conv", "pool", "dense"]
        for layer in image.maps:
            assert f'alt="{layer} of {image.facts.file}, ' in text


def test_the_maps_on_the_page_are_those_that_the_network_gave(page: Path) -> None:
    explained, _ = found_inside(page)
    image = next(explained.images())
    drawn = re.search(
        r'<img src="data:image/png;base64,([^"]+)"[^>]*alt="conv of ', page.read_text()
    )
    assert drawn is not None
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(drawn[1]))))
    maps = image.maps["conv"]
    height, width = maps.shape[1:]
    expected = map_colours(maps, bright_scale(maps))
    for channel in range(4):
        left = channel * (width + 1)
        tile = pixels[:height, left : left + width, :3]
        np.testing.assert_array_equal(tile, expected[channel])


def test_every_filter_and_every_class_has_a_favourite_input_in_both_ways(page: Path) -> None:
    _, favourites = found_inside(page)
    for folder in favourites:
        counts = {group["title"]: len(group["pictures"]) for group in folder.facts["groups"]}
        assert counts == {"conv": 4, "classes of class": 10}
        assert f'href="{folder.facts["recipe"]}/sheet-conv.png"' in page.read_text()
        assert (folder.path / "sheet-conv.png").is_file()
    assert [folder.facts["recipe"] for folder in favourites] == ["plain", "readable"]


def test_heat_is_shown_for_every_image(page: Path) -> None:
    explained, _ = found_inside(page)
    text = page.read_text(encoding="utf-8")
    for facts in explained.facts():
        for target in facts.targets:
            assert f"{target.name}, " in text
        assert text.count(f" in {facts.file}") >= 3 * len(facts.targets)


def test_a_layer_an_image_or_both_can_be_asked_for(run: Run, tmp_path: Path) -> None:
    picture = tmp_path / "seven.png"
    Image.fromarray(np.eye(8, dtype=np.uint8) * 200).save(picture)
    page = look_inside(run, [picture], ["dense"], out=tmp_path / "out")
    explained, (plain, readable) = found_inside(page)
    assert [facts.file for facts in explained.facts()] == [str(picture)]
    text = page.read_text(encoding="utf-8")
    assert f'alt="dense of {picture}, 10 values' in text
    assert f'alt="conv of {picture}' not in text
    for folder in (plain, readable):
        assert [group["title"] for group in folder.facts["groups"]] == ["dense"]


def test_what_is_not_there_is_said_before_anything_is_made(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"'cnv'.*did you mean 'conv'"):
        look_inside(run, layers=["cnv"], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(RunError, match=r"must hold manifest.json"):
        found_inside(tmp_path / "inside.html")


def test_stopped_anywhere_it_goes_on_with_the_parts_that_are_left(
    run: Run, page: Path, tmp_path: Path
) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if stage.startswith("classes of class"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        look_inside(run, out=tmp_path / "out", progress=stop)
    explained = tmp_path / "out" / "images" / "manifest.json"
    written = explained.stat().st_mtime_ns
    told: list[str] = []
    again = look_inside(
        run, out=tmp_path / "out", progress=lambda stage, *_: told.append(stage.partition(" ")[0])
    )
    assert list(dict.fromkeys(told)) == ["classes", "conv"]  # plain, then both in readable
    assert explained.stat().st_mtime_ns == written
    _, favourites = found_inside(again)
    _, expected = found_inside(page)
    for found, whole in zip(favourites, expected, strict=True):
        for name, values in whole.arrays().items():
            np.testing.assert_array_equal(found.arrays()[name], values)
    with pytest.raises(RunError, match="an explanation needs a folder of its own"):
        look_inside(run, out=tmp_path / "out")


def test_a_look_that_was_stopped_is_found_again_by_what_was_asked(run: Run) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        look_inside(run, layers=["dense"], progress=stop)
    (stopped,) = (run.path / "inside").glob("*/unfinished.json")
    other = look_inside(run, layers=["conv"])
    assert other.parent != stopped.parent
    assert look_inside(run, layers=["dense"]).parent == stopped.parent
