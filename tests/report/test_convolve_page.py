"""The page of slid filters: sizes, values and maps as they are in the run."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import draw_shape

from convoscope import report
from convoscope.arrays import generator
from convoscope.jobs.convolve import ConvolveRequest, convolve
from convoscope.pictures.maps import shaded
from convoscope.runs import Run
from convoscope.runs.convolution import read_convolution


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture whose name is markup."""
    file = tmp_path / "<b>&.png"
    Image.fromarray(draw_shape(3, 40, 30, generator(0, "p"))).save(file)
    return file


def page_of(run: Run) -> str:
    return report.write(run).read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")


def test_one_filter(picture: Path) -> None:
    request = ConvolveRequest(images=(str(picture),), filter="-1 0 1; -2 0 2; -1 0 1", size=32)
    page = page_of(convolve(request, out=picture.parent / "r"))
    assert "<strong>30 × 30</strong> of 32 × 32 pixels" in page
    assert "(32 − 3 + 2 × 0) / 1 + 1 = 30" in page
    values = re.findall(r"<td>(−?\d\.\d{4})</td>", page)
    row = ["−1.0000", "0.0000", "1.0000"]
    assert values == [*row, "−2.0000", "0.0000", "2.0000", *row]
    assert "Drawn from" not in page
    assert "<b>&" not in page
    assert "&lt;b&gt;&amp;" in page
    assert "--filter=-1 0 1; -2 0 2; -1 0 1" in re.sub(r"</?span[^>]*>", "", page)


def test_two_layers_show_ten_filters_and_the_maps_they_make(picture: Path) -> None:
    request = ConvolveRequest(images=(str(picture),), layers=2, size=24)
    run = convolve(request, out=picture.parent / "r")
    page, found = page_of(run), read_convolution(run)
    assert "maps of <strong>20 × 20 × 64</strong>" in page
    assert "variance 2 / n = 2 / 288 = 0.006944" in page
    for layer in found.layers:
        for number, values in enumerate(found.images[0].maps[layer.name]):
            alt = f'alt="map {number} of {layer.name} for'
            (address,) = re.findall(rf'<img src="([^"]+)" width="\d+" height="\d+" {alt}', page)
            content = base64.b64decode(address.removeprefix("data:image/png;base64,"))
            drawn = np.asarray(Image.open(io.BytesIO(content)))
            np.testing.assert_array_equal(drawn, shaded(values)[..., 0])
    addresses = re.findall(r'(?:src|href)="([^#"][^"]*)"', page)
    assert {address.partition(":")[0] for address in addresses} == {"data"}


def test_the_command_on_the_page_makes_the_same_run(picture: Path) -> None:
    asked = ConvolveRequest(images=(str(picture),), filter="blur", size=16, stride=2, padding=1)
    assert asked.command() == (
        "convoscope",
        "convolve",
        str(picture),
        "--filter=blur",
        "--size=16",
        "--stride=2",
        "--padding=1",
    )
