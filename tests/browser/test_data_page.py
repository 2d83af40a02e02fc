"""The page of a data check in a real browser: wide and narrow, light and dark, and on paper."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser
from tests.conftest import draw_folder

from convoscope.jobs import data_check
from convoscope.pictures.palette import COLOURS, Theme
from convoscope.report import data_page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A check that finds much, of classes with long names."""
    folder = tmp_path_factory.mktemp("checked")
    names = tuple(f"{kind}_with_a_rather_long_name_for_a_class" for kind in ("bars", "poles", "o"))
    root = draw_folder(folder / "a-folder-with-a-long-name", classes=names, per_class=14, size=72)
    for file in (root / names[0]).iterdir():
        Image.open(file).convert("L").save(file)
    for number in range(7):
        file = next((root / names[0]).glob(f"*_{number}.png"))
        (root / names[1 + number % 2] / f"copy{number}.png").write_bytes(file.read_bytes())
        (root / names[2] / f"broken{number}.png").write_bytes(b"")
    checked = data_check.check(root)
    shown = data_page.shown_ids(checked.audit)
    return data_page.write(
        folder / "data-check.html",
        checked.audit,
        pictures=data_check.small_pictures(checked, shown),
        described=data_check.described(checked, shown),
    )


@pytest.mark.parametrize("width", [1280, 380])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_hangs_out_and_nothing_is_complained_about(
    browser: Browser, page_file: Path, width: int, theme: Theme
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=theme, reduced_motion="reduce"
    )
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(page_file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red, green, blue = (int(COLOURS[theme]["paper"][at : at + 2], 16) for at in (1, 3, 5))
    assert colour == f"rgb({red}, {green}, {blue})"
    for link in page.locator(".summary a").all():
        link.click()
        anchor = link.get_attribute("href")
        assert anchor is not None
        assert page.locator(anchor).is_visible()
    for image in page.locator("main img").all():
        assert image.evaluate("image => image.naturalWidth") > 0
    assert said == []
    context.close()


def test_duplicates_stand_side_by_side(browser: Browser, page_file: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(page_file.as_uri())
    strip = page.locator(".strip", has_text="the same file").first
    first, second = (box.bounding_box() for box in strip.locator("img").all())
    assert first is not None
    assert second is not None
    assert first["y"] == second["y"]
    assert first["x"] + first["width"] <= second["x"]
    page.close()


def test_the_page_prints(browser: Browser, page_file: Path) -> None:
    page = browser.new_page()
    page.goto(page_file.as_uri())
    assert page.pdf(format="A4").startswith(b"%PDF")
    assert page.locator(".top").is_visible()
    page.emulate_media(media="print")
    assert not page.locator(".top").is_visible()
    page.close()
