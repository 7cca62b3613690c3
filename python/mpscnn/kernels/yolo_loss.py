"""The loss of YOLO detectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpscnn.errors import ParameterError
from mpscnn.kernels.gradient import DeviceArray, add_read
from mpscnn.kernels.kernel import Kernel, allocate_image, require_type
from mpscnn.kernels.loss import LossLabels
from mpscnn.kernels.named_fields import NamedFields
from mpscnn.kernels.properties import Flag, Number, Numbers, Text
from mpscnn.runtime.commands import CommandBuffer
from mpscnn.runtime.feature_image import Image

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.kernels.named import LabelProperties


@dataclass
class YOLOLossDescriptor(NamedFields):
    """The parts of a `YOLOLoss`, as MPSCNNYOLOLossDescriptor.

    anchor_boxes: width and height of each anchor, in cells, one after the other. Loss types: see the table of
    docs/training.md; reduction_type: "none", "sum" or "mean".
    """

    anchor_boxes: Sequence[float]
    xy_loss_type: str = "mean_squared_error"
    wh_loss_type: str = "mean_squared_error"
    confidence_loss_type: str = "sigmoid_cross_entropy"
    classes_loss_type: str = "softmax_cross_entropy"
    reduction_type: str = "none"
    reduce_across_batch: bool = False
    rescore: bool = True
    scale_xy: float = 10.0
    scale_wh: float = 10.0
    scale_no_object: float = 5.0
    scale_object: float = 100.0
    scale_class: float = 2.0
    min_iou_for_object_presence: float = 0.7
    max_iou_for_object_absence: float = 0.3

    def properties(self) -> dict[str, Any]:
        """Properties of a kernel with this descriptor."""
        return dict(vars(self))


class YOLOLoss(Kernel):
    """The loss of a YOLO detector's prediction and its gradient, as MPSCNNYOLOLoss.

    Prediction and labels have one pixel for each cell, and of each anchor the channels x, y, w, h, confidence and
    classes. x and y are the centre within the cell, 0 to 1, of the prediction before a sigmoid; w and h logarithms of
    width and height, divided by the anchor's. The confidence of a label is 1 where there is an object, else 0.

    - Where there is an object: scale_xy, scale_wh and scale_class times the losses of these channels, and scale_object
      times that of the confidence, which shall be the IOU of predicted box and label, or 1 without `rescore`.
    - Elsewhere, with the largest IOU of the predicted box and any label of the image: above
      `min_iou_for_object_presence` scale_object times the same loss of the confidence; below
      `max_iou_for_object_absence` scale_no_object times the loss of the confidence against 0; between the two,
      nothing.

    "mean" divides by the number of the prediction's elements. Gradients are not divided. They treat the target of the
    confidence as a constant. The time and memory taken grow with the square of the number of boxes of an image.

    Args:
        descriptor: the settings of the loss.
    """

    apple_class = "MPSCNNYOLOLoss"

    result = Text("'gradient' of the prediction, or 'loss'. `encode` computes both.")
    anchor_boxes = Numbers("Width and height of each anchor, in cells.")
    xy_loss_type = Text("Loss of the places.")
    wh_loss_type = Text("Loss of the sizes.")
    confidence_loss_type = Text("Loss of the confidence.")
    classes_loss_type = Text("Loss of the classes.")
    reduction_type = Text("'none', 'sum' or 'mean'.")
    reduce_across_batch = Flag("Whether there is one loss for all images, or one for each.")
    rescore = Flag("Whether the confidence shall be the IOU with the label's box, otherwise 1.")
    scale_xy = Number("Factor of the loss of places.")
    scale_wh = Number("Factor of the loss of sizes.")
    scale_no_object = Number("Factor of the confidence's loss where there is no object.")
    scale_object = Number("Factor of the confidence's loss where there is one.")
    scale_class = Number("Factor of the loss of classes.")
    min_iou_for_object_presence = Number("A box without a label whose IOU is above has an object.")
    max_iou_for_object_absence = Number(
        "A box without a label has no object where all of its IOUs are below."
    )

    def __init__(self, descriptor: YOLOLossDescriptor, **properties: Unpack[LabelProperties]) -> None:
        require_type("YOLOLoss", descriptor, YOLOLossDescriptor)
        Kernel.__init__(self, **descriptor.properties(), **properties)

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
        """Append the kernel to a command buffer and return the gradient of the prediction; the labels get the loss.

        Raises:
            ShapeError: labels have another size than the prediction, or its channels do not belong to the anchors.
            ParameterError: there are weights. StateError: see `UnaryKernel.encode`.
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
