"""What augmentation costs: epochs of a network with and without it, on the same cores, in turns.

    python benchmarks/augment.py [--policy row13] [--images 64] [--batch 16] [--rounds 5]

The network is ``flexible`` at its own input of 256 x 256, the images are pieces of scikit-learn's
two photographs. Batches are prepared by threads while the engine computes, as in training. The
ratio is that of the medians; at most 1.30 is asked for. The line "alone" is a change of one image
in one thread.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from sklearn.datasets import load_sample_images

from convoscope import engines
from convoscope.architecture.zoo import make
from convoscope.arrays import ByteArray, generator
from convoscope.data.augment import POLICIES, augment, find_policy
from convoscope.data.batches import Batches
from convoscope.data.preprocessing import Preprocessing
from convoscope.network import HeadLoss, Learner, Optimiser

SIDE = 256
CLASSES = 10


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="What augmentation costs.")
    parser.add_argument("--policy", choices=sorted(POLICIES), default="row13")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engine", choices=["torch", "numpy"], default="torch")
    asked = parser.parse_args()
    images = pieces(asked.images)
    learner = new_learner(asked.engine)
    seconds: dict[str, list[float]] = {"none": [], asked.policy: []}
    for number in range(asked.rounds + 1):
        for policy, found in seconds.items():
            found.append(epoch(learner, images, policy, asked.batch, number))
    plain, changed = (statistics.median(found[1:]) for found in seconds.values())
    print(f"{'policy':<14}{'s an epoch':>12}{'ms an image':>14}")
    for policy, value in (("none", plain), (asked.policy, changed)):
        print(f"{policy:<14}{value:>12.2f}{1000 * value / asked.images:>14.1f}")
    print(f"{'alone':<14}{'':>12}{alone(images, asked.policy):>14.2f}")
    print(f"ratio {changed / plain:.2f}")


def pieces(count: int) -> ByteArray:
    """So many pieces (N, 256, 256, 3) of photographs, each from another place."""
    photographs = load_sample_images().images
    found = np.empty((count, SIDE, SIDE, 3), np.uint8)
    for number in range(count):
        photograph = photographs[number % len(photographs)]
        rng = generator(0, "piece", number)
        top, left = (int(rng.integers(0, side - SIDE)) for side in photograph.shape[:2])
        found[number] = photograph[top : top + SIDE, left : left + SIDE]
    return found


def new_learner(engine: engines.Engine) -> Learner:
    """The network, and Adam."""
    architecture = make("flexible", input_shape=(3, SIDE, SIDE), classes=CLASSES)
    network = engines.build(
        architecture, preprocessing=Preprocessing(size=(SIDE, SIDE)), engine=engine, seed=0
    )
    head = architecture.heads[0].name
    return engines.learner(network, optimiser=Optimiser(), losses=[HeadLoss(head=head)], seed=0)


def epoch(learner: Learner, images: ByteArray, policy: str, batch: int, number: int) -> float:
    """Seconds of one epoch; the losses are waited for."""
    labels = {"class": np.arange(len(images)) % CLASSES}
    batches = Batches(
        images, labels, np.arange(len(images)), batch_size=batch, seed=0, policy=policy
    )
    began = time.perf_counter()
    for each in batches.epoch(number):
        learner.step(each.images, each.labels)
    learner.drain_losses()
    return time.perf_counter() - began


def alone(images: ByteArray, name: str) -> float:
    """Milliseconds of one change."""
    policy = find_policy(name)
    began = time.perf_counter()
    for number, image in enumerate(images):
        augment(image, policy, generator(0, "alone", number))
    return 1000 * (time.perf_counter() - began) / len(images)


if __name__ == "__main__":
    main()
