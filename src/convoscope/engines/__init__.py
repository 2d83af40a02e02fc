"""How a network computes: two engines that realise the same architecture.

:func:`build` and :func:`learner` import the engine that is asked for, and only that one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from convoscope.architecture.graph import Architecture
from convoscope.architecture.protocol import Shape
from convoscope.arrays import FloatArray
from convoscope.data.preprocessing import Preprocessing
from convoscope.engines.published import Blueprint, Published, Split
from convoscope.errors import MissingDependencyError, unknown_name
from convoscope.network import Engine, HeadLoss, Learner, Network, Optimiser, Precision

__all__ = [
    "Engine",
    "Precision",
    "blueprint",
    "build",
    "check_computing",
    "learner",
    "published",
    "split",
]


def build(
    architecture: Architecture,
    *,
    preprocessing: Preprocessing | None = None,
    engine: Engine = "torch",
    seed: int = 0,
    parameters: Mapping[str, FloatArray] | None = None,
    device: str = "auto",
    precision: Precision = "float32",
) -> Network:
    """A network of that architecture, freshly initialised from ``seed`` unless ``parameters`` are
    given; both engines start from the same values.

    ``preprocessing`` defaults to the architecture's input size, values in [0, 1] unchanged.
    ``precision="bfloat16"`` keeps float32 parameters and computes in autocast (torch).

    Raises:
        MissingDependencyError: if the engine's library is not installed.
        UnknownNameError: if there is no such engine.
        WeightsError: if ``parameters`` are not this architecture's.
    """
    match engine:
        case "torch":
            with _torch_needed():
                from convoscope.engines.torch import network as torch_network
            return torch_network.build(
                architecture,
                preprocessing=preprocessing,
                seed=seed,
                parameters=parameters,
                device=device,
                precision=precision,
            )
        case "numpy":
            from convoscope.engines.numpy import network as numpy_network

            return numpy_network.build(
                architecture,
                preprocessing=preprocessing,
                seed=seed,
                parameters=parameters,
                device=device,
                precision=precision,
            )
        case _:
            raise unknown_name("engine", engine, ("torch", "numpy"))


def learner(
    network: Network,
    *,
    optimiser: Optimiser,
    losses: Sequence[HeadLoss],
    rates: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Learner:
    """A learner that starts from the network's parameters, on its engine, device and precision.

    ``rates`` multiply the learning rate of every parameter whose name begins with the key (the
    longest matching key counts); 0 freezes. ``seed`` is for dropout masks.

    Raises:
        UnknownNameError: if a loss's head, or the layer of a rate, is not in the network.
        SettingsError: if class weights are not one per class.
    """
    if network.engine == "numpy":
        from convoscope.engines.numpy import learner as numpy_learner

        return numpy_learner.learner(
            network, optimiser=optimiser, losses=losses, rates=rates or {}, seed=seed
        )
    from convoscope.engines.torch import learner as torch_learner

    return torch_learner.learner(
        network, optimiser=optimiser, losses=losses, rates=rates or {}, seed=seed
    )


def check_computing(engine: Engine, *, device: str, precision: Precision) -> None:
    """Nothing, if this machine has the engine, the device and the precision; cheap and early.

    Raises:
        MissingDependencyError: if the engine's library is not installed.
        UnknownNameError: if there is no such engine, device or precision.
        SettingsError: if this machine has no such device, or it cannot compute so.
    """
    vector = Architecture(name="check", input_shape=(1, 1, 1), layers=())
    build(vector, engine=engine, device=device, precision=precision)


def published(name: str) -> Published:
    """What timm says of its pretrained network ``name``, such as ``"resnet18.a1_in1k"``.

    Raises:
        UnknownNameError: if there is none; names the nearest.
        MissingDependencyError: if PyTorch or timm is not installed.
    """
    with _torch_needed():
        from convoscope.engines.torch.adopted import timm_models
    return timm_models.published(name)


def blueprint(source: str, input_shape: Shape, *, cut: str) -> Blueprint:
    """The architecture of a published network (``"timm/resnet18.a1_in1k"``) up to ``cut``, or, with
    ``""``, all of it; :func:`build` takes it, with parameters of the blueprint's shapes.

    Raises:
        UnknownNameError: if there is no such network, or no module at ``cut``.
        SettingsError, ShapeError: if it takes no images of ``input_shape``, (C, H, W).
        MissingDependencyError: if PyTorch or timm is not installed.
    """
    with _torch_needed():
        from convoscope.engines.torch.adopted import timm_models
    return timm_models.blueprint(source, input_shape, cut=cut)


def split(source: str, image: Shape, *, cut: str, learning: frozenset[str]) -> Split | None:
    """A published network up to ``cut`` in two layers: all that lies below the first use of a
    parameter in ``learning`` (``"path.parameter"``), as far as one array of maps carries it on,
    and what comes after that. ``None`` where its code does not allow it.

    Raises:
        UnknownNameError: if there is no such network, or no module at ``cut``.
        MissingDependencyError: if PyTorch or timm is not installed.
    """
    with _torch_needed():
        from convoscope.engines.torch.adopted import remainder
    return remainder.split(source, image, cut, learning)


def renamed(source: str, arrays: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """A published network's arrays under the names that its module has, where the library knows
    those of other publishers; else as they are.

    Raises:
        MissingDependencyError: if PyTorch or timm is not installed.
    """
    with _torch_needed():
        from convoscope.engines.torch.adopted import timm_models
    return timm_models.renamed(source, arrays)


@contextmanager
def _torch_needed() -> Iterator[None]:
    """Turn the failure of an import that PyTorch is missing for into a sentence."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] == "torch":
            raise MissingDependencyError(
                "engine='torch' needs PyTorch, which is not installed: run  pip install torch"
            ) from error
        raise
