"""timm's networks described and made, with nothing downloaded."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from convoscope.architecture.branches import Adopted
from convoscope.engines.torch.adopted.adopt import adopt
from convoscope.engines.torch.adopted.survey import survey
from convoscope.engines.torch.adopted.timm_models import blueprint, make_module, published, renamed
from convoscope.engines.torch.adopted.torchvision_import import import_timm
from convoscope.errors import SettingsError, ShapeError, UnknownNameError

WITHOUT_TIMM = """
import sys
sys.modules["timm"] = None  # as if it were not installed
from convoscope import engines
from convoscope.errors import MissingDependencyError
try:
    engines.published("resnet18")
except MissingDependencyError as error:
    print(error)
"""

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from convoscope import engines
from convoscope.errors import MissingDependencyError
try:
    engines.published("resnet18")
except MissingDependencyError as error:
    print(error)
"""


def fresh(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_timm_is_imported_beside_any_torchvision_and_computes() -> None:
    assert import_timm().is_model("resnet18")
    with torch.no_grad():
        assert make_module("timm/test_resnet")(torch.zeros(1, 3, 160, 160)).shape == (1, 1000)


def test_a_torchvision_whose_operators_are_missing_is_mended_only_then() -> None:
    said = fresh(
        "import torch\n"
        "try:\n    import torchvision\n    print('whole')\n"
        "except RuntimeError as error:\n    print('broken')\n"
        "import sys\n"
        "loaded = [name for name in sys.modules if name.startswith('torchvision')]\n"
        "for name in loaded: del sys.modules[name]\n"
        "from convoscope.engines.torch.adopted import torchvision_import as mending\n"
        "mending.import_timm()\n"
        "print(bool(mending._DECLARED))\n"
        "import torchvision.transforms\n"
    ).split()
    assert said in (["whole", "False"], ["broken", "True"])


def test_without_timm_one_sentence_says_how_to_install_it() -> None:
    assert fresh(WITHOUT_TIMM).strip() == (
        "an adopted backbone needs timm, and timm is not installed: "
        "run  pip install 'convoscope[backbones]'"
    )


def test_without_torch_one_sentence_says_how_to_install_it() -> None:
    assert fresh(WITHOUT_TORCH).strip() == (
        "engine='torch' needs PyTorch, which is not installed: run  pip install torch"
    )


def test_a_name_without_a_tag_is_pinned_to_the_tag_of_today() -> None:
    found = published("resnet18")
    assert found.source == "timm/resnet18.a1_in1k"
    assert published("resnet18.tv_in1k").source == "timm/resnet18.tv_in1k"
    assert found.input_shape == (3, 224, 224)
    assert (found.mean, found.sd) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert (found.classes, found.parameters, found.licence) == (1000, 11_689_512, "apache-2.0")
    assert found.hub == "timm/resnet18.a1_in1k"


@pytest.mark.parametrize(
    ("name", "features"),
    [
        ("test_resnet", "layer4"),
        ("legacy_xception", "act4"),
        ("inception_v3", "Mixed_7c"),
        ("efficientnet_b0", "bn2"),  # not the last of timm's stages: a convolution follows it
        ("convnext_atto", "stages.3"),
        ("test_vit", "norm"),
        ("vit_small_patch14_dinov2.lvd142m", "norm"),
        ("eva02_tiny_patch14_224", "blocks.11"),
    ],
)
def test_features_are_what_timms_forward_features_gives(name: str, features: str) -> None:
    assert published(name).features == features


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext", "test_efficientnet"])
def test_the_trunk_gives_timms_own_features(name: str) -> None:
    found = published(name)
    plan = blueprint(found.source, found.input_shape, cut=found.features)
    module = make_module(found.source)
    with torch.no_grad():
        features = module.forward_features(torch.zeros(1, *found.input_shape))  # type: ignore[operator]
    (layer,) = plan.architecture.layers
    assert layer.output_shape(found.input_shape) == tuple(features.shape[1:])
    assert plan.architecture.heads == ()


def test_a_blueprint_has_every_parameter_and_buffer_of_the_module() -> None:
    whole = blueprint("timm/test_resnet", (3, 160, 160), cut="")
    expected = {
        f"trunk.{name}": tuple(tensor.shape)
        for name, tensor in make_module("timm/test_resnet").state_dict().items()
    }
    assert whole.shapes == expected
    cut = blueprint("timm/test_resnet", (3, 160, 160), cut="layer4")
    assert whole.shapes.keys() - cut.shapes.keys() == {"trunk.fc.weight", "trunk.fc.bias"}
    (head,) = whole.architecture.heads
    assert (head.name, head.layers) == ("class", ())


def test_a_vision_transformer_is_made_for_other_sizes_too() -> None:
    plan = blueprint("timm/test_vit", (3, 96, 96), cut="norm")
    (layer,) = plan.architecture.layers
    assert layer.output_shape((3, 96, 96)) == (64, 6, 6)
    assert plan.shapes["trunk.pos_embed"][1] == 6 * 6 + 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet81", "there is no timm network 'resnet81': did you mean 'resnet18' or"),
        ("resnet18.foo", "there is no timm network 'resnet18.foo': did you mean 'resnet18."),
        ("hf-hub:somebody/model", "there is no timm network 'hf-hub:somebody/model': did you mean"),
    ],
)
def test_an_unknown_network_or_tag_names_near_ones(name: str, said: str) -> None:
    with pytest.raises(UnknownNameError, match="there is no timm network") as caught:
        published(name)
    assert str(caught.value).startswith(said)


def test_a_cut_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="no module 'layer5': did you mean 'layer"):
        blueprint("timm/test_resnet", (3, 160, 160), cut="layer5")


def test_images_that_it_does_not_take_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"must take images of shape \(N, 1, 160, 160\)"):
        blueprint("timm/test_resnet", (1, 160, 160), cut="")


def test_a_size_that_cannot_be_made_is_refused() -> None:
    with pytest.raises((SettingsError, ShapeError), match="images"):
        blueprint("timm/test_vit", (3, 7, 7), cut="norm")


def test_the_names_of_dinov2s_publisher_become_timms() -> None:
    source = "timm/vit_small_patch14_dinov2.lvd142m"
    with torch.device("meta"):
        shapes = {n: tuple(t.shape) for n, t in make_module(source).state_dict().items()}
    arrays = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    assert "reg_token" not in arrays
    theirs = arrays | {"mask_token": np.zeros((1, 384), np.float32)}
    assert "mask_token" not in renamed(source, theirs)
    assert renamed(source, theirs).keys() == arrays.keys()


def test_arrays_that_timm_cannot_rename_stay_as_they_are() -> None:
    strange = {"a.b": np.ones(2, np.float32)}
    found = renamed("timm/test_vit", strange)
    assert found.keys() <= strange.keys()


@pytest.mark.slow
def test_tokens_are_read_alike_without_weights_and_with() -> None:
    """A source is described on a module without values, and its tokens take some to be read."""
    source, size = "timm/xcit_nano_12_p16_224.fb_in1k", (3, 64, 64)
    before = torch.get_rng_state()
    described = blueprint(source, size, cut="norm").architecture.layers[0]
    assert isinstance(described, Adopted)
    assert described.maps == (128, 4, 4)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(1)
    network = adopt(make_module(source), input_shape=size, cut="norm", heads=(), device="cpu")
    assert network.layer_shapes["trunk"] == described.maps
    with torch.device("meta"):
        again = make_module(source)
    trunk, _ = survey(again, size, name="trunk", cut="norm", source=source)
    assert trunk.paths["norm"].shape == (128 * 17,)  # nothing to be read from
