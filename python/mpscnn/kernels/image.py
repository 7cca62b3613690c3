"""Kernels for photos: other sizes, alpha and colour spaces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mpscnn.kernels.kernel import Kernel, UnaryKernel
from mpscnn.kernels.properties import Integer, Number, Numbers, Property, Text

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.kernels.named import AlphaName, ColorSpaceName, ScaleProperties, UnaryProperties


class ScaleTransform(NamedTuple):
    """The positions of the source in the destination, as MPSScaleTransform.

    destination position = source position * scale + translation, in pixels, of the edges of pixels: the first pixel
    lies between 0 and 1. The first pixel written has the destination position 0. With scale_x = 2 and translate_x = -20
    the destination begins with the source's column 10.
    """

    scale_x: float = 1.0
    scale_y: float = 1.0
    translate_x: float = 0.0
    translate_y: float = 0.0


class _Transform(Property["ScaleTransform | None"]):
    expected = "None, a ScaleTransform or (scale_x, scale_y, translate_x, translate_y)"

    def _to_core(self, value: Any) -> list[float] | None:
        if value is None:
            return None
        numbers = [_number._to_core(entry) for entry in value]
        if len(numbers) != len(ScaleTransform()):
            raise ValueError
        return numbers

    def _from_core(self, value: Any) -> ScaleTransform | None:
        return None if value is None else ScaleTransform(*value)


_number = Number()


class ImageScale(UnaryKernel):
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

    scale_transform = _Transform("A `ScaleTransform`; None: the whole source becomes the whole destination.")
    resize_width = Integer("Columns of results that the kernel makes; 0: source columns * scale_x.")
    resize_height = Integer("Rows of results that the kernel makes; 0: source rows * scale_y.")

    def __init__(
        self, resize_width: int = 0, resize_height: int = 0, **properties: Unpack[ScaleProperties]
    ) -> None:
        Kernel.__init__(self, resize_width=resize_width, resize_height=resize_height, **properties)


class ImageBilinearScale(ImageScale):
    """Bilinear interpolation between pixel centres, as MPSImageBilinearScale; without antialiasing."""

    apple_class = "MPSImageBilinearScale"


class ImageLanczosScale(ImageScale):
    """Lanczos' filter with three lobes, as MPSImageLanczosScale, which does not state its formula.

    At a position p of the source the result is the sum of the pixels i by the weights L((i - p) / s), divided by their
    sum, L(t) = sinc(t) sinc(t / 3) for |t| < 3, along both axes. s is 1, or where the image becomes smaller the source
    pixels for one of the result, so that a smaller image needs no blur before.
    """

    apple_class = "MPSImageLanczosScale"


class ImageConversion(UnaryKernel):
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

    source_alpha = Text('"non_premultiplied", "alpha_is_one" or "premultiplied".')
    destination_alpha = Text('"non_premultiplied", "alpha_is_one" or "premultiplied".')
    background_color = Numbers("The background of a source that becomes opaque, in its colour space.")
    source_color_space = Text('"srgb", "linear_srgb", "gray_gamma_2_2", "linear_gray" or "none".')
    destination_color_space = Text('"srgb", "linear_srgb", "gray_gamma_2_2", "linear_gray" or "none".')

    def __init__(
        self,
        source_alpha: AlphaName = "alpha_is_one",
        destination_alpha: AlphaName = "alpha_is_one",
        background_color: Sequence[float] = (),
        source_color_space: ColorSpaceName = "none",
        destination_color_space: ColorSpaceName = "none",
        **properties: Unpack[UnaryProperties],
    ) -> None:
        Kernel.__init__(
            self,
            source_alpha=source_alpha,
            destination_alpha=destination_alpha,
            background_color=background_color,
            source_color_space=source_color_space,
            destination_color_space=destination_color_space,
            **properties,
        )
