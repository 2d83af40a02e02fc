from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.conftest import MakeImageFolder
from tests.jobs.conftest import Install

import convoscope
from convoscope.errors import DataError, SettingsError
from convoscope.jobs import choice


def sentence(data: Path | str) -> str:
    with pytest.raises(SettingsError) as error:
        convoscope.train(data)
    return str(error.value)


def test_few_photographs_are_for_the_pretrained_network_that_is_at_hand(
    shapes_folder: Path, install: Install
) -> None:
    assert sentence(shapes_folder).endswith(
        "is the better start (first  convoscope weights fetch vgg19)"
    )
    install()
    said = sentence(shapes_folder)
    assert said == (
        "a network must be named, got none for the 48 images of shapes: from scratch  convoscope "
        f"train {shapes_folder} --model small  or pretrained  convoscope train {shapes_folder} "
        "--backbone vgg19 ; with 16 images per class the pretrained one is the better start (its "
        "weights are at hand)"
    )


def test_many_images_can_do_without(
    shapes_folder: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install()
    monkeypatch.setattr(choice, "ENOUGH_PER_CLASS", 16)
    assert sentence(shapes_folder).endswith(
        "with 16 images per class a network from scratch can do well, the pretrained one is quicker"
    )


def test_tiny_images_are_for_a_network_from_scratch(install: Install, tmp_path: Path) -> None:
    install()
    said = sentence("digits")
    assert "convoscope train digits --model own-net  or" in said
    assert said.endswith("images this small are for a network from scratch")
    pixels = np.zeros((4, 64, 64, 3), np.uint8)
    np.savez(tmp_path / "large.npz", images=pixels, labels=[0, 1, 0, 1])
    assert "--model small  or" in sentence(tmp_path / "large.npz")


def test_data_that_cannot_be_opened_is_said_first(tmp_path: Path, install: Install) -> None:
    with pytest.raises(DataError, match="there must be a folder"):
        convoscope.train(tmp_path)


def test_a_settings_file_may_name_the_network(
    tmp_path: Path, make_image_folder: MakeImageFolder, install: Install
) -> None:
    install()
    data = make_image_folder(tmp_path / "plain", per_class=6)
    (tmp_path / "s.yaml").write_text("backbone: vgg19\nhead: linear\nepochs: 1\nengine: numpy\n")
    run = convoscope.train(data, settings_file=tmp_path / "s.yaml", out=tmp_path / "r")
    assert run.model()["backbone"]["head"] == "linear"
    assert "--backbone" in run.record().command
