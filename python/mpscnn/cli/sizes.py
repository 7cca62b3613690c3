"""--size: height and width for networks that leave them free."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mpscnn.benchmark import Subject, open_subject
from mpscnn.errors import ShapeError
from mpscnn.graph.network import Network

Size = tuple[int, int]


def parse_size(text: str | Size | None) -> Size | None:
    """(height, width) from "HEIGHTxWIDTH"."""
    if text is None or isinstance(text, tuple):
        return text
    height, separator, width = text.lower().partition("x")
    if not separator or not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise typer.BadParameter(f"expected HEIGHTxWIDTH, for example 224x224, got {text!r}")
    return int(height), int(width)


SizeOption = Annotated[
    Any,
    typer.Option(
        "--size",
        parser=parse_size,
        metavar="HxW",
        help="Height and width of the image, for networks that leave them free.",
        show_default=False,
    ),
]


def check_size(network: Network, size: Size | None) -> None:
    """Refuses a network without the size that it leaves free, and a size that it does not."""
    for tensor in network.inputs:
        free = len(tensor.shape) == 4 and None in tensor.shape[1:3]
        what = f"input {tensor.name!r} {shape_text(tensor.shape)}"
        if free and size is None:
            raise ShapeError(f"{what} may have any size: choose one with --size HEIGHTxWIDTH")
        if not free and size is not None:
            raise ShapeError(f"{what} has a fixed size: --size is for networks that leave it free")
        if size is not None and any(
            has not in (None, wanted) for has, wanted in zip(tensor.shape[1:3], size, strict=True)
        ):
            raise ShapeError(f"{what} cannot have --size {size[0]}x{size[1]}")


def sized_subject(model: str, size: Size | None, *, random_weights: bool) -> Subject:
    """The model for inputs of one size."""
    subject = open_subject(model, random_weights=random_weights)
    check_size(subject.network, size)
    return subject if size is None else subject.of_size(size)


def shape_text(shape: tuple[int | None, ...]) -> str:
    """As (n, 32, any, 3)."""
    extents = ["n", *("any" if extent is None else str(extent) for extent in shape[1:])]
    return "(" + ", ".join(extents) + ")"
