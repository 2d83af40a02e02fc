"""Looking inside from a run to arrays and files: what is chosen, asked, kept and refused."""

from __future__ import annotations

import gc
import json
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import draw_folder
from tests.networks import TINY_OF_TWO

from convoscope import engines
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import Conv2d, Dense, Flatten, GlobalAvgPool
from convoscope.errors import (
    ConvoscopeError,
    DataError,
    ExplainError,
    RunError,
    SettingsError,
    ShapeError,
    UnknownNameError,
    UnreadableImageError,
)
from convoscope.explain import grad_cam, guided_backprop
from convoscope.jobs.explain import explain, explain_into, explained
from convoscope.jobs.explain_images import chosen_ids, folder_name, named_images
from convoscope.jobs.explain_request import ExplainRequest, parse_neuron, plan
from convoscope.jobs.explain_subject import subject_of
from convoscope.jobs.train import train
from convoscope.jobs.trained import trained_network
from convoscope.metrics.predictions import HeadPredictions, Predictions
from convoscope.network import ClassLogit, Network, Neuron
from convoscope.runs import Run
from convoscope.runs.explanation_files import open_explanations

CLASSES = ("bars", "poles", "disc")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three shapes told apart a little, so that some answers are wrong."""
    folder = tmp_path_factory.mktemp("explained")
    draw_folder(folder / "shapes", classes=CLASSES, per_class=14)
    (folder / "tiny.yaml").write_text(TINY_OF_TWO)
    return train(
        folder / "shapes",
        model=folder / "tiny.yaml",
        out=folder / "run",
        epochs=4,
        batch=8,
        engine="numpy",
    )


@pytest.fixture
def picture(run: Run) -> Path:
    """One of the pictures as a file."""
    return run.path.parent / "shapes" / "disc" / "disc_0.png"


def plain_network(*, activation: str | None = "relu") -> Network:
    """A network of one convolution, on the NumPy engine."""
    architecture = Architecture(
        name="plain",
        input_shape=(1, 8, 8),
        layers=(Conv2d("conv", 3, activation=activation),),  # type: ignore[arg-type]
        heads=(Head(layers=(GlobalAvgPool("pool"), Dense("dense", 2))),),
    )
    return engines.build(architecture, engine="numpy", seed=1)


def test_a_runs_own_images_are_explained_with_the_networks_own_numbers(run: Run) -> None:
    found = explain(run)
    network = trained_network(run)
    assert found.about.heat_layers == ("conv2",)
    assert found.about.images_of.startswith("From the test images: ")
    predictions = run.predictions("test")
    for image in found.images:
        pixels = image.picture.transpose(2, 0, 1)[None]
        (said,) = image.facts.said
        row = predictions.ids.index(image.facts.file)
        shares = predictions.heads["class"].probabilities()[row]
        assert said.probabilities == pytest.approx(sorted(shares, reverse=True), abs=1e-5)
        targets = [ClassLogit(t.head, t.index) for t in image.facts.targets]
        heat = {view.facts.method: view.values for view in image.views}
        expected = grad_cam(network, pixels, targets)["conv2"][:, 0]
        np.testing.assert_allclose(heat["grad-cam"], expected, rtol=1e-5, atol=1e-7)
        guided = guided_backprop(network, pixels, targets)[:, 0]
        np.testing.assert_allclose(heat["guided-backprop"], guided, rtol=1e-5, atol=1e-7)


def test_neurons_are_the_strongest_and_the_chosen_ones_with_their_gradients(run: Run) -> None:
    request = ExplainRequest(neurons=3, chosen=("conv1:0,5,2",), methods=("grad-cam",))
    for image in explain(run, request=request).images:
        pixels = image.picture.transpose(2, 0, 1)[None]
        network = trained_network(run)
        with network.trace(pixels, layers=["conv1", "conv2"]) as trace:
            maps = trace.activations["conv2"][0]
            chosen_value = trace.activations["conv1"][0, 2, 0, 5]
        *strong, chosen = image.facts.neurons
        assert [n.value for n in strong] == pytest.approx(sorted(maps.ravel())[:-4:-1])
        assert (chosen.position, chosen.is_chosen) == ((0, 5, 2), True)
        assert chosen.value == pytest.approx(float(chosen_value))
        assert chosen.exact == (0, 5, 3, 8)
        for neuron, gradient in zip(image.facts.neurons, image.gradients, strict=True):
            outside = gradient.copy()
            outside[:, neuron.exact.top : neuron.exact.bottom, :][
                :, :, neuron.exact.left : neuron.exact.right
            ] = 0
            assert not outside.any()
            assert (neuron.effective is None) == (not gradient.any())


def test_a_silent_neuron_has_no_effective_patch_and_a_gradient_of_zeros() -> None:
    network = plain_network()
    silenced = network.with_parameters({"conv.bias": np.full(3, -100, dtype=np.float32)})
    image = np.full((8, 8), 90, dtype=np.uint8)
    folder = Path("silent.png")
    found = explain(
        silenced, _saved(image, folder), request=ExplainRequest(chosen=("conv:0,0,0",), neurons=0)
    )
    (neuron,) = found.images[0].facts.neurons
    assert (neuron.value, neuron.effective) == (0.0, None)
    assert not found.images[0].gradients.any()
    assert not found.images[0].views[0].values.any()


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _saved(image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], file: Path) -> Path:
    Image.fromarray(image).save(file)
    return file


def test_wrong_answers_are_explained_for_what_is_said_and_for_what_it_is(run: Run) -> None:
    found = explain(run)
    for image in found.images:
        (said,) = image.facts.said
        whys = [target.why for target in image.facts.targets]
        assert whys == (["said"] if said.is_right else ["said", "label"])
        assert image.facts.targets[-1].name == said.label


def test_own_images_are_chosen_by_rule() -> None:
    shares = np.array([[0.9, 0.1], [0.7, 0.3], [0.6, 0.4], [0.2, 0.8], [0.05, 0.95], [0.45, 0.55]])
    labels = np.array([0, 0, 0, 1, 0, 0])
    head = HeadPredictions(class_names=("a", "b"), labels=labels, logits=np.log(shares))
    said = Predictions(split="test", ids=tuple("uvwxyz"), heads={"class": head})
    chosen = chosen_ids(said, "class")
    assert chosen.right == ("v", "x", "w", "u")
    assert chosen.wrong == ("y", "z")
    assert chosen.sentence("test") == (
        "From the test images: for each of some classes the right answer of middle confidence, "
        "then the most confident 2 mistakes."
    )


def test_six_images_are_shown_where_there_are_no_mistakes_and_few_classes() -> None:
    shares = np.repeat([[0.9, 0.1], [0.2, 0.8]], 4, axis=0)
    labels = np.repeat([0, 1], 4)
    head = HeadPredictions(class_names=("a", "b"), labels=labels, logits=np.log(shares))
    said = Predictions(split="test", ids=tuple("stuvwxyz"), heads={"class": head})
    chosen = chosen_ids(said, "class")
    assert chosen.wrong == ()
    assert len(chosen.right) == len(set(chosen.right)) == 6
    assert chosen.right[:2] == ("u", "y")


def test_methods_whose_names_differ_by_signs_have_files_of_their_own(
    run: Run, picture: Path
) -> None:
    request = ExplainRequest(methods=("grad-cam", "grad-cam++"), neurons=0)
    folder = explain_into("out", run, [picture], request=request)
    (entry,) = folder.entries
    names = [shown["file"] for shown in entry["pictures"]]
    assert len(set(names)) == len(names) == 3
    assert sum("grad-cam-plus-plus-" in name for name in names) == 1


def test_every_class_can_be_asked_for_by_name_index_or_all(run: Run, picture: Path) -> None:
    def names(*classes: str) -> list[str]:
        request = ExplainRequest(classes=classes, methods=("grad-cam",), neurons=0)
        (image,) = explain(run, picture, request=request).images
        assert image.views[0].values.shape == (len(image.facts.targets), 12, 12)
        return [target.name for target in image.facts.targets]

    assert names("poles") == ["poles"]
    assert names("POLES", "0") == ["poles", "bars"]
    assert names("all") == ["bars", "disc", "poles"] == sorted(CLASSES)


def test_a_network_is_asked_one_forward_pass_per_image(
    run: Run, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = trained_network(run)
    passes = []
    original = type(network).trace

    def counted(self: Network, *args: object, **options: object) -> object:
        passes.append(args)
        return original(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(type(network), "trace", counted)
    explain(network, [picture, picture], request=ExplainRequest(classes=("all",), has_maps=True))
    # One more, of an empty image, asks whether there is a ReLU at all.
    assert len(passes) == 3


def test_maps_and_filters_are_kept_where_they_are_asked_for(run: Run, picture: Path) -> None:
    found = explain(run, picture, request=ExplainRequest(has_maps=True))
    assert {name: maps.shape for name, maps in found.images[0].maps.items()} == {
        "conv1": (4, 14, 14),
        "conv2": (6, 12, 12),
        "pool": (6,),
        "dense": (3,),
    }
    np.testing.assert_array_equal(found.filters["conv1"], run.parameters()["conv1.weight"])
    assert explain(run, picture).images[0].maps == {}
    one = explain(run, picture, request=ExplainRequest(layers=("conv1",)))
    assert list(one.images[0].maps) == ["conv1"] == list(one.about.heat_layers)


def test_files_hold_what_the_arrays_say(run: Run, picture: Path) -> None:
    request = ExplainRequest(has_maps=True, chosen=("conv1:1,1,0",))
    folder = explain_into("out", run, [picture], request=request)
    found = explain(run, [picture], request=request)
    assert folder.path == Path("out")
    assert folder.status == "finished"
    (kept,), (image,) = list(folder.images()), found.images
    assert kept.facts == image.facts
    np.testing.assert_array_equal(kept.picture, image.picture)
    for mine, theirs in zip(kept.views, image.views, strict=True):
        np.testing.assert_array_equal(mine.values, theirs.values)
    np.testing.assert_array_equal(kept.gradients, image.gradients)
    assert folder.filters().keys() == found.filters.keys()
    manifest = json.loads(Path("out/manifest.json").read_text())
    assert manifest["schema_version"] == 1
    (entry,) = manifest["images"]
    for shown in [*entry["pictures"], *manifest["pictures"]]:
        with Image.open(Path("out") / shown["file"]) as opened:
            assert opened.format == "PNG"
        assert shown["what"]
    with np.load(Path("out") / entry["name"] / "arrays.npz") as arrays:
        assert {a["name"]: tuple(a["shape"]) for a in entry["arrays"]} == {
            name: arrays[name].shape for name in arrays.files
        }


def test_folders_are_numbered_below_the_run_and_never_overwritten(run: Run, picture: Path) -> None:
    first, second = (explain_into(None, run, picture).path for _ in range(2))
    assert first.parent == second.parent == run.path / "explanations"
    assert int(second.name) == int(first.name) + 1
    assert explain_into(None, plain_network(), _gray()).path == Path("runs/explain-plain-1")
    Path("full").mkdir()
    Path("full/a.txt").touch()
    with pytest.raises(RunError, match="full: an explanation needs a folder of its own, this one"):
        explain_into("full", run, picture)
    with pytest.raises(RunError, match="needs a folder of its own, this is a file"):
        explain_into("full/a.txt", run, picture)


def _gray() -> Path:
    return _saved(np.arange(64, dtype=np.uint8).reshape(8, 8), Path("gray.png"))


def test_an_unreadable_image_is_named_and_the_rest_goes_on(run: Run, picture: Path) -> None:
    Path("bad.png").write_bytes(b"no picture")
    found = explain(run, ["bad.png", picture])
    assert len(found.images) == 1
    assert found.problems[0].startswith("bad.png: an image must be readable, but it is in no image")
    with pytest.raises(UnreadableImageError, match=r"bad\.png: an image must be readable"):
        explain(run, "bad.png")
    with pytest.raises(UnreadableImageError, match="none of the 2 images can be read, such as bad"):
        explain(run, ["bad.png", "bad.png"])
    with pytest.raises(UnreadableImageError, match=r"bad\.png: an image must be readable"):
        explain_into("nothing", run, "bad.png")
    assert not Path("nothing").exists()


def test_what_is_done_stays_when_interrupted(run: Run, picture: Path) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explain_into("cut", run, [picture] * 5, progress=stop)
    folder = open_explanations(Path("cut"))
    assert folder.status == "interrupted"
    assert len(list(folder.images())) == 2


def test_asked_for_the_same_again_it_goes_on_with_the_images_that_are_left(
    run: Run, picture: Path
) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explain_into("halves", run, [picture] * 5, progress=stop)
    first = open_explanations(Path("halves")).entries
    before = (Path("halves") / first[0]["name"] / "arrays.npz").stat().st_mtime_ns
    with pytest.raises(RunError, match="halves: an explanation needs a folder of its own"):
        explain_into("halves", run, [picture] * 4)
    told: list[int] = []
    whole = explain_into(
        "halves", run, [picture] * 5, progress=lambda stage, done, total: told.append(done)
    )
    assert told == [3, 4, 5]
    assert whole.status == "finished"
    assert len(list(whole.images())) == 5
    assert (whole.path / first[0]["name"] / "arrays.npz").stat().st_mtime_ns == before
    with pytest.raises(RunError, match="this one holds other files"):
        explain_into("halves", run, [picture] * 5)


def test_an_image_is_let_go_before_the_next_one(run: Run, picture: Path) -> None:
    subject = subject_of(run)
    wanted = plan(ExplainRequest(has_maps=True), subject.network, subject.class_names)
    chosen = named_images([picture] * 4, subject.network.preprocessing)
    kept: list[weakref.ref[object]] = []
    for image in explained(subject, wanted, chosen, pytest.fail, lambda *told: None):
        gc.collect()
        assert [found() for found in kept] == [None] * len(kept)
        kept = [weakref.ref(image.gradients), weakref.ref(image.maps["conv1"])]
        del image
    assert len(kept) == 2


def test_a_network_without_relu_is_shown_plain_gradients_unless_guided_ones_are_asked() -> None:
    network = plain_network(activation=None)
    found = explain(network, _gray())
    assert [view.facts.method for view in found.images[0].views] == ["grad-cam", "gradient"]
    with pytest.raises(
        ExplainError, match="guided backpropagation acts at ReLUs, and this network"
    ):
        explain_into("none", network, _gray(), request=ExplainRequest(methods=("guided-backprop",)))
    assert not Path("none").exists()


def test_a_network_without_maps_is_shown_gradients() -> None:
    architecture = Architecture(
        name="line",
        input_shape=(1, 8, 8),
        layers=(Flatten("flat"),),
        heads=(Head(layers=(Dense("hidden", 4, activation="relu"), Dense("dense", 2))),),
    )
    network = engines.build(architecture, engine="numpy", seed=0)
    found = explain(network, _gray())
    assert [view.facts.method for view in found.images[0].views] == ["guided-backprop"]
    assert found.images[0].facts.neurons == ()
    with pytest.raises(ExplainError, match="needs a layer that gives maps of more than one cell"):
        explain(network, _gray(), request=ExplainRequest(methods=("grad-cam",)))


@pytest.mark.parametrize(
    ("request_", "error", "sentence"),
    [
        ({"layers": ("conv3",)}, UnknownNameError, "there is no layer 'conv3': did you mean 'conv"),
        ({"layers": ("dense",)}, ExplainError, "layer 'dense': a layer of maps"),
        (
            {"chosen": ("conv1:20,0,0",)},
            SettingsError,
            "14 rows, 14 columns and 4 channels, got row",
        ),
        ({"chosen": ("conv1:0,0,4",)}, SettingsError, "got channel 4: count from 0 to 3"),
        (
            {"chosen": ("conv1",)},
            SettingsError,
            "a neuron is named layer:row,column,channel: write",
        ),
        (
            {"classes": ("discs",)},
            UnknownNameError,
            "there is no class 'discs': did you mean 'disc'",
        ),
        (
            {"classes": ("3",)},
            UnknownNameError,
            "there is no class '3': known are bars, disc, poles",
        ),
        ({"head": "klass"}, UnknownNameError, "there is no head 'klass': did you mean 'class'?"),
    ],
)
def test_what_cannot_be_looked_for_is_one_sentence(
    run: Run, request_: dict[str, tuple[str, ...]], error: type[ConvoscopeError], sentence: str
) -> None:
    with pytest.raises(error) as raised:
        explain_into("never", run, request=ExplainRequest(**request_))  # type: ignore[arg-type]
    assert sentence in str(raised.value)
    assert not Path("never").exists()


def test_requests_out_of_range_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="there is no method 'gradcam': did you mean 'grad-"):
        ExplainRequest(methods=("gradcam",))
    with pytest.raises(SettingsError, match="neurons must lie in 0 to 100, got -1: 5 is usual"):
        ExplainRequest(neurons=-1)
    with pytest.raises(SettingsError, match="top must be at least 1 class, got 0: 5 is usual"):
        ExplainRequest(top=0)


def test_a_thousand_class_names_are_not_all_listed() -> None:
    architecture = Architecture(
        name="wide",
        input_shape=(1, 8, 8),
        layers=(Conv2d("conv", 2, activation="relu"),),
        heads=(Head(layers=(GlobalAvgPool("pool"), Dense("dense", 1000))),),
    )
    network = engines.build(architecture, engine="numpy", seed=0)
    with pytest.raises(UnknownNameError) as raised:
        explain(network, _gray(), request=ExplainRequest(classes=("xyzzyx",)))
    assert str(raised.value) == (
        "there is no class 'xyzzyx': name one of the 1,000 classes, or its index from 0"
    )
    with pytest.raises(SettingsError, match="--class all: at most 100 classes can be explained at"):
        explain(network, _gray(), request=ExplainRequest(classes=("all",)))
    (image,) = explain(network, _gray(), request=ExplainRequest(classes=("tabby",))).images
    assert [target.index for target in image.facts.targets] == [281]


def test_what_to_look_at_must_be_named_once() -> None:
    with pytest.raises(
        SettingsError, match="explain needs one network, got none: name a run, or a"
    ):
        explain()
    with pytest.raises(SettingsError, match="got a run and the backbone 'vgg19'"):
        explain("run", backbone="vgg19")
    with pytest.raises(SettingsError, match="plain: without images the filters of layers can be"):
        explain(plain_network())
    with pytest.raises(ShapeError, match="class_names must name its 2 classes, got 1 names"):
        explain(plain_network(), _gray(), class_names={"class": ["a"]})


def test_filters_need_no_image() -> None:
    found = explain(plain_network(), request=ExplainRequest(layers=("conv",)))
    assert found.images == ()
    assert found.filters["conv"].shape == (3, 1, 3, 3)


def test_a_changed_image_is_not_shown_as_the_one_that_was_tested(run: Run) -> None:
    first = explain(run).images[0].facts.file
    file = run.path.parent / "shapes" / first
    before = file.read_bytes()
    Image.fromarray(np.zeros((16, 16, 3), dtype=np.uint8)).save(file)
    try:
        with pytest.raises(DataError, match=r"the run's are explained, and of .* it was changed"):
            explain(run)
    finally:
        file.write_bytes(before)


def test_the_command_does_it_again() -> None:
    asked = ExplainRequest(
        methods=("grad-cam", "gradient"),
        layers=("conv1",),
        neurons=2,
        one_per="channel",
        chosen=("conv1:0,0,1",),
        classes=("-1", "b"),
        head="class",
        has_maps=True,
    )
    assert asked.options() == (
        "--neurons=2",
        "--methods=grad-cam,gradient",
        "--head=class",
        "--one-per=channel",
        "--maps",
        "--layer=conv1",
        "--class=-1",
        "--class=b",
        "--neuron=conv1:0,0,1",
    )
    assert ExplainRequest().options() == ()


def test_neurons_are_read_from_words() -> None:
    network = plain_network()
    assert parse_neuron("conv: 1, 2,0", network) == Neuron("conv", 1, 2, 0)


def test_folder_names_keep_the_order_and_fit_every_disk() -> None:
    assert folder_name(7, "my cat/1?") == "007-my-cat-1"
    assert folder_name(12, "???") == "012"
