from pathlib import Path

import numpy as np
import pytest

from convoscope.errors import StorageError
from convoscope.pictures.video import read_video, write_video


def test_a_film_decodes_to_the_frames_it_was_made_of(tmp_path: Path) -> None:
    frames = np.zeros((5, 64, 96, 3), np.uint8)
    for number in range(5):
        frames[number, :, 16 * number : 16 * number + 16] = (250, 20, 20)
    write_video(tmp_path / "film.mp4", frames)
    again = read_video(tmp_path / "film.mp4")
    assert again.shape == frames.shape
    apart = np.abs(again.astype(int) - frames)
    assert apart.mean() < 8, "lossy, but the same pictures, red still red"
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


def test_a_film_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").mkdir()
    with pytest.raises(StorageError, match="a file must be named, this is a folder"):
        write_video(tmp_path / "film.mp4", np.zeros((1, 8, 8, 3), np.uint8))
