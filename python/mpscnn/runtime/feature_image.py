"""Images with any number of feature channels, which raw kernels read and write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.arguments import whole_numbers
from mpscnn._private.arrays import AsArray, as_array
from mpscnn._private.copies import NoCopies
from mpscnn._private.literals import ImageFormatName
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.other_names import Expected, ExplainedClass
from mpscnn.errors import ParameterError, ShapeError

if TYPE_CHECKING:
    from mpscnn.runtime.commands import CommandBuffer

_DTYPES: dict[ImageFormatName, type[Any]] = {
    "unorm8": np.uint8,
    "unorm16": np.uint16,
    "float16": np.float16,
    "float32": np.float32,
}
_FORMATS = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}
_LAYOUTS = {"hwc": False, "chw": True}


@dataclass(frozen=True)
class ImageDescriptor(metaclass=ExplainedClass):
    """The size and format of an image, like MPSImageDescriptor.

    The formats are "float32", "float16", and "unorm8" and "unorm16", whose integers mean 0 to 1. Kernels compute in
    float32 and round their results. For "unorm" formats, results are first limited to 0 to 1.
    """

    width: int
    height: int
    feature_channels: int
    number_of_images: int = 1
    format: ImageFormatName = "float32"


ImageDescriptor.__init__ = accept_foreign_arguments(ImageDescriptor.__init__)  # type: ignore[method-assign]


class Image(NoCopies, AsArray, Expected, metaclass=ExplainedClass):
    """An image of feature channels, like MPSImage: (height, width, channels), or several such images.

    Channels are stored in slices of four; unused places in the last slice are zero. Arrays have the image's type: uint8
    and uint16 for "unorm8" and "unorm16".

    Args:
        width, height, feature_channels, number_of_images: at least 1. An `ImageDescriptor` may replace these numbers
            and the format.
        format: "float32" (the default), "float16", "unorm8" or "unorm16".
        label: a name for messages.

    Raises:
        ParameterError: the size or format is not allowed.
    """

    _instead = "its memory is a device's; copy its array, image.read(), and take Image.from_numpy"

    @overload
    def __init__(self, width: ImageDescriptor, *, label: str = "") -> None: ...
    @overload
    def __init__(
        self,
        width: int,
        height: int,
        feature_channels: int,
        number_of_images: int = 1,
        *,
        format: ImageFormatName = "float32",
        label: str = "",
    ) -> None: ...
    @accept_foreign_arguments
    def __init__(
        self,
        width: int | ImageDescriptor,
        height: int | None = None,
        feature_channels: int | None = None,
        number_of_images: int = 1,
        *,
        format: ImageFormatName = "float32",
        label: str = "",
    ) -> None:
        size = _given_size(width, height, feature_channels, number_of_images, format)
        self._adopt(_core.FeatureImage(*size), label)

    def _adopt(self, image: _core.FeatureImage, label: str) -> None:
        self._image = image
        self._label = label
        if label:
            image.set_label(label)

    @classmethod
    def from_numpy(cls, array: Any, *, label: str = "") -> Image:
        """Return an image with a copy of an array, (height, width, channels) or (n, height, width, channels).

        The format follows from the element type: float32, float16, uint8 ("unorm8") or uint16 ("unorm16"). float64
        becomes float32.
        """
        values = as_array("image", array)
        if values.dtype == np.float64:
            values = values.astype(np.float32)
        if values.dtype not in _FORMATS:
            allowed = ", ".join(str(dtype) for dtype in _FORMATS)
            raise ShapeError(f"image: expected {allowed} elements, got {values.dtype}")
        if values.ndim not in (3, 4):
            raise ShapeError(
                "image: expected (height, width, channels) or (n, height, width, channels), "
                f"got {values.shape}"
            )
        count, height, width, channels = values.shape if values.ndim == 4 else (1, *values.shape)
        image = Image(width, height, channels, count, format=_FORMATS[values.dtype], label=label)
        image.numpy()[...] = values if count > 1 else values.reshape(height, width, channels)
        return image

    from_dlpack = from_numpy

    @property
    def descriptor(self) -> ImageDescriptor:
        """The size and format."""
        return ImageDescriptor(*self._image.descriptor())

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.descriptor.width

    @property
    def height(self) -> int:
        """The number of rows."""
        return self.descriptor.height

    @property
    def feature_channels(self) -> int:
        """The number of channels of a pixel."""
        return self.descriptor.feature_channels

    @property
    def number_of_images(self) -> int:
        """The number of images."""
        return self.descriptor.number_of_images

    @property
    def format(self) -> ImageFormatName:
        """The type in which a channel is stored."""
        return self.descriptor.format

    @property
    def label(self) -> str:
        """A name for messages."""
        return self._label

    @label.setter
    def label(self, label: str) -> None:
        self._label = label
        self._image.set_label(label)

    def numpy(self) -> NDArray[Any]:
        """Return an array over the image's memory, (height, width, channels), or (n, height, width, channels).

        It is not a copy: writing to the array changes the image. Raises StateError while a committed command buffer
        uses the image, and for temporary images.
        """
        array = self._image.array()
        return array if self.number_of_images > 1 else array[0]

    def __dlpack__(self, **options: Any) -> Any:
        """Return the image's memory without a copy for `torch.from_dlpack` and similar functions."""
        return self._as_array().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return DLPack's code for main memory, which a GPU may share."""
        kind, number = self._as_array().__dlpack_device__()
        return int(kind), int(number)

    def _as_array(self) -> NDArray[Any]:
        """Return the array for other libraries. Raises TypeError for images that programs cannot read."""
        return self.numpy()

    @property
    def slices(self) -> NDArray[Any]:
        """The image's memory in slices of four channels: ([n, ]slices, height, width, 4)."""
        array = self._image.slices()
        return array if self.number_of_images > 1 else array[0]

    def read(
        self,
        *,
        x: int = 0,
        y: int = 0,
        width: int | None = None,
        height: int | None = None,
        feature_channels: tuple[int, int] | None = None,
        images: tuple[int, int] | None = None,
        layout: Literal["hwc", "chw"] = "hwc",
    ) -> NDArray[Any]:
        """Return a copy of a region: (n, height, width, channels) or, with layout "chw", (n, channels, height, width).

        Args:
            x, y, width, height: the region; by default from (x, y) to the end of the image.
            feature_channels, images: (first, count). The first channel must be a multiple of 4.
            layout: "hwc" or "chw".
        """
        region = self._region(x, y, width, height, feature_channels, images)
        array: NDArray[Any] = np.empty(self._shape(region, layout), _DTYPES[self.format])
        self._image.read(region, _LAYOUTS[layout], array)
        return array

    def write(
        self,
        array: Any,
        *,
        x: int = 0,
        y: int = 0,
        width: int | None = None,
        height: int | None = None,
        feature_channels: tuple[int, int] | None = None,
        images: tuple[int, int] | None = None,
        layout: Literal["hwc", "chw"] = "hwc",
    ) -> None:
        """Write an array to a region. It has the format's element type and the shape that `read` returns."""
        region = self._region(x, y, width, height, feature_channels, images)
        values = as_array("image", array)
        shape = self._shape(region, layout)
        if values.shape != shape and (1, *values.shape) != shape:
            raise ShapeError(f"image: the region takes an array {shape}, got {values.shape}")
        if values.dtype != _DTYPES[self.format]:
            raise ShapeError(
                f"image: format {self.format!r} takes {np.dtype(_DTYPES[self.format])} elements, got {values.dtype}"
            )
        self._image.write(region, _LAYOUTS[layout], np.ascontiguousarray(values))

    def _region(
        self,
        x: int,
        y: int,
        width: int | None,
        height: int | None,
        channels: tuple[int, int] | None,
        images: tuple[int, int] | None,
    ) -> tuple[int, int, int, int, int, int, int, int]:
        size = self.descriptor
        first_channel, channel_count = _pair("feature_channels", channels or (0, size.feature_channels))
        first_image, image_count = _pair("images", images or (0, size.number_of_images))
        given = [one for one in (x, y, width, height) if one is not None]
        whole_numbers("image: x, y, width and height", given)
        rows = size.height - y if height is None else height
        columns = size.width - x if width is None else width
        return first_image, y, x, first_channel, image_count, rows, columns, channel_count

    @staticmethod
    def _shape(region: Sequence[int], layout: str) -> tuple[int, ...]:
        if layout not in _LAYOUTS:
            raise ParameterError(f"image: layout must be 'hwc' or 'chw', got {layout!r}")
        images, height, width, channels = (max(extent, 0) for extent in region[4:])
        return (images, height, width, channels) if layout == "hwc" else (images, channels, height, width)

    def __repr__(self) -> str:
        size = self.descriptor
        count = "" if size.number_of_images == 1 else f"{size.number_of_images} x "
        label = f" {self.label!r}" if self.label else ""
        pixels = f"{count}{size.height} x {size.width} x {size.feature_channels}"
        return f"<{type(self).__name__}{label}: {pixels} {size.format}>"


