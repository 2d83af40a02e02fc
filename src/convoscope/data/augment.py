"""Augmentation: small, seeded changes of an image that do not change what it shows.

A policy is a value that says how far a change may go; :func:`augment` draws one change and does it
as a single warp, so that an image is interpolated once. Everything it does comes from the generator
it is given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import cv2
import numpy as np

from convoscope.arrays import ByteArray, FloatArray
from convoscope.errors import SettingsError, unknown_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How far an image may be changed.

    ``flip_horizontal`` swaps left and right in half of the images, ``flip_vertical`` top and
    bottom. ``rotation``: up to so many degrees either way. ``zoom``: the part of the picture's side
    that stays in view, drawn from (low, high): 0.5 magnifies twice, 1.2 shrinks and shows what lies
    outside. ``shift``: up to this part of each side, in each direction. ``outside`` is filled with
    the picture's mirror image, or with black.
    """

    flip_horizontal: bool = False
    flip_vertical: bool = False
    rotation: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    shift: float = 0.0
    outside: Literal["mirror", "black"] = "mirror"

    def __post_init__(self) -> None:
        if not 0 <= self.rotation <= 180:
            raise SettingsError(f"rotation must be from 0 to 180 degrees, got {self.rotation}")
        if not 0 < self.zoom[0] <= self.zoom[1]:
            raise SettingsError(f"zoom must be (low, high) with 0 < low <= high, got {self.zoom}")
        if not 0 <= self.shift <= 1:
            raise SettingsError(f"shift must be a part from 0 to 1 of a side, got {self.shift}")

    @property
    def warps(self) -> bool:
        """Whether anything but flips can happen."""
        return self.rotation > 0 or self.shift > 0 or self.zoom != (1.0, 1.0)

    @property
    def changes(self) -> bool:
        """Whether anything can happen."""
        return self.warps or self.flip_horizontal or self.flip_vertical


POLICIES: Mapping[str, Policy] = MappingProxyType(
    {
        "none": Policy(),
        "flip": Policy(flip_horizontal=True),
        "light": Policy(flip_horizontal=True, rotation=10, zoom=(0.85, 1.05), shift=0.05),
        # No flips: a mirrored 2 is no 2, and a 6 on its head is a 9.
        "handwriting": Policy(rotation=10, zoom=(0.9, 1.1), shift=0.08, outside="black"),
        # What the published sweep of row 13 switched on and off.
        "row13": Policy(flip_horizontal=True, flip_vertical=True, rotation=90, zoom=(0.5, 1.0)),
    }
)


def find_policy(name: str) -> Policy:
    """The policy of that name.

    Raises:
        UnknownNameError: if there is none; names the nearest.
    """
    if name not in POLICIES:
        raise unknown_name("augmentation", name, POLICIES)
    return POLICIES[name]


def augment(image: ByteArray, policy: Policy, rng: np.random.Generator) -> ByteArray:
    """One changed image, (H, W, C) uint8 as the one given, which stays as it is.

    Always six numbers are drawn, so that the changes do not depend on which of them are allowed.
    """
    if not policy.changes:
        return image
    draws = rng.random(6)
    mirrored = policy.flip_horizontal and draws[0] < 0.5
    upturned = policy.flip_vertical and draws[1] < 0.5
    if not policy.warps:
        return image[:: -1 if upturned else 1, :: -1 if mirrored else 1]
    matrix = _matrix(image.shape[:2], policy, draws[2:], (mirrored, upturned))
    warped = cv2.warpAffine(
        image,
        matrix,
        (image.shape[1], image.shape[0]),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT if policy.outside == "black" else cv2.BORDER_REFLECT_101,
    )
    return np.asarray(warped, dtype=np.uint8).reshape(image.shape)


def _matrix(
    size: tuple[int, ...], policy: Policy, draws: FloatArray, flips: tuple[bool, bool]
) -> FloatArray:
    """(2, 3): from a pixel (x, y) of the changed image to where it lies in the picture.

    About the centre: flips first, then zoom and rotation, then the shift.
    """
    height, width = size
    angle = math.radians(policy.rotation * (2 * draws[0] - 1))
    zoom = policy.zoom[0] + (policy.zoom[1] - policy.zoom[0]) * draws[1]
    cosine, sine = zoom * math.cos(angle), zoom * math.sin(angle)
    mirror = np.array([-1.0 if flip else 1.0 for flip in flips])
    turn = np.array([[cosine, -sine], [sine, cosine]]) * mirror
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    shift = policy.shift * (2 * draws[2:4] - 1) * (width, height)
    return np.column_stack([turn, centre + shift - turn @ centre])
