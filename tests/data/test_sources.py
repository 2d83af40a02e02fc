from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from tests.conftest import MakeImageFolder

from convoscope.data.sources import open_dataset
from convoscope.errors import DataError, UnknownNameError


def test_digits_are_the_1797_real_ones_from_0_to_255() -> None:
    dataset = open_dataset("digits")
    digits = load_digits()
    assert dataset.pixels is not None
    assert dataset.pixels.shape == (1797, 8, 8, 1)
    assert dataset.pixels.dtype == np.uint8
    assert (dataset.pixels.min(), dataset.pixels.max()) == (0, 255)
    np.testing.assert_allclose(dataset.pixels[..., 0] / 255 * 16, digits.images, atol=0.032)
    assert dataset.labels["class"].tolist() == digits.target.tolist()
    assert dataset.class_names["class"] == tuple("0123456789")
    assert dataset.ids[42] == "digits/0042"
    assert dataset.given_split is None


def test_a_path_is_a_folder_even_if_it_bears_an_embedded_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_image_folder: MakeImageFolder
) -> None:
    make_image_folder(tmp_path / "digits", ("a", "b"), per_class=1)
    monkeypatch.chdir(tmp_path)
    assert len(open_dataset("digits")) == 1797
    assert len(open_dataset("./digits")) == 2
    assert len(open_dataset(Path("digits"))) == 2
    assert len(open_dataset(str(tmp_path / "digits"))) == 2


def test_a_misspelt_name_is_told_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="there is no data set or folder 'digit': did you"):
        open_dataset("digit")


def test_a_missing_folder_is_told_as_one() -> None:
    with pytest.raises(DataError, match="nowhere/digits: a data set must be a folder of images"):
        open_dataset("nowhere/digits")
    with pytest.raises(DataError, match=r"holidays: .* there is no such folder: check the path"):
        open_dataset("holidays")


def test_every_kind_of_file_is_recognised(
    tmp_path: Path, make_image_folder: MakeImageFolder
) -> None:
    folder = make_image_folder(tmp_path / "shapes", ("a", "b"), per_class=1)
    rows = ["path,label", "a/a_0.png,a", "b/b_0.png,b"]
    (folder / "table.CSV").write_text("\n".join(rows))
    (folder / "table.tsv").write_text("\n".join(rows).replace(",", "\t"))
    assert open_dataset(folder / "table.CSV").ids == ("a/a_0.png", "b/b_0.png")
    assert open_dataset(folder / "table.tsv").ids == ("a/a_0.png", "b/b_0.png")
    np.savez(tmp_path / "arrays.npz", images=np.ones((2, 3, 3)), labels=["a", "b"])
    assert open_dataset(tmp_path / "arrays.npz").ids == ("arrays/00000", "arrays/00001")
    with zipfile.ZipFile(tmp_path / "shapes.zip", "w") as archive:
        for file in folder.rglob("*.png"):
            archive.write(file, file.relative_to(folder))
    assert open_dataset(tmp_path / "shapes.zip").ids == ("a/a_0.png", "b/b_0.png")


def test_a_file_of_another_kind_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.pdf").touch()
    with pytest.raises(
        DataError, match=r"x\.pdf: data must be a folder of images, a table \(\.csv"
    ):
        open_dataset(tmp_path / "x.pdf")


@pytest.mark.skipif(not Path("/proc/self/mem").is_file(), reason="needs Linux' /proc")
def test_a_file_that_the_system_cannot_read_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.csv").symlink_to("/proc/self/mem")  # its first byte is an input/output error
    with pytest.raises(DataError, match=r"x\.csv: the data must be readable, the system said 'Inp"):
        open_dataset(tmp_path / "x.csv")


def test_what_an_archive_holds_is_told_with_the_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("cats/1.png", b"")
    with pytest.raises(DataError, match=r"^\S+x\.zip: \S+: there must be at least two classes"):
        open_dataset(tmp_path / "x.zip")
