"""Read the options that open a network for inspection: --size and --random-weights."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mpscnn._private.arguments import whole_number_in
from mpscnn.apps.benchmark import Subject, open_subject
from mpscnn.apps.benchmark.subject import ARCHITECTURES
from mpscnn.errors import ShapeError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.graph.structure import accepts_size, leaves_size_free

Size = tuple[int, int]

_MAX_SIDE = 1 << 20
_MAX_ELEMENTS = 1 << 30  # the maximum number of elements of an image, as in the C++ library


def parse_size(text: str | Size | None) -> Size | None:
    """Parse a size such as "480x640" to (height, width). A single number is the side of a square."""
    if text is None or isinstance(text, tuple):
        return text
    first, cross, second = text.lower().partition("x")
    height, width = (whole_number_in(side) for side in (first, second if cross else first))
    if not height or not width:
        raise typer.BadParameter(
            f"expected HEIGHTxWIDTH or one number, for example 224x224, got {text!r:.100}"
        )
    if max(height, width) > _MAX_SIDE:
        raise typer.BadParameter(
            f"expected HEIGHTxWIDTH with sides of at most {_MAX_SIDE:,} pixels, got {text!r:.100}"
        )
    return height, width


SizeOption = Annotated[
    Any,
    typer.Option(
        "--size",
        parser=parse_size,
        metavar="HxW",
        help="Set the height and width of the image, for networks that leave them free.",
    ),
]


def check_size(network: Network, size: Size | None) -> None:
    """Raise ShapeError if the network needs a size and none is given, or if the given size does not fit it."""
    if size is not None and not any(None in tensor.shape[1:] for tensor in network.inputs):
        what = _described(network.inputs[0])
        raise ShapeError(f"{what} has a fixed size: --size is for networks that leave it free")
    for tensor in network.inputs:
        what = _described(tensor)
        if not leaves_size_free(tensor.shape):
            if None in tensor.shape[1:]:
                raise ShapeError(f"{what} leaves an extent free that is not the height or width of an image")
            continue
        if size is None:
            raise ShapeError(f"{what} may have any size: choose one with --size HEIGHTxWIDTH")
        if not accepts_size(tensor.shape, size):
            raise ShapeError(f"{what} cannot have --size {size[0]}x{size[1]}")
        if size[0] * size[1] * (tensor.shape[3] or 1) > _MAX_ELEMENTS:
            raise ShapeError(
                f"{what} cannot have --size {size[0]}x{size[1]}: at most {_MAX_ELEMENTS:,} elements"
            )


def _described(tensor: Tensor) -> str:
    return f"input {tensor.name!r} {shape_text(tensor.shape)}"


def open_with_size(model: str, size: Size | None, *, random_weights: bool) -> Subject:
    """Open a model for inspection, and set the size of its inputs."""
    subject = open_subject(model, random_weights=random_weights)
    check_size(subject.network, size)
    return subject if size is None else subject.of_size(size)


def shape_text(shape: tuple[int | None, ...]) -> str:
    """Return a shape as text, such as "(n, 32, any, 3)"."""
    extents = ["n", *("any" if extent is None else str(extent) for extent in shape[1:])]
    return "(" + ", ".join(extents) + ")"


RandomWeightsOption = Annotated[
    bool,
    typer.Option(
        "--random-weights",
        help=f"Read no file: MODEL is an architecture that gets random weights: {', '.join(ARCHITECTURES)}.",
    ),
]
