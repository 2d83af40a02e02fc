"""What is wrong with the input is said in one sentence that names it, with exit code 2."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Convoscope
from tests.conftest import draw_folder
from tests.networks import TINY_WITH_DROPOUT

from convoscope.runs import Run

QUICK = ("--epochs", "1", "--batch", "8", "--engine", "numpy", "--no-report")


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Three classes of ten images, not split."""
    return draw_folder(tmp_path / "flat", per_class=10)


def refusal(convoscope: Convoscope, *words: object) -> str:
    """The one sentence with which the command ends."""
    result = convoscope(*words)
    assert result.exit_code == 2, result.stdout
    lines = [line for line in result.stderr.splitlines() if line.startswith("convoscope")]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    return lines[0]


def enormous_png(side: int = 60_000) -> bytes:
    """A PNG of ``side`` x ``side`` whose few bytes claim billions of pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "zero-byte": lambda good: b"",
    "truncated": lambda good: good[: len(good) // 2],
    "corrupt": lambda good: good[:60] + bytes(len(good) - 60),
    "text": lambda good: b"this is a letter, not a picture",
    "enormous": lambda good: enormous_png(),
}


@pytest.fixture(params=sorted(BROKEN))
def broken(request: pytest.FixtureRequest, flat: Path) -> Path:
    """An image in ``flat`` that cannot be read, each in its own way."""
    good = (flat / "bars" / "bars_0.png").read_bytes()
    kind = str(request.param)
    file = flat / "bars" / (f"{kind}.jpg" if kind == "text" else f"{kind}.png")
    file.write_bytes(BROKEN[kind](good))
    return file


def test_no_such_folder(convoscope: Convoscope, tiny: Path) -> None:
    assert "photoz" in refusal(convoscope, "train", "photoz", "-m", tiny, *QUICK)
    assert not Path("runs").exists()


def test_an_empty_class(convoscope: Convoscope, tiny: Path, flat: Path) -> None:
    (flat / "nothing").mkdir()
    assert "nothing" in refusal(convoscope, "train", flat, "-m", tiny, *QUICK)


def test_one_class_only(convoscope: Convoscope, tiny: Path, tmp_path: Path) -> None:
    draw_folder(tmp_path / "one", classes=("bars",))
    sentence = refusal(convoscope, "train", "one", "-m", tiny, *QUICK)
    assert "bars" in sentence
    assert "class" in sentence


def test_an_unreadable_image_is_named(convoscope: Convoscope, tiny: Path, broken: Path) -> None:
    sentence = refusal(convoscope, "train", "flat", "-m", tiny, *QUICK)
    assert broken.name in sentence
    assert "--skip-unreadable" in sentence


def test_skipping_goes_on_and_the_run_says_so(
    convoscope: Convoscope, tiny: Path, broken: Path
) -> None:
    words = ("train", "flat", "-m", tiny, *QUICK[:-1], "--skip-unreadable", "-o", "r")
    result = convoscope(*words)
    assert result.exit_code == 0, result.stderr
    (note,) = Run(Path("r")).record().every_note
    assert note.startswith(f"bars/{broken.name} was left out, because it cannot be read: ")
    assert f"note: {note}" in result.stdout
    assert broken.name in Path("r/report.html").read_text()


@pytest.mark.parametrize("name", ["<b>bold</b>", "🐈 cat", "a&b", "[red]"])
def test_a_class_may_have_any_name(
    convoscope: Convoscope, tiny: Path, tmp_path: Path, name: str
) -> None:
    folder = draw_folder(tmp_path / "d", classes=("x", "poles", "disc"), per_class=10)
    if "/" in name:
        name = name.replace("/", "")
    (folder / "x").rename(folder / name)
    result = convoscope("train", "d", "-m", tiny, *QUICK[:-1], "-o", "r")
    assert result.exit_code == 0, result.stderr
    page = Path("r/report.html").read_text(encoding="utf-8")
    assert "<b>bold" not in page
    assert name in Run(Path("r")).model()["class_names"]["class"]
    image = next((folder / name).iterdir())
    said = convoscope("predict", "r", image, "--top", "3").stdout
    assert f"{name} " in said


def test_a_kernel_that_does_not_fit(convoscope: Convoscope, flat: Path, tmp_path: Path) -> None:
    (tmp_path / "big.yaml").write_text(
        TINY_WITH_DROPOUT.replace("kernel_size: 3", "kernel_size: 33")
    )
    sentence = refusal(convoscope, "train", flat, "-m", "big.yaml", *QUICK)
    assert "layer 'conv'" in sentence
    assert "33x33 kernel" in sentence


@pytest.mark.parametrize(
    ("was", "becomes", "nearest"),
    [
        ("kind: conv2d", "kind: conv2", "conv2d"),
        ("kernel_size: 3", "kernel: 3", "kernel_size"),
        ("layers:\n- {kind: conv", "layer:\n- {kind: conv", "layers"),
    ],
    ids=["layer", "key", "top key"],
)
def test_an_unknown_word_in_a_spec_names_the_nearest(
    convoscope: Convoscope, flat: Path, tmp_path: Path, was: str, becomes: str, nearest: str
) -> None:
    assert was in TINY_WITH_DROPOUT
    (tmp_path / "odd.yaml").write_text(TINY_WITH_DROPOUT.replace(was, becomes))
    sentence = refusal(convoscope, "train", flat, "-m", "odd.yaml", *QUICK)
    assert "odd.yaml" in sentence
    assert f"'{nearest}'" in sentence


def test_an_unknown_model_names_the_nearest(convoscope: Convoscope, flat: Path) -> None:
    sentence = refusal(convoscope, "train", flat, "-m", "smal", *QUICK)
    assert sentence == "convoscope: there is no model 'smal': did you mean 'small'?"


def test_an_unknown_augmentation_names_the_nearest(convoscope: Convoscope, flat: Path) -> None:
    sentence = refusal(convoscope, "train", flat, "-m", "small", "--augment", "flop", *QUICK)
    assert "did you mean 'flip'?" in sentence


def test_heads_that_the_data_does_not_label(convoscope: Convoscope, flat: Path) -> None:
    sentence = refusal(convoscope, "train", flat, "-m", "four-heads", *QUICK)
    assert "the network's heads must be what the data labels (class)" in sentence


def test_identical_pictures_in_two_splits(
    convoscope: Convoscope, shapes_folder: Path, tiny: Path
) -> None:
    copied = shapes_folder / "test" / "bars" / "again.png"
    copied.write_bytes((shapes_folder / "train" / "bars" / "bars_0.png").read_bytes())
    sentence = refusal(convoscope, "train", shapes_folder, "-m", tiny, *QUICK)
    assert "again.png" in sentence
    assert "bars_0.png" in sentence
    assert "--allow-leak" in sentence
    result = convoscope("train", shapes_folder, "-m", tiny, *QUICK, "--allow-leak", "-o", "r")
    assert result.exit_code == 0, result.stderr
    assert any("again.png" in note for note in Run(Path("r")).record().every_note)


def exploding(weight_decay: str) -> tuple[str, ...]:
    """Each step multiplies every weight by 1 - 0.1 x ``weight_decay``, until it overflows."""
    return ("--optimiser", "sgd", "--learning-rate", "0.1", "--weight-decay", weight_decay)


@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_a_loss_that_is_no_number_says_since_when(
    convoscope: Convoscope, flat: Path, tiny: Path, engine: str
) -> None:
    words = (*exploding("1e13"), "-b", "1", "-e", "1", "--engine", engine, "-o", "r")
    sentence = refusal(convoscope, "train", flat, "-m", tiny, *words)
    assert sentence.startswith("convoscope: r: epoch 1: the loss must be a finite number, found ")
    assert "since step " in sentence
    assert "no weights were kept: train again with a learning rate below 0.1" in sentence
    assert Run(Path("r")).record().status == "diverged"
    assert "this one diverged" in refusal(convoscope, "train", "--resume", "r")


def test_after_a_good_epoch_its_weights_are_kept_and_reported(
    convoscope: Convoscope, flat: Path, tiny: Path
) -> None:
    words = (*exploding("100"), "-e", "60", "--patience", "0", "--engine", "numpy", "-o", "r")
    sentence = refusal(convoscope, "train", flat, "-m", tiny, *words)
    run = Run(Path("r"))
    kept = run.record().best_epoch
    assert kept >= 1
    assert f"the weights of epoch {kept} were kept" in sentence
    assert all(np.isfinite(values).all() for values in run.parameters().values())
    assert run.splits() == ("train", "validation", "test")
    assert run.report_file.exists()


@pytest.fixture
def finished(convoscope: Convoscope, flat: Path, tiny: Path) -> Run:
    result = convoscope("train", flat, "-m", tiny, *QUICK, "-o", "r")
    assert result.exit_code == 0, result.stderr
    return Run(Path("r"))


COMMANDS = {
    "evaluate": ("evaluate", "r"),
    "predict": ("predict", "r", "flat/bars/bars_0.png"),
    "report": ("report", "r"),
    "show": ("runs", "show", "r"),
    "resume": ("train", "--resume", "r"),
}


@pytest.mark.parametrize("command", sorted(COMMANDS))
@pytest.mark.parametrize("content", ["", '{"schema_version": 1, "ki', "[]"])
def test_a_half_written_record(
    convoscope: Convoscope, finished: Run, command: str, content: str
) -> None:
    (finished.path / "run.json").write_text(content)
    assert "run.json" in refusal(convoscope, *COMMANDS[command])


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_folder_that_is_no_run(convoscope: Convoscope, flat: Path, command: str) -> None:
    words = [word.replace("r", str(flat)) if word == "r" else word for word in COMMANDS[command]]
    assert "must hold run.json, this one does not" in refusal(convoscope, *words)


@pytest.mark.parametrize("command", ["evaluate", "predict"])
@pytest.mark.parametrize("damage", ["missing", "cut"])
@pytest.mark.parametrize("name", ["weights.safetensors", "model.json", "architecture.yaml"])
def test_half_a_model(
    convoscope: Convoscope, finished: Run, command: str, damage: str, name: str
) -> None:
    file = finished.path / "model" / name
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 3])
    assert name in refusal(convoscope, *COMMANDS[command])


def test_predictions_cut_short(convoscope: Convoscope, finished: Run) -> None:
    file = finished.path / "predictions" / "test.npz"
    file.write_bytes(file.read_bytes()[:100])
    assert "test.npz: must hold saved predictions" in refusal(convoscope, "report", "r")
    assert convoscope("evaluate", "r").exit_code == 0
    assert convoscope("report", "r").exit_code == 0


def test_a_checkpoint_cut_short(convoscope: Convoscope, finished: Run) -> None:
    finished.update_record(status="interrupted")
    (finished.path / "checkpoint").mkdir()
    (finished.path / "checkpoint" / "progress.json").write_text('{"epoch": 1')
    assert "progress.json: must be JSON" in refusal(convoscope, "train", "--resume", "r")