class TemporaryImage(Image):
    """An image for one command buffer, like MPSTemporaryImage. Only kernels use it; programs cannot read it.

    `read_count` is the number of kernels that will still read the image. It begins at 1, and each read subtracts one.
    At 0 the memory is reused, and the image cannot be used any more (StateError).
    """

    @overload
    def __init__(self, commands: CommandBuffer, width: ImageDescriptor, *, label: str = "") -> None: ...
    @overload
    def __init__(
        self,
        commands: CommandBuffer,
        width: int,
        height: int,
        feature_channels: int,
        number_of_images: int = 1,
        *,
        format: ImageFormatName = "float32",
        label: str = "",
    ) -> None: ...
    @accept_foreign_arguments
    def __init__(
        self,
        commands: CommandBuffer,
        width: int | ImageDescriptor,
        height: int | None = None,
        feature_channels: int | None = None,
        number_of_images: int = 1,
        *,
        format: ImageFormatName = "float32",
        label: str = "",
    ) -> None:
        size = _given_size(width, height, feature_channels, number_of_images, format)
        self._adopt(_core.FeatureImage.temporary(commands._commands, *size), label)

    def _as_array(self) -> NDArray[Any]:
        raise TypeError(
            "a TemporaryImage has no memory that a program can read: encode into an Image instead"
        )

    @property
    def read_count(self) -> int:
        """The number of kernels that may still read the image; 0 frees its memory."""
        return self._image.read_count

    @read_count.setter
    def read_count(self, count: int) -> None:
        (self._image.read_count,) = whole_numbers("image: read_count", [count])


def _given_size(
    width: int | ImageDescriptor,
    height: int | None,
    feature_channels: int | None,
    number_of_images: int,
    format: ImageFormatName,
) -> tuple[int, int, int, int, ImageFormatName]:
    """Return the extents and the format of a new image, which a descriptor or numbers give."""
    if isinstance(width, ImageDescriptor):
        if (height, feature_channels, number_of_images, format) != (None, None, 1, "float32"):
            raise ParameterError("image: the ImageDescriptor has the sizes and the format: give it alone")
        return _given_size(*astuple(width))
    if height is None or feature_channels is None:
        raise ParameterError("image: call it with width, height and feature_channels, or an ImageDescriptor")
    columns, rows, channels, images = whole_numbers(
        "image: width, height, feature_channels and number_of_images",
        [width, height, feature_channels, number_of_images],
    )
    return columns, rows, channels, images, format


def _pair(what: str, value: Sequence[int]) -> tuple[int, int]:
    """Return (first, count) as two ints."""
    numbers = whole_numbers(f"image: {what}", value)
    if len(numbers) != 2:
        raise ParameterError(f"image: {what} must be (first, count), got {value!r}")
    return numbers[0], numbers[1]
