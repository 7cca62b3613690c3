"""Convert layers of sequences (n, positions, channels) like layers of images: a sequence is an image of one row."""

from __future__ import annotations

from collections.abc import Callable

from mpscnn.converters.keras.layer_call import LayerCall
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor


def is_sequence_layer(c: LayerCall) -> bool:
    """Return True for a layer of sequences. The names of their classes contain 1D."""
    return "1D" in c.layer.kind


def convert_as_image(handler: Callable[[LayerCall, Tensor], Tensor]) -> Callable[[LayerCall], Tensor]:
    """Return a function that converts a layer of images or sequences.

    Args:
        handler: converts a layer; its second argument is the image, and a result that is no image stays as it is.
    """

    def convert(c: LayerCall) -> Tensor:
        if not is_sequence_layer(c):
            return handler(c, c.image())
        y = handler(c, _along_rows(c, c.x()))
        return as_sequence(c, y) if len(y.shape) == 4 else y

    return convert


def pair(c: LayerCall, setting: str, default: int, *, of_row: int = 1) -> tuple[int, int]:
    """Return a setting for (vertical, horizontal). A sequence has only the second; its row gets the number `of_row`."""
    if is_sequence_layer(c):
        return of_row, c.settings.single(setting, default)
    return c.settings.pair(setting, default)


def _along_rows(c: LayerCall, x: Tensor) -> Tensor:
    """Reshape (n, positions, channels) to (n, 1, positions, channels)."""
    if c.settings.text("data_format", "channels_last") != "channels_last":
        raise UnsupportedError("its sequences have the channels first; only channels_last is supported")
    if len(x.shape) != 3:
        raise WeightsError(f"damaged: it takes sequences, its input is {x.shape}")
    _, positions, channels = x.shape
    extents = [1, -1 if positions is None else positions, channels or 0]
    return c.network.reshape(x, extents, name=c.name("/row"))


def as_sequence(c: LayerCall, y: Tensor) -> Tensor:
    """Reshape (n, 1, positions, channels) to (n, positions, channels)."""
    _, _, positions, channels = y.shape
    extents = [-1 if positions is None else positions, channels or 0]
    return c.network.reshape(y, extents, name=c.name("/sequence"))
