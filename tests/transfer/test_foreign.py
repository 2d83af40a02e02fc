from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from convoscope import engines
from convoscope.architecture.graph import Architecture, Head, without_top
from convoscope.architecture.layers import Conv2d, Dense, Flatten
from convoscope.architecture.zoo.classic import vgg11, vgg16, vgg19
from convoscope.architecture.zoo.mobile import mobilenet_v2, squeezenet1_0
from convoscope.arrays import Array, FloatArray, generator
from convoscope.engines.initialise import initial_parameters
from convoscope.engines.torch.adopted.torchvision_import import import_timm
from convoscope.errors import UnknownNameError, WeightsError
from convoscope.transfer.foreign import fitted, likely, parameters_for, preprocessing_of
from convoscope.transfer.naming.origins import ORIGINS, Origin
from convoscope.transfer.naming.slots import slots
from convoscope.transfer.readers import ForeignWeights, read

IMAGE, SMALL = (3, 224, 224), (3, 64, 64)
timm: Any = import_timm()
torchvision: Any = pytest.importorskip("torchvision")


def foreign(arrays: Mapping[str, Array], path: str = "weights.h5") -> ForeignWeights:
    return ForeignWeights(path=Path(path), format="keras", arrays=arrays)


def keras_shapes(architecture: Architecture) -> dict[str, Array]:
    """Arrays of zeros that take no memory, named and turned as Keras has them."""
    names = {"weight": "kernel", "bias": "bias"}
    turned = {2: (1, 0), 4: (2, 3, 1, 0)}
    zeros = {}
    for slot in slots(architecture):
        shape = tuple(slot.shape[axis] for axis in turned.get(len(slot.shape), (0,)))
        name = f"{slot.layer.name}/{names[slot.parameter]}"
        zeros[name] = np.broadcast_to(np.float32(0), shape)
    return zeros


def without(arrays: Mapping[str, Array], *words: str) -> dict[str, Array]:
    return {n: a for n, a in arrays.items() if not any(word in n for word in words)}


def random_module(make: Callable[[], Any]) -> Any:
    """A library's network with random weights, running statistics too, in evaluation mode."""
    torch.manual_seed(0)
    module = make().eval()
    for name, tensor in module.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            tensor.copy_(torch.rand(tensor.shape) + 0.5)
    return module


@pytest.mark.parametrize(
    ("name", "origin", "make"),
    [
        ("squeezenet1_0", "torchvision", partial(torchvision.models.get_model, "squeezenet1_0")),
        ("mobilenet_v2", "torchvision", partial(torchvision.models.get_model, "mobilenet_v2")),
        ("mobilenet_v2", "timm", partial(timm.create_model, "mobilenetv2_100")),
    ],
)
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_networks_of_pytorchs_libraries_answer_as_they_do_there(
    tmp_path: Path, name: str, origin: str, make: Callable[[], Any], suffix: str
) -> None:
    module, file = random_module(make), tmp_path / f"net.{suffix}"
    if suffix == "pth":
        torch.save(module.state_dict(), file)
    else:
        save_file({name: tensor.numpy() for name, tensor in module.state_dict().items()}, file)
    net = fitted(name, read(file), input_shape=SMALL)
    assert net.origin == origin
    images = generator(1, "images").random((2, *SMALL), dtype=np.float32)
    with torch.inference_mode():
        expected = module(torch.from_numpy(images)).numpy()
    network = engines.build(net.architecture, parameters=net.parameters, device="cpu")
    tolerance = 1e-5 * float(np.abs(expected).max())
    np.testing.assert_allclose(network.logits(images)["class"], expected, rtol=0, atol=tolerance)


def test_torchvisions_vgg_answers_as_it_does_there(tmp_path: Path) -> None:
    torch.manual_seed(0)
    layers = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["A"])
    module = torchvision.models.VGG(layers, num_classes=6)
    module.avgpool = torch.nn.Identity()  # for 32 pixels, whose maps are 1x1 already
    module.classifier[0] = torch.nn.Linear(512, 4096)
    torch.save(module.eval().state_dict(), tmp_path / "vgg11.pth")
    net = fitted("vgg11", read(tmp_path / "vgg11.pth"), input_shape=(3, 32, 32))
    images = generator(1, "images").random((2, 3, 32, 32), dtype=np.float32)
    with torch.inference_mode():
        expected = module(torch.from_numpy(images)).numpy()
    network = engines.build(net.architecture, parameters=net.parameters, device="cpu")
    found = network.logits(images)["class"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * float(np.abs(expected).max()))


