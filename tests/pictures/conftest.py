"""Reading drawings back: every picture must be well-formed XML."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

SVG = "{http://www.w3.org/2000/svg}"


class Drawing:
    """An SVG text, parsed."""

    def __init__(self, svg: str) -> None:
        self.root = ElementTree.fromstring(svg)

    def texts(self) -> list[str]:
        """Every text that is drawn, in order."""
        return [node.text or "" for node in self.root.iter(f"{SVG}text")]

    def find(self, tag: str, class_: str = "") -> list[ElementTree.Element]:
        """The elements of that tag, with that class if one is given."""
        return [
            node
            for node in self.root.iter(f"{SVG}{tag}")
            if not class_ or class_ in (node.get("class") or "").split()
        ]


@pytest.fixture(scope="session")
def drawing() -> type[Drawing]:
    """``drawing(svg)``: that picture, parsed."""
    return Drawing
