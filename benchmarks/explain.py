"""Grad-CAM and guided backpropagation on VGG19, beside Captum, pytorch-grad-cam and torch-cam.

    python benchmarks/explain.py [--threads 2] [--rounds 5] [--images FILE...] [--cpu-seconds]

The floor is a bare forward pass, channels-last and without gradients, of the same images. Grad-CAM
explains the class that the network names, at block5_conv4. Guided backpropagation starts from the
five neurons of block5_conv4 that each image excites most. Ours is timed on our own VGG19 and on
the module that Captum explains, adopted; every peer explains that module, which has the same
weights, and what it finds is compared with what we find. A peer that is not installed is said to
be absent. Real weights are taken where they are at hand (``convoscope weights list``), else random
ones; times hardly depend on them, though where a neuron lies counts.

At the end, memory: explaining one image after the other with a small network.

Times are medians, taken in turns. ``--cpu-seconds`` counts the processor's seconds, all threads
together: for a machine that has other work, on which they still can be compared.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import gc
import importlib
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from convoscope import engines
from convoscope.architecture.zoo import make
from convoscope.arrays import Array, FloatArray, generator
from convoscope.engines.torch.adopted.adopt import adopt
from convoscope.engines.torch.adopted.torchvision_import import import_timm
from convoscope.engines.torch.network import TorchNetwork
from convoscope.errors import WeightsError
from convoscope.explain import METHODS, explain, feature_maps, grad_cam, guided_backprop, strongest
from convoscope.network import ClassLogit, Network, Neuron, Target
from convoscope.transfer.pretrained import pretrained

LAYER, PATH = "block5_conv4", "0.35"
NEURONS = 5
AXES = ("row", "column", "channel")

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """Something timed; ``run`` gives what it found, to be compared, or nothing."""

    name: str
    run: Callable[[], FloatArray | None]


def main() -> None:
    """Print the tables."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")
    clock = time.process_time if arguments.cpu_seconds else time.perf_counter
    ours, words = _vgg19()
    images = _images(arguments.images)
    module = as_module(ours)
    adopted = adopt(
        module, input_shape=(3, 224, 224), preprocessing=ours.preprocessing, device="cpu"
    )
    what = "processor's seconds" if arguments.cpu_seconds else "seconds"
    print(
        f"VGG19 with {words}, {len(images)} images of 224 x 224, {arguments.threads} threads, "
        f"PyTorch {torch.__version__}; {what}, medians of {arguments.rounds}"
    )
    x = prepared(ours, images)
    floor = _floor(module, x)
    with _peers_importable():
        _print("Grad-CAM", [floor, *grad_cams(ours, adopted, module, images, x)], arguments, clock)
        _print(
            f"guided backpropagation of {NEURONS} neurons",
            [floor, *guided(ours, adopted, module, images, x)],
            arguments,
            clock,
        )
    _print_memory(arguments.many)


def grad_cams(
    ours: Network, adopted: Network, module: nn.Module, images: Array, x: Tensor
) -> Iterator[Contender]:
    """Grad-CAM by everybody, at the same layer for the same classes."""
    said = tuple(int(c) for c in ours.logits(images)["class"].argmax(axis=1))
    targets: list[Target] = [ClassLogit("class", said)]
    yield Contender(name="ours", run=lambda: grad_cam(ours, images, targets, [LAYER])[LAYER][0])
    yield Contender(
        name="ours, module adopted", run=lambda: grad_cam(adopted, images, targets, [PATH])[PATH][0]
    )
    layer = module.get_submodule(PATH)
    if captum := _imported("captum.attr"):
        method = captum.LayerGradCam(module, layer)

        def by_captum() -> FloatArray:
            found = method.attribute(x.clone(), torch.tensor(said), relu_attributions=True)
            return np.asarray(found[:, 0].detach())

        yield Contender(name="Captum", run=by_captum)
    if peer := _imported("pytorch_grad_cam"):
        outputs = [_imported("pytorch_grad_cam.utils.model_targets").ClassifierOutputTarget(c)
                   for c in said]  # fmt: skip

        def by_peer() -> None:
            with peer.GradCAM(model=module, target_layers=[layer]) as cam:
                cam(input_tensor=x.clone(), targets=outputs)

        yield Contender(name="pytorch-grad-cam", run=by_peer)
    if torchcam := _imported("torchcam.methods"):

        def by_torchcam() -> None:
            with torchcam.GradCAM(module, target_layer=PATH) as cam:
                scores = module(x.clone().requires_grad_())
                cam(list(said), scores)

        yield Contender(name="torch-cam", run=by_torchcam)


