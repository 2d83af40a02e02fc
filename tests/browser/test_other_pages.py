"""The pages of a comparison, of doubted labels and of variants in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser
from tests.report.conftest import DIGIT_NAMES, Task, write_run
from tests.report.test_vary_page import variations

from convoscope.jobs.compare import compare
from convoscope.jobs.doubts import doubts
from convoscope.jobs.originals import small_pictures
from convoscope.pictures.palette import Theme
from convoscope.report import compare_page, doubts_page, vary_page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Five runs with long names and two heads compared, and the labels of one doubted."""
    folder = tmp_path_factory.mktemp("pages")
    heads = {
        "digit": (DIGIT_NAMES, lambda values: values),
        "a head with a long name": (("even", "odd"), lambda values: values % 2),
    }
    runs = [
        write_run(folder / f"a-run-with-a-rather-long-name-{k}", Task(heads=heads, epochs=k))
        for k in (1, 2, 3, 5, 8)
    ]
    found = compare(runs)
    pictures = small_pictures(runs, found.shown_ids)
    looked_at = doubts(runs[0])
    return {
        "compare": compare_page.write(found, pictures, folder / "compare.html"),
        "doubts": doubts_page.write(looked_at.review, looked_at.pictures, folder / "doubts.html"),
        "vary": vary_page.write(runs[0], variations(), file=folder / "vary.html"),
    }


@pytest.mark.parametrize("width", [1280, 380])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["compare", "doubts", "vary"])
def test_a_page_fits_its_window_without_complaints(
    browser: Browser, pages: dict[str, Path], name: str, width: int, theme: Theme
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=theme)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if "http" in request.url else None)
    page.goto(pages[name].as_uri())
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.locator("h1").is_visible()
    for link in page.locator(".top nav a").all():
        assert page.locator(link.get_attribute("href") or "").count() == 1
    assert said == []
    context.close()


def test_all_columns_of_variants_fit_a_wide_window(
    browser: Browser, pages: dict[str, Path]
) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(pages["vary"].as_uri())
    table = page.locator(".scroll:has(.variants)").first
    assert table.locator("thead th").count() == 12
    assert table.evaluate("it => it.scrollWidth - it.clientWidth") <= 0
    page.close()


def test_the_pictures_of_many_pairs_are_folded_until_asked_for(
    browser: Browser, pages: dict[str, Path]
) -> None:
    page = browser.new_page()
    page.goto(pages["compare"].as_uri())
    first = page.locator(".pair-pictures").first
    assert not first.locator("h3").first.is_visible()
    first.locator("summary").click()
    assert first.locator("h3").first.is_visible()
    page.close()
