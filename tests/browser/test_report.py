"""Reports in a real browser: wide and narrow, light and dark, on paper and without a script."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page
from tests.report.conftest import DIGIT_NAMES, Task, write_run

from convoscope.pictures.palette import COLOURS, Theme
from convoscope.report import write
from convoscope.runs.store import Run

pytestmark = pytest.mark.browser

MANY = tuple(f"{side}_with_a_rather_long_name_{k}" for k in range(25) for side in ("l", "r"))


@pytest.fixture(scope="module")
def plain_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Ten classes, one head, reported."""
    task = Task(heads={"class": (DIGIT_NAMES, lambda values: values)}, epochs=3)
    return reported(write_run(tmp_path_factory.mktemp("runs") / "plain", task))


@pytest.fixture(scope="module")
def crowded_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Fifty classes with long names and a second head, reported."""
    task = Task(
        heads={
            "place": (MANY, lambda values: values * 5 + values % 2),
            "parity": (("even <i>", "odd 🎈"), lambda values: values % 2),
        },
        epochs=2,
        notes=("A note that is long enough to need more than one line on a narrow telephone.",),
    )
    return reported(write_run(tmp_path_factory.mktemp("runs") / "crowded-with-a-long-name", task))


def reported(run: Run) -> Run:
    write(run)
    return run


@contextmanager
def opened(
    browser: Browser, run: Run, *, width: int = 1280, theme: Theme = "light", script: bool = True
) -> Iterator[Page]:
    """The run's report; leaving it asserts that the browser had nothing to complain about."""
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme=theme,
        java_script_enabled=script,
        accept_downloads=True,
    )
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.extend(_from_elsewhere(request.url)))
    page.goto(run.report_file.as_uri())
    yield page
    assert said == []
    context.close()


def _from_elsewhere(address: str) -> list[str]:
    return [] if address.startswith(("file:", "data:")) else [address]


@pytest.mark.parametrize("width", [1280, 380])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["plain_run", "crowded_run"])
def test_a_report_fits_its_window_in_its_theme_without_complaints(
    browser: Browser, request: pytest.FixtureRequest, name: str, width: int, theme: Theme
) -> None:
    with opened(browser, request.getfixturevalue(name), width=width, theme=theme) as page:
        overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == _rgb(COLOURS[theme]["paper"])
        assert page.locator("h1").is_visible()


def test_the_policy_holds(browser: Browser, plain_run: Run) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(plain_run.report_file.as_uri())
    page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.bad = 1';"
        "document.body.append(s); }"
    )
    assert page.evaluate("window.bad === undefined")
    context.close()


def test_tabs_show_one_split_at_a_time(browser: Browser, plain_run: Run) -> None:
    with opened(browser, plain_run) as page:
        panels = page.locator("#confusion-1 .panel")
        assert [panels.nth(k).is_visible() for k in range(3)] == [True, False, False]
        page.locator("#confusion-1 .tabs > label", has_text="train").click()
        assert [panels.nth(k).is_visible() for k in range(3)] == [False, False, True]
        page.keyboard.press("ArrowLeft")
        assert [panels.nth(k).is_visible() for k in range(3)] == [False, True, False]


def test_cells_show_images_or_shares_also_without_a_script(
    browser: Browser, plain_run: Run
) -> None:
    with opened(browser, plain_run, script=False) as page:
        panel = page.locator("#confusion-1 .panel").first
        count, share = panel.locator(".cells .count").first, panel.locator(".cells .share").first
        assert (count.is_visible(), share.is_visible()) == (True, False)
        panel.locator("input[value=share]").check()
        assert (count.is_visible(), share.is_visible()) == (False, True)
        assert page.locator(".js").first.is_hidden()


def test_names_stay_in_sight_while_a_large_matrix_is_scrolled(
    browser: Browser, crowded_run: Run
) -> None:
    with opened(browser, crowded_run) as page:
        page.locator("input[value=names]").first.check()
        panes = page.locator("#confusion-1 .panes").first
        panes.evaluate("e => { e.scrollLeft = 300; e.scrollTop = 300; }")
        top, left = _corner(page, "#confusion-1 .panes")
        assert _corner(page, "#confusion-1 .columns")[0] == pytest.approx(top, abs=1)
        assert _corner(page, "#confusion-1 .rows")[1] == pytest.approx(left, abs=1)
        assert _corner(page, "#confusion-1 .corner") == pytest.approx((top, left), abs=1)
        assert _corner(page, "#confusion-1 .cells")[0] < top


