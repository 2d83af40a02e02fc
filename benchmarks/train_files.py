"""From JPEG files to a tested network: ours beside the usual loaders of PyTorch, Keras and fastai.

    python benchmarks/train_files.py [--epochs 20] [--measured 20] [--threads 2] [--rounds 3]
                                     [--width 300] [--data FOLDER] [--only ours PyTorch]

Architecture-1 at 224 x 224 as row 4 trains it: 250 images of 5 classes learnt from in batches of
50, 50 validated after every epoch, 100 tested at the end, Adam at 0.001, nothing augmented. The
pictures are drawn, as large as Caltech-101's or ``--width`` pixels wide (the larger, the more there
is to decode), unless ``--data`` names a folder with train, val and test.

- ours: ``convoscope.train`` from an empty cache to a written run;
- PyTorch: ImageFolder, DataLoader with two workers, the loop that tutorials write;
- Keras: ``image_dataset_from_directory`` and ``fit``; ``cached`` with ``.cache().prefetch()``;
- fastai: ``ImageDataLoaders.from_folder`` with two workers and ``fit``;
- PyTorch, decoded: its loop over float tensors that were made of the files once, while the clock
  ran. Nobody's usual loader; it shows what the loading costs the others.

Each is a process of its own; the seconds are those after its imports, and beside them stand the
processor's, those of workers included. With ``--measured`` below
``--epochs`` the seconds of the peers are extrapolated: the first epoch once, the mean of the other
measured ones for each of the rest. Who cannot be imported is named as absent. Keras computes with
TensorFlow where that is there, else with PyTorch: the table says which. The bar is 3: the best
peer's usual loader must take at least three times as long as ours.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from convoscope.arrays import generator
from train_contenders import keras_backend
from train_files_contenders import CLASSES, CONTENDERS, SPLITS, Spent

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_USUAL = ("PyTorch", "Keras", "fastai")


def main() -> None:
    """Print the table."""
    asked = _arguments()
    if asked.contender:
        # Keras and fastai may print
        told, sys.stdout = sys.stdout, sys.stderr
        work, _ = CONTENDERS[asked.contender]
        print(json.dumps(work(asked.data, asked.epochs, asked.measured)), file=told)
        return
    with tempfile.TemporaryDirectory() as folder:
        pictures = asked.data or _draw(Path(folder) / "pictures", asked.width)
        _compare(pictures, asked)


def _compare(pictures: Path, asked: argparse.Namespace) -> None:
    measured = min(asked.measured, asked.epochs)
    print(
        f"{asked.threads} threads, {asked.epochs} epochs from JPEG files, medians of "
        f"{asked.rounds} runs; Keras computes with {keras_backend()}"
    )
    if measured < asked.epochs:
        print(f"peers: {measured} epochs measured, the rest extrapolated")
    names = [name for name in CONTENDERS if not asked.only or name in asked.only]
    absent = [name for name in names if importlib.util.find_spec(CONTENDERS[name][1]) is None]
    taken: dict[str, list[Spent]] = {name: [] for name in names if name not in absent}
    for _ in range(asked.rounds):
        for name, found in taken.items():
            found.append(_run(name, pictures, measured, asked))
    medians = {name: statistics.median(one.seconds for one in n) for name, n in taken.items()}
    own = medians.get("ours")
    print(f"{'':<18}{'seconds':>9}{'of ours':>9}{'processor':>11}")
    for name, seconds in medians.items():
        ratio = seconds / own if own else float("nan")
        work = statistics.median(one.work for one in taken[name])
        print(f"{name:<18}{seconds:>9.1f}{ratio:>9.2f}{work:>11.1f}")
    for name in absent:
        print(f"{name:<18}{'absent':>9}")
    usual = [medians[name] for name in _USUAL if name in medians]
    if own and usual:
        print(f"best usual loader over ours: {min(usual) / own:.2f}")


def _run(name: str, pictures: Path, measured: int, asked: argparse.Namespace) -> Spent:
    """Of one contender, in a process of its own, with nothing in its cache."""
    with tempfile.TemporaryDirectory() as cache:
        words = ["--contender", name, "--data", str(pictures)]
        words += ["--epochs", str(asked.epochs), "--measured", str(measured)]
        threads = dict.fromkeys(_THREADS, str(asked.threads))
        done = subprocess.run(
            [sys.executable, __file__, *words],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
            env=os.environ | threads | {"CONVOSCOPE_CACHE": cache, "TF_CPP_MIN_LOG_LEVEL": "2"},
        )
    if done.returncode:
        raise SystemExit(f"{name} died: its words stand above")
    return Spent(*json.loads(done.stdout))


def _draw(folder: Path, width: int) -> Path:
    """Smooth noise with a stripe that says the class, as JPEG files of three to two."""
    from PIL import Image

    height = 2 * width // 3
    stripe, gap = height // 10, 7 * height // 40
    for split, count in SPLITS.items():
        rng = generator(0, split)
        for number in range(count):
            label = number % CLASSES
            coarse = rng.integers(0, 256, (50, 75, 3)).astype(np.uint8)
            picture = np.array(Image.fromarray(coarse).resize((width, height)))
            picture[gap * label + stripe // 2 : gap * label + 3 * stripe // 2] = 255
            file = folder / split / f"class{label}" / f"{number}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(file, quality=90)
    return folder


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--measured", type=int, default=20, help="epochs that peers really learn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--width", type=int, default=300, help="of the pictures drawn, in pixels")
    parser.add_argument("--only", nargs="+", choices=sorted(CONTENDERS), metavar="WHO")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
