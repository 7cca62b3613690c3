"""Define losses and their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.copies import NoCopies
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.errors import ParameterError, ShapeError, StateError, UnsupportedError
from mpscnn.kernels.classes import Add
from mpscnn.kernels.fields import LossDescriptorFields, LossFields
from mpscnn.kernels.gradient import DeviceArray, add_read
from mpscnn.kernels.kernel import Kernel, require_type
from mpscnn.kernels.properties import KeptFlag
from mpscnn.runtime.commands import CommandBuffer
from mpscnn.runtime.feature_image import Image

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.kernels.named import LabelProperties, LossGradientProperties


class LossDescriptor(LossDescriptorFields):
    """The kind of a loss and its reduction, as MPSCNNLossDescriptor.

    loss_type: see the table of docs/training.md. reduction_type: "none", "sum", "mean" or "sum_by_nonzero_weights".
    """


class LossDataDescriptor:
    """Labels or weights in the program's memory, as MPSCNNLossDataDescriptor.

    Args:
        data: float32 numbers: (height, width, channels), (n, height, width, channels), or with layout "chw" (channels,
            height, width) and (n, channels, height, width).
        layout: "hwc" or "chw".
    """

    __slots__ = ("data", "layout")
    data: NDArray[np.float32]
    layout: Literal["hwc", "chw"]

    def __init__(self, data: Any, layout: Literal["hwc", "chw"] = "hwc") -> None:
        values = np.asarray(data, np.float32)
        if layout not in ("hwc", "chw"):
            raise ParameterError(f"LossDataDescriptor: layout must be 'hwc' or 'chw', got {layout!r}")
        if values.ndim not in (3, 4):
            raise ShapeError(f"LossDataDescriptor: expected 3 or 4 axes, got {values.shape}")
        self.layout = layout
        self.data = values if layout == "hwc" else np.moveaxis(values, -3, -1)

    @property
    def size(self) -> tuple[int, int, int]:
        """(width, height, channels)."""
        height, width, channels = self.data.shape[-3:]
        return width, height, channels

    @property
    def bytes_per_row(self) -> int:
        """The distance between rows of the array in bytes. Setting it raises UnsupportedError."""
        return self.data.strides[-3]

    @bytes_per_row.setter
    def bytes_per_row(self, _: int) -> None:
        raise self._of_the_array("bytes_per_row")

    @property
    def bytes_per_image(self) -> int:
        """The bytes of an image, or with layout "chw" of one of its channels. Setting it raises UnsupportedError."""
        return int(self.data.shape[-3]) * self.bytes_per_row

    @bytes_per_image.setter
    def bytes_per_image(self, _: int) -> None:
        raise self._of_the_array("bytes_per_image")

    @staticmethod
    def _of_the_array(name: str) -> UnsupportedError:
        return UnsupportedError(
            f"LossDataDescriptor: {name} is what the array has; give a view whose rows lie as far apart"
        )


def _as_image(what: str, given: Any) -> Image | None:
    if isinstance(given, LossDataDescriptor):
        return Image.from_numpy(np.ascontiguousarray(given.data))
    if given is not None:
        require_type(f"LossLabels: {what}", given, Image)
    image: Image | None = given
    return image


class LossLabels(NoCopies):
    """Labels, optional weights, and the loss that a kernel computes from them, as MPSCNNLossLabels.

    Args:
        labels: a `LossDataDescriptor` or an `Image`, as large as the prediction.
        weights: a descriptor or an image of the same size, with a factor for each element of the loss.
    """

    _instead = "commands of a device write its loss; make another of the same images"

    @accept_foreign_arguments
    def __init__(
        self, labels: LossDataDescriptor | Image, weights: LossDataDescriptor | Image | None = None
    ) -> None:
        found = _as_image("labels", labels)
        if found is None:
            raise ParameterError("LossLabels: there must be labels")
        self._labels, self._weights = found, _as_image("weights", weights)
        self._loss: DeviceArray | None = None

    @property
    def labels_image(self) -> Image:
        """The labels."""
        return self._labels

    @property
    def weights_image(self) -> Image | None:
        """The weights, if there are any."""
        return self._weights

    @property
    def loss_image(self) -> Image:
        """The loss of the last kernel that was encoded with these labels: one pixel, or as large as the prediction.

        Raises StateError if no kernel was encoded yet.
        """
        return self._encoded().image

    @property
    def loss(self) -> NDArray[np.float32]:
        """A copy of `loss_image`, (images, rows, columns, channels).

        Raises StateError if its command buffer is not completed.
        """
        return self._encoded().read("LossLabels: the loss")

    def _encoded(self) -> DeviceArray:
        if self._loss is None:
            raise StateError("LossLabels: have no loss; encode a Loss with them first")
        return self._loss

    def _images(self) -> list[Image]:
        return [self._labels] if self._weights is None else [self._labels, self._weights]


#: Symmetric losses: they do not change if prediction and labels are swapped.
_SYMMETRIC = ("mean_absolute_error", "mean_squared_error", "huber", "cosine_distance")


class _LossKernel(LossFields, Kernel):
    def __init__(self, descriptor: LossDescriptor, **properties: Unpack[LabelProperties]) -> None:
        require_type(type(self).__name__, descriptor, LossDescriptor)
        Kernel.__init__(self, descriptor.properties(), **properties)

    def _loss_properties(self) -> dict[str, Any]:
        return {name: value for name, value in self._properties().items() if name != "label"}


class ForwardLoss(_LossKernel):
    """Compute the loss of a prediction, but not the gradient, which `LossGradient` computes.

    Apple's class is MPSNNForwardLoss.

    The kernel reads whole images. The result has one pixel for each image, or one in all with `reduce_across_batch`.
    Without a reduction it is as large as the prediction.

    Args:
        descriptor: the kind of loss.
    """

    def encode(
        self,
        commands: CommandBuffer,
        source_image: Image,
        labels: Image,
        weights: Image | None = None,
        destination: Image | None = None,
    ) -> Image:
        """Append the kernel to a command buffer and return the loss.

        Raises:
            ShapeError: labels or weights have another size than the prediction.
            ParameterError, StateError: see `UnaryKernel.encode`.
        """
        sources = [source_image, labels, *([] if weights is None else [weights])]
        return self._encode(commands, sources, destination)


class LossGradient(_LossKernel):
    """Compute the gradient of a prediction from the gradient of its loss, as MPSNNLossGradient.

    The reduction only determines the size of the loss: gradients are not divided.

    Args:
        descriptor: the descriptor of the `ForwardLoss`.
    """

    compute_label_gradients = KeptFlag(
        "Whether the result is the gradient of the labels instead: for losses in which prediction and labels may "
        "change places, mean_absolute_error, mean_squared_error, huber and cosine_distance."
    )

    if TYPE_CHECKING:

        def __init__(
            self, descriptor: LossDescriptor, **properties: Unpack[LossGradientProperties]
        ) -> None: ...

    def encode(
        self,
        commands: CommandBuffer,
        source_gradient: Image,
        source_image: Image,
        labels: Image,
        weights: Image | None = None,
        destination: Image | None = None,
    ) -> Image:
        """Append the kernel to a command buffer and return the gradient of the prediction.

        Args:
            source_gradient: the gradient of the loss, for example from `InitialGradient`: one number, one for each
                image, or one for each element.
            source_image: the prediction.
            labels, weights: those of the `ForwardLoss`.
            destination: an image as large as the prediction; None: a new image.

        Raises:
            UnsupportedError: `compute_label_gradients` is not supported for this loss.
            ShapeError, ParameterError, StateError: see `UnaryKernel.encode`.
        """
        pair = [source_image, labels]
        if self.compute_label_gradients:
            if self.loss_type not in _SYMMETRIC:
                raise UnsupportedError(
                    f"LossGradient: compute_label_gradients is for {', '.join(_SYMMETRIC)}; {self.loss_type} has no "
                    "gradient of its labels"
                )
            pair.reverse()
        sources = [*pair, source_gradient, *([] if weights is None else [weights])]
        return self._encode(commands, sources, destination)


class InitialGradient(Kernel):
    """Make an image of ones like the source, as MPSNNInitialGradient: a loss's gradient with respect to itself."""

    def __init__(self, **properties: Unpack[LabelProperties]) -> None:
        Kernel.__init__(self, **properties)

    def encode(self, commands: CommandBuffer, source: Image, destination: Image | None = None) -> Image:
        """Append the kernel to a command buffer and return the destination."""
        return self._encode(commands, [source], destination)


