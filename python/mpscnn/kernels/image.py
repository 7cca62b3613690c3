"""Kernels for photos: other sizes, alpha and colour spaces."""

from __future__ import annotations

from mpscnn.kernels.fields import ImageConversionFields, ImageScaleFields
from mpscnn.kernels.kernel import UnaryKernel


class ImageScale(ImageScaleFields, UnaryKernel):
    """Base of the kernels that resample an image, as MPSImageScale.

    Without a `scale_transform` the whole source becomes the whole destination. A result that the kernel makes has
    `resize_width` x `resize_height` pixels. Where these are 0, its size is that of the source times the scales,
    rounded. The
    first pixel written is the first of the scaled image, also with a clip rectangle; `offset` must be (0, 0, z).
    `edge_mode` is "clamp" unless it is set.

    Raises:
        ParameterError: a scale below 1/16777216 (of Lanczos' filter: 1/256) or above 16777216; a result without a
            known size.
    """

    apple_class = "MPSImageScale"


class ImageConversion(ImageConversionFields, UnaryKernel):
    """Other alpha, colour space or format, as MPSImageConversion.

    One feature channel is gray, three are RGB, and a second or fourth one is alpha. A source without alpha counts as
    opaque. The steps, each only where it is needed:

    1. Where the destination's alpha is one and the source has alpha, colours are laid over `background_color`:
       a * c + (1 - a) * background, where a premultiplied source has a * c already.
    2. Premultiplied colours are divided by alpha (where that is 0 they are 0).
    3. Colours go from the source's space to the destination's, by way of linear light; gray is the luminance
       0.2126 R + 0.7152 G + 0.0722 B. Above 1 and, in "srgb", below 0 the curves go on.
    4. Colours are multiplied by alpha if the destination is premultiplied.

    Results that the kernel makes have alpha if the source has it. Without room for alpha in the destination it is left
    out, which `destination_alpha` = "alpha_is_one" allows.

    Args:
        source_alpha, destination_alpha: "non_premultiplied", "alpha_is_one" or "premultiplied", as MPSAlphaType. With
            "alpha_is_one" the source's alpha is not looked at, and the destination's is 1.
        background_color: in the source's colour space, a number for each colour channel; empty: zeros.
        source_color_space, destination_color_space: in place of a CGColorConversionInfo: "srgb", "linear_srgb",
            "gray_gamma_2_2" or "linear_gray"; "none" for both: colours do not change.

    Raises:
        ParameterError: another colour space, or one without the other. ShapeError: channels that the colour space does
            not have; a destination without alpha for colours that need it.
    """

    apple_class = "MPSImageConversion"
