"""Convert the layers of a model one after the other, and collect those that cannot be converted for one error."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mpscnn.converters.onnx_builder.builder import Builder
from mpscnn.converters.onnx_reader.reader import convert as convert_onnx
from mpscnn.converters.read_options import ReadOptions
from mpscnn.converters.unsupported import UnsupportedLayers, UnsupportedLayersError
from mpscnn.errors import Error, WeightsError
from mpscnn.graph.network import Network

_STAND_IN = "mpscnn.Refused"  # no operator of ONNX' own
_MAX_LAYERS = 100_000
_MAX_BLOBS = 1_024  # that a layer reads or makes

Made = Callable[[], Sequence[str]]
"""Adds a layer's operators, and returns the tensors that they compute."""


class Walk:
    """The layers of a model in their order.

    Args:
        builder: gets the operators.
        origin: the model's file, for messages.
    """

    def __init__(self, builder: Builder, origin: str) -> None:
        self.builder = builder
        self._origin = origin
        self._unsupported = UnsupportedLayers(origin)
        self._missing: set[str] = set()
        self._refused: list[str] = []
        self._count = 0

    def layer(
        self,
        kind: str,
        name: str,
        reads: Sequence[str],
        makes: Sequence[str],
        convert: Made,
        refusal: str | None,
    ) -> None:
        """Convert a layer.

        Args:
            kind, name: in the file.
            reads, makes: blobs of the file.
            convert: adds the layer.
            refusal: why a layer of this kind cannot be converted at all.
        """
        self._count += 1
        if self._count > _MAX_LAYERS or max(len(reads), len(makes)) > _MAX_BLOBS:
            raise WeightsError(
                f"{self._origin}: has more than {_MAX_LAYERS} layers, or one of {_MAX_BLOBS} blobs"
            )
        if not self._missing.isdisjoint(reads):
            # The error names all layers that cannot be converted, and not those that only need their results.
            if refusal is not None:
                self._refuse(kind, name, reads, makes, refusal)
            self._missing.update(makes)
            return
        if refusal is not None:
            self._refuse(kind, name, reads, makes, refusal)
            self._missing.update(makes)
            return

        def converted() -> None:
            self.builder.begin(name)
            made = convert()
            if len(made) != len(makes):
                raise WeightsError(f"damaged: it has {len(makes)} results instead of {len(made)}")
            for blob, tensor in zip(makes, made, strict=True):
                self.builder.end(blob, tensor)

        if not self._unsupported.attempt(kind, name, converted, free_size=self.builder.has_free_size):
            self._stand_in(name, reads, makes)
            self._missing.update(makes)

    def constant(self, kind: str, name: str, makes: Sequence[str], convert: Made) -> None:
        """Make a constant, which is no layer of its own."""
        if not self._unsupported.attempt(kind, name, convert, free_size=False):
            self._stand_in(name, [], makes)
            self._missing.update(makes)

    def flatten(self, blob: str, *, only_vectors: bool = False) -> None:
        """A blob as one vector for each image. `only_vectors`: an image of more than one pixel does not change."""

        def convert() -> Sequence[str]:
            b = self.builder
            x = b.tensor(blob)
            extents = b.extents(x)
            if len(extents) == 2 or (only_vectors and extents[2:] != (1, 1)):
                return [x]
            return [b.op("Flatten", x, axis=1)]

        self.layer("output", f"{blob}/vector", [blob], [blob], convert, None)

    def _refuse(self, kind: str, name: str, reads: Sequence[str], makes: Sequence[str], reason: str) -> None:
        self._unsupported.add(kind, name, reason)
        self._stand_in(name, reads, makes)

    def _stand_in(self, name: str, reads: Sequence[str], makes: Sequence[str]) -> None:
        """In place of a layer, an operator that ONNX' reader refuses together with all others."""
        b = self.builder
        known = [b.tensor(blob) for blob in reads if b.has(blob) and blob not in self._missing]
        made = [b.result(blob) for blob in makes]
        b.node(_STAND_IN, name, known, made)
        self._refused += made[:1]

    def network(self, outputs: Sequence[str], options: ReadOptions) -> Network:
        """The network that computes these blobs. Raises UnsupportedLayersError with all layers that mpscnn lacks."""
        b = self.builder
        wanted = self._refused + [b.tensor(blob) for blob in outputs if blob not in self._missing]
        try:
            return convert_onnx(b.onnx_file(list(dict.fromkeys(wanted))), options)
        except UnsupportedLayersError as error:
            raise self._unsupported.joined(error, _STAND_IN) from error
        except Error as error:
            if not self._unsupported:
                raise
            raise self._unsupported.error() from error
