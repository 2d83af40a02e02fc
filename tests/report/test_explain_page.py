"""The page of an explanation and the section of a report: made again from files alone."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convoscope import engines
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import Conv2d, Dense, GlobalAvgPool
from convoscope.architecture.receptive_field import Box
from convoscope.errors import RunError
from convoscope.jobs.explain import explain_into
from convoscope.jobs.explain_request import ExplainRequest
from convoscope.network import Network
from convoscope.report import explain_page
from convoscope.report.looking import main_targets, shown_image
from convoscope.report.looking_maps import filter_sections, map_sections, strongest_channels
from convoscope.report.looking_neurons import close_up, neuron_groups
from convoscope.report.looking_section import looking_section
from convoscope.runs.explanation_files import (
    ExplanationFolder,
    explanations_of,
    is_explanations,
    open_explanations,
)
from convoscope.runs.explanations import (
    About,
    ClassTarget,
    ExplainedImage,
    HeadSaid,
    ImageFacts,
    MethodSaid,
    SeenNeuron,
    View,
    ViewFacts,
)

CLASSES = ("<cat>", "dog", "bird", "eel")


@pytest.fixture(scope="module")
def network() -> Network:
    """Four classes with an awkward name, on the NumPy engine."""
    architecture = Architecture(
        name="plain",
        input_shape=(3, 16, 16),
        layers=(Conv2d("conv1", 4, activation="relu"), Conv2d("conv2", 6, activation="relu")),
        heads=(Head(layers=(GlobalAvgPool("pool"), Dense("dense", 4))),),
    )
    return engines.build(architecture, engine="numpy", seed=3)


@pytest.fixture(scope="module")
def folder(network: Network, tmp_path_factory: pytest.TempPathFactory) -> ExplanationFolder:
    """Two pictures, all classes, maps, and a chosen neuron besides the strongest."""
    place = tmp_path_factory.mktemp("page")
    rng = np.random.default_rng(0)
    for name in ("a<b.png", "c.png"):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(place / name)
    return explain_into(
        place / "found",
        network,
        sorted(place.glob("*.png")),
        class_names={"class": CLASSES},
        request=ExplainRequest(classes=("all",), has_maps=True, neurons=2, chosen=("conv2:0,0,0",)),
    )


def image_of(heat: float = 1.0, *, label: str | None = "dog") -> ExplainedImage:
    """A picture of 8 x 8 pixels whose every value is ``heat``, with one silent neuron."""
    views = (
        ViewFacts(method="grad-cam", kind="map", layer="conv"),
        ViewFacts(method="guided-backprop", kind="gradient", layer=""),
    )
    said = HeadSaid(head="class", classes=("cat", "dog"), probabilities=(0.75, 0.25), label=label)
    silent = SeenNeuron(
        layer="conv", row=0, column=1, channel=2, value=0.0, exact=Box(0, 0, 3, 3), effective=None
    )
    target = ClassTarget(head="class", index=0, name="cat", probability=0.75, why="said")
    return ExplainedImage(
        facts=ImageFacts(
            name="001",
            file="x.png",
            said=(said,),
            targets=(target,),
            views=views,
            neurons=(silent,),
        ),
        picture=np.full((8, 8, 1), 100, dtype=np.uint8),
        views=(
            View(facts=views[0], values=np.full((1, 2, 2), heat)),
            View(facts=views[1], values=np.full((1, 1, 8, 8), heat)),
        ),
        gradients=np.zeros((1, 1, 8, 8)),
    )


ABOUT = About(
    network="n",
    source="s",
    engine="numpy",
    input_shape=(1, 8, 8),
    class_names={"class": ("cat", "dog")},
    methods=(
        MethodSaid(name="grad-cam", title="Grad-CAM", sentence="Where."),
        MethodSaid(name="guided-backprop", title="Guided backpropagation", sentence="Which."),
    ),
    heat_layers=("conv",),
    layers=(),
)


def test_the_page_has_every_part_and_escapes_what_users_name(folder: ExplanationFolder) -> None:
    page = explain_page.render(folder)
    for part in ("read", "classes", "images", "neurons", "filters", "again"):
        assert f'<section id="{part}">' in page
        assert f'href="#{part}"' in page
    assert "&lt;cat&gt;" in page
    assert "<cat>" not in page
    assert "a&lt;b.png" in page
    assert "What plain looks at in 2 pictures." in page
    assert "The 2 strongest neurons of conv2" in page
    assert "Chosen neurons of conv2" in page
    assert "Maps of conv1: 4 maps of 14 × 14" in page
    assert "conv2: 6 filters of 3 × 3 × 4" in page
    assert "NaN" not in page
    assert not re.search(r'(src|href)="https?:', page)


def test_the_table_of_neurons_is_that_of_the_manifest(folder: ExplanationFolder) -> None:
    page = explain_page.render(folder)
    for facts in folder.facts():
        for neuron in facts.neurons:
            assert f"<b>({neuron.row}, {neuron.column}, {neuron.channel})</b>" in page


def test_the_grid_has_a_picture_on_each_scale_for_each_class(folder: ExplanationFolder) -> None:
    page = explain_page.render(folder)
    grid = page[page.index('<section id="classes">') : page.index('<section id="images">')]
    assert grid.count('<img class="common"') == 2 * len(CLASSES)
    assert grid.count('<img class="own"') == 2 * len(CLASSES)
    assert grid.count('class="said"') == 2


def test_a_page_is_made_again_without_an_engine(folder: ExplanationFolder) -> None:
    before = explain_page.write(folder).read_bytes()
    folder.page_file.unlink()
    code = (
        "import sys; from pathlib import Path; from convoscope.report import explain_page\n"
        "from convoscope.runs.explanation_files import open_explanations\n"
        "explain_page.write(open_explanations(Path(sys.argv[1])))\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(folder.path)], check=True)
    assert folder.page_file.read_bytes() == before


def pixels(uri: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def test_every_picture_states_its_scale() -> None:
    shown = shown_image(image_of(2.5), ABOUT, targets=(0,))
    heat, light = shown.targets[0].views
    assert (heat.legend, heat.low, heat.high) == ("heat", "0", "2.50")
    assert "inside the white line at least half" in heat.words
    assert heat.words.endswith("Smoothed from 2 × 2 values of conv.")
    assert (light.legend, light.low, light.high, light.bright_high) == (
        "light",
        "0",
        "2.50",
        "2.50",
    )
    assert pixels(light.uri).min() == 255


def test_maps_of_zeros_are_said_and_not_coloured() -> None:
    shown = shown_image(image_of(0.0), ABOUT, targets=(0,))
    heat, light = shown.targets[0].views
    assert heat.words == "Nothing of conv speaks for cat: the map is 0 everywhere."
    assert light.words == "No pixel could raise cat: the picture is black."
    assert heat.legend == light.legend == light.bright == ""
    assert np.ptp(pixels(heat.uri)) <= 6
    assert pixels(light.uri).max() == 0


def test_a_map_of_one_cell_is_said() -> None:
    image = image_of()
    one = View(facts=image.views[0].facts, values=np.ones((1, 1, 1)))
    shown = shown_image(replace(image, views=(one,)), ABOUT, targets=(0,))
    words = shown.targets[0].views[0].words
    assert words.endswith("The maps of conv are one cell: one value for the whole picture.")


def test_a_verdict_names_what_it_is() -> None:
    wrong = shown_image(image_of(), ABOUT, targets=(0,)).heads[0]
    assert wrong.verdict == "cat, 75.0\N{NO-BREAK SPACE}%: wrong, it is dog"
    assert [(bar.tone, bar.is_label) for bar in wrong.bars] == [("wrong", False), ("quiet", True)]
    right = shown_image(image_of(label="cat"), ABOUT, targets=(0,)).heads[0]
    assert right.verdict.endswith(": right")
    unknown = shown_image(image_of(label=None), ABOUT, targets=(0,)).heads[0]
    assert (unknown.is_right, unknown.bars[0].tone) == (None, "plain")


def test_a_silent_neuron_is_said_and_black() -> None:
    (group,) = neuron_groups(image_of())
    (neuron,) = group.neurons
    assert (neuron.position, neuron.is_silent) == ("(0, 1, 2)", True)
    assert neuron.gradient.words == "nothing: it is silent"
    assert pixels(neuron.gradient.uri).max() == 0
    assert group.words == (
        "A white frame is all that the neuron can see. A neuron is silent: with an output of 0 "
        "nothing passes back, so the picture is black."
    )
    assert (neuron.where.title, neuron.where.words) == ("sees", "rows 0–2, columns 0–2")
    assert (neuron.patch.title, neuron.patch.words) == ("close up", "3 × 3 pixels")


def test_a_neuron_that_no_pixel_moves_is_not_called_silent() -> None:
    image = image_of()
    (silent,) = image.facts.neurons
    stuck = replace(silent, value=6.0, exact=Box(0, 0, 8, 8))
    moved = replace(stuck, value=5.0, effective=Box(1, 1, 3, 4))
    near = replace(moved, exact=Box(1, 1, 3, 4))
    facts = replace(image.facts, neurons=(stuck, moved))
    gradients = np.stack([np.zeros((1, 8, 8)), np.full((1, 8, 8), 0.5)])
    (group,) = neuron_groups(replace(image, facts=facts, gradients=gradients))
    assert group.words == (
        "Each could see the whole picture; the yellow frame holds what really counts. A neuron "
        "does not move with any pixel, as at the upper end of an activation that has one, so the "
        "picture is black: the layer before it may say more."
    )
    assert [neuron.is_silent for neuron in group.neurons] == [False, False]
    assert [neuron.patch.title for neuron in group.neurons] == ["close up", "what counts"]
    assert group.neurons[0].gradient.words == "nothing: no pixel could"
    (alone,) = neuron_groups(replace(image, facts=replace(facts, neurons=(near,))))
    assert alone.neurons[0].patch.title == "close up"  # all that is seen counts


def test_the_close_up_is_the_exact_patch_unless_that_is_most_of_the_picture() -> None:
    picture = np.zeros((10, 10, 3), dtype=np.uint8)

    def neuron(exact: Box, effective: Box | None) -> SeenNeuron:
        return SeenNeuron(
            layer="c", row=0, column=0, channel=0, value=1, exact=exact, effective=effective
        )

    small, large = Box(1, 1, 5, 5), Box(0, 0, 10, 9)
    assert close_up(neuron(small, Box(2, 2, 3, 3)), picture) == small
    assert close_up(neuron(large, small), picture) == small
    assert close_up(neuron(large, None), picture) == large
    assert close_up(neuron(Box(0, 0, 0, 0), None), picture) == (0, 0, 10, 10)


def test_of_many_classes_the_page_explains_what_was_said_in_full(
    folder: ExplanationFolder,
) -> None:
    for image in folder.images():
        (place,) = main_targets(image)
        assert image.facts.targets[place].why == "said"


def test_of_many_maps_the_strongest_are_shown_in_their_order() -> None:
    maps = np.zeros((5, 2, 2))
    maps[:, 0, 0] = [3, 1, 5, 0, 4]
    assert strongest_channels(maps, 3) == [0, 2, 4]


def test_a_report_shows_the_last_explanation_of_the_runs_own_images(tmp_path: Path) -> None:
    assert looking_section(tmp_path, tmp_path) is None


def test_a_folder_that_is_not_whole_is_refused_in_a_sentence(
    folder: ExplanationFolder, tmp_path: Path
) -> None:
    assert not is_explanations(tmp_path)
    with pytest.raises(RunError, match=r"a folder of explanations must hold manifest\.json, this"):
        open_explanations(tmp_path)
    manifest = json.loads((folder.path / "manifest.json").read_text())
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps({**manifest, "schema_version": 99}))
    with pytest.raises(RunError, match="has schema_version 99, this convoscope reads up to 1"):
        open_explanations(tmp_path)
    file.write_text(json.dumps(manifest)[:-40])
    with pytest.raises(RunError, match="must hold what an explanation found, reading it gave"):
        open_explanations(tmp_path)
    file.write_text(json.dumps(manifest))
    with pytest.raises(RunError, match=r"filters\.npz: must hold what an explanation found"):
        explain_page.render(open_explanations(tmp_path))


def test_explanations_of_a_run_are_in_the_order_they_were_made(
    folder: ExplanationFolder, tmp_path: Path
) -> None:
    text = (folder.path / "manifest.json").read_text()
    for number in (2, 10, 1):
        (tmp_path / "explanations" / str(number)).mkdir(parents=True)
        (tmp_path / "explanations" / str(number) / "manifest.json").write_text(text)
    assert [found.path.name for found in explanations_of(tmp_path)] == ["1", "2", "10"]


def test_of_large_maps_and_deep_filters_fewer_stand_on_the_page() -> None:
    rng = np.random.default_rng(0)
    counts = {}
    for side in (4, 56, 224):
        (section,) = map_sections(
            replace(image_of(), maps={"conv": rng.random((70, side, side))}), {}
        )
        counts[side] = len(section.maps)
        assert section.words.startswith(f"The {counts[side]} with the highest values of 70.")
    assert counts == {4: 64, 56: 31, 224: 8}
    (shallow,) = filter_sections({"conv": rng.normal(size=(70, 3, 3, 3))})
    (deep,) = filter_sections({"conv": rng.normal(size=(70, 512, 3, 3))})
    assert (len(shallow.filters), len(deep.filters)) == (64, 8)
    assert deep.words.startswith("The first 8 of 70.")
