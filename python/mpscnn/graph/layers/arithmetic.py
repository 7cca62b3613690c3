"""Define the layer methods for elementwise arithmetic of two tensors."""

from __future__ import annotations

from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.errors import ShapeError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class ArithmeticLayers(LayerMaker):
    """Methods for elementwise arithmetic of two tensors.

    Both tensors must have the same number of axes. An axis with extent 1 is repeated to the other tensor's extent, as
    in NumPy; the batch is not. Tensors whose shapes do not fit raise ShapeError. `layer("add", ...)` also has scales, a
    bias, limits and strides; docs/ops/arithmetic.md describes them.
    """

    @accept_foreign_arguments
    def add(self, a: Tensor, b: Tensor, *, activation: Activation = None, name: str | None = None) -> Tensor:
        """Return a + b. Compiling fuses the sum with a convolution or dense layer before it."""
        return self._of_two("add", a, b, activation, name)

    @accept_foreign_arguments
    def subtract(
        self, a: Tensor, b: Tensor, *, activation: Activation = None, name: str | None = None
    ) -> Tensor:
        """Return a - b."""
        return self._of_two("subtract", a, b, activation, name)

    @accept_foreign_arguments
    def multiply(
        self, a: Tensor, b: Tensor, *, activation: Activation = None, name: str | None = None
    ) -> Tensor:
        """Return a * b."""
        return self._of_two("multiply", a, b, activation, name)

    @accept_foreign_arguments
    def divide(
        self, a: Tensor, b: Tensor, *, activation: Activation = None, name: str | None = None
    ) -> Tensor:
        """Return a / b; infinite or NaN where b is 0."""
        return self._of_two("divide", a, b, activation, name)

    @accept_foreign_arguments
    def maximum(
        self, a: Tensor, b: Tensor, *, activation: Activation = None, name: str | None = None
    ) -> Tensor:
        """Return the larger of a and b; NaN where one of them is NaN."""
        return self._of_two("maximum", a, b, activation, name)

    @accept_foreign_arguments
    def minimum(
        self, a: Tensor, b: Tensor, *, activation: Activation = None, name: str | None = None
    ) -> Tensor:
        """Return the smaller of a and b; NaN where one of them is NaN."""
        return self._of_two("minimum", a, b, activation, name)

    @accept_foreign_arguments
    def power(
        self, a: Tensor, b: Tensor, *, activation: Activation = None, name: str | None = None
    ) -> Tensor:
        """Return a to the power of b. NaN if a or b is NaN, or if a is negative and finite and b is not whole."""
        return self._of_two("power", a, b, activation, name)

    @accept_foreign_arguments
    def greater(
        self, a: Tensor, b: Tensor, *, activation: Activation = None, name: str | None = None
    ) -> Tensor:
        """Return 1 where a > b, otherwise 0."""
        return self._of_two("greater", a, b, activation, name)

    @accept_foreign_arguments
    def greater_equal(
        self, a: Tensor, b: Tensor, *, activation: Activation = None, name: str | None = None
    ) -> Tensor:
        """Return 1 where a >= b, otherwise 0."""
        return self._of_two("greater_equal", a, b, activation, name)

    @accept_foreign_arguments
    def equal(
        self, a: Tensor, b: Tensor, *, activation: Activation = None, name: str | None = None
    ) -> Tensor:
        """Return 1 where a and b are equal, otherwise 0."""
        return self._of_two("equal", a, b, activation, name)

    @accept_foreign_arguments
    def not_equal(
        self, a: Tensor, b: Tensor, *, activation: Activation = None, name: str | None = None
    ) -> Tensor:
        """Return 1 where a and b differ, otherwise 0. NaN differs from everything."""
        return self._of_two("not_equal", a, b, activation, name)

    @accept_foreign_arguments
    def less(self, a: Tensor, b: Tensor, *, activation: Activation = None, name: str | None = None) -> Tensor:
        """Return 1 where a < b, otherwise 0."""
        return self.greater(b, a, activation=activation, name=name)

    @accept_foreign_arguments
    def less_equal(
        self, a: Tensor, b: Tensor, *, activation: Activation = None, name: str | None = None
    ) -> Tensor:
        """Return 1 where a <= b, otherwise 0."""
        return self.greater_equal(b, a, activation=activation, name=name)

    def mask(
        self, condition: Tensor, x: Tensor, *, activation: Activation = None, name: str | None = None
    ) -> Tensor:
        """Return x where the condition is not 0, otherwise 0."""
        return self._of_two("mask", condition, x, activation, name)

    def mask_out(
        self, condition: Tensor, x: Tensor, *, activation: Activation = None, name: str | None = None
    ) -> Tensor:
        """Return x where the condition is 0, otherwise 0."""
        return self._of_two("mask_out", condition, x, activation, name)

    @accept_foreign_arguments
    def where(
        self,
        condition: Tensor,
        a: Tensor,
        b: Tensor,
        *,
        activation: Activation = None,
        name: str | None = None,
    ) -> Tensor:
        """Return elements of `a` where the condition is not 0, and elements of `b` elsewhere.

        This adds three layers: `mask`, `mask_out` and their sum, which has the given name. Elements that are not chosen
        may be NaN or infinite.
        """
        return self.add(
            self.mask(condition, a), self.mask_out(condition, b), activation=activation, name=name
        )

    def _of_two(
        self, operation: str, a: Tensor, b: Tensor, activation: Activation, name: str | None
    ) -> Tensor:
        strides = broadcast_strides(operation, a, b)
        return self.layer(operation, [a, b], strides, activation=activation, name=name)


def broadcast_strides(operation: str, a: object, b: object) -> dict[str, int]:
    """Return strides of 0 for axes along which only one of the tensors has extent 1."""
    if not isinstance(a, Tensor) or not isinstance(b, Tensor):
        return {}  # `layer` raises the error
    if len(a.shape) != len(b.shape):
        raise ShapeError(f"{operation}: both inputs must have the same number of axes, got {a!r} and {b!r}")
    strides: dict[str, int] = {}
    repeatable = 3 if len(a.shape) <= 4 else 2
    for axis, (extent_a, extent_b) in enumerate(zip(a.shape, b.shape, strict=True)):
        if axis == 0 or extent_a == extent_b or 1 not in (extent_a, extent_b):
            continue
        from_end = len(a.shape) - axis
        if from_end > repeatable:
            raise ShapeError(
                f"{operation}: only the last {repeatable} axes of tensors with {len(a.shape)} axes can be repeated, "
                f"got {a!r} and {b!r}; `tile` repeats any axis"
            )
        operand = "primary" if extent_a == 1 else "secondary"
        strides[f"{operand}_stride_{('channels', 'x', 'y')[from_end - 1]}"] = 0
    return strides
