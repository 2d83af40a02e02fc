"""Scores from a run to a file: what is scored, which images have marks, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convoscope import engines
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import Conv2d, Dense, GlobalAvgPool
from convoscope.data.preprocessing import Preprocessing
from convoscope.errors import DataError, RunError, SettingsError
from convoscope.explain import enlarge
from convoscope.jobs.explain import explain_into
from convoscope.jobs.explain_objects import read_marked
from convoscope.jobs.explain_request import ExplainRequest
from convoscope.network import Network
from convoscope.report.explain_page import render
from convoscope.report.forgetting import forgetting_section
from convoscope.runs.explanation_files import ExplanationFolder
from convoscope.runs.explanation_forgetting import read_forgetting
from convoscope.runs.explanation_scores import SCORES, read_scores

METHODS = ("grad-cam", "gradient", "cam")
PREPROCESSING = Preprocessing(size=(10, 10))


@pytest.fixture(scope="module")
def network() -> Network:
    architecture = Architecture(
        name="tiny",
        input_shape=(3, 10, 10),
        layers=(Conv2d("conv", 4, activation="relu"),),
        heads=(Head(layers=(GlobalAvgPool("pool"), Dense("dense", 3))),),
    )
    return engines.build(architecture, engine="numpy", seed=3)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six noisy pictures of 20 x 10 pixels, in folders of the same names, and a broken one."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for n in range(6):
        file = folder / ("left" if n % 2 else "right") / f"{n // 2}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (10, 20, 3), dtype=np.uint8)).save(file)
    (folder / "left" / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def scored(
    network: Network, pictures: Path, tmp_path_factory: pytest.TempPathFactory
) -> ExplanationFolder:
    boxes = pictures / "boxes.csv"
    boxes.write_text(
        "image,left,top,right,bottom\nleft/0.png,0,0,10,10\nright/0.png,0,0,2,2\n"
        "right/0.png,18,8,20,10\n"
    )
    return explain_into(
        tmp_path_factory.mktemp("out") / "1",
        network,
        [pictures],
        request=ExplainRequest(methods=METHODS, has_scores=True, objects=boxes),
    )


def test_every_readable_image_is_scored_by_every_method_and_baseline(
    scored: ExplanationFolder,
) -> None:
    scores = read_scores(scored.path)
    assert scores is not None
    assert (scores.methods, scores.baselines) == (METHODS, ("centre", "chance"))
    assert [image.name for image in scores.images] == [facts.name for facts in scored.facts()]
    assert len(scores.images) == 6
    assert len(scored.problems) == 1
    for image, facts in zip(scores.images, scored.facts(), strict=True):
        assert image.class_name == facts.said[0].classes[0]
        assert image.probability == pytest.approx(facts.said[0].probabilities[0], abs=1e-5)
        assert set(image.methods) == {*METHODS, "centre", "chance"}
        for name, one in image.methods.items():
            assert one.insertion[-1] == pytest.approx(image.probability, abs=2e-6)
            assert one.deletion[0] == pytest.approx(image.probability, abs=2e-6)
            assert (one.shares[0], one.shares[-1]) == (0, 1)
            assert (one.stability is None) == (name in scores.baselines)
    assert scores.cascading is not None
    assert scores.cascading.groups == (("dense",), ("conv",))
    assert {len(row) for rows in scores.cascading.ranks.values() for row in rows} == {6}
    assert "NaN" not in (scored.path / SCORES).read_text()


def test_boxes_go_the_images_own_way_and_others_have_no_mark(scored: ExplanationFolder) -> None:
    scores = read_scores(scored.path)
    assert scores is not None
    by_file = dict(zip((f.file for f in scored.facts()), scores.images, strict=True))
    marked = {file: image for file, image in by_file.items() if image.methods["centre"].mass}
    assert {"/".join(Path(f).parts[-2:]) for f in marked} == {"left/0.png", "right/0.png"}
    (half,) = (image for file, image in marked.items() if file.endswith("left/0.png"))
    assert half.methods["centre"].mass == pytest.approx(0.5)  # the left half


def test_the_page_has_the_leaderboard_and_a_sentence_beside_every_picture(
    scored: ExplanationFolder,
) -> None:
    page = render(scored)
    assert "Can they be trusted?" in page
    assert page.count("With only its strongest fifth in focus") == 6 * len(METHODS)
    assert "points at it" in page
    assert "6 pictures; with intervals over pictures" in page


def test_the_page_shows_what_is_left_as_the_network_forgets(
    network: Network, scored: ExplanationFolder
) -> None:
    found, scores = read_forgetting(scored.path), read_scores(scored.path)
    assert found is not None
    assert scores is not None
    assert found.name == scores.images[0].name
    assert list(found.methods) == list(METHODS)
    image = next(scored.images())
    np.testing.assert_array_equal(found.picture, image.picture)
    heat = next(view for view in image.views if view.facts.method == "cam").values[0]
    np.testing.assert_allclose(found.methods["cam"][0], enlarge(heat, (10, 10)), atol=1e-6)
    page = render(scored)
    assert "What is left when the network forgets" in page
    assert "and conv</th>" in page
    for title in (scores.titles[name] for name in METHODS):
        assert page.count(f'alt="{title}, as it is"') == 1


def test_a_picture_that_stays_is_doubted_and_one_that_changes_is_not(
    scored: ExplanationFolder,
) -> None:
    scores = read_scores(scored.path)
    assert scores is not None
    assert scores.cascading is not None
    ranks = {"grad-cam": ((0.9,), (-0.001,)), "gradient": ((0.1,), (0.0,)), "cam": ((0.1,), (0.8,))}
    told = replace(scores, cascading=replace(scores.cascading, ranks=ranks))
    section = forgetting_section(scored.path, told)
    assert section is not None
    first, second, third = section.strips
    assert [strip.is_doubtful for strip in section.strips] == [True, False, False]
    assert first.sentence == (
        "The deciding layers have forgotten, and the order of its pixels stays nearly as it was: "
        "here the picture shows the image more than what was learnt."
    )
    assert "changes as soon as the deciding layers forget, as it must" in second.sentence
    assert "comes back when others do" in third.sentence
    assert [shown.words for shown in first.pictures] == ["", "correlation 0.90", "correlation 0.00"]
    assert section.steps == ("as it is", "dense", "and conv")
    assert forgetting_section(scored.path / "nowhere", told) is None
    half = {"grad-cam": ((0.56,), (0.0,)), "gradient": ((0.1,), (0.0,)), "cam": ((0.1,), (0.8,))}
    told = replace(scores, cascading=replace(scores.cascading, ranks=half))
    section = forgetting_section(scored.path, told)
    assert section is not None
    assert section.strips[0].sentence == (
        "The deciding layers have forgotten, and about half of the order of its pixels stays: here "
        "the picture shows the image about as much as what was learnt."
    )


def test_scores_are_the_same_again_and_alone(
    network: Network, pictures: Path, scored: ExplanationFolder, tmp_path: Path
) -> None:
    file = pictures / "left" / "0.png"
    alone = explain_into(
        tmp_path / "1", network, file, request=ExplainRequest(methods=METHODS, has_scores=True)
    )
    mine, theirs = read_scores(alone.path), read_scores(scored.path)
    assert mine is not None
    assert theirs is not None
    (one,) = mine.images
    files = [facts.file for facts in scored.facts()]
    among = theirs.images[files.index(str(file))]
    for method in METHODS:
        np.testing.assert_allclose(
            one.methods[method].insertion, among.methods[method].insertion, atol=2e-6
        )
    assert "One picture is too few to say which method to trust" in render(alone)


def test_one_class_that_is_asked_for_is_scored_though_never_said(
    network: Network, pictures: Path, tmp_path: Path
) -> None:
    request = ExplainRequest(methods=("grad-cam",), has_scores=True, classes=("2",))
    folder = explain_into(tmp_path / "1", network, [pictures / "right"], request=request)
    scores = read_scores(folder.path)
    assert scores is not None
    assert {image.class_name for image in scores.images} == {"2"}


def test_masks_are_found_by_name(pictures: Path, tmp_path: Path) -> None:
    mask = np.zeros((10, 20), dtype=np.uint8)
    mask[:5] = 1  # whatever is not black
    (tmp_path / "left").mkdir()
    Image.fromarray(mask).save(tmp_path / "left" / "2.png")
    marked = read_marked(tmp_path)
    seen = marked.mask(str(pictures / "left" / "2.jpg"), PREPROCESSING)
    assert seen is not None
    assert seen[:5].all()
    assert not seen[5:].any()
    assert marked.mask(str(pictures / "right" / "2.png"), PREPROCESSING) is None


def test_a_box_too_small_for_the_network_is_a_pixel_still(pictures: Path, tmp_path: Path) -> None:
    table = tmp_path / "boxes.csv"
    table.write_text("image,left,top,right,bottom\nleft/1.png,4,4,5,5\n")
    small = Preprocessing(size=(3, 3))
    seen = read_marked(table).mask(str(pictures / "left" / "1.png"), small)
    assert seen is not None
    assert seen.any()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "boxes must have the columns image, left, top, right, bottom, got an empty file"),
        ("image,x\n", "boxes must have the columns image, left, top, right, bottom, got image, x"),
        ("image,left,top,right,bottom\n", "boxes must be named line by line, found none"),
        (
            "image,left,top,right,bottom\na.png,5,0,4,9\n",
            "line 2: a box must be an image and 0 <= left < right, 0 <= top < bottom in pixels, "
            "got a.png, 5, 0, 4, 9: mend the line, or leave it out",
        ),
        ("image,left,top,right,bottom\na.png,wide,0,4,9\n", "got a.png, wide, 0, 4, 9"),
        ("image,left,top,right,bottom\na.png,1\n", "got a.png, 1, None, None, None"),
        ("image,left,top,right,bottom\na.png,0,0,inf,9\n", "got a.png, 0, 0, inf, 9"),
    ],
)
def test_a_table_that_is_none_is_told_line_by_line(
    tmp_path: Path, content: str, sentence: str
) -> None:
    table = tmp_path / "boxes.csv"
    table.write_text(content)
    with pytest.raises(DataError) as error:
        read_marked(table)
    assert sentence in str(error.value)


def test_what_is_neither_table_nor_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"boxes must be a CSV file, or masks a folder"):
        read_marked(tmp_path / "none.csv")
    with pytest.raises(DataError, match=r"a folder of masks must hold PNG pictures, found none"):
        read_marked(tmp_path)
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"boxes must be a CSV file in UTF-8"):
        read_marked(tmp_path / "bytes.csv")


def test_marks_for_other_images_are_told_before_anything_is_written(
    network: Network, pictures: Path, tmp_path: Path
) -> None:
    table = tmp_path / "boxes.csv"
    table.write_text("image,left,top,right,bottom\nother.png,0,0,1,1\n")
    request = ExplainRequest(methods=METHODS, has_scores=True, objects=table)
    with pytest.raises(DataError, match=r"boxes and masks must bear the names of the images"):
        explain_into(tmp_path / "out", network, [pictures], request=request)
    assert not (tmp_path / "out").exists()


def test_scores_need_images_and_marks_need_scores(network: Network, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"--score: methods are scored on images, got none"):
        explain_into(
            tmp_path / "out",
            network,
            request=ExplainRequest(layers=("conv",), has_scores=True),
        )
    with pytest.raises(SettingsError, match=r"what is marked in images is for their scores"):
        ExplainRequest(objects=Path("boxes.csv"))


def test_the_command_says_scores_and_objects() -> None:
    request = ExplainRequest(has_scores=True, objects=Path("b.csv"))
    assert request.options() == ("--score", "--objects=b.csv")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "must hold the scores of an explanation, reading it gave"),
        ("{}", "must hold the scores of an explanation, reading it gave 'schema_version'"),
    ],
)
def test_scores_that_are_not_whole_are_refused(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / SCORES).write_text(content)
    with pytest.raises(RunError) as error:
        read_scores(tmp_path)
    assert sentence in str(error.value)
    assert "delete it, or explain again with --score" in str(error.value)


def test_scores_of_a_newer_version_are_refused(scored: ExplanationFolder, tmp_path: Path) -> None:
    content = json.loads((scored.path / SCORES).read_text())
    (tmp_path / SCORES).write_text(json.dumps(content | {"schema_version": 99}))
    with pytest.raises(RunError, match=r"has schema_version 99, this convoscope reads up to 1"):
        read_scores(tmp_path)
