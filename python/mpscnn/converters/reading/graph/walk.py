"""Convert the layers of a model one after the other, and collect those that cannot be converted for one error."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mpscnn.converters.finishing.renaming import name_outputs
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.opening.unsupported import UnsupportedLayers
from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.errors import WeightsError
from mpscnn.graph.network import Network

_MAX_LAYERS = 100_000
_MAX_BLOBS = 1_024  # the maximum number of blobs that a layer reads or computes

Made = Callable[[], Sequence[str]]
"""A function that adds a layer's operators and returns the names of the resulting tensors."""


class Walk:
    """Converts the layers of a model in order. Tensors between layers are called blobs, as in Caffe.

    Args:
        builder: the graph to which the operators are added.
        origin: the name of the model's file, for messages.
    """

    def __init__(self, builder: Builder, origin: str) -> None:
        self.builder = builder
        self._origin = origin
        self._unsupported = UnsupportedLayers(origin)
        self._missing: set[str] = set()
        self._left_out: set[str] = set()  # names of layers that are not converted
        self._count = 0

    def expect(self, count: int) -> None:
        """Raise WeightsError if a model has more layers than are read. Call this before they are converted."""
        if count > _MAX_LAYERS:
            raise WeightsError(f"{self._origin}: has {count} layers; at most {_MAX_LAYERS} are read")

    def layer(
        self,
        kind: str,
        name: str,
        reads: Sequence[str],
        makes: Sequence[str],
        convert: Made,
        refusal: str | None,
        apart: Sequence[str] = (),
    ) -> None:
        """Convert a layer.

        Args:
            kind, name: the layer's kind and name in the file.
            reads, makes: the blobs that the layer reads and computes.
            convert: adds the layer's operators.
            refusal: the reason why layers of this kind are not supported; None: they are.
            apart: the layer's other blobs, which the network does not compute.
        """
        self._count += 1
        if self._count > _MAX_LAYERS:
            raise WeightsError(f"{self._origin}: has more than {_MAX_LAYERS} layers")
        if max(len(reads), len(makes)) > _MAX_BLOBS:
            raise WeightsError(
                f"{self._origin}: layer {quote_name(name)} ({kind}) reads {len(reads)} blobs and computes "
                f"{len(makes)}; at most {_MAX_BLOBS} of each are supported"
            )
        # The error names all unsupported layers, but not layers that only depend on their results.
        if refusal is not None:
            self._unsupported.add(kind, name, refusal)
        if refusal is not None or not self._missing.isdisjoint(reads):
            self._leave_out(name, [*makes, *apart])
            return

        def converted() -> None:
            self.builder.begin(name)
            made = convert()
            if len(made) != len(makes):
                raise WeightsError(f"damaged: it has {len(makes)} results instead of {len(made)}")
            self.builder.end(dict(zip(makes, made, strict=True)))

        if not self._unsupported.attempt(kind, name, converted, free_size=self.builder.has_free_size):
            self._leave_out(name, [*makes, *apart])

    def _leave_out(self, name: str, makes: Sequence[str]) -> None:
        self._left_out.add(name)
        self._missing.update(makes)

    def constant(self, kind: str, name: str, makes: Sequence[str], convert: Made) -> None:
        """Add a constant of the file. It does not become a layer."""
        if not self._unsupported.attempt(kind, name, convert, free_size=False):
            self._missing.update(makes)

    def flatten(self, blob: str, *, only_vectors: bool = False) -> None:
        """Reshape a blob to one vector for each image. With `only_vectors`, only images of one pixel are reshaped."""

        def convert() -> Sequence[str]:
            b = self.builder
            x = b.tensor(blob)
            extents = b.extents(x)
            if len(extents) == 2 or (only_vectors and extents[2:] != (1, 1)):
                return [x]
            return [ops.flatten(b, x, axis=1)]

        self.layer("output", f"{blob}/vector", [blob], [blob], convert, None)

    def network(self, outputs: Sequence[str], options: ReadOptions) -> Network:
        """Return the network that computes these blobs, or the outputs that the options choose.

        Raises UnsupportedLayersError with all unsupported layers, unless the chosen outputs do without them.
        """
        wanted = dict.fromkeys(map(self.builder.tensor, self._converted(outputs, options)))
        return self.builder.network(list(wanted), options)

    def network_with_names(self, outputs: Mapping[str, str], options: ReadOptions) -> Network:
        """Return the network that computes some blobs. Each is an output of its own, also if it occurs again.

        The names stay as they are if the options choose other outputs, or if the outputs become those of a detector.

        Args:
            outputs: the blobs by the names of the outputs.
            options: the options of the conversion.

        Raises UnsupportedLayersError with all unsupported layers, unless the chosen outputs do without them.
        """
        left = self._converted([*outputs.values()], options)
        kept = {*left}
        named = {name: blob for name, blob in outputs.items() if blob in kept} or {one: one for one in left}
        network = self.builder.network([self.builder.tensor(blob) for blob in named.values()], options)
        has_others = options.outputs or network.source_ends or network.detection is not None
        return network if has_others else name_outputs(network, [*named])

    def _converted(self, outputs: Sequence[str], options: ReadOptions) -> Sequence[str]:
        """Return the blobs that the converted layers compute, if no other layer is needed."""
        if not self._unsupported:
            return outputs
        chosen = {name.partition(":")[0] for name in options.outputs} | {*options.outputs}
        if not options.outputs or not chosen.isdisjoint(self._missing | self._left_out):
            raise self._unsupported.error()
        left = [blob for blob in outputs if blob not in self._missing]
        left = left or [name for name in options.outputs if self.builder.has(name)]
        if not left:
            raise self._unsupported.error()
        return left
