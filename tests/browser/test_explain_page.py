"""The page of an explanation in a real browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

from convoscope import engines
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import Conv2d, Dense, GlobalAvgPool
from convoscope.jobs.explain import explain_into
from convoscope.jobs.explain_request import ExplainRequest
from convoscope.pictures.palette import Theme
from convoscope.report import explain_page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two heads with long names, every class, two layers with their maps, a long file name."""
    folder = tmp_path_factory.mktemp("page")
    architecture = Architecture(
        name="a-network-with-a-rather-long-name",
        input_shape=(3, 16, 16),
        layers=(Conv2d("conv1", 4, activation="relu"), Conv2d("conv2", 6, activation="relu")),
        heads=(
            Head(name="kind", layers=(GlobalAvgPool("pool"), Dense("dense", 4))),
            Head(
                name="another head",
                output="sigmoid",
                layers=(GlobalAvgPool("pool2"), Dense("dense2", 1)),
            ),
        ),
    )
    network = engines.build(architecture, engine="numpy", seed=3)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / f"{'a-very-long-name' * 6}.png")
    Image.fromarray(pixels[::-1]).save(folder / "b.png")
    names = {"kind": ("an awfully long class name", "b", "c", "d"), "another head": ("no", "yes")}
    request = ExplainRequest(classes=("all",), layers=("conv1", "conv2"), chosen=("conv2:0,0,0",))
    found = explain_into(folder / "out", network, [folder], class_names=names, request=request)
    return explain_page.write(found)


@pytest.mark.parametrize("width", [1280, 380])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_fits_its_window_without_complaints(
    browser: Browser, page_file: Path, width: int, theme: Theme
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=theme)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if "http" in request.url else None)
    page.goto(page_file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    for link in page.locator(".top nav a").all():
        assert page.locator(link.get_attribute("href") or "").count() == 1
    broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
    assert page.evaluate(broken) == 0
    assert said == []
    context.close()


def test_gradients_and_the_grid_change_their_scale_when_asked(
    browser: Browser, page_file: Path
) -> None:
    page = browser.new_page()
    page.goto(page_file.as_uri())
    bright = page.locator(".strip img.bright").first
    to_scale = page.locator(".strip img.to-scale").first
    assert (bright.is_visible(), to_scale.is_visible()) == (True, False)
    page.locator("input[value=to-scale]").check()
    assert (bright.is_visible(), to_scale.is_visible()) == (False, True)
    common, own = (page.locator(f".class-grid img.{name}").first for name in ("common", "own"))
    assert (common.is_visible(), own.is_visible()) == (True, False)
    page.locator("input[value=own]").check()
    assert (common.is_visible(), own.is_visible()) == (False, True)
    page.close()


def test_a_legend_has_the_colours_of_its_pictures(browser: Browser, page_file: Path) -> None:
    page = browser.new_page()
    page.goto(page_file.as_uri())
    bars = page.locator(".legend i")
    assert bars.count() > 10
    for bar in bars.all():
        image = bar.evaluate("node => getComputedStyle(node).backgroundImage")
        assert image.startswith("linear-gradient(")
    page.close()
