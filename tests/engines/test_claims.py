from __future__ import annotations

import pytest

from convoscope.engines.claims import check_claim
from convoscope.errors import WeightsError

MIB, GIB = 2**20, 2**30


@pytest.mark.parametrize(
    ("claimed", "stored"), [(64 * MIB, 1), (50 * 10 * MIB, 10 * MIB), (16 * GIB, 16 * GIB)]
)
def test_what_may_be_is_let_through(claimed: int, stored: int) -> None:
    check_claim(claimed, stored)


@pytest.mark.parametrize(
    ("claimed", "stored"),
    [(64 * MIB + 1, 1), (50 * 10 * MIB + 1, 10 * MIB), (16 * GIB + 1, 16 * GIB)],
)
def test_what_cannot_be_is_refused_with_both_sizes(claimed: int, stored: int) -> None:
    with pytest.raises(
        WeightsError,
        match=f"to 50 times its size and to 16 GiB, this one of {stored} bytes says that it holds "
        f"{claimed}: it is damaged, or made to fill the memory; do not use it",
    ):
        check_claim(claimed, stored)
