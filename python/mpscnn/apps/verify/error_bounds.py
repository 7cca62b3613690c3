"""Define the promised accuracy of each engine: how far results may be from the exact ones. No other file defines it.

For linear operations |y - exact| <= factor * eps * sum |w| |x|. So the allowed error grows with the magnitudes of the
terms that are added, and not with the result. For all other operations the allowed error is a number of units in the
last place of the result. In float16 the inputs are halves already, and the rounding of the result to half is allowed in
addition.

`CPU` is the accuracy of this package's arithmetic. If it uses Winograd's algorithm, the sum includes all products of a
tile of 6 x 6 inputs; programs compiled with `winograd=False` do not use it (docs/precision.md). `METAL` allows for
what Apple does not specify. Apple's kernels may use Winograd's algorithm and fast functions, so a share of the layer's
largest result is allowed. docs/metal.md, "What is promised", explains this for users.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOAT32_EPS = float(np.finfo(np.float32).eps)
HALF_EPS = float(np.finfo(np.float16).eps)
BFLOAT16_EPS = 2.0**-7
HALF_TINY = 2.0**-24  # the smallest subnormal half
#: The magnitudes of the weights of a result (`lanczos_weights` of cpp/ops/resize.h) add up to less than 1.56 along each
#: axis. The maximum, 1.553, is that of images that are made a few percent smaller.
_LANCZOS_MAGNITUDE = 1.56**2


@dataclass(frozen=True)
class Promise:
    """The accuracy that one engine promises for float32."""

    # Rounding errors of a sum of n float32 products grow with n in the worst case, in practice with its square root.
    # The factor 4 leaves room for all sizes in tests, and a wrong tap of a kernel gives errors that are thousands of
    # times larger.
    linear_factor: float = 4.0
    #: The allowed share of the layer's largest sum of magnitudes, for sums that Apple's MPS computes.
    largest_part: float = 0.0
    softmax_ulps: float = 8.0  # 2 ulp of the exponential, and the errors of the sum and the division
    elementwise_ulps: float = 2.0
    power_ulps: float = 4.0  # for each unit of 1 + |beta| in base^beta, whose base is a sum of squares
    statistics_ulps: float = 8.0  # mean and variance of the data, the square root, the division
    #: The share by which the losses of two devices may differ for each step, if they train the same network on the same
    #: batches. Rounding errors of weights grow from step to step. A wrong gradient causes a far larger difference
    #: within ten steps. Long training with Adam has an additional drift (docs/training.md).
    training_share: float = 1e-5
    half_training_share: float = 1e-3  # for networks whose layers pass on halves
    neuron_ulps: float = 8.0  # gelu has an error of 7 ulp, others less: tests/cpp/cpu/kernels_neuron_test.cpp

    def linear_bound(self, magnitude: NDArray[Any]) -> NDArray[Any]:
        """Return the allowed error of a sum of products. `magnitude` is sum |w| |x|."""
        largest = np.max(magnitude, initial=0.0, where=np.isfinite(magnitude))  # a NaN would allow any error
        units = self.linear_factor * FLOAT32_EPS
        bound: NDArray[Any] = units * magnitude + self.largest_part * largest + 1e-37
        return bound

    def lanczos_bound(self, largest: float) -> NDArray[Any]:
        """Return the allowed error of a resize with Lanczos' filter. `largest` is the image's largest magnitude."""
        return self.linear_bound(np.array(_LANCZOS_MAGNITUDE * largest))

    def ulp_bound(self, reference: NDArray[Any], ulps: float | NDArray[Any] | None = None) -> NDArray[Any]:
        """Return `ulps` units in the last place of float32 results; None: the number for elementwise operations."""
        units = self.elementwise_ulps if ulps is None else ulps
        bound: NDArray[Any] = units * FLOAT32_EPS * np.abs(reference) + 1e-37
        return bound

    def training_loss_bound(self, loss: float, step: int, *, half: bool = False) -> float:
        """Return how much the loss of a training step may differ from the CPU's float32 loss. The first step is 1."""
        return step * (self.half_training_share if half else self.training_share) * (abs(loss) + 0.01)

    def neuron_bound(self, x: NDArray[Any], attributes: dict[str, Any], reference: NDArray[Any]) -> Any:
        """Return the allowed error of a neuron: units in the last place, and the effect of rounding its argument.

        The argument is a * x + b or b * x.
        """
        kind, ulps = attributes["kind"], self.neuron_ulps
        a, b, c = (attributes.get(name, 0.0) for name in "abc")
        finite = np.where(np.isfinite(reference), reference, 0.0)
        with np.errstate(all="ignore"):
            size = np.abs(a * np.nan_to_num(x)) + abs(b)
            if kind in ("clamp", "sign", "floor", "ceil", "round"):
                return np.zeros_like(finite)
            if kind in ("linear", "hard_sigmoid"):
                return self.ulp_bound(size)
            if kind == "power":
                base = np.abs(a * x + b)
                argument = np.nan_to_num(abs(finite * c) * self.ulp_bound(size) / base, posinf=0)
                return self.ulp_bound(finite, ulps) + argument
            if kind == "exponential":
                return self.ulp_bound(finite, ulps + 2 * size * (1 if c == -1 else abs(np.log(c))))
            if kind == "logarithm":
                factor = 1 if c == -1 else 1 / abs(np.log(c))
                argument = np.nan_to_num(factor * self.ulp_bound(size) / np.abs(a * x + b), posinf=0)
                return self.ulp_bound(finite, ulps) + argument
            if kind == "softplus":  # e^(b x) multiplies the error of b x
                return self.ulp_bound(finite, ulps + 2 * np.abs(b * np.nan_to_num(x, posinf=0, neginf=0)))
            if kind == "swish" and b != 1:  # for x < 0 it is nearly x e^(b x)
                return self.ulp_bound(finite, ulps + 2 * np.abs(b * np.nan_to_num(x, posinf=0, neginf=0)))
            if kind == "gelu_tanh":  # for x < 0 it is nearly x e^y with a rounded y, if y is more than -120
                y = np.clip(np.nan_to_num(1.6 * x * (1 + 0.045 * x * x)), -120, 0)
                return self.ulp_bound(finite, ulps + 4 * np.abs(y))
        return self.ulp_bound(finite, ulps)

    def softmax_bound(self, x: NDArray[Any], reference: NDArray[Any]) -> NDArray[Any]:
        """Return the allowed error of softmax. Rounding x - max once gives a relative error of the exponential."""
        spread = np.abs(x - x.max(axis=-1, keepdims=True))
        return self.ulp_bound(reference, self.softmax_ulps + spread)

    def log_softmax_bound(self, x: NDArray[Any], reference: NDArray[Any]) -> NDArray[Any]:
        """Return the allowed error of log-softmax: two rounded terms, and the sum with an error relative to 1.

        The terms are the difference from the maximum and the logarithm.
        """
        terms = np.abs(x - x.max(axis=-1, keepdims=True)) + np.abs(reference)
        bound: NDArray[Any] = FLOAT32_EPS * (terms + self.softmax_ulps)
        return bound

    def normalized_bound(
        self, x: Any, mean: Any, variance: Any, epsilon: float, gamma: Any, beta: Any
    ) -> Any:
        """Return the allowed error of a normalization: rounding of x - mean, and the effect of the variance's error."""
        scaled = np.abs(gamma) * np.abs(x - mean) / np.sqrt(variance + epsilon)
        rounded = np.abs(gamma) * np.sqrt(variance) / np.sqrt(variance + epsilon)
        return self.statistics_ulps * FLOAT32_EPS * (scaled + rounded + np.abs(beta)) + 1e-37

    def norm_bound(self, scaled: NDArray[Any], beta: Any = 0.0) -> Any:
        """Return the allowed error of gamma * x / norm + beta with a computed norm. `scaled` is the first term."""
        return self.statistics_ulps * FLOAT32_EPS * (np.abs(scaled) + np.abs(beta)) + 1e-37

    def spread_bound(self, reference: NDArray[Any]) -> Any:
        """Return the allowed error of norms, sums of squares, variances and their roots: sums of terms of one sign."""
        return self.statistics_ulps * FLOAT32_EPS * np.abs(reference) + 1e-37

    def log_sum_exp_bound(self, reference: NDArray[Any]) -> Any:
        """Return the allowed error of log-sum-exp: the rounded logarithm, and the sum with an error relative to 1."""
        return FLOAT32_EPS * (np.abs(reference) + self.softmax_ulps)

    def recurrent_bound(self, steps: int, reference: NDArray[Any]) -> NDArray[Any]:
        """Return the allowed error of states of recurrent layers.

        Each step rounds sums of as many products as there are units, and computes functions. The errors of both pass on
        to the next steps.
        """
        ulps = steps * (self.linear_factor * reference.shape[-1] + 4 * self.neuron_ulps)
        bound: NDArray[Any] = ulps * FLOAT32_EPS * (np.abs(reference) + 1)
        return bound

    def power_bound(self, reference: NDArray[Any], beta: float) -> NDArray[Any]:
        """Return the allowed error of x / base^beta."""
        return self.ulp_bound(reference, self.power_ulps * (1 + abs(beta)))

    def local_contrast_bound(
        self,
        magnitude: NDArray[Any],
        mean: NDArray[Any],
        variance: NDArray[Any],
        attributes: dict[str, Any],
        reference: NDArray[Any],
    ) -> NDArray[Any]:
        """Return the allowed error of pm + ps * (x - p0 * mean) / (delta + alpha * variance)^beta, for |pm| <= 1.

        This is the formula of local contrast normalization. The argument `mean` is the mean of the window's
        absolute values, and `magnitude` is |ps| * (|x| + |p0| * mean). The variance has its own rounding error and that
        of the means of the window's columns, from which it is computed.
        """
        alpha, beta, delta = (attributes[name] for name in ("alpha", "beta", "delta"))
        base = delta + alpha * variance
        relative = self.power_ulps * (1 + beta * (1 + alpha * np.sqrt(variance) * mean / base))
        bound: NDArray[Any] = FLOAT32_EPS * (relative * magnitude / base**beta + np.abs(reference) + 1)
        return bound

    def statistics_bound(self, reference: NDArray[Any]) -> NDArray[Any]:
        """Return the allowed error of an array (1, 2, 1, channels) of means and variances."""
        spread = np.abs(reference) + np.sqrt(reference[:, 1:])
        bound: NDArray[Any] = self.statistics_ulps * FLOAT32_EPS * spread + 1e-37
        return bound

    def combined_statistics_bound(self, reference: NDArray[Any]) -> NDArray[Any]:
        """Return the allowed error of statistics of several batches. Means are rounded before they are combined."""
        mean, variance = reference[:, :1], reference[:, 1:]
        rounding = self.elementwise_ulps * FLOAT32_EPS * np.abs(mean)
        moved = np.concatenate([0 * mean, rounding * (2 * np.sqrt(variance) + rounding)], axis=1)
        bound: NDArray[Any] = self.statistics_bound(reference) + moved
        return bound


#: The allowed share for Apple's MPS: 2^-10, about 1e-3.
_PART_OF_MPS = 2.0**-10

CPU = Promise()
METAL = Promise(
    largest_part=_PART_OF_MPS,
    softmax_ulps=_PART_OF_MPS / FLOAT32_EPS,
    power_ulps=_PART_OF_MPS / FLOAT32_EPS,
    statistics_ulps=64.0,
    neuron_ulps=64.0,  # errors of Metal's functions: 16 ulp for pow, 4 to 5 ulp for the others
)
#: The promise of each engine, by the name of its device.
PROMISES = {"cpu": CPU, "metal": METAL}
