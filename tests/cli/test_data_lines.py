"""``data lines`` on the command line, and the sets it makes and names, trained on."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Convoscope

PATTERN = "{length}_{width}_{angle}_{colour}_{id}"
LITTLE = ("--epochs", "1", "--validation", "0", "--no-report", "--quiet", "--json")


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """The smallest network that can be asked for lines."""
    file = tmp_path / "net.yaml"
    file.write_text(
        "name: net\ninput_shape: [3, 28, 28]\nlayers:\n"
        "- {kind: conv2d, name: conv, filters: 2, kernel_size: 5, stride: 4, activation: relu}\n"
        "heads:\n  class:\n    layers:\n    - {kind: global_avg_pool, name: pool}\n"
        "    - {kind: dense, name: dense, units: 96}\n"
    )
    return file


def test_images_and_different_pictures_are_counted(convoscope: Convoscope) -> None:
    result = convoscope("data", "lines", "--out", "set", "--train", 3, "--test", 2, "-q")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines == [
        "split images different pictures",
        "train 288 288",
        "test 192 192",
        "lines set",
    ]
    assert len(list(Path("set/test").glob("*_*_*_*_*.png"))) == 192


def test_the_published_version_says_its_leak(convoscope: Convoscope) -> None:
    asked = ("--version", "published", "--train", 60, "--test", 40, "-q")
    said = convoscope("data", "lines", "--out", "set.npz", *asked).stdout
    assert "note: 13.8% of the test images are pixel for pixel a training image" in said
    assert "needs --allow-leak" in said


def test_the_json_has_the_documented_keys(convoscope: Convoscope) -> None:
    words = ("--out", "a.npz", "--train", 1, "--test", 1, "--sheet", "a.png", "--json")
    made = json.loads(convoscope("data", "lines", *words).stdout)
    assert list(made) == [
        "path", "version", "seed", "images", "train_images", "test_images", "train", "test",
        "shared", "test_images_seen", "possible", "sheet", "video",
    ]  # fmt: skip
    assert (made["images"], made["possible"], made["sheet"]) == (192, 42488, "a.png")
    document = (Path(__file__).parents[2] / "docs" / "json.md").read_text()
    assert all(f'"{key}"' in document for key in made)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--size", 12), "one of 1 x 15 pixels does not fit into 12 x 12: use a size of at least"),
        (("--train", 0), "each class must have at least one training image, got 0: ask for more"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(
    convoscope: Convoscope, words: tuple[object, ...], sentence: str
) -> None:
    result = convoscope("data", "lines", "--out", "set", *words)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert not Path("set").exists()


def test_a_place_that_is_taken_is_one_sentence(convoscope: Convoscope) -> None:
    Path("set").mkdir()
    result = convoscope("data", "lines", "--out", "set")
    assert result.exit_code == 2
    assert "set: the lines set needs a place of its own" in result.stderr


def test_the_set_trains_by_its_name_into_a_folder_of_that_name(
    convoscope: Convoscope, net: Path
) -> None:
    result = convoscope("train", "lines:honest@2/1", "-m", net, *LITTLE)
    said = json.loads(result.stdout)
    assert said["run"] == "runs/lines-honest-2-1-net-1"
    assert said["splits"]["test"]["images"] == 96
    assert len(said["splits"]["test"]["heads"]["class"]["classes"]) == 96


def test_a_folder_of_the_published_names_trains_with_heads_and_with_one_class(
    convoscope: Convoscope, net: Path
) -> None:
    convoscope("data", "lines", "--out", "set", "--train", 2, "--test", 1, "-q")
    asked = ("train", "set", "-m", net, "--label-pattern", PATTERN, *LITTLE)
    heads = json.loads(convoscope(*asked).stdout)["splits"]["test"]["heads"]
    assert {name: len(head["classes"]) for name, head in heads.items()} == {
        "length": 2,
        "width": 2,
        "angle": 12,
        "colour": 2,
    }
    (head,) = json.loads(convoscope(*asked, "--combine-labels").stdout)["splits"]["test"]["heads"]
    assert head == "class"


def test_the_published_version_stops_without_allow_leak_and_states_it_with(
    convoscope: Convoscope, net: Path
) -> None:
    name = "lines:published@60/4"
    refused = convoscope("train", name, "-m", net, *LITTLE)
    assert refused.exit_code == 2
    assert "no picture may be in two splits" in refused.stderr
    said = json.loads(convoscope("train", name, "-m", net, "--allow-leak", *LITTLE).stdout)
    assert any("pixel for pixel a training image" in note for note in said["notes"])


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("{kind}-{id}", "it fits none of 2, such as '1_0.png': mend it"),
        ("{a}_{a}", "each field must be there once, {a} is there 2 times"),
        ("photo", "must have a field in braces for each label"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_one_sentence(
    convoscope: Convoscope, net: Path, pattern: str, sentence: str
) -> None:
    Path("set").mkdir()
    for name in ("1_0.png", "2_0.png"):
        (Path("set") / name).write_bytes(b"")
    result = convoscope("train", "set", "-m", net, "--label-pattern", pattern)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") <= 1
