"""Set the outputs of a network converted from an ONNX file, and record the layout of each."""

from __future__ import annotations

from functools import partial

from mpscnn.converters.finishing.renaming import DistinctResults
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.layouts import IN_BETWEEN, OutputLayout
from mpscnn.converters.reading.onnx.neurons import NEURONS
from mpscnn.converters.values.layout import TO_NHWC, Arranged, Axis
from mpscnn.errors import UnsupportedError


class Outputs:
    """Turns tensors of the file into outputs of the network."""

    def __init__(self, context: Context) -> None:
        self._c = context
        self._distinct = DistinctResults(context.network, context.file.origin, context.network.inputs)
        self._known_ends: dict[str, bool] = {}
        self.layouts: list[OutputLayout] = []

    def mark(self, name: str) -> None:
        """Make a tensor of the file an output of the network."""
        c = self._c
        where = f"{c.file.origin}: its output {quote_name(name)}"
        if name in c.file.makers:
            c.naming.begin(c.file.makers[name])
        try:
            value = c.constant(name) if c.is_constant(name) else c.value(name, whole_numbers=True)
            value = value.prepend_batch(c.arranger.batch)
            tensor = c.arranger.physical(value, self._axes(name, value))
        except UnsupportedError as error:
            raise UnsupportedError(f"{where}: {error}") from error
        own = partial(c.naming.planned.unique, c.file.layer_of(name))
        c.network.output(self._distinct.distinct(tensor, own))

    def _axes(self, name: str, value: Arranged) -> list[Axis]:
        """Return the axes of an output. Images become NHWC, unless the file has them in this order."""
        batch = self._c.arranger.batch
        if batch is None:
            self.layouts.append(OutputLayout(tuple(range(value.rank)), has_batch=False))
            return list(value.axes) or [()]
        if not value.axes and batch.high == 1:
            self.layouts.append(OutputLayout((), has_batch=False))
            return [()]
        if not value.axes or not any(atom.is_batch for atom in value.axes[0]):
            raise UnsupportedError(f"{value.shown}: its first axis is not the batch")
        if not value.has_batch_first:
            if batch.high != 1:
                raise UnsupportedError(f"{value.shown}: its first axis is not the batch alone")
            self._c.notes.append(
                f"output {quote_name(name)} gets an axis for the batch, which the file leaves out"
            )
        own = [tuple(atom for atom in axis if not atom.is_batch) for axis in value.axes]
        plain = own[1:] if value.has_batch_first else own
        is_image = value.rank == 4 and value.has_batch_first and not self._c.file.keeps_axes
        moves = is_image and not self._ends_in_nhwc(name)
        axes = TO_NHWC if moves else tuple(range(value.rank))
        self.layouts.append(OutputLayout(axes, value.has_batch_first))
        if not plain:
            return [()]
        return [own[2], own[3], own[1]] if moves else plain

    def _ends_in_nhwc(self, name: str) -> bool:
        """Return True if the last operation on an image transposes it to NHWC. Elementwise functions may follow."""
        makers = self._c.file.makers
        way = []
        result = False
        while (node := makers.get(name)) is not None:
            if name in self._known_ends:
                result = self._known_ends[name]
                break
            way.append(name)
            if node.kind == "Transpose":
                result = tuple(node.integers("perm", ())) == TO_NHWC
                break
            if node.kind not in IN_BETWEEN and node.kind not in NEURONS and node.kind != "Softmax":
                break
            name = next((given for given in node.inputs if given in makers), "")
        self._known_ends |= dict.fromkeys(way, result)
        return result
