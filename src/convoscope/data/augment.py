"""Augmentation: small, seeded changes of an image that do not change what it shows.

A policy is a value that says how far a change may go; :func:`augment` draws one change and does it
with one colour transformation and one warp, so that an image is interpolated once. Everything it
does comes from the generator it is given. What two images make together, and their labels with
them, is in :mod:`convoscope.data.mixing`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import cv2
import numpy as np

from convoscope.arrays import ByteArray, FloatArray
from convoscope.data.recolour import erased, recoloured
from convoscope.errors import SettingsError, unknown_name

_DRAWS = 19
_ASPECT = 4 / 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How far an image may be changed.

    ``flip_horizontal`` swaps left and right in half of the images, ``flip_vertical`` top and
    bottom. ``rotation``: up to so many degrees either way. ``zoom``: the part of the picture's side
    that stays in view, drawn from (low, high): 0.5 magnifies twice, 1.2 shrinks and shows what lies
    outside. ``shift``: up to this part of each side, in each direction. ``shear``: upright lines
    lean by up to so many degrees. ``crop``: the part of the picture's area that is cut out and
    stretched to the whole, drawn from (low, high), up to 4 : 3 wider or higher than the picture.
    ``outside`` is filled with the picture's mirror image, or with black.

    ``brightness``, ``contrast``, ``saturation``: factors drawn from 1 - part to 1 + part.
    ``erasing``: in this share of the images a rectangle of 2 to 20 % of the area gets the
    picture's mean colour. ``mixup`` and ``cutmix``: the parameter of the Beta distribution by
    which two images are mixed, 0 for never; with both, half of the images are mixed by each.
    """

    flip_horizontal: bool = False
    flip_vertical: bool = False
    rotation: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    shift: float = 0.0
    shear: float = 0.0
    crop: tuple[float, float] = (1.0, 1.0)
    outside: Literal["mirror", "black"] = "mirror"
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.rotation <= 180:
            raise SettingsError(f"rotation must be from 0 to 180 degrees, got {self.rotation}")
        if not 0 < self.zoom[0] <= self.zoom[1]:
            raise SettingsError(f"zoom must be (low, high) with 0 < low <= high, got {self.zoom}")
        if not 0 <= self.shift <= 1:
            raise SettingsError(f"shift must be a part from 0 to 1 of a side, got {self.shift}")
        if not 0 <= self.shear <= 45:
            raise SettingsError(f"shear must be from 0 to 45 degrees, got {self.shear}")
        if not 0 < self.crop[0] <= self.crop[1] <= 1:
            raise SettingsError(
                f"crop must be (low, high) with 0 < low <= high <= 1, got {self.crop}"
            )
        for name in ("brightness", "contrast", "saturation", "erasing"):
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise SettingsError(f"{name} must be a part from 0 to 1, got {value}")
        for name in ("mixup", "cutmix"):
            if not 0 <= (value := getattr(self, name)) < math.inf:
                raise SettingsError(f"{name} must be at least 0 and finite, got {value}")

    @property
    def crops(self) -> bool:
        """Whether anything can be cut off."""
        return self.crop != (1.0, 1.0)

    @property
    def warps(self) -> bool:
        """Whether pixels can get between pixels: anything geometric but flips."""
        turns = self.rotation > 0 or self.shift > 0 or self.shear > 0
        return turns or self.zoom != (1.0, 1.0) or self.crops

    @property
    def recolours(self) -> bool:
        """Whether colours can change."""
        return self.brightness > 0 or self.contrast > 0 or self.saturation > 0

    @property
    def changes(self) -> bool:
        """Whether a single image can change."""
        flips = self.flip_horizontal or self.flip_vertical
        return self.warps or flips or self.recolours or self.erasing > 0

    @property
    def mixes(self) -> bool:
        """Whether two images can become one, with a label between theirs."""
        return self.mixup > 0 or self.cutmix > 0


