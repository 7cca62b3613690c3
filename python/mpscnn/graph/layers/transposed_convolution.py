"""Define the layer method for transposed convolutions."""

from __future__ import annotations

from mpscnn._private.arguments import IntPair, pair, result_size
from mpscnn.errors import ParameterError
from mpscnn.graph.layer_arguments import Activation, PaddingArgument, window_attributes
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class TransposedConvolutionLayers(LayerMaker):
    """The method for transposed convolutions."""

    def conv2d_transpose(
        self,
        x: Tensor,
        filters: int,
        kernel_size: IntPair,
        *,
        strides: IntPair = 1,
        padding: PaddingArgument = "valid",
        output_padding: IntPair = 0,
        output_size: IntPair | None = None,
        dilation: IntPair = 1,
        groups: int = 1,
        use_bias: bool | None = None,
        activation: Activation = None,
        name: str | None = None,
    ) -> Tensor:
        """Add a 2-D transposed convolution ("deconvolution"): (n, h, w, c) -> (n, h', w', filters).

        Input pixel (i, j) times the kernel is added to the result at (i * strides - padding, j * strides - padding).

        Args:
            kernel_size, strides, dilation: one number, or (vertical, horizontal).
            padding: "valid" or "same" as in TensorFlow (h' = (h - 1) * stride + max(reach, stride), h' = h * stride),
                or PyTorch's numbers, which crop the result: one for all sides, (vertical, horizontal), or
                ((top, bottom), (left, right)); h' = (h - 1) * stride + reach - top - bottom + output_padding, where
                reach = (kernel_size - 1) * dilation + 1.
            output_padding: rows and columns added at the end, as in PyTorch.
            output_size: (h', w') instead of that rule, like `output_shape` of TensorFlow and `output_size` of PyTorch.
            use_bias: as in `conv2d`.
            activation: a name or a mapping, see `activation`.

        Weights: `weight` `[filters][kernel height][kernel width][c / groups]`, `bias` [filters] (optional). Filter f of
        group g holds PyTorch's weight[g * c / groups + i, f - g * filters / groups, y, x] at [f, y, x, i]: without
        groups, `torch_weight.transpose(1, 2, 3, 0)`. TensorFlow's and Keras's `[kernel height][kernel
        width][filters][c]` is `tf_weight.transpose(2, 0, 1, 3)`.
        """
        attributes = window_attributes(kernel_size, strides, padding, dilation)
        if attributes["padding"] == "full":
            raise ParameterError("padding must be 'valid', 'same' or numbers, got 'full'")
        attributes |= {"output_channels": filters, "groups": groups}
        attributes["output_padding_y"], attributes["output_padding_x"] = pair(
            "output_padding", output_padding
        )
        if output_size is not None:
            attributes["output_height"], attributes["output_width"] = result_size("output_size", output_size)
            if attributes["padding"] == "explicit":
                attributes |= {"pad_bottom": 0, "pad_right": 0}
        made = self.layer(
            "transposed_convolution",
            [x],
            attributes,
            activation=activation,
            name=name,
            default="conv2d_transpose",
        )
        return self.with_bias(made, use_bias)
