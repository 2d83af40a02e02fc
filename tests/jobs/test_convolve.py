"""Filters slid over pictures: SciPy gives the same maps, and the sizes are the formula's."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.signal import correlate2d
from tests.conftest import draw_shape

from convoscope.arrays import FloatArray, generator
from convoscope.errors import (
    ArchitectureError,
    ConvoscopeError,
    DataError,
    RunError,
    SettingsError,
    ShapeError,
    UnreadableImageError,
)
from convoscope.jobs.convolve import ConvolveRequest, convolve, feature_maps, filter_network
from convoscope.jobs.kernels import KERNELS, parse_kernel
from convoscope.runs.convolution import Convolution, read_convolution


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A disc of 40 x 30 pixels in colour."""
    file = tmp_path / "disc.png"
    Image.fromarray(draw_shape(2, 30, 40, generator(0, "disc"))).save(file)
    return file


def convolved(picture: Path, **asked: object) -> Convolution:
    request = ConvolveRequest(images=(str(picture),), **asked)  # type: ignore[arg-type]
    return read_convolution(convolve(request, out=picture.parent / "run"))


def gray(picture: Path, size: int) -> FloatArray:
    """The definition: resized, ITU-R 601 luminance, in [0, 1]."""
    resized = Image.open(picture).resize((size, size), Image.Resampling.BICUBIC)
    values: FloatArray = np.asarray(resized.convert("L")) / 255.0
    return values


@pytest.mark.parametrize("name", sorted(KERNELS))
@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), (3, 2)])
def test_a_map_is_scipys_correlation(picture: Path, name: str, stride: int, padding: int) -> None:
    found = convolved(picture, filter=name, size=32, stride=stride, padding=padding)
    framed = np.pad(gray(picture, 32), padding)
    expected = correlate2d(framed, parse_kernel(KERNELS[name]), mode="valid")[::stride, ::stride]
    np.testing.assert_allclose(found.images[0].maps["conv1"][0], expected, atol=2e-6)
    assert found.layers[0].expected == (32 - 3 + 2 * padding) // stride + 1
    assert found.layers[0].obtained == (1, *expected.shape)


def test_a_filter_of_even_size_is_taken(picture: Path) -> None:
    found = convolved(picture, filter="1 -1; 1 -1", size=16)
    expected = correlate2d(gray(picture, 16), np.array([[1, -1], [1, -1]]), mode="valid")
    np.testing.assert_allclose(found.images[0].maps["conv1"][0], expected, atol=1e-6)
    assert found.layers[0].formula == "(16 − 2 + 2 × 0) / 1 + 1 = 15"


def test_a_division_with_a_rest_is_rounded_down_as_printed(picture: Path) -> None:
    (layer,) = convolved(picture, size=16, stride=2).layers
    assert layer.formula == "floor((16 − 3 + 2 × 0) / 2) + 1 = 7"
    assert layer.obtained == (1, 7, 7)


def test_two_layers_are_two_stacked_convolutions_and_relus(picture: Path) -> None:
    found = convolved(picture, layers=2, size=20, seed=4)
    first, second = (layer.filters for layer in found.layers)
    assert first.shape == (32, 1, 3, 3)
    assert second.shape == (64, 32, 3, 3)
    image = gray(picture, 20)
    below = [np.maximum(correlate2d(image, f[0], mode="valid"), 0) for f in first]
    for number in range(10):
        kernels = second[number]
        sums = [correlate2d(m, k, mode="valid") for m, k in zip(below, kernels, strict=True)]
        expected = np.maximum(np.sum(sums, axis=0), 0)
        np.testing.assert_allclose(found.images[0].maps["conv1"][number], below[number], atol=1e-5)
        np.testing.assert_allclose(found.images[0].maps["conv2"][number], expected, atol=1e-5)


def test_the_published_sizes(picture: Path) -> None:
    (layer,) = convolved(picture).layers
    assert layer.formula == "(224 − 3 + 2 × 0) / 1 + 1 = 222"
    assert layer.obtained == (1, 222, 222)
    assert layer.published == "222 × 222"


def test_the_published_sizes_of_two_layers(picture: Path) -> None:
    layers = convolved(picture, layers=2).layers
    assert [layer.obtained for layer in layers] == [(32, 222, 222), (64, 220, 220)]
    assert [layer.published for layer in layers] == ["222 × 222 × 32", "220 × 220 × 64"]
    for layer in layers:
        fan_in = math.prod(layer.filters.shape[1:])
        spread = float((layer.filters**2).mean()) * fan_in / 2
        # The mean of n squares of a normal has a standard deviation of sqrt(2 / n) of itself.
        assert spread == pytest.approx(1, abs=4 * math.sqrt(2 / layer.filters.size))


