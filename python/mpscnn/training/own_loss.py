"""Train with a loss of the user's: a Python function, or a `Network` of mpscnn's operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.callables import require_arguments
from mpscnn.errors import ParameterError, ShapeError
from mpscnn.graph.network import Network
from mpscnn.graph.training_arrays import loss_kind

Loss = str | Mapping[str, Any] | Callable[..., Any] | Network
#: The kind of a loss of the user's in a checkpoint, which does not hold the loss itself.
OWN = "own"
_INPUTS = ("prediction", "labels", "weights")
_Arrays = Sequence[NDArray[Any]]


def own_loss(loss: Loss) -> Callable[..., Any] | Network | None:
    """Return a loss of the user's, which checkpoints do not hold; None for a name or a mapping."""
    return None if isinstance(loss, (str, Mapping)) else loss


def loss_text(loss: Loss) -> Any:
    """Return what stands for a loss in the description of a training, as JSON: its settings, or its name."""
    if isinstance(loss, (str, Mapping)):
        return loss if isinstance(loss, str) else dict(loss)
    if isinstance(loss, Network):
        return loss.to_dict()
    return getattr(loss, "__qualname__", type(loss).__name__)


def require_loss(loss: Any, kinds: Sequence[str], who: str) -> None:
    """Raise ParameterError unless the loss is one of these kinds, or a function or a network of the user's."""
    if isinstance(loss, Network) or callable(loss):
        return
    kind = loss_kind(loss)
    if kind not in kinds:
        raise ParameterError(
            f"loss: {who} is trained with {', '.join(map(repr, kinds))} or a function of yours, got {kind!r}"
        )


class OwnLoss:
    """A loss of the user's.

    Args:
        loss: a function of (outputs, targets), or of (outputs, targets, weights) for weighted losses. All are float32
            in the shape of the network's output, and read-only. It returns the loss, a number, and the loss's gradient
            in the shape of the outputs. Or a `Network` with the inputs "prediction" and "labels", and perhaps
            "weights", in that shape. Its output has losses, whose mean the trainer minimizes.
        network: the trained network.
        weighted: whether losses have weights.

    Raises:
        ParameterError: the function cannot be called like this, or the network has other inputs or outputs.
    """

    def __init__(self, loss: Callable[..., Any] | Network, network: Network, *, weighted: bool) -> None:
        self.given = loss
        if len(network.outputs) != 1:
            raise ParameterError(
                f"loss: a loss of your own needs a network with one output, {network.name!r} has {len(network.outputs)}"
            )
        self._names = _INPUTS if weighted else _INPUTS[:2]
        if isinstance(loss, Network):
            self._require_inputs(loss)
            self.graph = loss.graph
        else:
            package = getattr(loss, "__module__", "").partition(".")[0]
            if package in ("torch", "keras", "tensorflow"):
                name = getattr(loss, "__name__", type(loss).__name__)
                raise ParameterError(
                    f"loss: {name} of {package} computes its tensors; loss={name!r} takes a known loss by this name, "
                    "and a function of yours takes arrays and returns (loss, gradient)"
                )
            arguments = ["outputs", "targets", "weights"][: len(self._names)]
            require_arguments("loss", loss, arguments)
            self._gradient: NDArray[np.float32] | None = None
            self._network = self._as_network(network.outputs[0].shape[1:])
            self.graph = self._network.graph

    def value(self, prediction: NDArray[np.float32], *others: NDArray[np.float32]) -> float:
        """Return the loss of a batch. `others` are the labels and, for weighted losses, the weights."""
        arrays = (prediction, *others)
        if not isinstance(self.given, Network):
            return self._called(arrays)[0]
        names = [tensor.name for tensor in self.given.inputs]
        given = {name: array for name, array in zip(self._names, arrays, strict=True) if name in names}
        session = self.given.compile(device="cpu", precision="float32").session(threads=1)
        return float(np.asarray(session.run(given)).mean(dtype=np.float64))

    def _require_inputs(self, loss: Network) -> None:
        names = [tensor.name for tensor in loss.inputs]
        if "prediction" not in names or not set(names) <= set(self._names) or len(loss.outputs) != 1:
            raise ParameterError(
                f"loss: the network {loss.name!r} must have one output and the inputs "
                f"{' and '.join(map(repr, self._names))}, got {len(loss.outputs)} and {', '.join(map(repr, names))}"
            )

    def _called(self, arrays: _Arrays) -> tuple[float, NDArray[np.float32]]:
        """Call the user's function, and return its loss and a copy of its gradient."""
        assert not isinstance(self.given, Network)
        result = self.given(*arrays)
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise ParameterError(
                f"loss: the function must return (loss, gradient), got {type(result).__name__}"
            )
        loss, gradient = np.asarray(result[0], np.float64), np.array(result[1], np.float32)
        if loss.size != 1:
            raise ShapeError(
                f"loss: the function must return one number as the loss, got the shape {loss.shape}"
            )
        if gradient.shape != arrays[0].shape:
            raise ShapeError(
                f"loss: the gradient must have the shape of the outputs {arrays[0].shape}, got {gradient.shape}"
            )
        return float(loss.item()), gradient

    def _losses(self, arrays: _Arrays) -> NDArray[np.float32]:
        """Return the loss for each image, (n, 1), and keep the gradient for the layer that follows."""
        loss, self._gradient = self._called(arrays)
        return np.full((len(arrays[0]), 1), loss, np.float32)

    def _kept_gradient(
        self, _prediction: NDArray[np.float32], _losses: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the gradient that was kept. The losses are an input, so that their layer runs before."""
        gradient, self._gradient = self._gradient, None
        assert gradient is not None
        return gradient

    def _as_network(self, shape: Sequence[int | None]) -> Network:
        """Return a network whose first layer calls the function, and whose second one returns the gradient."""
        net = Network(input=dict.fromkeys(self._names, tuple(shape)), name="loss")
        layers: dict[int, Callable[..., Any]] = {
            2: lambda y, t: self._losses((y, t)),
            3: lambda y, t, w: self._losses((y, t, w)),
        }
        losses = net.custom(layers[len(self._names)], net.inputs, shape=(1,), name="function")
        net.output(losses)
        net.output(net.custom(self._kept_gradient, [net.inputs[0], losses], name="function_gradient"))
        return net