def test_rows_and_columns_change_places_together(browser: Browser, crowded_run: Run) -> None:
    with opened(browser, crowded_run) as page:
        matrix = page.locator(".matrix").first
        orders = json.loads(matrix.get_attribute("data-orders") or "")
        matrix.locator(".order").select_option("worst first")
        first = orders["worst first"][0]
        row = matrix.locator(f'.rows g[data-row="{first}"]').get_attribute("transform")
        column = matrix.locator(f'.columns g[data-column="{first}"]').get_attribute("transform")
        assert row == column == "translate(0 0)"


def test_a_table_can_be_sorted_both_ways(browser: Browser, plain_run: Run) -> None:
    with opened(browser, plain_run) as page:
        table = page.locator("table.sortable").first
        table.locator("thead button", has_text="recall").click()
        down = _column(page, 2)
        assert down == sorted(down, reverse=True)
        table.locator("thead button", has_text="recall").click()
        assert _column(page, 2) == sorted(down)
        assert table.locator("th[aria-sort=ascending]").count() == 1


def test_the_pointer_reads_a_curve(browser: Browser, plain_run: Run) -> None:
    with opened(browser, plain_run) as page:
        chart = page.locator("#learning svg").first
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        assert box
        page.mouse.move(box["x"] + 0.78 * box["width"], box["y"] + box["height"] / 2)
        assert "epoch 3" in page.locator(".tip").inner_text()
        page.mouse.move(0, 0)
        assert page.locator(".tip").count() == 0


def test_the_theme_can_be_chosen(browser: Browser, plain_run: Run) -> None:
    with opened(browser, plain_run, theme="dark") as page:
        page.locator(".theme").click()
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == _rgb(COLOURS["light"]["paper"])


@pytest.mark.parametrize("box", ["#result .drawing", "#learning .drawing", "#confusion-1 .matrix"])
def test_a_figure_is_saved_with_its_own_colours(
    browser: Browser, plain_run: Run, box: str, tmp_path: Path
) -> None:
    with opened(browser, plain_run) as page:
        figure = page.locator(box).first
        figure.scroll_into_view_if_needed()
        figure.hover()
        for kind in ("SVG", "PNG"):
            with page.expect_download() as download:
                figure.locator(".save button", has_text=kind).click()
            download.value.save_as(tmp_path / f"figure.{kind.lower()}")
    svg = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    assert "var(" not in svg
    assert "rgb(" in svg
    drawn = ElementTree.fromstring(svg)
    width = float(drawn.get("width") or 0)
    x, y, across, down = map(float, (drawn.get("viewBox") or "").split())
    assert (across, down) == (width, float(drawn.get("height") or 0))
    assert x <= -8, "no letter touches the edge"
    assert y <= -8
    assert drawn[0].get("width") == drawn.get("width"), "paper, on which its colours can be read"
    with Image.open(tmp_path / "figure.png") as image:
        assert image.width == pytest.approx(3 * width, abs=3)
        assert len(image.convert("RGB").getcolors(2**24) or ()) > 4
        assert image.convert("RGB").getpixel((2, 2)) == (253, 253, 251)


def test_what_stands_out_of_a_drawing_is_saved_too(
    browser: Browser, plain_run: Run, tmp_path: Path
) -> None:
    with opened(browser, plain_run) as page:
        figure = page.locator("#learning .drawing").first
        figure.scroll_into_view_if_needed()
        figure.hover()
        figure.evaluate("it => it.querySelector('text').setAttribute('x', 900)")
        with page.expect_download() as download:
            figure.locator(".save button", has_text="SVG").click()
        download.value.save_as(tmp_path / "figure.svg")
    assert float(ElementTree.parse(tmp_path / "figure.svg").getroot().get("width") or 0) > 908