def test_other_settings_have_no_published_size(picture: Path) -> None:
    assert convolved(picture, size=64).layers[0].published is None


def test_same_seed_same_filters_and_another_seed_others(picture: Path) -> None:
    request = ConvolveRequest(images=(str(picture),), size=16, seed=1)
    networks = [
        filter_network(ConvolveRequest(images=(), size=16, seed=seed))[0] for seed in (1, 1, 2)
    ]
    first, again, other = (network.parameters()["conv1.weight"] for network in networks)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    assert request.command()[-1] == "--seed=1"


def test_a_picture_file_for_every_map_pixel_for_pixel(picture: Path) -> None:
    request = ConvolveRequest(images=(str(picture),), filter="sobel-x", size=24)
    run = convolve(request, out=picture.parent / "run")
    names = {file.name for file in (run.path / "pictures").iterdir()}
    assert names == {"filters-conv1.png", "1-disc-gray.png", "1-disc-conv1.png"}
    saved = np.asarray(Image.open(run.path / "pictures" / "1-disc-gray.png"))
    np.testing.assert_array_equal(saved, read_convolution(run).images[0].gray)
    record = run.record()
    assert (record.kind, record.status) == ("convolve", "finished")
    assert record.command == request.command()


def test_no_deep_learning_library_has_a_part_in_it(picture: Path) -> None:
    program = (
        "import sys\n"
        "from convoscope.cli import program\n"
        "program.main(sys.argv[1:], prog_name='convoscope')\n"
        "assert 'convoscope.engines.numpy.network' in sys.modules\n"
        "print('TORCH', 'torch' in sys.modules)\n"
    )
    words = ["convolve", str(picture), "--layers", "2", "--size", "16"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        capture_output=True,
        text=True,
        cwd=picture.parent,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "TORCH False"
    assert (picture.parent / "runs" / "convolve-two-layers-1" / "report.html").exists()


@pytest.mark.parametrize(
    ("asked", "error", "sentence"),
    [
        ({"size": 2}, ShapeError, "a 3x3 kernel with padding 0 does not fit in a map of 2x2: use"),
        ({"stride": 0}, ArchitectureError, "stride must be an int >= 1, got 0"),
        ({"padding": -1}, ArchitectureError, "padding must be an int >= 0"),
        ({"size": 0}, SettingsError, "--size must lie in 1 to 2048 pixels, got 0"),
        ({"size": 99999}, SettingsError, "--size must lie in 1 to 2048 pixels, got 99999"),
        ({"layers": 3}, SettingsError, "--layers must be 1 or 2, got 3"),
        (
            {"layers": 2, "filter": "blur"},
            SettingsError,
            "a filter of one's own makes one layer, got --layers 2",
        ),
    ],
)
def test_what_cannot_be_asked_leaves_no_run(
    picture: Path, asked: dict[str, object], error: type[ConvoscopeError], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        convolved(picture, **asked)
    assert not (picture.parent / "run").exists()


def test_an_unreadable_image_leaves_no_run(tmp_path: Path) -> None:
    (tmp_path / "letter.jpg").write_text("dear")
    with pytest.raises(UnreadableImageError, match=r"letter.jpg: an image must be readable"):
        convolved(tmp_path / "letter.jpg")
    assert not (tmp_path / "run").exists()


def test_too_many_images_are_refused(picture: Path) -> None:
    with pytest.raises(DataError, match="is made of at most 24 images, got 25: name fewer"):
        convolve(ConvolveRequest(images=(str(picture),) * 25))


def test_arrays_are_checked() -> None:
    network, _ = filter_network(ConvolveRequest(images=(), size=8))
    good = np.zeros((1, 1, 8, 8), np.uint8)
    assert feature_maps(network, good)["conv1"].shape == (1, 1, 6, 6)
    with pytest.raises(ShapeError, match=r"uint8 in 0\.\.255 or floats in \[0, 1\], got int32"):
        feature_maps(network, good.astype(np.int32))
    with pytest.raises(ShapeError, match=r"must be \(N, 1, 8, 8\), got .* \(1, 3, 8, 8\)"):
        feature_maps(network, np.zeros((1, 3, 8, 8), np.uint8))
    with pytest.raises(
        ShapeError, match="must hold finite numbers, got NaN or infinity in image 0"
    ):
        feature_maps(network, np.full((1, 1, 8, 8), np.nan))


def test_half_a_file_is_refused(picture: Path) -> None:
    run = convolve(ConvolveRequest(images=(str(picture),), size=8), out=picture.parent / "run")
    file = run.path / "convolution.npz"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(RunError, match=r"convolution.npz: must hold filters and maps, reading it"):
        read_convolution(run)
