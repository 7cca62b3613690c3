"""Define the padding policies of raw kernels, as in MPSNNPadding."""

from __future__ import annotations

from enum import IntFlag


class PaddingMethod(IntFlag):
    """The bits of MPSNNPaddingMethod: where padding goes, and how the result's size is computed."""

    ALIGN_CENTERED = 0
    ALIGN_TOP_LEFT = 1
    ALIGN_BOTTOM_RIGHT = 2
    ADD_REMAINDER_TO_TOP_LEFT = 0
    ADD_REMAINDER_TO_TOP_RIGHT = 4
    ADD_REMAINDER_TO_BOTTOM_LEFT = 8
    ADD_REMAINDER_TO_BOTTOM_RIGHT = 12
    SIZE_VALID_ONLY = 0
    SIZE_SAME = 0x10
    SIZE_FULL = 0x20
    EXCLUDE_EDGES = 0x8000


class DefaultPadding:
    """A padding policy like MPSNNDefaultPadding. It decides size and offset of results that a kernel creates itself.

    With the kernel's reach k = (taps - 1) * dilation + 1, stride s and a source of n pixels, the result has ceil((n +
    style * (k - 1)) / s) pixels. The style is -1 (valid only), 0 (same) or 1 (full).
    """

    def __init__(self, method: int) -> None:
        self.method = PaddingMethod(method)

    @classmethod
    def with_method(cls, method: int) -> DefaultPadding:
        """Create a policy from bits of `PaddingMethod`, like paddingWithMethod."""
        return cls(method)

    @classmethod
    def for_tensorflow_average_pooling(cls) -> DefaultPadding:
        """Return TensorFlow's SAME padding: an odd pixel goes to the bottom right. Use it with edge_mode "clamp"."""
        return cls(PaddingMethod.SIZE_SAME | PaddingMethod.ADD_REMAINDER_TO_BOTTOM_RIGHT)

    @classmethod
    def for_tensorflow_average_pooling_valid_only(cls) -> DefaultPadding:
        """Return TensorFlow's VALID padding. Use it with edge_mode "clamp"."""
        return cls(PaddingMethod.SIZE_VALID_ONLY | PaddingMethod.ADD_REMAINDER_TO_BOTTOM_RIGHT)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DefaultPadding) and self.method == other.method

    def __hash__(self) -> int:
        return hash(self.method)

    def __repr__(self) -> str:
        return f"DefaultPadding({int(self.method):#x})"
