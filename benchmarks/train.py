"""Training small networks: ours beside PyTorch, Keras and fastai, on the same cores, in turns.

    python benchmarks/train.py [--threads 2] [--rounds 7] [--only architecture-1]

Three networks with their images in memory as bytes: ``architecture-1`` at 3x224x224 (batch 50,
5 classes), ``two-conv-28``, two convolutions as MNIST tutorials have them, and ``given-net``, both
at 1x28x28 (batch 64, 10 classes). Everybody learns the same layers from the same images with Adam
at 0.001. Ours is what ``convoscope train`` does: batches gathered and shuffled from the data set,
bytes to floats, the step, losses read now and then. The peers are given floats that were made
before the clock started; ``tuned`` is PyTorch as who knows it writes it. Keras computes with
TensorFlow where that can be imported, else with PyTorch; fastai takes part where it is there.

Each contender is a process of its own, with its own settings of threads and memory. They learn an
epoch in turns, the others asleep, after one that is not counted. The table has the medians, in
images a second, and ours over the best peer. The last part trains two networks at once, half of
the threads each, and one with all threads: the ratio of images a second is what trainings side by
side gain.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

from train_contenders import CASES, CONTENDERS, is_here

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Contender:
    """A process that learns an epoch when it is told to."""

    def __init__(self, name: str, case: str, threads: int) -> None:
        self.images = CASES[case].images
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--contender", name, case],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | dict.fromkeys(_THREADS, str(threads)),
        )
        self.wait()

    def go(self) -> None:
        """Begin an epoch."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def wait(self) -> None:
        """Wait until it is done."""
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "done\n":
            raise SystemExit("a contender died: its words stand above")

    def end(self) -> None:
        """Let it go."""
        self._process.communicate()


def learn_when_told(name: str, case: str) -> None:
    """What a contender's process does."""
    told, sys.stdout = sys.stdout, sys.stderr  # Keras and fastai may print
    epoch = CONTENDERS[name](CASES[case])
    epoch()
    print("done", file=told, flush=True)
    while sys.stdin.readline():
        epoch()
        print("done", file=told, flush=True)


def rates(case: str, names: list[str], threads: int, rounds: int) -> dict[str, float]:
    """Images a second of each, medians of epochs taken in turns."""
    contenders = {name: Contender(name, case, threads) for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, contender in contenders.items():
            began = time.perf_counter()
            contender.go()
            contender.wait()
            seconds[name].append(time.perf_counter() - began)
    for contender in contenders.values():
        contender.end()
    return {name: CASES[case].images / statistics.median(taken) for name, taken in seconds.items()}


def gain_side_by_side(case: str, threads: int, rounds: int) -> float:
    """Images a second of two trainings at once, over those of one with all threads."""
    alone = Contender("ours", case, threads)
    both = [Contender("ours", case, max(1, threads // 2)) for _ in range(2)]
    found = []
    for _ in range(rounds):
        one, two = _seconds([alone]), _seconds(both)
        found.append(2 * one / two)
    for contender in (alone, *both):
        contender.end()
    return statistics.median(found)


def _seconds(contenders: list[Contender]) -> float:
    began = time.perf_counter()
    for contender in contenders:
        contender.go()
    for contender in contenders:
        contender.wait()
    return time.perf_counter() - began


def main() -> None:
    """Print the tables."""
    arguments = _arguments()
    if arguments.contender:
        learn_when_told(*arguments.contender)
        return
    names = [name for name in CONTENDERS if is_here(name)]
    cases = [case for case in CASES if arguments.only in (None, case)]
    print(f"{arguments.threads} threads; images a second, medians of {arguments.rounds} epochs")
    print(f"{'network':<16}{''.join(f'{name:>11}' for name in names)}{'ours / best':>14}")
    for case in cases:
        found = rates(case, names, arguments.threads, arguments.rounds)
        best = max(rate for name, rate in found.items() if name != "ours")
        cells = "".join(f"{rate:>11,.0f}" for rate in found.values())
        print(f"{case:<16}{cells}{found['ours'] / best:>14.2f}", flush=True)
    print("\ntwo at once, half of the threads each, over one with all of them")
    for case in cases:
        gain = gain_side_by_side(case, arguments.threads, arguments.rounds)
        print(f"{case:<16}{gain:>6.2f}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=sorted(CASES), metavar="NETWORK")
    parser.add_argument("--contender", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
