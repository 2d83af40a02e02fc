"""What an address of a variation stands for: a layer's field, a network's option, a setting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from convoscope.architecture.graph import Architecture
from convoscope.architecture.variation import field_value
from convoscope.errors import SettingsError, unknown_name
from convoscope.jobs.request import TrainRequest

# A comparison is of one split of one data set; seeds are repeated, not varied.
_HELD = frozenset(
    {"data", "seed", "split", "validation", "test", "group_by", "skip_unreadable", "allow_leak"}
    | {"image_column", "label_column", "split_column", "image_root", "image_shape"}
    | {"image_layout", "label_pattern", "combine_labels", "set", "from_run", "watch"}
)
_BY_NAME = ("rate", "head_weight")


@dataclass(slots=True)
class Changed:
    """Changes sorted by what they change: settings, fields of layers, edits of layers."""

    settings: dict[str, Any]
    values: dict[tuple[str, str], Any] = field(default_factory=dict)
    edits: list[Any] = field(default_factory=list)

    @property
    def is_architecture(self) -> bool:
        """Whether layers are changed."""
        return bool(self.values or self.edits)


def changed(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> Changed:
    """``changes``, by address, to a training with those settings.

    Raises:
        UnknownNameError: if an address names nothing; names the nearest.
        SettingsError: if it names what all variants share.
    """
    found = Changed(dict(settings))
    # First the network, then what is changed in it.
    if "model" in changes and changes["model"] != settings.get("model"):
        found.settings["set"] = {}
    for address, value in changes.items():
        head, _, rest = address.partition(".")
        layer, _, name = rest.rpartition(".")
        if address == "layers":
            found.edits += value
        elif head == "layers" and layer:
            found.values[layer, name] = value
        elif address.startswith("model.options."):
            option = address.removeprefix("model.options.")
            found.settings["set"] = {**found.settings.get("set", {}), option: value}
        elif head in _BY_NAME and rest:
            found.settings[head] = {**found.settings.get(head, {}), rest: value}
        else:
            found.settings[setting_name(address)] = value
    return found


def own_value(address: str, request: TrainRequest, architecture: Callable[[], Architecture]) -> Any:
    """What stands at that address where nothing is changed; ``None`` where nothing is said.

    ``architecture`` makes the network of the request; it is called for an address in it.

    Raises:
        UnknownNameError: if the address names nothing; names the nearest.
        SettingsError: if it names what all variants share.
    """
    head, _, rest = address.partition(".")
    layer, _, name = rest.rpartition(".")
    if head == "layers" and layer:
        return field_value(architecture(), layer, name)
    if address.startswith("model.options."):
        return request.set.get(address.removeprefix("model.options."))
    if head in _BY_NAME and rest:
        return getattr(request, head).get(rest, 1.0)
    return getattr(request, setting_name(address))


def held_settings(fixed: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What holds for all variants: settings by name, and the changes that are none.

    Raises:
        UnknownNameError: if an address names nothing; names the nearest.
        SettingsError: if it names what is not to be said this way.
    """
    held: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for address, value in fixed.items():
        head, _, rest = address.partition(".")
        is_setting = head == "training" or not rest
        if is_setting and address != "layers":
            held[setting_name(address)] = value
        else:
            others[address] = value
    return held, others


def setting_name(address: str) -> str:
    """The setting of an address such as ``training.schedule`` or ``schedule``.

    Raises:
        UnknownNameError: if there is no such setting; names the nearest.
        SettingsError: if it is one that all variants share.
    """
    name = address.removeprefix("training.").replace("-", "_")
    known = {f.name for f in fields(TrainRequest)}
    if name in _HELD:
        advice = "--seeds repeats each variant" if name == "seed" else "leave it out of --set"
        raise SettingsError(
            f"{address}: variants are compared on one split of one data set, with the same seeds, "
            f"got {name!r} to vary: {advice}"
        )
    if name not in known:
        names = {*(known - _HELD), "layers.LAYER.FIELD", "model.options.OPTION"}
        raise unknown_name("address", address, names)
    return name