@pytest.mark.parametrize("norm", ["keras", "folded"])
def test_our_own_file_comes_back_as_it_was(tmp_path: Path, norm: Any) -> None:
    ours = mobilenet_v2(SMALL, norm=norm, width=0.35)
    parameters = initial_parameters(ours, 0, "float32")
    save_file(dict(parameters), tmp_path / "ours.safetensors")
    net = fitted("mobilenet_v2", read(tmp_path / "ours.safetensors"), input_shape=SMALL)
    assert (net.origin, net.preprocessing) == ("convoscope", None)
    assert net.architecture == ours
    assert net.parameters.keys() == parameters.keys()
    for name, array in parameters.items():
        np.testing.assert_array_equal(net.parameters[name], array, strict=True)


def names_of(origin: Origin, architecture: Architecture) -> dict[str, Array]:
    """Zeros under the names that an origin gives, of as many values as are needed."""
    layers = origin.layers(architecture)
    return {
        layers[s.layer.name] + origin.dialect.spellings(s)[0]: np.broadcast_to(0.0, s.shape)
        for s in slots(architecture)
    }


@pytest.mark.parametrize(
    ("name", "origin"),
    [(name, origin) for name, origins in ORIGINS.items() for origin in origins],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_every_origin_of_every_network_is_recognised(name: str, origin: Origin) -> None:
    for build in (origin.builds[0], origin.builds[-1]):
        for architecture in (build(IMAGE), without_top(build(IMAGE))):
            assert likely(foreign(names_of(origin, architecture))) == name


def test_what_each_origin_shows_its_network() -> None:
    shown = {
        (name, origin.name): origin.preprocessing
        for name, origins in ORIGINS.items()
        for origin in origins
    }
    keras, torchvision_, tf = (
        shown[key]
        for key in (("vgg19", "keras"), ("vgg16", "torchvision"), ("mobilenet_v2", "keras"))
    )
    assert keras is not None
    assert torchvision_ is not None
    assert tf is not None
    white = {  # what a white pixel becomes, in the order of the channels
        key: tuple((1 - np.array(p.mean)) / np.array(p.sd))
        for key, p in (("keras", keras), ("torchvision", torchvision_), ("tf", tf))
    }
    np.testing.assert_allclose(white["keras"], [255 - 103.939, 255 - 116.779, 255 - 123.68])
    np.testing.assert_allclose(white["torchvision"], [2.2489, 2.4286, 2.64], atol=1e-4)
    np.testing.assert_allclose(white["tf"], [1.0])
    assert (keras.order, torchvision_.order) == ("bgr", "rgb")
    assert shown["squeezenet1_0", "caffe"] != shown["squeezenet1_0", "torchvision"]


def test_preprocessing_has_the_architectures_size() -> None:
    net = without_top(vgg16((3, 96, 128)))
    found = preprocessing_of(net, foreign(keras_shapes(net)))
    assert found is not None
    assert (found.size, found.order) == ((96, 128), "bgr")
    ours = {slot.name: np.zeros(slot.shape, np.float32) for slot in slots(net)}
    assert preprocessing_of(net, foreign(ours)) is None


def test_a_trunk_is_taken_from_a_file_with_a_top() -> None:
    trunk = without_top(vgg11(IMAGE))
    found = parameters_for(trunk, foreign(keras_shapes(vgg11(IMAGE))))
    assert set(found) == {slot.name for slot in slots(trunk)}


def test_a_file_without_top_gives_a_network_without_heads() -> None:
    arrays = keras_shapes(without_top(vgg11(IMAGE)))
    net = fitted("vgg11", foreign(arrays))
    assert net.architecture.heads == ()
    assert net.preprocessing is not None
    assert net.preprocessing.order == "bgr"


def test_dense_layers_of_the_authors_own_are_left_alone() -> None:
    arrays = keras_shapes(without_top(vgg11(IMAGE)))
    arrays |= {"my_top/kernel": np.zeros((512, 2)), "my_top/bias": np.zeros(2)}
    assert fitted("vgg11", foreign(arrays)).architecture.heads == ()


def test_a_network_outside_the_zoo_takes_arrays_by_its_own_names() -> None:
    conv = Conv2d("conv", 2)
    head = Head(layers=(Flatten("f"), Dense("top", 3)))
    net = Architecture(name="mine", input_shape=(1, 4, 4), layers=(conv,), heads=(head,))
    kernel = np.arange(18, dtype=np.float32).reshape(3, 3, 1, 2)
    arrays: dict[str, FloatArray] = {
        "conv/kernel": kernel,
        "conv/bias": np.ones(2, np.float32),
        "top/kernel": np.ones((8, 3), np.float32),
        "top/bias": np.ones(3, np.float32),
    }
    found = parameters_for(net, foreign(arrays))
    np.testing.assert_array_equal(found["conv.weight"][1, 0], kernel[:, :, 0, 1])
    assert all(array.flags.c_contiguous for array in found.values())
    assert preprocessing_of(net, foreign(arrays)) is None  # nobody knows what it was trained on


def test_another_networks_file_is_refused_with_its_name() -> None:
    with pytest.raises(
        WeightsError,
        match=r"^weights of vgg19 must be there for every layer, 'block3_conv4/kernel', "
        r"'block3_conv4/bias', 'block4_conv4/kernel' and 3 more are missing among 32 arrays named "
        r"as keras does: it fits vgg16; choose that network$",
    ):
        fitted("vgg19", foreign(keras_shapes(vgg16(IMAGE))))


def test_a_larger_networks_file_is_refused_by_what_is_left_over() -> None:
    arrays = keras_shapes(without_top(vgg19(IMAGE)))
    with pytest.raises(
        WeightsError,
        match=r"^weights of vgg16 must be of its layers alone, the file also has "
        r"'block3_conv4/kernel', 'block4_conv4/kernel', 'block5_conv4/kernel': it fits vgg19; ",
    ):
        parameters_for(without_top(vgg16(IMAGE)), foreign(arrays))


def test_names_that_nobody_uses_are_told() -> None:
    arrays = {"backbone.stage1.0.weight": np.zeros((64, 3, 3, 3), np.float32)}
    with pytest.raises(
        WeightsError,
        match=r"^weights of vgg16 must bear the names of keras, keras \(numbered\), torchvision, "
        r"timm, convoscope, found 'backbone.stage1.0.weight': give a file of this network",
    ):
        fitted("vgg16", foreign(arrays))


def test_a_layer_that_is_missing_is_named_as_the_file_would() -> None:
    arrays = without(keras_shapes(vgg11(IMAGE)), "block4_conv2/bias")
    with pytest.raises(WeightsError, match=r"'block4_conv2/bias' is missing among 21 arrays named"):
        fitted("vgg11", foreign(arrays))


def test_a_top_that_is_asked_for_and_not_there_is_told() -> None:
    arrays = keras_shapes(without_top(vgg11(IMAGE)))
    with pytest.raises(
        WeightsError, match=r"'fc1/kernel', 'fc1/bias', 'fc2/kernel' and 3 more are"
    ):
        parameters_for(vgg11(IMAGE), foreign(arrays))


def test_a_shape_that_differs_is_told_with_both() -> None:
    arrays = keras_shapes(vgg11(SMALL))
    with pytest.raises(
        WeightsError,
        match=r"^'fc1/kernel': layer 'fc1' of vgg11 needs a weight of shape \(4096, 25088\), found "
        r"\(2048, 4096\) in the file, by keras's layout: give weights of the same network, with",
    ):
        fitted("vgg11", foreign(arrays))
    narrow = keras_shapes(vgg11(IMAGE))
    narrow["block1_conv1/kernel"] = np.zeros((3, 3, 1, 64), np.float32)
    with pytest.raises(WeightsError, match=r"needs a weight of shape \(64, 3, 3, 3\), found"):
        fitted("vgg11", foreign(narrow))


def test_classes_are_counted_from_the_file() -> None:
    net = vgg11((3, 32, 32))
    head = Head(layers=(*net.heads[0].layers[:-1], Dense("predictions", 5)))
    small = Architecture(
        name="vgg11", input_shape=net.input_shape, layers=net.layers, heads=(head,)
    )
    found = fitted("vgg11", foreign(keras_shapes(small)), input_shape=(3, 32, 32))
    assert found.parameters["predictions.weight"].shape == (5, 4096)


def test_an_unknown_network_is_told_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"foreign weights 'vgg91': did you mean 'vgg19'\?"):
        fitted("vgg91", foreign({}))


def test_squeezenet_of_caffe_pads_where_torchvisions_does_not() -> None:
    builds = {origin.name: origin.builds[0](IMAGE) for origin in ORIGINS["squeezenet1_0"]}
    assert builds["torchvision"] == squeezenet1_0(IMAGE)
    assert builds["caffe"] == squeezenet1_0(IMAGE, final_padding=1)
