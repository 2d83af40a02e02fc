"""The options of ``convoscope train``: each says one setting of a training run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from convoscope.cli.grouped import grouped, setting
from convoscope.cli.reading import READING

F = TypeVar("F", bound=Callable[..., Any])
Decorator = Callable[[F], F]

_FILE = click.Path(path_type=Path)

_NETWORK: tuple[Decorator[Any], ...] = (
    setting(
        "--model",
        "-m",
        heading="Network",
        metavar="NAME|FILE",
        help="A ready-made network (small, given-net, own-net, lenet-5, vgg16, ...; "
        "'convoscope describe NAME' shows it) or a YAML file. Always trained from scratch.",
    ),
    setting(
        "--backbone",
        heading="Network",
        metavar="NAME",
        help="A pretrained network instead (vgg19, resnet50, squeezenet1_0, mobilenet_v2, "
        "timm:NAME, ...; 'convoscope weights list' shows them): it stays as it is and a new head "
        "learns, unless --tune says more.",
    ),
    setting(
        "--head",
        heading="Network",
        metavar="KIND",
        help="What learns on the backbone: norm-linear, linear, flatten, max-512, avg-512, mlp, or "
        "top (its own head with the last layer replaced). [norm-linear]",
    ),
    setting(
        "--views",
        heading="Network",
        type=int,
        metavar="K",
        help="Versions of each training image that a frozen backbone computes: the plain one and "
        "K - 1 that --augment changes.",
    ),
    setting(
        "--tune",
        heading="Network",
        metavar="STRATEGY",
        help="How much of a backbone, or of the network of --from, learns: svm (its last layer "
        "solved as a support vector machine), last (a new head), last:K (the last K layers; "
        "last:2blocks, last:NAME), layerwise (all, slower towards the image; layerwise:0.8), "
        "freeze-then-tune (the head, then all at a small rate), all. Each brings settings that "
        "suit it, which options override.",
    ),
    setting(
        "--pretrained-rate",
        heading="Network",
        type=float,
        metavar="FACTOR",
        help="Multiplies the learning rate of layers that have learnt before.",
    ),
    setting(
        "--head-epochs",
        heading="Network",
        type=int,
        metavar="EPOCHS",
        help="Epochs, of all, in which the head learns alone first.",
    ),
    setting(
        "--tune-rate",
        heading="Network",
        type=float,
        metavar="FACTOR",
        help="Multiplies all learning rates after those epochs.",
    ),
    setting(
        "--unfreeze-every",
        heading="Network",
        type=int,
        metavar="EPOCHS",
        help="Unfreeze one more block after so many epochs, the last one first; 0 all at once.",
    ),
    setting(
        "--norms",
        heading="Network",
        type=click.Choice(["layer", "still", "adapt"]),
        help="Whether pretrained batch norms move: layer, as their layer does; still, never; "
        "adapt, even where their layer is frozen.",
    ),
    setting(
        "--set",
        heading="Network",
        multiple=True,
        metavar="KEY=VALUE",
        help="An option of the network, such as --set blocks=3; may be given again.",
    ),
    setting(
        "--input",
        heading="Network",
        metavar="[CxHxW]",
        help="Size of the images that the network sees: 3x64x64, 64x96 (height x width) or 64. "
        "Without it the network's own, or that of data which has one, such as MNIST.",
    ),
    setting(
        "--from",
        key="from_run",
        heading="Network",
        metavar="RUN",
        help="Start from that run's parameters, where name and shape agree; the others are fresh. "
        "With --tune and without --model its network is tuned.",
    ),
)

_DATA: tuple[Decorator[Any], ...] = (
    *(setting(option.name, heading="Data", **option.attributes) for option in READING),
    setting(
        "--resize",
        heading="Data",
        type=click.Choice(["squash", "crop", "pad"]),
        help="squash changes the aspect, crop takes the middle, pad adds black bars.",
    ),
    setting(
        "--validation",
        heading="Data",
        type=float,
        metavar="PART",
        help="Part held out to stop early and to choose the best epoch.",
    ),
    setting(
        "--test",
        heading="Data",
        type=float,
        metavar="PART",
        help="Part held out to test once, where the folder is not split already.",
    ),
    setting("--split", heading="Data", metavar="FILE", help="Use the split.csv of another run."),
    setting(
        "--group-by",
        heading="Data",
        metavar="COLUMN|PATTERN",
        help="Keep images of one animal, patient or video in one split: a column of the table, "
        "'folder', or a pattern for the images' paths such as 'patient*_' or 'patient(\\d+)'.",
    ),
    setting(
        "--skip-unreadable",
        heading="Data",
        is_flag=True,
        help="Leave out images that cannot be decoded; the report names them.",
    ),
    setting(
        "--allow-leak",
        heading="Data",
        is_flag=True,
        help="Go on although the same picture is in two splits; the report says so.",
    ),
    setting(
        "--augment",
        heading="Data",
        metavar="POLICY",
        help="How training images are varied: none, flip, light, handwriting, row13, photos, "
        "photos-mixed, mixup, cutmix.",
    ),
)

_LEARNING: tuple[Decorator[Any], ...] = (
    setting("--epochs", "-e", heading="Learning", type=int, help="At most so many."),
    setting("--batch", "-b", heading="Learning", type=int, help="Images per step."),
    setting(
        "--optimiser",
        "--optimizer",
        heading="Learning",
        type=click.Choice(["adam", "adamw", "sgd"]),
        help="The rule that turns gradients into steps.",
    ),
    setting("--learning-rate", "-l", heading="Learning", type=float, help="Size of the steps."),
    setting("--momentum", heading="Learning", type=float, help="For sgd."),
    setting("--nesterov", heading="Learning", is_flag=True, help="Nesterov's momentum, for sgd."),
    setting(
        "--weight-decay",
        heading="Learning",
        type=float,
        help="L2 for sgd and adam, decoupled for adamw.",
    ),
    setting(
        "--schedule",
        heading="Learning",
        type=click.Choice(["none", "step", "cosine", "plateau"]),
        help="How the learning rate falls.",
    ),
    setting(
        "--schedule-every",
        heading="Learning",
        type=int,
        metavar="EPOCHS",
        help="step: between two falls; plateau: waited for a better validation loss.",
    ),
    setting(
        "--schedule-factor",
        heading="Learning",
        type=float,
        metavar="FACTOR",
        help="What step and plateau multiply the learning rate by.",
    ),
    setting(
        "--warmup",
        heading="Learning",
        type=int,
        metavar="EPOCHS",
        help="Epochs in which the learning rate first rises from 0.",
    ),
    setting(
        "--patience",
        heading="Learning",
        type=int,
        metavar="EPOCHS",
        help="Stop after so many without a better validation loss; 0 never stops early.",
    ),
    setting(
        "--class-weights",
        heading="Learning",
        type=click.Choice(["none", "balanced"]),
        help="balanced lets rare classes weigh as much as frequent ones.",
    ),
    setting(
        "--label-smoothing",
        heading="Learning",
        type=float,
        metavar="PART",
        help="Part of each label that is spread over all classes.",
    ),
    setting(
        "--head-weight",
        heading="Learning",
        multiple=True,
        metavar="HEAD=W",
        help="Multiply the loss of that head, such as --head-weight angle=2; may be given again.",
    ),
    setting(
        "--threshold",
        heading="Learning",
        multiple=True,
        metavar="HEAD=P",
        help="Answer with the second class of that head, one sigmoid, where it is more probable "
        "than P instead of 0.5; may be given again.",
    ),
    setting(
        "--rate",
        heading="Learning",
        multiple=True,
        metavar="PREFIX=R",
        help="Multiply the learning rate of that layer, or of all parameters whose name begins "
        "so; 0 freezes them. May be given again, the longest one counts.",
    ),
    setting(
        "--watch",
        heading="Learning",
        multiple=True,
        type=click.Choice(["train", "test"]),
        help="Record that split's curve too, epoch by epoch; nothing is decided by it. May be "
        "given again.",
    ),
    setting(
        "--probe",
        heading="Learning",
        type=int,
        metavar="IMAGES",
        help="Look at so many validation images after every epoch: Grad-CAM, maps, filters; the "
        "report shows them change. 12 is usual.",
    ),
)

_COMPUTING: tuple[Decorator[Any], ...] = (
    setting("--seed", "-s", heading="Computing", type=int, help="Same seed, same result."),
    setting(
        "--engine",
        heading="Computing",
        type=click.Choice(["torch", "numpy"]),
        help="numpy is the readable one, written from scratch.",
    ),
    setting("--device", "-d", heading="Computing", help="auto, cpu, cuda, cuda:1 or mps."),
    setting(
        "--precision",
        heading="Computing",
        type=click.Choice(["float32", "float64", "bfloat16"]),
        help="bfloat16 is faster where the device has it.",
    ),
)

_RUN: tuple[Decorator[Any], ...] = (
    grouped(
        "--out",
        "-o",
        heading="Run",
        type=_FILE,
        metavar="DIR",
        help="Folder of the run. [runs/<data>-<model>-<n>]",
    ),
    grouped(
        "--folds",
        heading="Run",
        type=int,
        metavar="K",
        help="Cross-validate: K trainings, each image tested by the one that never saw it.",
    ),
    grouped(
        "--seeds",
        heading="Run",
        type=int,
        metavar="N",
        help="Train N times on one split, with seed, seed + 1, ..., and report the spread.",
    ),
    grouped(
        "--resume",
        heading="Run",
        type=_FILE,
        metavar="RUN",
        help="Go on with an unfinished run from its last epoch, with its own settings.",
    ),
    grouped(
        "--settings",
        heading="Run",
        type=_FILE,
        metavar="FILE",
        help="Read settings from YAML lines such as  learning-rate: 0.01 ; options override them.",
    ),
    grouped("--no-report", heading="Run", is_flag=True, help="Do not write report.html."),
    grouped(
        "--json",
        "as_json",
        heading="Run",
        is_flag=True,
        help="Print one JSON object instead of the summary; progress still goes to stderr.",
    ),
    grouped("--quiet", "-q", heading="Run", is_flag=True, help="Print the summary alone."),
)


def train_options(function: F) -> F:
    """Give a command every option of training, in the order in which ``--help`` shows them."""
    for option in reversed((*_NETWORK, *_DATA, *_LEARNING, *_COMPUTING, *_RUN)):
        function = option(function)
    return function
