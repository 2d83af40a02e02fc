"""The table of backbones against arithmetic, timm and torchvision."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from convoscope import engines
from convoscope.architecture import zoo
from convoscope.architecture.graph import logit_shapes, walk
from convoscope.errors import UnknownNameError
from convoscope.transfer.catalogue import BACKBONES, ZOO, Backbone, backbone

OURS = [row for row in BACKBONES.values() if row.is_ours]
ADOPTED = [row for row in BACKBONES.values() if not row.is_ours]


def by_name(row: Backbone) -> str:
    return row.name


def test_the_table_has_the_backbones_that_are_asked_for() -> None:
    assert list(BACKBONES) == [
        "vgg19",
        "vgg16",
        "resnet50",
        "inception_v3",
        "inception_resnet_v2",
        "xception",
        "squeezenet1_0",
        "mobilenet_v2",
    ]
    assert all(name == row.name for name, row in BACKBONES.items())


@pytest.mark.parametrize("row", OURS, ids=by_name)
def test_a_row_of_ours_is_what_the_zoo_has(row: Backbone) -> None:
    architecture = zoo.make(row.source.removeprefix(ZOO), input_shape=row.input_shape)
    places = list(walk(architecture))
    assert row.parameters == sum(p.layer.parameter_count(p.input_shape) for p in places)
    assert logit_shapes(architecture) == {"class": (row.classes,)}
    assert architecture.layers[-1].name == row.features


@pytest.mark.parametrize("row", ADOPTED, ids=by_name)
def test_a_row_of_timms_is_what_timm_says(row: Backbone) -> None:
    found = engines.published(row.source.removeprefix("timm/"))
    assert found.source == row.source
    assert found.input_shape == row.input_shape
    assert (found.mean, found.sd) == (row.preprocessing.mean, row.preprocessing.sd)
    assert (found.classes, found.parameters) == (row.classes, row.parameters)
    assert (found.features, found.licence) == (row.features, row.licence.lower())


@pytest.mark.parametrize("row", BACKBONES.values(), ids=by_name)
def test_a_pin_is_the_hash_in_the_files_own_name(row: Backbone) -> None:
    if not row.origin.sha256:
        assert row.origin.hub == row.source  # its hash is the hub's to announce
        return
    (url,) = row.origin.urls
    match = re.search(r"-([0-9a-f]{8,})\.pth$", url)
    assert match is not None
    assert match[1] == row.origin.sha256


def test_torchvisions_files_are_those_that_torchvision_itself_names() -> None:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        pytest.skip("torchvision is not installed")
    # Read, not imported: beside a PyTorch of another build its import fails.
    models = Path(spec.origin).parent / "models"
    known = "".join(file.read_text(encoding="utf-8") for file in models.glob("*.py"))
    ours = [url for row in BACKBONES.values() for url in row.origin.urls]
    theirs = [url for url in ours if url.startswith("https://download.pytorch.org/")]
    assert len(theirs) == 6
    assert all(url in known for url in theirs)


@pytest.mark.parametrize("row", BACKBONES.values(), ids=by_name)
def test_an_image_is_prepared_for_the_networks_own_size(row: Backbone) -> None:
    assert row.preprocessing.size == row.input_shape[1:]
    assert row.licence in ("BSD-3-Clause", "Apache-2.0")


def test_any_network_of_timms_is_a_backbone() -> None:
    found = backbone("timm:vit_small_patch14_dinov2.lvd142m")
    assert found.name == "timm:vit_small_patch14_dinov2.lvd142m"
    assert found.input_shape == (3, 518, 518)
    assert (found.classes, found.parameters, found.licence) == (0, 22_056_192, "apache-2.0")
    assert found.origin.hub == "timm/vit_small_patch14_dinov2.lvd142m"
    assert not found.is_ours


def test_timms_default_tag_becomes_part_of_the_name() -> None:
    assert backbone("timm:resnet18").name == "timm:resnet18.a1_in1k"


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="no backbone 'vgg91': did you mean 'vgg19'"):
        backbone("vgg91")
    with pytest.raises(UnknownNameError, match="timm:NAME"):
        backbone("qqqqq")
