"""Define the options for reading a file of another framework, such as the size of a free image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.errors import ParameterError, ShapeError, UnsupportedError
from mpscnn.graph.network import Network

Extents = tuple[int | None, ...]


def set_size(extents: Extents, size: tuple[int, int] | None, where: str) -> Extents:
    """Return the extents (n, height, width, channels) with the chosen height and width. Other ranks stay unchanged.

    Raises ParameterError if the file states another size; `where` begins the message.
    """
    if size is None or len(extents) != 4:
        return extents
    for given, wanted in zip(extents[1:3], size, strict=True):
        if given not in (None, wanted):
            raise ParameterError(
                f"{where} is {extents[1]} x {extents[2]} (height x width) in the file; "
                f"{size[0]} x {size[1]} cannot be chosen"
            )
    return (extents[0], *size, extents[3])


@dataclass(frozen=True)
class ReadOptions:
    """The options of a caller for reading a file; see `mpscnn.converters.read_network`.

    Attributes:
        name: the name of the network.
        size: (height, width) of an image input that the file leaves free; None: it stays free, or, if the file holds
            only weights, it is the usual size of the architecture.
        shapes: the shapes of inputs by name, for inputs with free extents. The shapes include the batch and have the
            file's order of axes.
        outputs: names of tensors in the file to stop at; empty: the file's outputs.
        architecture: the network that a file of weights belongs to, needed if names and shapes of the weights fit
            several; None: the one that the file's name begins with, or that timm's config.json next to it names.
        fold: whether batch normalizations of a state dict or a Caffe network become part of the layers before them, or
            stay separate layers. It has no effect on other formats.
        parameters: for an ONNX file exported from a module: the tensors that are trained, with their names in the
            module. No other tensor is trained then. None: each operation decides which of its weights are trained.
        signature: the name of the signature or function to convert, for a file with several; None: its default.
        has_batch: whether the first axis of an ONNX file's tensors is the batch. False: no axis is the batch, and the
            network computes whole tensors as one image.
    """

    name: str
    size: tuple[int, int] | None = None
    shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    outputs: Sequence[str] = ()
    architecture: str | None = None
    fold: bool = True
    parameters: Mapping[str, str] | None = None
    has_batch: bool = True
    signature: str | None = None

    def check_inputs(self, known: Sequence[str], origin: str) -> None:
        """Raise ParameterError for a shape of an input that the file does not have."""
        for name in self.shapes:
            if name not in known:
                inputs = ", ".join(map(quote_name, known))
                raise ParameterError(f"{origin}: it has no input {quote_name(name)}; its inputs are {inputs}")

    def shape_of(self, name: str, stated: Extents | None, where: str) -> Extents | None:
        """Return the shape of an input: the chosen one, or the one that the file states.

        Raises ParameterError if a chosen shape contradicts the file; `where` begins the message.
        """
        chosen = self.shapes.get(name)
        if chosen is None:
            return stated
        if min(chosen, default=0 if self.has_batch else 1) < 1:
            raise ParameterError(f"{where}: the shape {tuple(chosen)} was chosen; extents are 1 or more")
        fits = stated is None or (
            len(stated) == len(chosen)
            and all(extent in (None, wanted) for extent, wanted in zip(stated, chosen, strict=True))
        )
        if not fits:
            raise ParameterError(
                f"{where} has the shape {stated} in the file; {tuple(chosen)} cannot be chosen"
            )
        return tuple(chosen)

    def network(self, shapes: Mapping[str, Sequence[int | None]], origin: str) -> Network:
        """Return a network with these inputs.

        Raises UnsupportedError if mpscnn supports no inputs of these shapes; if the caller chose a shape or size, it is
        a ParameterError or ShapeError.
        """
        from mpscnn.graph.network import Network

        try:
            return Network(input=shapes, name=self.name)
        except (ParameterError, ShapeError) as error:
            if self.shapes or self.size:
                raise
            raise UnsupportedError(f"{origin}: {error}") from error

    def refuse_choices(self, path: Path) -> None:
        """Raise UnsupportedError if shapes or outputs were chosen. Called by readers that do not support this."""
        if self.shapes or self.outputs:
            raise UnsupportedError(f"{path}: shapes and outputs cannot be chosen for files of this format")

    def sized(self, extents: Extents, where: str) -> Extents:
        """Return the extents (n, height, width, channels) of an image with the chosen `size`, see `set_size`."""
        return set_size(extents, self.size, where)


def only(paths: Sequence[Path]) -> Path:
    """Return the only file. Raises UnsupportedError for several files, because their format cannot be joined."""
    if len(paths) != 1:
        raise UnsupportedError(
            f"{paths[1]}: {paths[1].suffix} files cannot be joined; convert them one by one"
        )
    return paths[0]
