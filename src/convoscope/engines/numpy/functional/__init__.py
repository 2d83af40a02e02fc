"""Every operation of a network, and beside it its derivative. Read this to learn backpropagation.

**An operation returns its output and its own backward function.** Going forward, a network
calls its operations one after the other and keeps the backward functions. Going back, it calls
these in reverse order: each is given the gradient of the loss with respect to the operation's
*output* and answers with the gradients with respect to its *arguments*, one for each. That is
the chain rule, and all of backpropagation::

    y, back_1 = conv2d(images, kernel, bias, sliding)
    z, back_2 = relu(y)
    loss, back_3 = softmax_cross_entropy(z, targets, weights)

    (grad_z,) = back_3(1.0)
    (grad_y,) = back_2(grad_z)
    grad_images, grad_kernel, grad_bias = back_1(grad_y)

Read in this order: :mod:`activations` (a function of one number), :mod:`dense` (a matrix
product), :mod:`losses`, :mod:`conv` (the same product, of windows), :mod:`pooling`,
:mod:`normalisation`.

Conventions. Maps are (N, H, W, C), channels last, so that the values under a kernel's row lie
side by side in memory. Any float type goes, and comes out again. A backward function owns the
gradient it is given and may write over it; it keeps what it needs from the way forward, and may
be called again with another gradient.
"""

from convoscope.engines.numpy.functional.activations import ACTIVATIONS
from convoscope.engines.numpy.functional.conv import conv2d, depthwise_conv2d, grouped_conv2d
from convoscope.engines.numpy.functional.dense import Outer, dense, flatten
from convoscope.engines.numpy.functional.losses import (
    sigmoid_cross_entropy,
    softmax_cross_entropy,
)
from convoscope.engines.numpy.functional.normalisation import (
    batch_norm,
    batch_statistics,
    dropout,
    fixed_norm,
)
from convoscope.engines.numpy.functional.operation import PLAIN, Backward, Way
from convoscope.engines.numpy.functional.pooling import (
    avg_pool2d,
    global_avg_pool,
    global_max_pool,
    max_pool2d,
)
from convoscope.engines.numpy.functional.sliding import Sliding

__all__ = [
    "ACTIVATIONS",
    "PLAIN",
    "Backward",
    "Outer",
    "Sliding",
    "Way",
    "avg_pool2d",
    "batch_norm",
    "batch_statistics",
    "conv2d",
    "dense",
    "depthwise_conv2d",
    "dropout",
    "fixed_norm",
    "flatten",
    "global_avg_pool",
    "global_max_pool",
    "grouped_conv2d",
    "max_pool2d",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
]
