"""Define kernels for photos: scaling, alpha and colour spaces."""

from __future__ import annotations

from mpscnn.kernels.fields import ImageConversionFields, ImageScaleFields
from mpscnn.kernels.kernel import UnaryKernel


class ImageScale(ImageScaleFields, UnaryKernel):
    """Base of the kernels that scale an image, as MPSImageScale.

    Without a `scale_transform` the whole source becomes the whole destination. A result that the kernel creates has
    `resize_width` x `resize_height` pixels. If these are 0, its size is that of the source times the scales, rounded.
    The first pixel written is the first of the scaled image, even with a clip rectangle; `offset` must be (0, 0, z).
    The default of `edge_mode` is "clamp".

    Raises:
        ParameterError: a scale below 1/16777216 (Lanczos: 1/256) or above 16777216; a result without a known size.
    """

    apple_class = "MPSImageScale"


class ImageConversion(ImageConversionFields, UnaryKernel):
    """Convert an image to another alpha, colour space or format, as MPSImageConversion.

    One feature channel is gray, three are RGB, and a second or fourth one is alpha. A source without alpha is opaque.
    These steps are applied if they are needed:

    1. If the destination's alpha is one and the source has alpha, colours are composited over `background_color`:
       a * c + (1 - a) * background. A premultiplied source has a * c already.
    2. Premultiplied colours are divided by alpha. If alpha is 0, they become 0.
    3. Colours are converted from the source's space to the destination's, by way of linear light. Gray is the luminance
       0.2126 R + 0.7152 G + 0.0722 B. The curves continue above 1 and, in "srgb", below 0.
    4. Colours are multiplied by alpha if the destination is premultiplied.

    Results that the kernel creates have alpha if the source has it. If the destination has no channel for alpha, it is
    omitted, which `destination_alpha` = "alpha_is_one" allows.

    Args:
        source_alpha, destination_alpha: "non_premultiplied", "alpha_is_one" or "premultiplied", as in MPSAlphaType.
            With "alpha_is_one" the source's alpha is ignored, and the destination's is 1.
        background_color: a number for each colour channel, in the source's colour space; empty: zeros.
        source_color_space, destination_color_space: "srgb", "linear_srgb", "gray_gamma_2_2" or "linear_gray", instead
            of a CGColorConversionInfo; "none" for both: colours do not change.

    Raises:
        ParameterError: an unknown colour space, or one without the other.
        ShapeError: the channels do not fit the colour space, or the destination lacks a needed alpha channel.
    """
