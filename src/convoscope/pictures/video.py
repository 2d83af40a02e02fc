"""Frames to a film that browsers and slides play."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from convoscope import disk
from convoscope.arrays import ByteArray
from convoscope.errors import MissingDependencyError


def write_video(path: Path, frames: ByteArray, *, frames_per_second: float = 12) -> None:
    """Write frames (F, H, W, 3) uint8 RGB as an mp4, all of it or nothing; H and W must be even.

    Raises:
        MissingDependencyError: if OpenCV was built without an encoder.
        StorageError: if the disk is full or not writable.
    """
    disk.write(path, lambda temporary: _encode(temporary, frames, frames_per_second))


def read_video(path: Path) -> ByteArray:
    """The frames (F, H, W, 3) uint8 RGB of a film."""
    film = cv2.VideoCapture(str(path))
    frames = []
    try:
        while True:
            is_there, frame = film.read()
            if not is_there:
                break
            frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
    finally:
        film.release()
    return np.array(frames, dtype=np.uint8)


def _encode(temporary: Path, frames: ByteArray, frames_per_second: float) -> None:
    """Encode under a name that ends in .mp4: the encoder chooses the container by it."""
    named = temporary.with_name(f"{temporary.name}.mp4")
    _, height, width, _ = frames.shape
    code = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(named), code, frames_per_second, (width, height))
    try:
        if not writer.isOpened():
            raise MissingDependencyError(
                f"{named}: a film needs an OpenCV with an mp4 encoder, this one has none: run  "
                "pip install opencv-python-headless"
            )
        for frame in frames:
            writer.write(cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2BGR))
    finally:
        writer.release()
    named.replace(temporary)
