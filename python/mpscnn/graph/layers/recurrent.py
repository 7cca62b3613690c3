"""Recurrent layers, written as the layers of each of their steps."""

from __future__ import annotations

from mpscnn._private.arguments import require_bool, whole_number
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor
from mpscnn.graph.recurrent_steps import Recurrent, RecurrentSteps


class RecurrentLayers(LayerMaker):
    """Recurrent layers."""

    def lstm(
        self,
        x: Tensor,
        units: int,
        *,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        cell_activation: Activation = "tanh",
        hidden: Tensor | None = None,
        cell: Tensor | None = None,
        reverse: bool = False,
        name: str | None = None,
    ) -> Recurrent:
        """Return a long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).

        The gates i, f and o are `recurrent_activation`, and g is `activation`, of a sum: x times a matrix, the hidden
        state h before times another one, and biases. Then c = f c + i g, and h = o `cell_activation`(c). The states are
        0 before the first step, unless they are given.

        Weights: those of a convolution `NAME/input`, whose outputs are i, f, o and g with `units` each; and `value` of
        the constant `NAME/recurrent`, (1, units, 4 * units) with the same columns.

        Args:
            x: (n, steps, features), or (n, steps, sequences, features) for several sequences in each image.
            units: of the states.
            activation: of the candidates g.
            recurrent_activation: of the gates.
            cell_activation: of the cell state before the output gate.
            hidden, cell: the states before the first step, shaped as `Recurrent.last`.
            reverse: whether the last step comes first.
            name: begins the names of all layers; None: "lstm" with a number.

        Raises ShapeError for an input without a fixed number of steps; ParameterError for more than 500 steps.
        """
        maker = RecurrentSteps(self, x, units, 4, reverse=reverse, name=name, default="lstm")
        units = maker.units
        recurrent = maker.constant("recurrent", (1, units, 4 * units))
        h, c = maker.given(hidden, "hidden"), maker.given(cell, "cell")
        for step in maker.order:
            gates = maker.projection(step)
            if h is not None:
                gates = maker.add(gates, maker.product(h, recurrent))
            opened = maker.function(maker.channels(gates, 0, 3 * units), recurrent_activation)
            candidate = maker.function(maker.channels(gates, 3 * units, units), activation)
            kept = maker.multiply(maker.channels(opened, 0, units), candidate)
            if c is not None:
                kept = maker.add(maker.multiply(maker.channels(opened, units, units), c), kept)
            c = kept
            h = maker.multiply(maker.channels(opened, 2 * units, units), maker.function(c, cell_activation))
            maker.ended(step, h)
        return maker.results(h, c)

    def gru(
        self,
        x: Tensor,
        units: int,
        *,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        reset_after: bool = True,
        hidden: Tensor | None = None,
        reverse: bool = False,
        name: str | None = None,
    ) -> Recurrent:
        """Return a gated recurrent unit (Cho et al. 2014).

        The gates z and r are `recurrent_activation` of a sum: x times a matrix, the hidden state h before times another
        one, and biases. The candidate is `activation` of such a sum, in which r multiplies the product of the states
        and its bias (`reset_after`, as in PyTorch and Keras 2), or the states before their product. Then
        h = z h + (1 - z) candidate.

        Weights: those of a convolution `NAME/input`, whose outputs are z, r and the candidate with `units` each;
        `value` of the constants `NAME/recurrent`, (1, units, 2 * units) for z and r, and `NAME/candidate`, (1, units,
        units); and with `reset_after` `value` of `NAME/bias`, (1, 1, units), the bias that r multiplies.

        Args:
            x, units, hidden, reverse, name: as of `lstm`.
            activation: of the candidates.
            recurrent_activation: of the gates.
            reset_after: whether r multiplies the product.

        Raises as `lstm`.
        """
        reset_after = require_bool("gru: reset_after", reset_after)
        maker = RecurrentSteps(self, x, units, 3, reverse=reverse, name=name, default="gru")
        units = maker.units
        recurrent = maker.constant("recurrent", (1, units, 2 * units))
        matrix = maker.constant("candidate", (1, units, units))
        bias = maker.constant("bias", (1, 1, units)) if reset_after else None
        h = maker.given(hidden, "hidden")
        for step in maker.order:
            inputs = maker.projection(step)
            gates = maker.channels(inputs, 0, 2 * units)
            if h is not None:
                gates = maker.add(gates, maker.product(h, recurrent))
            opened = maker.function(gates, recurrent_activation)
            update, reset = (maker.channels(opened, place * units, units) for place in (0, 1))
            candidate = maker.channels(inputs, 2 * units, units)
            if bias is not None:
                state = bias if h is None else maker.add(maker.product(h, matrix), bias)
                candidate = maker.add(candidate, maker.multiply(reset, state))
            elif h is not None:
                candidate = maker.add(candidate, maker.product(maker.multiply(reset, h), matrix))
            candidate = maker.function(candidate, activation)
            # z h + (1 - z) candidate
            change = candidate if h is None else maker.subtract(candidate, h)
            kept = maker.function(update, {"kind": "linear", "a": -1.0, "b": 1.0})
            moved = maker.multiply(kept, change)
            h = moved if h is None else maker.add(h, moved)
            maker.ended(step, h)
        return maker.results(h, None)

    def svdf(
        self,
        x: Tensor,
        units: int,
        memory: int,
        *,
        rank: int = 1,
        activation: Activation = None,
        name: str | None = None,
    ) -> Tensor:
        """A layer whose filters are products of a vector of features and one of time (Nakkiran et al. 2015).

        Each unit has `rank` filters. A filter multiplies the features of a step by one vector, and the last `memory`
        numbers that this gives by another one; missing ones are 0. A unit is the sum of its filters and a bias.

        Weights: `weight` of the convolution `NAME/features`, (units * rank, 1, 1, features); `weight` of the depthwise
        convolution `NAME/time`, (units * rank, memory, 1, 1), the oldest number first; `value` of the constant
        `NAME/bias`, (1, 1, units).

        Args:
            x: (n, steps, features).
            units: of the result.
            memory: the steps that a result depends on.
            rank: filters for each unit.
            activation: of the result.
            name: begins the names of all layers; None: "svdf" with a number.

        Returns (n, steps, units). Raises ShapeError for an input without a fixed number of steps.
        """
        units, memory, rank = (
            whole_number(f"svdf: {what}", value)
            for what, value in (("units", units), ("memory", memory), ("rank", rank))
        )
        maker = RecurrentSteps(
            self, x, units * rank, 1, reverse=False, name=name, default="svdf", most=None, role="features"
        )
        window = {"kernel_height": memory, "kernel_width": 1, "padding": "explicit", "pad_top": memory - 1}
        window |= {"output_channels": units * rank, "groups": units * rank}
        y = maker.layer("convolution", [maker.projected], window, "time")
        y = maker.layer("reshape", [y], {"shape": [maker.steps, units, rank]}, "ranks")
        y = maker.layer("reduction", [y], {"kind": "sum", "axis": "channels"}, "sum")
        y = maker.layer("reshape", [y], {"shape": [maker.steps, 1, units]}, "units")
        y = maker.function(maker.add(y, maker.constant("bias", (1, 1, units))), activation)
        return maker.layer("reshape", [y], {"shape": [maker.steps, units]}, "steps")
