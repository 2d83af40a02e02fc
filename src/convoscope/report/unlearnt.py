"""How much of a method's picture is left when the network forgets, in words that fit the number.

The number is the rank correlation of the picture before and after the layers nearest to the output
were given random weights. From :data:`~convoscope.explain.scores.board.ALIKE` on it speaks against
the method; how loudly, is graded here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Remainder:
    """What is left, for sentences: how the method ``depends`` on what was learnt, what random
    weights ``leave``, what ``stays`` of the picture, and what it then ``shows``.
    """

    depends: str
    leave: str
    stays: str
    shows: str


def remainder(correlation: float) -> Remainder:
    """The words for a rank correlation that speaks against a method, as it is printed."""
    printed = round(correlation, 2)
    return next(words for least, words in _GRADES if printed >= least)


_GRADES = (
    (
        0.9,
        Remainder(
            depends="hardly depends on what was learnt",
            leave="leave the order of its pixels nearly as it was",
            stays="the order of its pixels stays nearly as it was",
            shows="the image more than what was learnt",
        ),
    ),
    (
        0.7,
        Remainder(
            depends="depends little on what was learnt",
            leave="leave most of the order of its pixels",
            stays="most of the order of its pixels stays",
            shows="the image more than what was learnt",
        ),
    ),
    (
        float("-inf"),
        Remainder(
            depends="depends only in part on what was learnt",
            leave="leave about half of the order of its pixels",
            stays="about half of the order of its pixels stays",
            shows="the image about as much as what was learnt",
        ),
    ),
)
