"""Define the layer methods for normalizations."""

from __future__ import annotations

from typing import Any

from mpscnn._private.arguments import IntPair, pair
from mpscnn._private.literals import EdgeName, EpsilonRuleName
from mpscnn.errors import ParameterError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class NormalizationLayers(LayerMaker):
    """Methods for normalizations."""

    def batch_norm(
        self,
        x: Tensor,
        *,
        statistics: Tensor | None = None,
        epsilon: float = 1e-3,
        activation: Activation = None,
        name: str | None = None,
    ) -> Tensor:
        """Return gamma * (x - mean) / sqrt(variance + epsilon) + beta, for each channel.

        Compiling folds it into the convolution or dense layer before it, if that layer has no activation and nothing
        else reads its result. It is not folded in int8 networks, or if it has `statistics`.

        Weights: `mean`, `variance` (neither with `statistics`), `gamma` (default 1), `beta` (default 0), each [c].

        Args:
            statistics: means and variances computed by the network: (1, 2, 1, c) from `batch_statistics`, or (n, 2, 1,
                c) for each image.
        """
        return self.layer(
            "batch_normalization",
            [x] if statistics is None else [x, statistics],
            {"epsilon": epsilon},
            activation=activation,
            name=name,
            default="batch_norm",
        )

    def batch_statistics(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """Return mean and variance of each channel over all pixels of all images: (n, ..., c) -> (1, 2, 1, c).

        Row 0 holds the means, row 1 the variances (biased: divided by the number of elements). They are never rounded
        to half precision. If a channel has an infinity, its variance is NaN.
        """
        return self.layer("batch_statistics", [x], {}, name=name)

    def instance_norm(
        self, x: Tensor, *, epsilon: float = 1e-5, activation: Activation = None, name: str | None = None
    ) -> Tensor:
        """Return gamma * (x - mean) / sqrt(variance + epsilon) + beta with the statistics of each image and channel.

        See Ulyanov, Vedaldi and Lempitsky 2016. The variance is biased: it is the mean of the squared
        differences.

        Weights: `gamma` (default 1), `beta` (default 0), each [c].
        """
        channels = x.shape[-1]
        return self._group_norm(x, channels, epsilon, activation, name, "instance_norm")

    def group_norm(
        self,
        x: Tensor,
        groups: int,
        *,
        epsilon: float = 1e-5,
        activation: Activation = None,
        name: str | None = None,
    ) -> Tensor:
        """Normalise like `instance_norm`, with the statistics of `groups` groups of channels.

        Each group has c / groups consecutive channels.

        See Wu and He 2018.

        Weights: `gamma` (default 1), `beta` (default 0), each [c].
        """
        return self._group_norm(x, groups, epsilon, activation, name, "group_norm")

    def layer_norm(
        self,
        x: Tensor,
        *,
        epsilon: float = 1e-5,
        epsilon_rule: EpsilonRuleName = "inside",
        activation: Activation = None,
        name: str | None = None,
    ) -> Tensor:
        """Return gamma * (x - mean) / sqrt(variance + epsilon) + beta with statistics over the channels of each pixel.

        See Ba, Kiros and Hinton 2016. The variance is divided by the number of channels. To normalise over all axes but
        the batch, `reshape` to (-1,) before and back afterwards.

        Weights: `gamma` (default 1), `beta` (default 0), each [c].

        Args:
            epsilon_rule: "inside" adds epsilon to the variance. "outside" adds it to the standard deviation. With
                "minimum" the deviation is at least epsilon.
        """
        return self._vector_norm(x, "deviation", epsilon, epsilon_rule, activation, name, "layer_norm")

    def rms_norm(
        self,
        x: Tensor,
        *,
        epsilon: float = 1e-6,
        epsilon_rule: EpsilonRuleName = "inside",
        activation: Activation = None,
        name: str | None = None,
    ) -> Tensor:
        """Return gamma * x / sqrt(mean of squares + epsilon) + beta with the mean over the channels of each pixel.

        See Zhang and Sennrich 2019. For `epsilon_rule` see `layer_norm`.

        Weights: `gamma` (default 1), `beta` (default 0), each [c].
        """
        return self._vector_norm(x, "root_mean_square", epsilon, epsilon_rule, activation, name, "rms_norm")

    def unit_norm(
        self,
        x: Tensor,
        *,
        order: int = 2,
        epsilon: float = 1e-12,
        epsilon_rule: EpsilonRuleName = "minimum",
        activation: Activation = None,
        name: str | None = None,
    ) -> Tensor:
        """Divide the channels of each pixel by their norm: gamma * x / max(norm, epsilon) + beta.

        This is PyTorch's `F.normalize`. The squares may exceed float16 and float32. Zeros stay zeros, even if epsilon
        is 0.

        Weights: `gamma` (default 1), `beta` (default 0), each [c].

        Args:
            order: 2: the root of the sum of squares; 1: the sum of magnitudes.
            epsilon_rule: "minimum": the norm is at least epsilon; "outside": epsilon is added to the norm; "inside": it
                is added to the sum of squares or magnitudes.
        """
        if order not in (1, 2):
            raise ParameterError(f"order must be 1 or 2, got {order!r}")
        norm = "l1_norm" if order == 1 else "l2_norm"
        return self._vector_norm(x, norm, epsilon, epsilon_rule, activation, name, "unit_norm")

    def local_response_norm(
        self,
        x: Tensor,
        size: int,
        *,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 1.0,
        name: str | None = None,
    ) -> Tensor:
        """Return x / (k + alpha * sum of squares / size)^beta, summed over `size` neighbouring channels.

        The definition and defaults are PyTorch's. A window of even size extends one channel further to the front.
        TensorFlow's `tf.nn.local_response_normalization` is size = 2 * depth_radius + 1, alpha = size * its alpha, k =
        its bias. Apple's defaults are size 5, alpha 1, beta 5 and k (delta) 1. The squares may exceed float32.
        """
        attributes = {"kernel_size": size, "alpha": alpha, "beta": beta, "delta": k}
        return self.layer(
            "cross_channel_normalization", [x], attributes, name=name, default="local_response_norm"
        )

    def spatial_norm(
        self,
        x: Tensor,
        kernel_size: IntPair,
        *,
        alpha: float = 1.0,
        beta: float = 5.0,
        delta: float = 1.0,
        edge: EdgeName = "zero",
        name: str | None = None,
    ) -> Tensor:
        """Return x / (delta + alpha * mean square of a window of its channel)^beta.

        The window is centred; if its size is even, the additional row and column are above and to the left. The mean is
        always divided by the whole size of the window.

        Args:
            kernel_size: rows and columns of the window.
            edge: values outside the image: "zero", or "clamp" (the nearest pixel).
        """
        attributes = _window(kernel_size, edge) | {"alpha": alpha, "beta": beta, "delta": delta}
        return self.layer("spatial_normalization", [x], attributes, name=name, default="spatial_norm")

    def local_contrast_norm(
        self,
        x: Tensor,
        kernel_size: IntPair,
        *,
        alpha: float = 1.0,
        beta: float = 0.5,
        delta: float = 1 / 1024,
        p0: float = 1.0,
        pm: float = 0.0,
        ps: float = 1.0,
        edge: EdgeName = "zero",
        name: str | None = None,
    ) -> Tensor:
        """Return pm + ps * (x - p0 * mean) / (delta + alpha * variance)^beta, with the window of `spatial_norm`.

        Mean and variance include the values outside the image, which `edge` gives, and are divided by the window's
        whole size.
        """
        attributes = _window(kernel_size, edge) | {"alpha": alpha, "beta": beta, "delta": delta}
        attributes |= {"p0": p0, "pm": pm, "ps": ps}
        return self.layer(
            "local_contrast_normalization", [x], attributes, name=name, default="local_contrast_norm"
        )

    def _vector_norm(
        self,
        x: Tensor,
        norm: str,
        epsilon: float,
        epsilon_rule: str,
        activation: Activation,
        name: str | None,
        default: str,
    ) -> Tensor:
        attributes = {"norm": norm, "epsilon": epsilon, "epsilon_rule": epsilon_rule}
        return self.layer(
            "layer_normalization", [x], attributes, activation=activation, name=name, default=default
        )

    def _group_norm(
        self,
        x: Tensor,
        groups: int | None,
        epsilon: float,
        activation: Activation,
        name: str | None,
        default: str,
    ) -> Tensor:
        attributes = {"groups": groups, "epsilon": epsilon}
        return self.layer(
            "group_normalization", [x], attributes, activation=activation, name=name, default=default
        )


def _window(kernel_size: IntPair, edge: str) -> dict[str, Any]:
    if edge not in ("zero", "clamp"):
        raise ParameterError(f"edge must be 'zero' or 'clamp', got {edge!r}")
    kernel_height, kernel_width = pair("kernel_size", kernel_size)
    return {"kernel_height": kernel_height, "kernel_width": kernel_width, "edge": edge}