def guided(
    ours: TorchNetwork, adopted: Network, module: nn.Module, images: Array, x: Tensor
) -> Iterator[Contender]:
    """Guided backpropagation from each image's own neurons by everybody who can."""
    (maps,) = feature_maps(ours, images, [LAYER]).values()
    found = [strongest(LAYER, own, NEURONS) for own in maps]
    places = [
        tuple(tuple(getattr(own[rank], axis) for own in found) for axis in AXES)
        for rank in range(NEURONS)
    ]
    own: list[Target] = [Neuron(LAYER, *place) for place in places]
    foreign: list[Target] = [Neuron(PATH, *place) for place in places]
    yield Contender(name="ours", run=lambda: guided_backprop(ours, images, own))
    yield Contender(
        name="ours, module adopted", run=lambda: guided_backprop(adopted, images, foreign)
    )
    if captum := _imported("captum.attr"):
        method = captum.NeuronGuidedBackprop(module, module.get_submodule(PATH))
        scale, each = unprepared(ours), range(len(images))

        def by_captum() -> FloatArray:
            gradients = [
                method.attribute(
                    x.clone().requires_grad_(),
                    lambda y, place=place: y[each, place[2], place[0], place[1]],
                )
                for place in places
            ]
            return np.asarray(scale(torch.stack(gradients).detach()))

        yield Contender(name="Captum", run=by_captum)


def as_module(network: TorchNetwork) -> nn.Sequential:
    """VGG19 as people write it, with the network's weights."""
    values = {name: torch.from_numpy(array) for name, array in network.parameters().items()}
    trunk: list[nn.Module] = []
    for block, convolutions in enumerate((2, 2, 4, 4, 4), start=1):
        for number in range(1, convolutions + 1):
            name = f"block{block}_conv{number}"
            filters, channels = values[f"{name}.weight"].shape[:2]
            trunk.append(_held(nn.Conv2d(channels, filters, 3, padding=1), name, values))
            trunk.append(nn.ReLU(inplace=True))
        trunk.append(nn.MaxPool2d(2))
    top: list[nn.Module] = []
    for name in ("fc1", "fc2", "predictions"):
        units, inputs = values[f"{name}.weight"].shape
        top += [_held(nn.Linear(inputs, units), name, values), nn.ReLU(inplace=True)]
    return nn.Sequential(nn.Sequential(*trunk), nn.Flatten(), *top[:-1]).eval()


def prepared(network: TorchNetwork, images: Array) -> Tensor:
    """The images as the module takes them."""
    with torch.no_grad():
        return network.module.prepared(torch.from_numpy(images)).contiguous()


def unprepared(network: TorchNetwork) -> Callable[[Tensor], Tensor]:
    """From a gradient with respect to what the module takes to one with respect to the images."""
    primaries = np.eye(3, dtype="float32")[:, :, None, None]
    steps, zero = prepared(network, primaries), prepared(network, 0 * primaries)
    matrix = (steps - zero)[:, :, 0, 0]  # (channel of the image, channel of the module)
    return lambda gradient: torch.einsum("ic,...chw->...ihw", matrix, gradient)


