"""``convoscope weights`` and ``predict --backbone``, as a user meets them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save, save_file
from tests.cli.conftest import Convoscope
from tests.serving import Server, serving

from convoscope import engines
from convoscope.architecture import zoo
from convoscope.arrays import Array, generator
from convoscope.data.preprocessing import Preprocessing
from convoscope.engines.weights import parameter_shapes
from convoscope.transfer import store
from convoscope.transfer.catalogue import BACKBONES, Origin, backbone

TINY = "timm:test_resnet"
FULL = "timm:test_resnet.r160_in1k"


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store; the folder of the weights."""
    monkeypatch.setenv("CONVOSCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


@pytest.fixture(scope="module")
def arrays() -> dict[str, Array]:
    """Random weights for a small network of timm's."""
    row = backbone(TINY)
    shapes = engines.blueprint(row.source, row.input_shape, cut="").shapes
    return {
        name.removeprefix("trunk."): generator(0, name).uniform(0.1, 1, shape).astype(np.float32)
        for name, shape in shapes.items()
    }


@pytest.fixture
def file(tmp_path: Path, arrays: dict[str, Array]) -> Path:
    """They, in a file."""
    path = tmp_path / "tiny.safetensors"
    save_file(arrays, path)
    return path


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder with two pictures of noise and one that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a", "b"):
        pixels = generator(0, name).integers(0, 255, (40, 60, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    (folder / "c.png").write_bytes(b"no picture")
    return folder


def test_the_list_shows_every_backbone_and_what_is_here(
    convoscope: Convoscope, file: Path, own_store: Path
) -> None:
    convoscope("weights", "import", file, "--as", TINY)
    result = convoscope("weights", "list")
    header, *lines, where = result.stdout.splitlines()
    assert header.split() == ["backbone", "licence", "input", "parameters", "classes", "here"]
    rows = {line.split()[0]: line.split()[1:] for line in lines}
    assert list(rows) == [*BACKBONES, FULL]
    assert rows["vgg19"] == ["BSD-3-Clause", "3x224x224", "143,667,240", "1,000", "-"]
    assert rows[FULL][-5:] == ["3x160x160", "469,688", "1,000", "1.9", "MB"]
    assert where == f"weights are kept in {own_store}; timm:NAME is any other network of timm's"


def test_the_lists_json_has_what_the_table_has(convoscope: Convoscope, file: Path) -> None:
    convoscope("weights", "import", file, "--as", TINY)
    content = json.loads(convoscope("weights", "list", "--json").stdout)
    rows = {row["name"]: row for row in content["backbones"]}
    assert list(rows) == [*BACKBONES, FULL]
    assert rows["vgg19"]["weights"] is None
    assert rows["vgg19"]["origin"] == "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
    assert rows["inception_resnet_v2"]["origin"] == (
        "https://huggingface.co/timm/inception_resnet_v2.tf_in1k"
    )
    here = rows[FULL]["weights"]
    assert here["bytes"] == (Path(here["folder"]) / "weights.safetensors").stat().st_size
    assert here["origin"]["place"] == "tiny.safetensors"
    assert here["origin"]["commit"] is None


def test_import_says_what_it_kept(convoscope: Convoscope, file: Path, own_store: Path) -> None:
    result = convoscope("weights", "import", file, "--as", TINY)
    said = {line.split("  ")[0]: line for line in result.stdout.splitlines()}
    assert FULL in said["weights"]
    assert "not stated by the file" in said["licence"]
    assert "469,688, 1,000 classes" in said["parameters"]
    assert f"{own_store / 'timm-test_resnet.r160_in1k'} (1.9 MB)" in said["kept in"]


def test_a_wrong_file_ends_with_one_sentence(convoscope: Convoscope, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.safetensors"
    save_file({"x.weight": np.ones(3, np.float32)}, wrong)
    result = convoscope("weights", "import", wrong, "--as", TINY)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"convoscope: {wrong}: as '{FULL}': weights must be those of")


def test_fetch_brings_weights_and_a_second_time_nothing(
    convoscope: Convoscope, arrays: dict[str, Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = save(arrays)
    digest = hashlib.sha256(content).hexdigest()
    with serving(Server(content)) as server:
        url = server.url.replace("data.bin", f"tiny-{digest[:8]}.safetensors")
        row = replace(backbone(TINY), name="tiny", origin=Origin(urls=(url,), sha256=digest[:8]))
        monkeypatch.setitem(BACKBONES, "tiny", row)
        result = convoscope("weights", "fetch", "tiny")
        assert result.exit_code == 0
        assert result.stderr.splitlines() == ["downloading tiny: 1.9 MB of 1.9 MB"]
        assert url in result.stdout
        server.asked.clear()
        again = convoscope("weights", "fetch", "tiny", "--json")
        assert again.stderr == ""
        assert json.loads(again.stdout)["origin"]["sha256"] == digest
        assert server.asked == []


def test_fetch_without_a_network_ends_with_one_sentence(
    convoscope: Convoscope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    result = convoscope("weights", "fetch", "inception_resnet_v2")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("convoscope: backbone 'inception_resnet_v2': its weights must be downl")
    assert line.endswith("convoscope weights import FILE --as inception_resnet_v2")


def test_check_reads_every_byte(convoscope: Convoscope, file: Path) -> None:
    assert "no weights are here" in convoscope("weights", "check").stdout
    convoscope("weights", "import", file, "--as", TINY)
    assert convoscope("weights", "check").stdout.startswith(f"{FULL}: every byte is what it was")
    assert json.loads(convoscope("weights", "check", FULL, "--json").stdout)["weights"]
    kept = store.needed(FULL).folder / "weights.safetensors"
    content = bytearray(kept.read_bytes())
    content[-3] ^= 4
    kept.write_bytes(content)
    result = convoscope("weights", "check", TINY)
    assert result.exit_code == 2
    assert "kept weights must be as they were written" in result.stderr


def test_rm_deletes_and_says_how_much(convoscope: Convoscope, file: Path) -> None:
    convoscope("weights", "import", file, "--as", TINY)
    result = convoscope("weights", "rm", FULL, "vgg19")
    assert result.stdout.splitlines() == [f"deleted {FULL}, 1.9 MB", "vgg19 was not here"]
    assert store.installed() == ()
    convoscope("weights", "import", file, "--as", TINY)
    (removed,) = json.loads(convoscope("weights", "rm", TINY, "--json").stdout)["removed"]
    assert removed["name"] == TINY
    assert removed["bytes"] > 1_800_000
    assert convoscope("weights", "rm", "vgg91").exit_code == 2


def test_predict_names_imagenets_classes_without_a_run(
    convoscope: Convoscope, file: Path, photographs: Path
) -> None:
    convoscope("weights", "import", file, "--as", TINY)
    result = convoscope("predict", "--backbone", TINY, photographs, "--top", "5", "--json")
    assert result.exit_code == 2  # one file is no picture
    content = json.loads(result.stdout)
    assert content.keys() == {"backbone", "images"}
    assert content["backbone"] == TINY
    good = [image for image in content["images"] if image["problem"] is None]
    assert [Path(image["file"]).name for image in good] == ["a.png", "b.png"]
    assert all(len(image["heads"]["class"]) == 5 for image in good)
    table = convoscope("predict", photographs / "a.png", "--backbone", TINY)
    assert table.exit_code == 0
    assert good[0]["heads"]["class"][0]["class"] in table.stdout
    lines = convoscope("predict", "--backbone", TINY, photographs / "a.png", "--csv").stdout
    assert len(list(csv.DictReader(io.StringIO(lines)))) == 3


def test_predict_without_weights_says_how_to_get_them(
    convoscope: Convoscope, photographs: Path
) -> None:
    result = convoscope("predict", "--backbone", "vgg19", photographs / "a.png")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "convoscope: backbone 'vgg19': its weights must be on this machine, they are not: run  "
        "convoscope weights fetch vgg19  or, with a file of them,  convoscope weights import FILE "
        "--as vgg19"
    ]


def test_a_run_and_a_backbone_or_neither_end_with_one_sentence(
    convoscope: Convoscope, photographs: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text("{}")
    picture = photographs / "a.png"
    both = convoscope("predict", run, picture, "--backbone", "vgg19")
    assert both.exit_code == 2
    assert both.stderr == (
        f"convoscope: predict: a run or --backbone must say what is in the images, got {run} and "
        "--backbone vgg19: leave one of them out\n"
    )
    for words in ([picture], [picture, picture]):
        neither = convoscope("predict", *words)
        assert neither.exit_code == 2
        assert neither.stderr == (
            f"convoscope: predict: a run, or --backbone, must be named before the images, got "
            f"{picture} first: say  convoscope predict RUN {picture}  or  convoscope predict "
            f"--backbone vgg19 {picture}\n"
        )
    unsure = convoscope("predict", picture, "--backbone", "vgg19", "--abstain-below", "0.5")
    assert unsure.exit_code == 2
    assert "--abstain-below needs probabilities that are calibrated" in unsure.stderr


def test_a_backbone_with_other_classes_names_none_of_imagenets(
    convoscope: Convoscope, photographs: Path, tmp_path: Path
) -> None:
    architecture = zoo.make("squeezenet1_0", input_shape=(3, 64, 64), classes=7)
    shapes = parameter_shapes(architecture)
    kept = store.Stored(
        name="squeezenet1_0",
        source="zoo/squeezenet1_0",
        input_shape=(3, 64, 64),
        preprocessing=Preprocessing(size=(64, 64)),
        classes=7,
        parameters=1,
        licence="MIT",
        origin=store.Provenance(place="x", format="torch", sha256="0" * 64),
    )
    store.keep(kept, architecture, {n: np.ones(s, np.float32) for n, s in shapes.items()})
    result = convoscope("predict", "--backbone", "squeezenet1_0", photographs / "a.png")
    assert result.exit_code == 2
    assert "needs the logits of ImageNet's 1000 classes, it has 7: train it on" in result.stderr


@pytest.mark.slow
def test_the_real_vgg19_names_a_photograph(
    convoscope: Convoscope, shared: Callable[[str], Path]
) -> None:
    folder = shared("weights/vgg19-imagenet-tfjs-uint8")
    taken = convoscope("weights", "import", folder, "--as", "vgg19")
    assert taken.exit_code == 0
    assert "143,667,240, 1,000 classes" in taken.stdout
    picture = shared("caltech5/test/grand_piano/image_0081.jpg")
    content = json.loads(convoscope("predict", "--backbone", "vgg19", picture, "--json").stdout)
    best = content["images"][0]["heads"]["class"][0]
    assert best["class"] == "grand piano"
    assert best["probability"] > 0.99
