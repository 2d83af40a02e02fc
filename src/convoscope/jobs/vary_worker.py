"""One training in a process of its own: ``python -m convoscope.jobs.vary_worker``.

It is told what to do in one line of JSON on its standard input, and tells how it goes in lines of
JSON on its standard output. When its input ends, because whoever started it asks for that or is no
more, it stops after the step at hand, to be gone on with later.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from convoscope.engines.numpy.memory import keep_freed_memory
from convoscope.errors import ConvoscopeError
from convoscope.jobs.train import resume, train
from convoscope.runs import Run
from convoscope.training.events import EpochEnded, Event, StepsDone, TrainingStarted

_PEAK = "peak_memory_bytes"


def main() -> None:
    """Do what the first line of the input says."""
    # Ctrl-C is for the process that started this one, which then ends our input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tell = _teller(_own_output())
    order = json.loads(sys.stdin.readline())
    stop = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=(stop,), daemon=True).start()
    keep_freed_memory()
    tell(_carried_out(order, tell, stop.is_set))


def _carried_out(
    order: Mapping[str, Any],
    tell: Callable[[Mapping[str, Any]], None],
    is_asked: Callable[[], bool],
) -> Mapping[str, Any]:
    """Train, or go on; what to say at the end."""
    out = Path(order["out"])
    listen = _listener(tell)
    try:
        if order["settings"] is None:
            run = resume(out, listen=listen, should_stop=is_asked)
        else:
            run = train(out=out, listen=listen, should_stop=is_asked, **order["settings"])
        _note_peak(run)
        return {"status": run.record().status, "reason": None}
    except ConvoscopeError as error:
        if (out / "run.json").exists():
            _note_peak(Run(out))
        return {"status": "failed", "reason": str(error)}


def _listener(tell: Callable[[Mapping[str, Any]], None]) -> Callable[[Event], None]:
    epochs, steps, ended = 1, 1, 0

    def listen(event: Event) -> None:
        nonlocal epochs, steps, ended
        match event:
            case TrainingStarted():
                epochs, steps, ended = event.epochs, event.steps_per_epoch, event.first_epoch - 1
                tell({"done": ended, "epochs": epochs})
            case StepsDone():
                tell({"done": ended + event.step / steps, "epochs": epochs})
            case EpochEnded():
                ended = event.epoch
                tell({"done": ended, "epochs": epochs})
            case _:
                pass

    return listen


def _note_peak(run: Run) -> None:
    """The most memory that a process of this training ever held, kept in the run's record."""
    machine = run.record().machine
    peak = max(_peak_bytes(), int(machine.get(_PEAK) or 0))
    run.update_record(machine={**machine, _PEAK: peak})


def _peak_bytes() -> int:
    """Bytes; 0 where the system does not say."""
    # Not ru_maxrss where it can be helped: a new process inherits that of the one that started it.
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    try:
        resource = importlib.import_module("resource")
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit


def _own_output() -> TextIO:
    """What was standard output, for our lines alone; whatever else is printed goes to stderr."""
    ours = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return ours


def _teller(stream: TextIO) -> Callable[[Mapping[str, Any]], None]:
    def tell(said: Mapping[str, Any]) -> None:
        try:
            stream.write(json.dumps(said) + "\n")
        except OSError:
            return  # nobody listens any more; our input has ended too

    return tell


def _wait_for_the_end(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


if __name__ == "__main__":
    main()