def _print(
    title: str,
    contenders: Sequence[Contender],
    arguments: argparse.Namespace,
    clock: Clock,
) -> None:
    seconds: dict[str, list[float]] = {one.name: [] for one in contenders}
    answers = {one.name: one.run() for one in contenders}  # and a warm-up
    for _ in range(arguments.rounds):
        for one in contenders:
            start = clock()
            one.run()
            seconds[one.name].append(clock() - start)
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    print(f"\n{title:<44}{'seconds':>9}{'floors':>8}{'ours is':>9}  furthest from ours")
    for name, median in medians.items():
        ratio = f"{median / medians['ours']:>8.2f}x"
        print(
            f"  {name:<42}{median:>9.3f}{median / next(iter(medians.values())):>8.2f}{ratio}"
            f"  {_difference(answers[name], answers['ours'])}"
        )


def _difference(found: FloatArray | None, ours: FloatArray | None) -> str:
    if found is None or ours is None or found is ours:
        return ""
    return f"{np.abs(found - ours).max() / np.abs(ours).max():.1e} of the largest"


def _print_memory(many: int) -> None:
    """Resident memory after a tenth of the images and after all of them."""
    network = engines.build(make("small"), device="cpu")
    rng = generator(0, "memory")
    methods = ("grad-cam", "guided-backprop", "guided-grad-cam", "gradient", "input-x-gradient")
    resident = []
    for number in range(1, many + 1):
        image = rng.random((1, *network.architecture.input_shape), dtype="float32")
        for method in methods:
            assert method in METHODS
            explain(network, image, method, [ClassLogit("class", 0)])
        if number in (max(1, many // 10), many):
            gc.collect()
            resident.append(_resident())
    print(
        f"\nresident memory after {many // 10} images: {resident[0]:.0f} MiB, after {many}: "
        f"{resident[-1]:.0f} MiB ({len(methods)} methods each, a small network)"
    )


def _resident() -> float:
    """MiB of this process in memory now, where Linux tells."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _floor(module: nn.Module, x: Tensor) -> Contender:
    """The module with its channels innermost, asked for nothing but its logits."""
    fast: Any = copy.deepcopy(module)
    fast.to(memory_format=torch.channels_last)
    pixels = x.contiguous(memory_format=torch.channels_last)

    def run() -> None:
        with torch.no_grad():
            fast(pixels)

    return Contender(name="a bare forward pass", run=run)


def _vgg19() -> tuple[TorchNetwork, str]:
    """VGG19 with its ImageNet weights, or with random ones, and which."""
    try:
        network, words = pretrained("vgg19", device="cpu"), "its ImageNet weights"
    except WeightsError:
        network, words = engines.build(make("vgg19"), device="cpu"), "random weights"
    assert isinstance(network, TorchNetwork)
    return network, words


def _images(files: Sequence[Path]) -> Array:
    """Pictures (N, 3, 224, 224) in [0, 1]: the files, or three of scikit-learn's, cut out."""
    if files:
        pictures = [
            np.asarray(Image.open(file).convert("RGB").resize((224, 224))) for file in files
        ]
    else:
        samples = importlib.import_module("sklearn.datasets").load_sample_images().images
        pictures = [sample[top : top + 224, 200:424] for sample in samples for top in (50, 180)][:3]
    return np.stack(pictures).transpose(0, 3, 1, 2).astype("float32") / 255


def _held(layer: Any, name: str, values: dict[str, Tensor]) -> nn.Module:
    layer.weight.data, layer.bias.data = values[f"{name}.weight"], values[f"{name}.bias"]
    module: nn.Module = layer
    return module


def _imported(name: str) -> Any:
    """The module of that name, or ``None``, said once."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"  ({name.partition('.')[0]} is absent)")
        return None


@contextlib.contextmanager
def _peers_importable() -> Iterator[None]:
    """pytorch-grad-cam imports torchvision, which may want mending first."""
    with contextlib.suppress(ImportError):
        import_timm()
    yield


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=Path, nargs="*", default=[], help="picture files")
    parser.add_argument("--many", type=int, default=500, help="images for the look at memory")
    parser.add_argument("--cpu-seconds", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
