"""The promised accuracy of each engine: how far results may be from the exact ones. Nothing else defines it.

Linear operations: |y - reference| <= factor * eps * sum |w| |x|, which grows with the terms that were added up, not
with the result. Everything else: units in the last place of the result. In float16 every layer is compared on inputs
that are halves already, and its one rounding to half is allowed on top.

`CPU` is this package's own arithmetic. Where it takes Winograd's algorithm, the sum is over all products that a tile of
6 x 6 inputs may have, unless the program was compiled with `winograd=False` (docs/precision.md).
`METAL` is what Apple leaves open: kernels of MPS may take Winograd's algorithm and faster functions, so they get a part
of the layer's largest result. docs/metal.md, "What is promised", is for users.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOAT32_EPS = float(np.finfo(np.float32).eps)
HALF_EPS = float(np.finfo(np.float16).eps)
BFLOAT16_EPS = 2.0**-7
HALF_TINY = 2.0**-24  # the smallest subnormal
#: Magnitudes of the weights of Lanczos' filter add up to less than 1.55 along an axis (cpp/ops/resize.h).
_LANCZOS_MAGNITUDE = 1.55**2


@dataclass(frozen=True)
class Promise:
    """The accuracy of float32 arithmetic that one engine promises."""

    # Rounding errors of a sum of n float32 products grow with n in the worst case and with its square root in practice;
    # four covers every draw of the tests' sizes with room, and a wrong tap is thousands of times larger.
    linear_factor: float = 4.0
    #: The share of the layer's largest sum of magnitudes that is allowed for sums that MPS computes.
    largest_part: float = 0.0
    softmax_ulps: float = 8.0  # the exponential's 2 ulp, the sum's, the division's
    elementwise_ulps: float = 2.0
    power_ulps: float = (
        4.0  # of base^beta for each unit of 1 + |beta|: the base is a sum of squares, known to a few ulp
    )
    statistics_ulps: float = 8.0  # mean and variance of the data, the square root, the division
    #: Of a loss for each step, for two devices that train the same network by the same batches: rounding errors of
    #: weights grow from step to step. A wrong gradient shows within ten steps, by far more. Long training with Adam
    #: adds the drift of two trainings whose first weights differ by one rounding (docs/training.md).
    training_share: float = 1e-5
    half_training_share: float = 1e-3  # of networks whose layers hand on halves
    neuron_ulps: float = 8.0  # gelu has 7, the others less: tests/cpp/kernels_neuron_test.cpp

    def linear_bound(self, magnitude: NDArray[Any]) -> NDArray[Any]:
        """For a sum of products with sum |w| |x| = magnitude."""
        largest = np.max(magnitude, initial=0.0, where=np.isfinite(magnitude))  # NaN would allow everything
        units = self.linear_factor * FLOAT32_EPS
        bound: NDArray[Any] = units * magnitude + self.largest_part * largest + 1e-37
        return bound

    def lanczos_bound(self, largest: float) -> NDArray[Any]:
        """For a resize by Lanczos' filter of an image whose largest magnitude is this one."""
        return self.linear_bound(np.array(_LANCZOS_MAGNITUDE * largest))

    def ulp_bound(self, reference: NDArray[Any], ulps: float | NDArray[Any] | None = None) -> NDArray[Any]:
        """Return `ulps` units in the last place of float32 results; None: the number for elementwise operations."""
        units = self.elementwise_ulps if ulps is None else ulps
        bound: NDArray[Any] = units * FLOAT32_EPS * np.abs(reference) + 1e-37
        return bound

    def training_loss_bound(self, loss: float, step: int, *, half: bool = False) -> float:
        """For the loss of a step of training, the first being 1, next to the CPU's in float32."""
        return step * (self.half_training_share if half else self.training_share) * (abs(loss) + 0.01)

    def neuron_bound(self, x: NDArray[Any], attributes: dict[str, Any], reference: NDArray[Any]) -> Any:
        """Units in the last place, and what the rounded argument a * x + b or b * x means for the result."""
        kind, ulps = attributes["kind"], self.neuron_ulps
        a, b, c = (attributes.get(name, 0.0) for name in "abc")
        size = np.abs(a * np.nan_to_num(x)) + abs(b)
        finite = np.where(np.isfinite(reference), reference, 0.0)
        with np.errstate(all="ignore"):
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
            if kind == "swish" and b != 1:  # below 0 it is x e^(b x), nearly
                return self.ulp_bound(finite, ulps + 2 * np.abs(b * np.nan_to_num(x, posinf=0, neginf=0)))
            if kind == "gelu_tanh":  # nearly x e^y with a rounded y below 0, where this is more than -120
                y = np.clip(np.nan_to_num(1.6 * x * (1 + 0.045 * x * x)), -120, 0)
                return self.ulp_bound(finite, ulps + 4 * np.abs(y))
        return self.ulp_bound(finite, ulps)

    def softmax_bound(self, x: NDArray[Any], reference: NDArray[Any]) -> NDArray[Any]:
        """x - max is rounded once, which the exponential turns into a relative error."""
        spread = np.abs(x - x.max(axis=-1, keepdims=True))
        return self.ulp_bound(reference, self.softmax_ulps + spread)

    def log_softmax_bound(self, x: NDArray[Any], reference: NDArray[Any]) -> NDArray[Any]:
        """The difference from the maximum and the logarithm are rounded once each, the sum's error is relative to 1."""
        terms = np.abs(x - x.max(axis=-1, keepdims=True)) + np.abs(reference)
        bound: NDArray[Any] = FLOAT32_EPS * (terms + self.softmax_ulps)
        return bound

    def normalized_bound(
        self, x: Any, mean: Any, variance: Any, epsilon: float, gamma: Any, beta: Any
    ) -> Any:
        """Rounding of x - mean, and what the variance's error makes of it."""
        scaled = np.abs(gamma) * np.abs(x - mean) / np.sqrt(variance + epsilon)
        rounded = np.abs(gamma) * np.sqrt(variance) / np.sqrt(variance + epsilon)
        return self.statistics_ulps * FLOAT32_EPS * (scaled + rounded + np.abs(beta)) + 1e-37

    def norm_bound(self, scaled: NDArray[Any], beta: Any = 0.0) -> Any:
        """For gamma * x / norm + beta, where a norm of the data divides; `scaled` is the first term."""
        return self.statistics_ulps * FLOAT32_EPS * (np.abs(scaled) + np.abs(beta)) + 1e-37

    def spread_bound(self, reference: NDArray[Any]) -> Any:
        """For norms, sums of squares, variances and their roots: sums of terms of one sign."""
        return self.statistics_ulps * FLOAT32_EPS * np.abs(reference) + 1e-37

    def log_sum_exp_bound(self, reference: NDArray[Any]) -> Any:
        """The logarithm is rounded once, the sum of ratios to the largest has an error relative to 1."""
        return FLOAT32_EPS * (np.abs(reference) + self.softmax_ulps)

    def power_bound(self, reference: NDArray[Any], beta: float) -> NDArray[Any]:
        """For x / base^beta."""
        return self.ulp_bound(reference, self.power_ulps * (1 + abs(beta)))

    def local_contrast_bound(
        self,
        magnitude: NDArray[Any],
        mean: NDArray[Any],
        variance: NDArray[Any],
        attributes: dict[str, Any],
        reference: NDArray[Any],
    ) -> NDArray[Any]:
        """For (difference of terms of this magnitude) / (delta + alpha * variance)^beta, plus a number of at most 1.

        The variance is known to its own rounding and to what rounding the columns' means does to deviations from them.
        """
        alpha, beta, delta = (attributes[name] for name in ("alpha", "beta", "delta"))
        base = delta + alpha * variance
        relative = self.power_ulps * (1 + beta * (1 + alpha * np.sqrt(variance) * mean / base))
        bound: NDArray[Any] = FLOAT32_EPS * (relative * magnitude / base**beta + np.abs(reference) + 1)
        return bound

    def statistics_bound(self, reference: NDArray[Any]) -> NDArray[Any]:
        """For (1, 2, 1, channels) means, then variances."""
        spread = np.abs(reference) + np.sqrt(reference[:, 1:])
        bound: NDArray[Any] = self.statistics_ulps * FLOAT32_EPS * spread + 1e-37
        return bound

    def combined_statistics_bound(self, reference: NDArray[Any]) -> NDArray[Any]:
        """For statistics of several batches: their means are rounded before their distances are taken."""
        mean, variance = reference[:, :1], reference[:, 1:]
        rounding = self.elementwise_ulps * FLOAT32_EPS * np.abs(mean)
        moved = np.concatenate([0 * mean, rounding * (2 * np.sqrt(variance) + rounding)], axis=1)
        bound: NDArray[Any] = self.statistics_bound(reference) + moved
        return bound


#: Where MPS computes: 2^-10, about 1e-3.
_PART_OF_MPS = 2.0**-10

CPU = Promise()
METAL = Promise(
    largest_part=_PART_OF_MPS,
    softmax_ulps=_PART_OF_MPS / FLOAT32_EPS,
    power_ulps=_PART_OF_MPS / FLOAT32_EPS,
    statistics_ulps=64.0,
    neuron_ulps=64.0,  # Metal's own functions: 16 ulp for pow, 4 to 5 for the others
)
#: The promises by the names of devices.
PROMISES = {"cpu": CPU, "metal": METAL}
