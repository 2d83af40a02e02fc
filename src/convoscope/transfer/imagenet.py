"""The thousand classes of ImageNet (ILSVRC 2012), in the order that pretrained networks have them.

``imagenet.txt`` has a name per line: the first that WordNet gives the class, or a later one where
the first alone misleads (a notebook computer, a flowerpot), with a word in brackets where two
classes would be called alike (two cranes, two maillots).

Source: timm's lists of synsets and lemmas (Apache-2.0), after WordNet 3.0, Princeton University,
https://wordnet.princeton.edu, and Russakovsky et al. 2015, https://arxiv.org/abs/1409.0575.
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import Final

CLASSES: Final = 1000


@functools.cache
def class_names() -> tuple[str, ...]:
    """A readable name for each of the thousand classes; no two are alike."""
    text = resources.files(__package__).joinpath("imagenet.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())
