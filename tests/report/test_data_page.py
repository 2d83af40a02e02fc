"""The page of a data check, read back from its text."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import draw_folder

from convoscope.data.audit import Audit, audit
from convoscope.data.cache import decode
from convoscope.data.findings import Finding, Group
from convoscope.data.preprocessing import Preprocessing
from convoscope.data.sources import open_dataset
from convoscope.report import data_page


class Words(HTMLParser):
    """The text of a page, without style and script; every id and every local link."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self._skipped = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._skipped = tag in ("style", "script")
        found = dict(attrs)
        self.ids += [found["id"] or ""] if "id" in found else []
        self.links += [link[1:] for link in (found.get("href") or "",) if link.startswith("#")]

    def handle_endtag(self, tag: str) -> None:
        self._skipped = False

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.text.append(data)

    @property
    def plain(self) -> str:
        return re.sub(r"[ \n]+", " ", " ".join(self.text))


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """Gray bars, a copy with another label and an unreadable file."""
    root = draw_folder(tmp_path_factory.mktemp("data") / "faulty & <odd>", per_class=12)
    for file in (root / "bars").iterdir():
        Image.open(file).convert("L").save(file)
    (root / "disc" / "copy.png").write_bytes((root / "bars" / "bars_3.png").read_bytes())
    (root / "disc" / "broken.png").write_bytes(b"<b>not</b>")
    return audit(
        decode(
            open_dataset(root),
            preprocessing=Preprocessing(size=(1, 1), order="gray"),
            skip_unreadable=True,
        )
    )


@pytest.fixture(scope="module")
def page(faulty: Audit) -> str:
    ids = data_page.shown_ids(faulty)
    pictures = {id_: np.full((9, 12, 3), 77, np.uint8) for id_ in ids if "broken" not in id_}
    return data_page.render(faulty, pictures=pictures, described={"bars/bars_3.png": "a bar"})


def test_the_headline_counts_what_is_wrong_and_what_is_not(faulty: Audit, page: str) -> None:
    wrong = len(faulty.wrong)
    assert wrong >= 3
    assert f"In 37 pictures of faulty & <odd>, {wrong} things are wrong" in Words(page).plain


def test_every_finding_has_its_place_and_every_link_leads_somewhere(
    faulty: Audit, page: str
) -> None:
    words = Words(page)
    assert set(words.links) <= set(words.ids)
    assert len(words.ids) == len(set(words.ids))
    for number in range(1, len(faulty.findings) + 1):
        assert f"finding-{number}" in words.links


def test_sentences_are_there_and_names_are_escaped(faulty: Audit, page: str) -> None:
    plain = Words(page).plain
    for finding in faulty.findings:
        if not finding.clues:
            assert finding.sentence[1:].replace(" %", "\u00a0%") in plain
    assert "<b>not</b>" not in page
    assert "<odd>" not in page


def test_a_shortcut_shows_a_drawing_and_a_sentence_for_each_clue(faulty: Audit, page: str) -> None:
    clues = [clue for finding in faulty.findings for clue in finding.clues]
    assert "gray" in {clue.shortcut.trait for clue in clues}
    assert page.count('class="chart histogram"') == len(clues)
    plain = Words(page).plain
    for clue in clues:
        assert clue.sentence[1:].replace(" %", "\u00a0%") in plain


def test_examples_stand_side_by_side_with_labels_and_missing_ones_are_said(page: str) -> None:
    assert page.count("no picture") == 1
    assert "a bar" in Words(page).plain
    assert 'title="disc/copy.png"' in page


def test_the_table_of_classes_adds_up(faulty: Audit, page: str) -> None:
    body = page.split('id="classes"')[1]
    rows = [int(n) for n in re.findall(r'<td class="n">([\d,]+)</td>', body.split("<tfoot>")[0])]
    (total,) = re.findall(r'<td class="n">([\d,]+)</td>', body.split("<tfoot>")[1])
    assert sum(rows) == int(total) == faulty.images == 37


def test_nothing_is_fetched_from_elsewhere(page: str) -> None:
    assert "default-src &#39;none&#39;" in page
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert all(source.startswith(("#", "data:")) for source in sources)


def test_long_lists_are_cut_and_counted(faulty: Audit) -> None:
    names = faulty.samples["class"]["bars"]
    many = Finding(
        kind="duplicate",
        severity="look",
        sentence="many",
        count=15,
        groups=tuple(Group(caption="the same file", ids=names[:2] * 5) for _ in range(15)),
    )
    page = data_page.render(replace(faulty, findings=(many,)), pictures={}, described={})
    assert page.count('class="strip"') == data_page.GROUPS_SHOWN
    plain = Words(page).plain
    assert "and 3 more, which --json names" in plain
    assert plain.count("and 4 more") == data_page.GROUPS_SHOWN


@pytest.mark.parametrize(
    ("wrong", "look", "said"),
    [
        (0, 0, "nothing is wrong"),
        (0, 1, "nothing is wrong, 1 thing needs a look"),
        (0, 2, "nothing is wrong, 2 things need a look"),
        (1, 0, "1 thing is wrong"),
        (2, 1, "2 things are wrong and 1 needs a look"),
    ],
)
def test_headlines(faulty: Audit, wrong: int, look: int, said: str) -> None:
    bad = Finding(kind="leak", severity="wrong", sentence="x", count=1)
    odd = Finding(kind="mode", severity="look", sentence="x", count=1)
    assert data_page.headline(replace(faulty, findings=(bad,) * wrong + (odd,) * look)) == said


def test_the_page_is_written_whole(faulty: Audit, tmp_path: Path) -> None:
    path = data_page.write(tmp_path / "new" / "check.html", faulty, pictures={}, described={})
    assert path.read_text(encoding="utf-8").endswith("</html>")
