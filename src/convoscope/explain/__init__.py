"""Looking inside a network: above the waist, arrays first, and without a trace left in it."""

from __future__ import annotations

from convoscope.explain.activations import feature_maps
from convoscope.explain.filters import filters
from convoscope.explain.grad_cam import enlarge, grad_cam, heat_maps
from convoscope.explain.gradients import gradient, gradient_picture
from convoscope.explain.guided_backprop import guided_backprop, guided_gradient
from convoscope.explain.layers import answering_layers, map_layers, map_shape, target_layer
from convoscope.explain.methods import METHODS, Method, explain, usable, view_for
from convoscope.explain.neurons import Strong, strongest
from convoscope.explain.patches import effective_patch, patch
from convoscope.explain.views import View, look

__all__ = [
    "METHODS",
    "Method",
    "Strong",
    "View",
    "answering_layers",
    "effective_patch",
    "enlarge",
    "explain",
    "feature_maps",
    "filters",
    "grad_cam",
    "gradient",
    "gradient_picture",
    "guided_backprop",
    "guided_gradient",
    "heat_maps",
    "look",
    "map_layers",
    "map_shape",
    "patch",
    "strongest",
    "target_layer",
    "usable",
    "view_for",
]