@pytest.mark.parametrize("zoom", ["overview", "names"])
def test_a_saved_matrix_has_all_names_whole_at_every_zoom(
    browser: Browser, crowded_run: Run, zoom: str, tmp_path: Path
) -> None:
    with opened(browser, crowded_run) as page:
        matrix = page.locator("#confusion-1 .matrix").first
        matrix.locator(f"input[value={zoom}]").check()
        shown = matrix.locator(".rows text").first.is_visible()
        matrix.hover()
        with page.expect_download() as download:
            matrix.locator(".save button", has_text="SVG").click()
        download.value.save_as(tmp_path / "matrix.svg")
        assert matrix.locator(".rows text").first.is_visible() == shown == (zoom == "names")
        page.goto((tmp_path / "matrix.svg").as_uri())
        texts = page.locator("text")
        words = texts.all_text_contents()
        boxes = [texts.nth(k).bounding_box() for k in range(len(words))]
        paper = page.locator("rect").first.bounding_box()
        letters = texts.evaluate_all("them => them.map((it) => it.getAttribute('font-size'))")
    assert {"taken for", "true class"} <= set(words)
    names = [k for k, word in enumerate(words) if "_with_a_" in word]
    assert len(names) == 2 * len(MANY)
    assert {letters[k] for k in names} == {"20px" if zoom == "overview" else "13px"}
    assert paper is not None
    for box in filter(None, boxes):
        assert box["x"] > paper["x"]
        assert box["y"] > paper["y"]


def test_no_two_figures_of_a_page_have_one_name(browser: Browser, plain_run: Run) -> None:
    with opened(browser, plain_run) as page:
        boxes = page.locator(".drawing[data-name], .matrix[data-name]")
        names = boxes.evaluate_all("boxes => boxes.map((box) => box.dataset.name)")
    assert len(names) > 8
    assert sorted(set(names)) == sorted(names)


def test_on_paper_every_split_is_there_and_controls_are_not(
    browser: Browser, plain_run: Run
) -> None:
    with opened(browser, plain_run) as page:
        page.emulate_media(media="print")
        panels = page.locator("#classes-1 .panel")
        assert all(panels.nth(k).is_visible() for k in range(3))
        assert page.locator(".top").is_hidden()
        assert page.locator(".controls").first.is_hidden()
        assert page.pdf(format="A4").startswith(b"%PDF")


def test_on_paper_no_row_of_a_long_table_sticks_to_other_pages(
    browser: Browser, crowded_run: Run
) -> None:
    with opened(browser, crowded_run) as page:
        cells = page.locator(".scroll :is(thead, tfoot, th)")
        places = "them => them.map((it) => getComputedStyle(it).position)"
        assert "sticky" in cells.evaluate_all(places)
        page.emulate_media(media="print")
        assert set(cells.evaluate_all(places)) == {"static"}
        shown = "them => them.map((it) => getComputedStyle(it).display)"
        totals = page.locator("tfoot").evaluate_all(shown)
        assert set(totals) == {"table-row-group"}, "said once, not on every page"
        buttons = page.locator("#classes-1 thead button").evaluate_all(shown)
        assert set(buttons) == {"contents"}, "a head with controls is not repeated on each page"


@pytest.mark.parametrize("chosen", [None, "dark"])
def test_paper_is_light_whatever_the_screen_is(
    browser: Browser, plain_run: Run, chosen: str | None
) -> None:
    with opened(browser, plain_run) as page:
        page.emulate_media(media="print", color_scheme="dark")
        if chosen:
            page.evaluate("theme => { document.documentElement.dataset.theme = theme }", chosen)
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == _rgb(COLOURS["light"]["paper"])


def test_everything_can_be_reached_from_the_keyboard_and_has_a_name(
    browser: Browser, plain_run: Run
) -> None:
    with opened(browser, plain_run) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the result"
        nameless = page.evaluate(
            "[...document.querySelectorAll('img, svg, button, [role=region]')].filter(e =>"
            "!(e.alt || e.getAttribute('aria-label') || e.textContent.trim())).length"
        )
        assert nameless == 0
        levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(h => +h.tagName[1])")
        assert levels[0] == 1
        assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def _corner(page: Page, where: str) -> tuple[float, float]:
    box = page.locator(where).first.bounding_box()
    assert box
    return box["y"], box["x"]


def _column(page: Page, column: int) -> list[float]:
    texts = page.locator("table.sortable").first.locator(f"tbody tr td:nth-child({column + 1})")
    return [float(text.replace("%", "").strip()) for text in texts.all_inner_texts()]


def _rgb(colour: str) -> str:
    return "rgb({}, {}, {})".format(*(int(colour[k : k + 2], 16) for k in (1, 3, 5)))
