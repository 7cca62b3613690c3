"""Options for reading a file of another framework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mpscnn.converters.image_size import Extents, with_size
from mpscnn.converters.layer_names import shown
from mpscnn.errors import ParameterError, ShapeError, UnsupportedError

if TYPE_CHECKING:
    from mpscnn.graph.network import Network


@dataclass(frozen=True)
class ReadOptions:
    """The options of a caller for reading a file.

    Attributes:
        name: the network's.
        size: (height, width) of an image input that the file leaves free; None: it stays free, or is what the
            architecture was made for where the file only holds weights.
        shapes: of inputs by name, with the batch and in the file's order of axes, where the file leaves extents free.
        outputs: names of tensors in the file to stop at, instead of its outputs; none: its outputs.
        architecture: which network a file of weights belongs to, where their names and shapes do not tell; None: the
            one that the file's name begins with.
        fold: batch normalizations of a state dict become part of the layers before them; else they are layers, as
            those of other files are.
        parameters: tensors of an ONNX file that have to learn when the network is trained, while all others must not,
            and what they are called in the module that it is made of; None: layers learn as their operations do.
        signature: which network of a TensorFlow Lite file with several; None: "serving_default", or else the first one.
        has_batch: whether the first axis of an ONNX file's tensors is the batch. False: none of their axes is, and the
            network computes the whole as one image.
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
                inputs = ", ".join(map(shown, known))
                raise ParameterError(f"{origin}: it has no input {shown(name)}; its inputs are {inputs}")

    def shape_of(self, name: str, stated: Extents | None, where: str) -> Extents | None:
        """Return the shape of an input: as chosen, else as the file states it.

        Raises ParameterError for one that contradicts the file; `where` begins the message.
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
        """Return a network with these inputs. Raises UnsupportedError where the file asks for what none can have."""
        from mpscnn.graph.network import Network

        try:
            return Network(input=shapes, name=self.name)
        except (ParameterError, ShapeError) as error:
            if self.shapes or self.size:
                raise
            raise UnsupportedError(f"{origin}: {error}") from error

    def refuse_choices(self, path: Path) -> None:
        """Raise UnsupportedError for shapes and outputs, where a reader has no use for them."""
        if self.shapes or self.outputs:
            raise UnsupportedError(f"{path}: shapes and outputs cannot be chosen for files of this format")

    def sized(self, extents: Extents, where: str) -> Extents:
        """Return the extents (n, height, width, channels) of an image with the chosen `size`, see `with_size`."""
        return with_size(extents, self.size, where)
