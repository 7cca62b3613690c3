"""Layer methods for recurrent layers. Each one adds layers for every step."""

from __future__ import annotations

from mpscnn._private.arguments import require_bool, whole_number
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor
from mpscnn.graph.recurrent_steps import Recurrent, RecurrentSteps


class RecurrentLayers(LayerMaker):
    """Methods for recurrent layers."""

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
        """Add a long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).

        The gates i, f, o and the candidate g are sums: x times a matrix, plus the hidden state h of the last step times
        another matrix, plus biases. `recurrent_activation` is applied to the gates, `activation` to g. Then c = f c + i
        g, and h = o `cell_activation`(c). The states are 0 before the first step, unless they are given.

        Weights: those of a convolution `NAME/input`, whose outputs are i, f, o and g with `units` each; and `value` of
        the constant `NAME/recurrent`, (1, units, 4 * units) with the same columns.

        Args:
            x: (n, steps, features), or (n, steps, sequences, features) for several sequences in each image.
            units: the size of the states.
            activation: the function of the candidates g.
            recurrent_activation: the function of the gates.
            cell_activation: the function of the cell state before the output gate.
            hidden, cell: the states before the first step, with the shape of `Recurrent.last`.
            reverse: begin with the last step.
            name: the prefix of all layers' names; None: "lstm" with a number.

        Raises ShapeError if the number of steps is not fixed, and ParameterError if it exceeds 500.
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
        """Add a gated recurrent unit (Cho et al. 2014).

        The gates z and r are `recurrent_activation` of a sum: x times a matrix, plus the hidden state h of the last
        step times another matrix, plus biases. The candidate is `activation` of such a sum with r as a factor: of the
        whole product with h and its bias if `reset_after` is set (as in PyTorch and Keras 2), otherwise of h itself.
        Then h = z h + (1 - z) candidate.

        Weights: those of a convolution `NAME/input`, whose outputs are z, r and the candidate with `units` each;
        `value` of the constants `NAME/recurrent`, (1, units, 2 * units) for z and r, and `NAME/candidate`, (1, units,
        units); and with `reset_after` `value` of `NAME/bias`, (1, 1, units), the bias that r multiplies.

        Args:
            x, units, hidden, reverse, name: as for `lstm`.
            activation: the function of the candidates.
            recurrent_activation: the function of the gates.
            reset_after: whether r multiplies the product with h instead of h.

        Raises the errors of `lstm`.
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
            # h = z h + (1 - z) candidate
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
        """Add an SVDF layer (Nakkiran et al. 2015).

        Each filter is the product of a vector of features and a vector of time.

        Each unit has `rank` filters. A filter multiplies the features of each step by one vector, which gives one
        number a step. It multiplies the last `memory` of these numbers by the other vector; numbers before the first
        step are 0. A unit is the sum of its filters and a bias.

        Weights: `weight` of the convolution `NAME/features`, (units * rank, 1, 1, features); `weight` of the depthwise
        convolution `NAME/time`, (units * rank, memory, 1, 1), the oldest number first; `value` of the constant
        `NAME/bias`, (1, 1, units).

        Args:
            x: (n, steps, features).
            units: the number of output channels.
            memory: the number of steps that a result depends on.
            rank: the number of filters for each unit.
            activation: the function of the result.
            name: the prefix of all layers' names; None: "svdf" with a number.

        Returns (n, steps, units). Raises ShapeError if the number of steps is not fixed.
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
