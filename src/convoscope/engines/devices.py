"""What kind of device a network would be computed on, without building one."""

from __future__ import annotations

from convoscope.network import Engine


def device_kind(engine: Engine, device: str) -> str:
    """``cpu``, ``cuda`` or ``mps``, for a device as :func:`convoscope.engines.build` takes it.

    Raises:
        SettingsError: if this machine has no such device.
        UnknownNameError: if it is no name of a device.
    """
    if engine == "numpy" or device == "cpu":
        return "cpu"
    try:
        from convoscope.engines.torch.device import choose_device
    except ModuleNotFoundError:
        return "cpu"  # build says in a sentence what is missing
    return choose_device(device).type
