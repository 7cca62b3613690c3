"""Define the loss of YOLO detectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpscnn.errors import ParameterError
from mpscnn.kernels.fields import YOLOLossDescriptorFields, YOLOLossFields
from mpscnn.kernels.gradient import DeviceArray, add_read
from mpscnn.kernels.kernel import Kernel, allocate_image, require_type
from mpscnn.kernels.loss import LossLabels
from mpscnn.runtime.commands import CommandBuffer
from mpscnn.runtime.feature_image import Image

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.kernels.named import LabelProperties


class YOLOLossDescriptor(YOLOLossDescriptorFields):
    """The parts of a `YOLOLoss`, as MPSCNNYOLOLossDescriptor.

    anchor_boxes: width and height of each anchor, in cells, one after the other. For loss types see the table of
    docs/training.md; reduction_type: "none", "sum" or "mean".
    """


class YOLOLoss(YOLOLossFields, Kernel):
    """Compute the loss of a YOLO detector's prediction, and the gradient of the prediction, as MPSCNNYOLOLoss.

    Prediction and labels have one pixel for each cell, and for each anchor the channels x, y, w, h, confidence and
    classes. x and y are the centre within the cell, 0 to 1; the prediction holds them before a sigmoid. w and h are
    logarithms of width and height divided by the anchor's. The confidence of a label is 1 if there is an object, else
    0.

    - If there is an object: scale_xy, scale_wh and scale_class times the losses of these channels, and scale_object
      times the loss of the confidence. Its target is the IOU of predicted box and label, or 1 without `rescore`.
    - Otherwise it depends on the largest IOU of the predicted box and any label of the image: above
      `min_iou_for_object_presence` scale_object times the same loss of the confidence; below
      `max_iou_for_object_absence` scale_no_object times the loss of the confidence with target 0; between the two,
      nothing.

    "mean" divides by the number of the prediction's elements. Gradients are not divided. They treat the target of the
    confidence as a constant. Time and memory grow with the square of the number of boxes of an image.

    Args:
        descriptor: the settings of the loss.
    """

    def __init__(self, descriptor: YOLOLossDescriptor, **properties: Unpack[LabelProperties]) -> None:
        require_type("YOLOLoss", descriptor, YOLOLossDescriptor)
        Kernel.__init__(self, descriptor.properties(), **properties)

    @property
    def number_of_anchor_boxes(self) -> int:
        """The number of anchors."""
        return len(self.anchor_boxes) // 2

    def encode(
        self,
        commands: CommandBuffer,
        source_image: Image,
        labels: LossLabels,
        destination: Image | None = None,
    ) -> Image:
        """Append the kernel to a command buffer and return the gradient of the prediction.

        The loss is stored in the labels.

        Raises:
            ShapeError: labels have another size than the prediction, or its channels do not belong to the anchors.
            ParameterError: there are weights.
            StateError: see `UnaryKernel.encode`.
        """
        require_type("YOLOLoss.encode", labels, LossLabels)
        if labels.weights_image is not None:
            raise ParameterError("YOLOLoss.encode: takes no weights")
        sources = [source_image, labels.labels_image]
        self._require_arguments(commands, sources)
        chosen, allocator = self.result, self.destination_image_allocator
        try:
            self.result, self.destination_image_allocator = "loss", allocate_image
            add_read(sources)
            loss = self._encode(commands, sources, None)
            self.result, self.destination_image_allocator = "gradient", allocator
            gradient = self._encode(commands, sources, destination)
        finally:
            self.result, self.destination_image_allocator = chosen, allocator
        labels._loss = DeviceArray(commands, loss)
        return gradient
