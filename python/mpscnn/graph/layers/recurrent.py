"""Define the layer methods for recurrent layers."""

from __future__ import annotations

from typing import Any

from mpscnn._private.arguments import require_bool, whole_number
from mpscnn.errors import ParameterError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor
from mpscnn.graph.recurrent import Filtered, Recurrent, Sequences, gate_function


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

        Weights: those of a convolution `NAME/input`, whose outputs are i, f, o and g with `units` each; and `weight` of
        `NAME/recurrent`, (4 * units, units) with rows in the same order.

        Args:
            x: (n, steps, features), or (n, steps, sequences, features) for several sequences in each image.
            units: the size of the states.
            activation: the function of the candidates g.
            recurrent_activation: the function of the gates.
            cell_activation: the function of the cell state before the output gate.
            hidden, cell: the states before the first step, with the shape of `Recurrent.last`.
            reverse: begin with the last step.
            name: the prefix of all layers' names; None: "lstm" with a number.

        Raises ShapeError if the number of steps is not fixed, and ParameterError for an activation with slopes or a
        third parameter.
        """
        reverse = require_bool("lstm: reverse", reverse)
        sequences = Sequences(self, x, units, name=name, default="lstm")
        sums = sequences.product(4 * sequences.units, "input")
        attributes = {"reverse": reverse} | gate_function("gate", recurrent_activation)
        attributes |= gate_function("candidate", activation) | gate_function("output", cell_activation)
        inputs = [sums, *sequences.states(hidden=hidden, cell=cell)]
        own, default = sequences.names("recurrent")
        states = self.layer("lstm", inputs, attributes, name=own, default=default)
        return sequences.results(states, reverse=reverse, has_cell=True)

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
        step times another matrix, plus biases. The candidate is `activation` of such a sum in which r is a factor. If
        `reset_after` is set (as in PyTorch and Keras 2), r multiplies the product of matrix and h, plus its bias.
        Otherwise r multiplies h before the product. Then h = z h + (1 - z) candidate.

        Weights: those of a convolution `NAME/input`, whose outputs are z, r and the candidate with `units` each;
        `weight` of `NAME/recurrent`, (3 * units, units) with rows in the same order; and with `reset_after` its `bias`,
        (units,), which r multiplies.

        Args:
            x, units, hidden, reverse, name: as for `lstm`.
            activation: the function of the candidates.
            recurrent_activation: the function of the gates.
            reset_after: whether r multiplies the product with h instead of h.

        Raises the errors of `lstm`.
        """
        reset_after = require_bool("gru: reset_after", reset_after)
        reverse = require_bool("gru: reverse", reverse)
        sequences = Sequences(self, x, units, name=name, default="gru")
        sums = sequences.product(3 * sequences.units, "input")
        attributes = {"reverse": reverse, "reset_after": reset_after}
        attributes |= gate_function("gate", recurrent_activation) | gate_function("candidate", activation)
        inputs = [sums, *sequences.states(hidden=hidden)]
        own, default = sequences.names("recurrent")
        states = self.layer("gru", inputs, attributes, name=own, default=default)
        return sequences.results(states, reverse=reverse, has_cell=False)

    def svdf(
        self,
        x: Tensor,
        units: int,
        memory: int,
        *,
        rank: int = 1,
        activation: Activation = None,
        history: Tensor | None = None,
        name: str | None = None,
    ) -> Filtered:
        """Add an SVDF layer (Nakkiran et al. 2015).

        Each filter is the product of a vector of features and a vector of time.

        Each unit has `rank` filters. A filter multiplies the features of each step by one vector, which gives one
        number a step. It multiplies the last `memory` of these numbers by the other vector; numbers before the first
        step are 0, unless `history` has them. A unit is the sum of its filters and a bias.

        Weights: `weight` of the convolution `NAME/features`, (units * rank, 1, 1, features); `weight` of the grouped
        convolution `NAME/time`, (units, memory, 1, rank), the oldest number first, and its `bias`, (units,).

        Args:
            x: (n, steps, features).
            units: the number of output channels.
            memory: the number of steps that a result depends on.
            rank: the number of filters for each unit.
            activation: the function of the result.
            history: the numbers of the memory - 1 steps before the first one, (n, memory - 1, units * rank).
            name: the prefix of all layers' names; None: "svdf" with a number.

        Returns (n, steps, units), and with `history` the numbers of the newest memory - 1 steps. Raises ShapeError if
        the number of steps is not fixed, and ParameterError for a history with a memory of 1.
        """
        units, memory, rank = (
            whole_number(f"svdf: {what}", value)
            for what, value in (("units", units), ("memory", memory), ("rank", rank))
        )
        filters, before = units * rank, memory - 1
        sequences = Sequences(self, x, filters, name=name, default="svdf")
        numbers = sequences.product(filters, "features")
        window: dict[str, Any] = {
            "kernel_height": memory,
            "kernel_width": 1,
            "output_channels": units,
            "groups": units,
        }
        after = None
        if history is None:
            window |= {"padding": "explicit", "pad_top": before}
        else:
            if before == 0:
                raise ParameterError("svdf: a memory of 1 has no history")
            known = sequences.layer("reshape", [history], {"shape": [before, 1, filters]}, "known")
            numbers = sequences.layer("concatenation", [known, numbers], {"axis": 1}, "numbers")
            part = sequences.layer("slice", [numbers], {"top": sequences.steps, "height": before}, "newest")
            after = sequences.layer("reshape", [part], {"shape": [before, filters]}, "history")
        own, default = sequences.names("time")
        y = self.layer("convolution", [numbers], window, activation=activation, name=own, default=default)
        return Filtered(sequences.layer("reshape", [y], {"shape": [sequences.steps, units]}, "steps"), after)
