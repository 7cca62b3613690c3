"""Define states that kernels fill for their gradient kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mpscnn._private.copies import NoCopies
from mpscnn.errors import StateError
from mpscnn.kernels.kernel import require_type
from mpscnn.runtime.feature_image import Image

if TYPE_CHECKING:
    from mpscnn.kernels.kernel import BinaryKernel, UnaryKernel


class KernelState(NoCopies):
    """Records the properties that a kernel had when it was encoded."""

    _instead = "it belongs to a kernel; make another with its result_state"

    def __init__(self, kernel: object) -> None:
        self._forward = type(kernel)
        self._properties: Mapping[str, Any] | None = None

    def _recorded(self) -> Mapping[str, Any]:
        if self._properties is None:
            raise StateError(
                f"{type(self).__name__}: holds nothing; encode the {self._forward.__name__} with it first"
            )
        return self._properties


class GradientState(KernelState):
    """Records a kernel when it is encoded, for its gradient kernel, as MPSNNGradientState.

    A kernel's `result_state` makes it, and its `encode(..., destination_state=state)` fills it. Encoding again replaces
    the content.
    """

    def __init__(self, kernel: UnaryKernel, source: Image | None = None) -> None:
        super().__init__(kernel)
        self.source_width, self.source_height = (source.width, source.height) if source else (0, 0)

    def _record(self, kernel: UnaryKernel, source: Image) -> None:
        require_type(type(kernel).__name__ + ".encode: destination_state", kernel, self._forward)
        self._properties = kernel._properties()
        self.source_width, self.source_height = source.width, source.height

    @property
    def offset(self) -> tuple[int, int]:
        """The kernel's `offset`, (x, y), as it was encoded."""
        x, y, _ = self._recorded()["offset"]
        return x, y


class BinaryGradientState(KernelState):
    """Records a kernel with two sources, for the gradient kernels of both sources, as MPSNNBinaryGradientState."""

    def _record(self, kernel: BinaryKernel) -> None:
        self._properties = kernel._properties()

    @property
    def primary_offset(self) -> tuple[int, int]:
        """The kernel's `primary_offset`, (x, y), as it was encoded."""
        x, y, _ = self._recorded()["primary_offset"]
        return x, y

    @property
    def secondary_offset(self) -> tuple[int, int]:
        """The kernel's `secondary_offset`, (x, y), as it was encoded."""
        x, y, _ = self._recorded()["secondary_offset"]
        return x, y


class MultiaryGradientState(KernelState):
    """A state for your own kernel with any number of sources, as MPSNNMultiaryGradientState.

    Neither MPS nor this package has kernels that fill it. Fill it when you encode your kernel, such as a `MetalKernel`,
    with the sources and values that the gradient needs.

    Args:
        kernel: the kernel that the state is for.
    """

    _instead = "it belongs to a kernel; make another"

    def __init__(self, kernel: object) -> None:
        super().__init__(kernel)
        self._sources: tuple[Image, ...] = ()

    def record(self, sources: Sequence[Image], **values: Any) -> None:
        """Replace the content: images, which live as long as the state, and values by name."""
        for source in sources:
            require_type("MultiaryGradientState.record", source, Image)
        self._sources, self._properties = tuple(sources), dict(values)

    @property
    def sources(self) -> tuple[Image, ...]:
        """The images in order. Raises StateError if nothing was recorded yet."""
        self._recorded()
        return self._sources

    @property
    def values(self) -> Mapping[str, Any]:
        """The values by name. Raises StateError if nothing was recorded yet."""
        return MappingProxyType(dict(self._recorded()))
