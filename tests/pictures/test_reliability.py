from __future__ import annotations

from tests.pictures.conftest import Drawing

from convoscope.pictures.reliability import Bin, reliability_diagram


def test_a_bin_lies_at_its_confidence_and_accuracy_and_grows_with_its_images(
    drawing: type[Drawing],
) -> None:
    drawn = drawing(reliability_diagram([Bin(100, 0.9, 0.9), Bin(4, 0.3, 0.75)]))
    large, small = drawn.find("circle")
    (diagonal,) = drawn.find("line", "dashed")
    x1, y1, x2, y2 = (float(diagonal.get(key) or 0) for key in ("x1", "y1", "x2", "y2"))
    at = (float(large.get("cx") or 0), float(large.get("cy") or 0))
    assert at == (round(x1 + 0.9 * (x2 - x1), 2), round(y1 + 0.9 * (y2 - y1), 2))
    assert float(large.get("r") or 0) > float(small.get("r") or 0)
    said = [(node.text or "").replace("\N{NO-BREAK SPACE}", " ") for node in drawn.find("title")]
    assert said[1] == "4 images said with 30 % confidence: 75 % right"


def test_no_bins_leave_the_axes(drawing: type[Drawing]) -> None:
    drawn = drawing(reliability_diagram([]))
    assert drawn.find("circle") == []
    assert "confidence" in drawn.texts()