class Loss(_LossKernel):
    """Compute the loss of a prediction, and the gradient of the prediction, as MPSCNNLoss.

    The result is the gradient. The reduction does not affect the gradient: it is not divided by the number of elements.
    The loss is stored in the labels. The kernel reads whole images.

    Args:
        descriptor: the kind of loss.
    """

    def encode(
        self,
        commands: CommandBuffer,
        source_image: Image,
        labels: LossLabels,
        destination: Image | None = None,
    ) -> Image:
        """Append the kernel to a command buffer and return the gradient of the prediction.

        Raises:
            ShapeError: labels or weights have another size than the prediction.
            ParameterError, StateError: see `UnaryKernel.encode`.
        """
        require_type("Loss.encode", labels, LossLabels)
        sources = [source_image, *labels._images()]
        self._require_arguments(commands, sources)
        loss = self._forward(commands, sources)
        gradient = self._encode(commands, sources, destination)
        labels._loss = DeviceArray(commands, loss)
        return gradient

    def encode_batch(
        self,
        commands: CommandBuffer,
        source_images: Sequence[Image],
        labels: Sequence[LossLabels],
        destinations: Sequence[Image] | None = None,
    ) -> list[Image]:
        """Encode each image of a batch, and return the gradients.

        With `reduce_across_batch`, the labels of the first image get the loss of all images, and the others zero.
        """
        self._require_batch(source_images)
        results: list[Image | None] = [None] * len(source_images) if destinations is None else [*destinations]
        if not len(source_images) == len(labels) == len(results):
            raise ShapeError(
                f"Loss.encode_batch: batches must have one length, got {len(source_images)}, {len(labels)} and "
                f"{len(results)}"
            )
        joins = self.reduce_across_batch and self.reduction_type != "none" and len(labels) > 1
        if joins and self.reduction_type == "sum_by_nonzero_weights":
            raise UnsupportedError(
                "Loss.encode_batch: sum_by_nonzero_weights across a batch needs one Image that holds all images"
            )
        gradients = [
            self.encode(commands, image, label, result)
            for image, label, result in zip(source_images, labels, results, strict=True)
        ]
        if joins:
            self._reduce(commands, labels)
        return gradients

    def _forward(self, commands: CommandBuffer, sources: Sequence[Image]) -> Image:
        forward = ForwardLoss(LossDescriptor(**self._loss_properties()))
        add_read(sources)
        return forward._encode(commands, sources, None)

    def _reduce(self, commands: CommandBuffer, labels: Sequence[LossLabels]) -> None:
        total = labels[0].loss_image
        for label in labels[1:]:
            total = Add().encode(commands, total, label.loss_image)
            zeros = Add(primary_scale=0.0, secondary_scale=0.0)
            label._loss = DeviceArray(commands, zeros.encode(commands, label.loss_image, label.loss_image))
        if self.reduction_type == "mean":
            share = Add(primary_scale=1 / len(labels), secondary_scale=0.0)
            total = share.encode(commands, total, total)
        labels[0]._loss = DeviceArray(commands, total)
