"""How much a weight file may say that it holds, before anybody makes room for it."""

from __future__ import annotations

from convoscope.errors import WeightsError

_MOST_BYTES = 16 * 2**30
_SMALL = 64 * 2**20
_MOST_TIMES_LARGER = 50


def check_claim(claimed: int, stored: int) -> None:
    """Nothing, if a file of ``stored`` bytes may say that it unpacks to ``claimed`` bytes.

    Weights are close to noise, which does not pack; what claims to grow very much is no weight
    file but one that is damaged, or made to fill the memory of whoever opens it.

    Raises:
        WeightsError: if it claims more than 16 GiB, or more than 64 MiB and 50 times its size.
    """
    if claimed > _MOST_BYTES or claimed > max(_SMALL, _MOST_TIMES_LARGER * stored):
        raise WeightsError(
            f"a weight file may unpack to 50 times its size and to 16 GiB, this one of {stored} "
            f"bytes says that it holds {claimed}: it is damaged, or made to fill the memory; "
            "do not use it"
        )
