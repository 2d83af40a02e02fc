"""The NumPy engine beside plain PyTorch: a whole training step, on the same cores, in turns.

    python benchmarks/numpy_engine.py [--threads 2] [--rounds 7]

Two networks: the one of 389 million parameters (3x224x224, batch 30, SGD) and the given one for
28x28 digits (Adam). PyTorch is timed as people write it and in channels-last layout; the ratio is
to the faster of the two: 1.00 is as fast, 2.00 twice as fast. Medians of steps taken in turns.
Freed memory stays with the process (``keep_freed_memory``), to the gain of both. The peak memory is
that of a process that does nothing but our steps of the large network.

On AMD processors with AVX-512, NumPy's OpenBLAS may choose its kernels for older ones (the line
"kernels" says which); ``OPENBLAS_CORETYPE=SkylakeX`` makes it take the wider ones.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_info, threadpool_limits
from torch import nn

from convoscope import engines
from convoscope.architecture.graph import walk
from convoscope.architecture.zoo import make
from convoscope.arrays import generator
from convoscope.engines.numpy.memory import keep_freed_memory
from convoscope.network import HeadLoss, Optimiser

Step = Callable[[], None]

LARGE = Optimiser(kind="sgd", learning_rate=0.001)
SMALL = Optimiser(kind="adam", learning_rate=0.001)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Median seconds of a training step: ours, PyTorch's, and PyTorch's in channels-last."""

    name: str
    ours: float
    plain: float
    channels_last: float

    @property
    def ratio(self) -> float:
        """How many times as fast as the faster PyTorch we are."""
        return min(self.plain, self.channels_last) / self.ours


def main() -> None:
    """Print the table."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    with threadpool_limits(arguments.threads):
        if arguments.memory:
            _print_peak()
            return
        kernels = {
            library["architecture"]
            for library in threadpool_info()
            if "blas" in library["user_api"]
        }
        print(
            f"{arguments.threads} threads, kernels {', '.join(sorted(kernels))}, NumPy "
            f"{np.__version__}, PyTorch {torch.__version__}; seconds a step, medians of "
            f"{arguments.rounds}"
        )
        print(f"{'network':<22}{'ours':>9}{'PyTorch':>10}{'ch. last':>10}{'ratio':>8}")
        for batch in (32, 64, 128):
            _print(_given_net(batch, 3 * arguments.rounds))
        if not arguments.small:
            _print(_two_conv(arguments.rounds))
            command = [sys.executable, __file__, "--memory", f"--threads={arguments.threads}"]
            subprocess.run(command, check=True)


def _two_conv(rounds: int) -> Row:
    images, labels = _batch((3, 224, 224), 30, 3)
    ours = _ours("two-conv", LARGE, images, labels)

    def network() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(3, 32, 3),
            nn.ReLU(),
            nn.MaxPool2d(2, 1),
            nn.Conv2d(32, 64, 3),
            nn.ReLU(),
            nn.MaxPool2d(2, 1),
            nn.Flatten(),
            nn.Linear(3_041_536, 128),
            nn.ReLU(),
            nn.Linear(128, 3),
        )

    theirs = [_theirs(network(), LARGE, images, labels, last) for last in (False, True)]
    return Row(name="two-conv, batch 30", **_times(ours, theirs, rounds))


def _given_net(batch: int, rounds: int) -> Row:
    images, labels = _batch((1, 28, 28), batch, 10)
    ours = _ours("given-net", SMALL, images, labels)

    def network() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 32, 7),
            nn.ReLU(),
            nn.BatchNorm2d(32),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(3872, 1024),
            nn.ReLU(),
            nn.Linear(1024, 10),
        )

    theirs = [_theirs(network(), SMALL, images, labels, last) for last in (False, True)]
    return Row(name=f"given-net, batch {batch}", **_times(ours, theirs, rounds))


def _batch(shape: tuple[int, int, int], images: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Random bytes as they come from a memory map: channels last in memory, first in shape."""
    rng = generator(0, "benchmark", images)
    channels, height, width = shape
    pixels = rng.integers(0, 256, (images, height, width, channels), dtype=np.uint8)
    return pixels.transpose(0, 3, 1, 2), rng.integers(0, classes, images)


def _ours(name: str, optimiser: Optimiser, images: np.ndarray, labels: np.ndarray) -> Step:
    classes = int(labels.max()) + 1
    network = engines.build(make(name, classes={"class": classes}), engine="numpy")
    learner = engines.learner(network, optimiser=optimiser, losses=[HeadLoss(head="class")])
    return lambda: learner.step(images, {"class": labels})


def _theirs(
    network: nn.Module, optimiser: Optimiser, images: np.ndarray, labels: np.ndarray, last: bool
) -> Step:
    """A step as the tutorials write it; the batch is converted once, before the clock starts."""
    layout = torch.channels_last if last else torch.contiguous_format
    network.to(memory_format=layout)  # type: ignore[call-overload]
    rule = torch.optim.SGD if optimiser.kind == "sgd" else torch.optim.Adam
    steps = rule(network.parameters(), lr=optimiser.learning_rate)
    pixels = torch.from_numpy(np.ascontiguousarray(images)).float() / 255
    pixels, answers = pixels.contiguous(memory_format=layout), torch.from_numpy(labels)

    def step() -> None:
        steps.zero_grad()
        loss = nn.functional.cross_entropy(network(pixels), answers)
        loss.backward()  # type: ignore[no-untyped-call]
        steps.step()

    return step


def _times(ours: Step, theirs: list[Step], rounds: int) -> dict[str, float]:
    """Median seconds of each, taken in turns after one step that is not counted."""
    steps = {"ours": ours, "plain": theirs[0], "channels_last": theirs[1]}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            if number:
                seconds[name].append(time.perf_counter() - began)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def _print(row: Row) -> None:
    print(
        f"{row.name:<22}{row.ours:>9.4f}{row.plain:>10.4f}{row.channels_last:>10.4f}"
        f"{row.ratio:>8.2f}",
        flush=True,
    )


def _print_peak() -> None:
    """Our peak memory over three steps of the large network, beside parameters and gradients."""
    step = _ours("two-conv", LARGE, *_batch((3, 224, 224), 30, 3))
    for _ in range(3):
        step()
    peak = _peak_bytes()
    count = sum(p.layer.parameter_count(p.input_shape) for p in walk(make("two-conv")))
    both = 2 * 4 * count
    print(
        f"two-conv, peak memory {peak / 2**30:.2f} GiB = {peak / both:.2f} x its parameters and "
        f"gradients ({both / 2**30:.2f} GiB)"
    )


def _peak_bytes() -> int:
    """The most memory this process ever held.

    Not ``ru_maxrss`` where it can be helped: a new process inherits its parent's, which held
    PyTorch's networks.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [row for row in status.read_text().splitlines() if row.startswith("VmHWM")]
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--small", action="store_true", help="leave out the large network")
    parser.add_argument("--memory", action="store_true", help="measure the peak memory alone")
    return parser.parse_args()


if __name__ == "__main__":
    main()
