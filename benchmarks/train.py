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
images a second, and ours over the best peer; ``tuned`` is no peer, it shows what is left. The last
part trains two networks at once, half of the threads each, and one with all threads: the ratio of
images a second is what trainings side by side gain. Beside it stands how much of the cores one
alone uses, its threads asleep while they wait: where that is u, no more than 1 / u can be gained.
The bar of 1.5 is for networks that leave the cores a third or more of their time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

from train_contenders import CASES, CONTENDERS, is_here, keras_backend

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


class Contender:
    """A process that learns an epoch when it is told to."""

    def __init__(self, name: str, case: str, threads: int) -> None:
        self.images = CASES[case].images
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--contender", name, case],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | dict.fromkeys(_THREADS, str(threads)) | {"TF_CPP_MIN_LOG_LEVEL": "2"},
        )
        self.wait()

    def go(self) -> None:
        """Begin an epoch."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def wait(self) -> float:
        """Wait until it is done; the processor's seconds that it took."""
        assert self._process.stdout is not None
        word, _, seconds = self._process.stdout.readline().partition(" ")
        if word != "done":
            raise SystemExit("a contender died: its words stand above")
        return float(seconds)

    def end(self) -> None:
        """Let it go."""
        self._process.communicate()


def learn_when_told(name: str, case: str) -> None:
    """What a contender's process does."""
    told, sys.stdout = sys.stdout, sys.stderr  # Keras and fastai may print
    epoch = CONTENDERS[name](CASES[case])
    asked = True
    while asked:
        began = time.process_time()
        epoch()
        print("done", time.process_time() - began, file=told, flush=True)
        asked = bool(sys.stdin.readline())


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


def side_by_side(case: str, threads: int, rounds: int) -> tuple[float, float]:
    """Images a second of two trainings at once over those of one with all threads; and the share
    of the cores' time that the one alone uses.
    """
    alone = Contender("ours", case, threads)
    both = [Contender("ours", case, max(1, threads // 2)) for _ in range(2)]
    gains, uses = [], []
    for _ in range(rounds):
        (one, work), (two, _) = _seconds([alone]), _seconds(both)
        gains.append(2 * one / two)
        uses.append(work / (one * threads))
    for contender in (alone, *both):
        contender.end()
    return statistics.median(gains), statistics.median(uses)


def _seconds(contenders: list[Contender]) -> tuple[float, float]:
    """Until all are done, on the clock; and the processor's."""
    began = time.perf_counter()
    for contender in contenders:
        contender.go()
    work = sum(contender.wait() for contender in contenders)
    return time.perf_counter() - began, work


def main() -> None:
    """Print the tables."""
    arguments = _arguments()
    if arguments.contender:
        learn_when_told(*arguments.contender)
        return
    names = [name for name in CONTENDERS if is_here(name)]
    cases = [case for case in CASES if arguments.only in (None, case)]
    absent = [name for name in CONTENDERS if name not in names]
    print(f"absent: {', '.join(absent) or 'nobody'}; Keras computes with {keras_backend()}")
    print(f"{arguments.threads} threads; images a second, medians of {arguments.rounds} epochs")
    print(f"{'network':<16}{''.join(f'{name:>11}' for name in names)}{'ours / best':>14}")
    for case in cases:
        found = rates(case, names, arguments.threads, arguments.rounds)
        best = max(rate for name, rate in found.items() if name not in ("ours", "tuned"))
        cells = "".join(f"{rate:>11,.0f}" for rate in found.values())
        print(f"{case:<16}{cells}{found['ours'] / best:>14.2f}", flush=True)
    print("\ntwo at once, half of the threads each, over one with all of them")
    print(f"{'network':<16}{'gain':>6}{'one alone uses':>18}")
    for case in cases:
        gain, use = side_by_side(case, arguments.threads, arguments.rounds)
        print(f"{case:<16}{gain:>6.2f}{use:>16.0%}{'' if use < 2 / 3 else '  fills them':<13}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=sorted(CASES), metavar="NETWORK")
    parser.add_argument("--contender", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
