"""What every test may use: the shared data, and small image folders drawn on the spot.

``from tests.conftest import SHARED, MakeImageFolder`` for the names, fixtures for the rest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
from PIL import Image

from convoscope.arrays import ByteArray, generator

SHARED = Path(
    os.environ.get("CONVOSCOPE_SHARED", Path(__file__).parents[2] / "shared" / "data")
).resolve()
"""The folder of real data beside the repository; absent on most machines."""

GOLDEN = Path(__file__).parent / "golden"
"""Texts and drawings as they should be, renewed with ``pytest --renew-golden``."""


class MakeImageFolder(Protocol):
    """Draws a class-per-folder tree of PNG files under ``root`` and returns that folder.

    ``splits`` maps folder names to images per class, ``{"train": 8, "val": 4}``, and then
    ``per_class`` is not read. ``size`` is one side, or (height, width).
    """

    def __call__(
        self,
        root: Path,
        classes: Sequence[str] = ("bars", "poles", "disc"),
        per_class: int = 8,
        size: int | tuple[int, int] = 16,
        splits: Mapping[str, int] | None = None,
    ) -> Path: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--renew-golden`` writes the golden files instead of comparing with them."""
    parser.addoption("--renew-golden", action="store_true", help="write the golden files anew")


@pytest.fixture(scope="session")
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """``golden(name, text)``: ``text`` must be what ``tests/golden/<name>`` holds."""
    renew = bool(request.config.getoption("--renew-golden"))

    def compare(name: str, text: str) -> None:
        file = GOLDEN / name
        if renew:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert file.exists(), (
            f"{file} is not there: run pytest with --renew-golden, then look at it"
        )
        assert text == file.read_text(encoding="utf-8")

    return compare


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Tests never read or write the cache of whoever runs them."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVOSCOPE_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """``shared("caltech5")``: that folder of the shared data, or the test is skipped."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"the shared data {name!r} is not at {SHARED}: set CONVOSCOPE_SHARED")
        return path

    return find


@pytest.fixture(scope="session")
def make_image_folder() -> MakeImageFolder:
    """The factory of small, separable image folders."""
    return draw_folder


@pytest.fixture
def shapes_folder(tmp_path: Path) -> Path:
    """Three separable classes of 16x16 RGB, split: 8 train, 4 val and 4 test images each."""
    return draw_folder(tmp_path / "shapes", splits={"train": 8, "val": 4, "test": 4})


def draw_folder(
    root: Path,
    classes: Sequence[str] = ("bars", "poles", "disc"),
    per_class: int = 8,
    size: int | tuple[int, int] = 16,
    splits: Mapping[str, int] | None = None,
) -> Path:
    """See :class:`MakeImageFolder`. Every image has its own noise, so no two are identical."""
    height, width = (size, size) if isinstance(size, int) else size
    for split, count in (splits or {"": per_class}).items():
        for kind, name in enumerate(classes):
            folder = root / split / name
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                rng = generator(0, split, name, number)
                image = draw_shape(kind, height, width, rng)
                Image.fromarray(image).save(folder / f"{name}_{number}.png")
    return root


def draw_shape(kind: int, height: int, width: int, rng: np.random.Generator) -> ByteArray:
    """Horizontal bars, vertical bars, a disc or a chequerboard: (height, width, 3) uint8."""
    rows, columns = np.mgrid[0:height, 0:width]
    phase = int(rng.integers(0, 4))
    centre = np.array([height, width]) * rng.uniform(0.4, 0.6, size=2)
    radius = 0.35 * min(height, width)
    masks = (
        (rows + phase) // 2 % 2 == 0,
        (columns + phase) // 2 % 2 == 0,
        (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2,
        ((rows + phase) // 2 + columns // 2) % 2 == 0,
    )
    ink = rng.uniform(150, 220, size=3)
    image = np.where(masks[kind % 4][..., None], ink, 40.0)
    noisy = image + rng.normal(0, 8, size=image.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)
