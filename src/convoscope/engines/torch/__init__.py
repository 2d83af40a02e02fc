"""The engine that runs anywhere: PyTorch. The only place that imports it."""

from convoscope.engines.torch.waiting import import_torch

import_torch()
