"""convoscope: from a folder of images to a trained, tested, explained classifier.

::

    import convoscope

    run = convoscope.train("photos", model="small", epochs=5)
    convoscope.write_report(run)
    for image in convoscope.predict(run, ["cat.jpg", "holiday"]):
        print(image.file, image.heads["class"][0])

Each name is imported when it is first used: ``import convoscope`` itself loads neither NumPy nor
PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from convoscope.version import __version__

if TYPE_CHECKING:
    from convoscope.engines.torch.adopted.adopt import adopt
    from convoscope.jobs.calibrate import calibrate
    from convoscope.jobs.compare import compare
    from convoscope.jobs.data_check import check as check_data
    from convoscope.jobs.describe import describe
    from convoscope.jobs.doubts import doubts
    from convoscope.jobs.evaluate import evaluate
    from convoscope.jobs.explain import explain as explain_images
    from convoscope.jobs.folds import cross_validate
    from convoscope.jobs.predict import predict
    from convoscope.jobs.resume import resume
    from convoscope.jobs.seeds import repeat
    from convoscope.jobs.train import train
    from convoscope.jobs.vary import vary
    from convoscope.report import write as write_report
    from convoscope.runs import Run, find_runs, open_run

__all__ = [
    "Run",
    "__version__",
    "adopt",
    "calibrate",
    "check_data",
    "compare",
    "cross_validate",
    "describe",
    "doubts",
    "evaluate",
    "explain_images",
    "find_runs",
    "open_run",
    "predict",
    "repeat",
    "resume",
    "train",
    "vary",
    "write_report",
]

_HOMES = {
    "Run": "runs:Run",
    "adopt": "engines.torch.adopted.adopt:adopt",
    "calibrate": "jobs.calibrate:calibrate",
    "check_data": "jobs.data_check:check",
    "compare": "jobs.compare:compare",
    "cross_validate": "jobs.folds:cross_validate",
    "describe": "jobs.describe:describe",
    "doubts": "jobs.doubts:doubts",
    "evaluate": "jobs.evaluate:evaluate",
    "explain_images": "jobs.explain:explain",
    "find_runs": "runs:find_runs",
    "open_run": "runs:open_run",
    "predict": "jobs.predict:predict",
    "repeat": "jobs.seeds:repeat",
    "resume": "jobs.resume:resume",
    "train": "jobs.train:train",
    "vary": "jobs.vary:vary",
    "write_report": "report:write",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'convoscope' has no attribute {name!r}")
    module, _, member = _HOMES[name].partition(":")
    return getattr(importlib.import_module(f"convoscope.{module}"), member)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
