"""Whether an explanation can be trusted: measured, against the centre of the image and chance.

Every score is a plain function of arrays; :func:`score_images` asks them all of a few images and
several methods at once, :func:`randomised` those that need other weights. Nobody can say what the
right explanation is. What can be measured is whether it is *about this network*: whether what it
points at decides the answer, and whether it changes when the network does.
"""

from __future__ import annotations

from convoscope.explain.scores.baselines import BASELINES, centre, chance
from convoscope.explain.scores.curves import Curves, perturbation_curves
from convoscope.explain.scores.drops import drops
from convoscope.explain.scores.measure import Measured, probabilities, score_images
from convoscope.explain.scores.pointing import mass_inside, points_inside
from convoscope.explain.scores.saliency import given, saliencies, saliency
from convoscope.explain.scores.sanity import Randomised, equal_to_gradient, randomised
from convoscope.explain.scores.similarity import rank_correlation, ssim
from convoscope.explain.scores.stability import stability

__all__ = [
    "BASELINES",
    "Curves",
    "Measured",
    "Randomised",
    "centre",
    "chance",
    "drops",
    "equal_to_gradient",
    "given",
    "mass_inside",
    "perturbation_curves",
    "points_inside",
    "probabilities",
    "randomised",
    "rank_correlation",
    "saliencies",
    "saliency",
    "score_images",
    "ssim",
    "stability",
]
