"""A pretrained network, opened from the weights that are at hand.

Nothing here touches the network: :mod:`convoscope.transfer.hub` fetches weights, and
:mod:`convoscope.transfer.importing` brings those of a file.
"""

from __future__ import annotations

from collections.abc import Mapping

from convoscope import engines
from convoscope.architecture.graph import Architecture, without_top
from convoscope.architecture.protocol import Shape
from convoscope.engines.weights import parameter_shapes
from convoscope.errors import SettingsError, WeightsError
from convoscope.network import Engine, Network, Precision
from convoscope.transfer.catalogue import Backbone, backbone
from convoscope.transfer.store import Stored, needed


def pretrained(
    name: str,
    *,
    engine: Engine = "torch",
    device: str = "auto",
    precision: Precision = "float32",
    with_top: bool = True,
) -> Network:
    """The backbone of that name with its weights: all of it, with the 1000 logits of a head
    ``class``, or, without its top, the trunk up to its ``features``.

    Raises:
        UnknownNameError: if there is no such backbone; names the nearest.
        WeightsError: if its weights are not at hand, or lack the top that is asked for; says how
            to get them.
        SettingsError: if the engine cannot compute it.
        MissingDependencyError: if a library that it needs is not installed.
    """
    chosen = backbone(name)
    stored = needed(chosen.name)
    check_engine(chosen, engine)
    if with_top and not stored.classes:
        raise WeightsError(
            f"backbone {chosen.name!r}: its classifier needs weights, those at hand "
            f"({stored.origin.place}) have none: use it without its top, or import others"
        )
    architecture, shapes = blueprint(chosen, stored, with_top=with_top)
    arrays = stored.arrays()
    return engines.build(
        architecture,
        preprocessing=stored.preprocessing,
        engine=engine,
        parameters={parameter: arrays[parameter] for parameter in shapes if parameter in arrays},
        device=device,
        precision=precision,
    )


def check_engine(chosen: Backbone, engine: Engine) -> None:
    """Refuse an engine that cannot compute the backbone.

    Raises:
        SettingsError: if it is an adopted module, and the engine NumPy's.
    """
    if engine == "numpy" and not chosen.is_ours:
        raise SettingsError(
            f"backbone {chosen.name!r}: engine='numpy' computes networks of our own layers, this "
            "one is an adopted PyTorch module: use engine='torch', or another backbone such as "
            "vgg19"
        )


def blueprint(
    chosen: Backbone, stored: Stored, *, with_top: bool
) -> tuple[Architecture, Mapping[str, Shape]]:
    """A backbone's architecture, with its top or the trunk alone, and the shapes of its parameters.

    Raises:
        WeightsError: if the architecture that is kept beside the weights is not whole.
        MissingDependencyError: if a library that it needs is not installed.
    """
    if chosen.is_ours:
        whole = stored.architecture()
        architecture = whole if with_top else without_top(whole)
        return architecture, parameter_shapes(architecture)
    cut = "" if with_top else chosen.features
    adopted = engines.blueprint(chosen.source, stored.input_shape, cut=cut)
    return adopted.architecture, adopted.shapes