_PHOTOS = Policy(
    flip_horizontal=True,
    rotation=8,
    shear=4,
    crop=(0.45, 1.0),
    brightness=0.25,
    contrast=0.25,
    saturation=0.3,
    erasing=0.2,
)
POLICIES: Mapping[str, Policy] = MappingProxyType(
    {
        "none": Policy(),
        "flip": Policy(flip_horizontal=True),
        "light": Policy(flip_horizontal=True, rotation=10, zoom=(0.85, 1.05), shift=0.05),
        # No flips: a mirrored 2 is no 2, and a 6 on its head is a 9. Hands lean, so it shears.
        "handwriting": Policy(
            rotation=10, zoom=(0.88, 1.12), shift=0.08, shear=12, outside="black"
        ),
        # What the published sweep of row 13 switched on and off.
        "row13": Policy(flip_horizontal=True, flip_vertical=True, rotation=90, zoom=(0.5, 1.0)),
        "photos": _PHOTOS,
        "photos-mixed": replace(_PHOTOS, erasing=0.0, mixup=0.2, cutmix=1.0),
        "mixup": Policy(mixup=0.2),
        "cutmix": Policy(cutmix=1.0),
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

    Always equally many numbers are drawn, so that a change does not depend on which others are
    allowed. Colours change first, so that what is filled with black stays black; what is erased
    is erased last.
    """
    if not policy.changes:
        return image
    draws = rng.random(_DRAWS)
    changed = image
    if policy.recolours:
        most = (policy.brightness, policy.contrast, policy.saturation)
        changed = recoloured(changed, *(1 + (2 * draws[11:14] - 1) * most))
    changed = _moved(changed, policy, draws)
    if draws[14] < policy.erasing:
        changed = erased(changed, draws[15:19])
    return changed


def _moved(image: ByteArray, policy: Policy, draws: FloatArray) -> ByteArray:
    """Everything geometric, as one warp; flips alone move pixels and make none."""
    mirrored = policy.flip_horizontal and draws[0] < 0.5
    upturned = policy.flip_vertical and draws[1] < 0.5
    if not policy.warps:
        return image[:: -1 if upturned else 1, :: -1 if mirrored else 1]
    height, width = image.shape[:2]
    warped = cv2.warpAffine(
        image,
        _matrix((height, width), policy, draws[2:11], (mirrored, upturned)),
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT if policy.outside == "black" else cv2.BORDER_REFLECT_101,
    )
    return np.asarray(warped, dtype=np.uint8).reshape(image.shape)


def _matrix(
    size: tuple[int, int], policy: Policy, draws: FloatArray, flips: tuple[bool, bool]
) -> FloatArray:
    """(2, 3): from a pixel (x, y) of the changed image to where it lies in the picture.

    About the centre: flips first, then crop, shear, zoom and rotation, then the shift.
    """
    height, width = size
    angle = math.radians(policy.rotation * (2 * draws[0] - 1))
    zoom = policy.zoom[0] + (policy.zoom[1] - policy.zoom[0]) * draws[1]
    cosine, sine = zoom * math.cos(angle), zoom * math.sin(angle)
    sides, place = _crop(policy, draws[5:9])
    mirror = np.array([-1.0 if flip else 1.0 for flip in flips]) * sides
    turn = np.array([[cosine, -sine], [sine, cosine]])
    if policy.shear:
        lean = math.tan(math.radians(policy.shear * (2 * draws[4] - 1)))
        turn = turn @ np.array([[1.0, lean], [0.0, 1.0]])
    turn = turn * mirror
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    shift = (policy.shift * (2 * draws[2:4] - 1) + place) * (width, height)
    return np.column_stack([turn, centre + shift - turn @ centre])


def _crop(policy: Policy, draws: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The parts (x, y) of the sides that stay in view, and where their centre lies from 0."""
    if not policy.crops:
        return np.ones(2), np.zeros(2)
    area = policy.crop[0] + (policy.crop[1] - policy.crop[0]) * draws[0]
    aspect = _ASPECT ** (2 * draws[1] - 1)
    sides = np.minimum(np.sqrt([area * aspect, area / aspect]), 1.0)
    return sides, (1 - sides) * (draws[2:4] - 0.5)
