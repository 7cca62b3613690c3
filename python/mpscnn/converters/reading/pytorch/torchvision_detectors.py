"""Take torchvision's detectors apart: torch.export cannot trace their suppression of boxes, which mpscnn has itself.

The traced module normalises, resizes and pads images, and runs the backbone and the heads. The anchors and the settings
of decoding and suppression become a `DetectionHead`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.reading.pytorch.tracing import example_tensors, for_inference
from mpscnn.errors import ParameterError, UnsupportedError
from mpscnn.graph.network import Network
from mpscnn.vision.detector import DetectionHead

_CLASSES = {"ssd": "SSD", "retinanet": "RetinaNet", "fcos": "FCOS"}  # by torchvision's files
_OWN = ("forward", "postprocess_detections")  # the methods whose work mpscnn does


@dataclass(frozen=True)
class TorchvisionDetector:
    """A detector in parts.

    Attributes:
        module: the module to trace. It takes images (n, 3, height, width) and returns boxes and scores.
        example: an image for it.
        settings: those of the detection, without the names of the outputs.
        anchors: (n, 4) centre x, centre y, width and height, as fractions of the image; None: the module decodes boxes.
        preprocess: how a photo becomes an image.
    """

    module: Any
    example: Any
    settings: dict[str, Any]
    anchors: NDArray[np.float32] | None
    preprocess: dict[str, Any]

    def complete(self, network: Network) -> None:
        """Set the detection and the preprocessing of the network of the module."""
        boxes, scores = (tensor.name for tensor in network.outputs)
        settings = {key: dict(value) for key, value in self.settings.items() if key != "version"}
        settings["boxes"]["output"], settings["scores"]["output"] = boxes, scores
        network.detection = DetectionHead({"version": 1, **settings}, self.anchors)
        network.preprocess = self.preprocess


def torchvision_detector(
    module: Any, example_inputs: Any, dynamic_shapes: Any, title: str
) -> TorchvisionDetector | None:
    """Return torchvision's SSD, RetinaNet or FCOS in parts; None for other modules.

    Args:
        module: the module.
        example_inputs: images (n, 3, height, width), or a sequence with one image (3, height, width), as the module
            takes them.
        dynamic_shapes: None, since the anchors depend on the size of the image.
        title: the name of the network, for messages.

    Raises:
        ParameterError: the example is not an image, or extents are free.
        UnsupportedError: a detector of two stages, or a class that changes what mpscnn computes itself.
    """
    detection = sys.modules.get("torchvision.models.detection")
    if detection is None:
        return None
    if isinstance(module, detection.generalized_rcnn.GeneralizedRCNN):
        raise UnsupportedError(
            f"{title}: it is a detector of two stages: it suppresses boxes first, and then computes features of each "
            "remaining box by roi_align, which no network of mpscnn can do. Convert a detector of one stage (SSD, "
            "SSDLite, RetinaNet, FCOS), convert only `module.backbone`, or use torch.compile(module, backend='mpscnn')"
        )
    known = {name: getattr(getattr(detection, name), kind) for name, kind in _CLASSES.items()}
    found = next((name for name, kind in known.items() if isinstance(module, kind)), None)
    if found is None:
        return None
    own = known[found]
    if changed := [name for name in _OWN if getattr(type(module), name) is not getattr(own, name)]:
        raise UnsupportedError(
            f"{title}: its class replaces {own.__name__}.{changed[0]}, which mpscnn computes itself"
        )
    if dynamic_shapes is not None:
        raise ParameterError(
            f"{title}: dynamic_shapes must be None, because a detector's anchors depend on the size of the image"
        )
    (image,) = example_tensors(example_inputs) if _is_one(example_inputs) else (None,)
    image = image[None] if image is not None and image.dim() == 3 else image
    if image is None or image.dim() != 4 or not image.is_floating_point():
        raise ParameterError(
            f"{title}: the example must be one tensor of images (n, 3, height, width) of floats"
        )
    return _parts(for_inference(module, title), image, decodes=found == "fcos", is_ssd=found == "ssd")


def _is_one(example_inputs: Any) -> bool:
    return not isinstance(example_inputs, Sequence) or len(example_inputs) == 1


def _parts(module: Any, image: Any, *, decodes: bool, is_ssd: bool) -> TorchvisionDetector:
    import torch

    transform = module.transform
    with torch.no_grad():
        images, _ = transform([image[0]])
        features = module.backbone(images.tensors)
        maps = [features] if isinstance(features, torch.Tensor) else list(features.values())
        edges = module.anchor_generator(images, maps)[0].double()
    height, width = (int(extent) for extent in images.image_sizes[0])
    low, high = (edges / torch.tensor([width, height] * 2, dtype=torch.float64)).split(2, dim=1)
    centres, sizes = (low + high) / 2, high - low
    cells = [one.shape[-2] * one.shape[-1] for one in maps]
    settings: dict[str, Any] = {
        "boxes": {"order": "xy", "clip": True},
        "scores": {"kind": "softmax" if is_ssd else "sigmoid", "background": is_ssd},
        "anchors": {"rule": "none" if decodes else "stored"},
        "suppression": {
            "iou_threshold": module.nms_thresh,
            "score_threshold": module.score_thresh,
            "max_per_class": module.detections_per_img,
            "max_detections": module.detections_per_img,
            "max_candidates" if is_ssd else "max_per_level": module.topk_candidates,
        },
    }
    if decodes:
        settings["scores"]["kind"] = "probability"
    else:
        settings["boxes"]["variances"] = [1 / weight for weight in module.box_coder.weights]
        settings["boxes"]["max_log_size"] = module.box_coder.bbox_xform_clip
    if not is_ssd:
        settings["boxes"]["levels"] = [count * (len(edges) // sum(cells)) for count in cells]
    preprocess = {"scale": [1 / 255] * 3, "filter": "bilinear"}
    if transform.fixed_size is None:
        bars = {
            "letterbox_position": "top_left",
            "letterbox_value": [255 * mean for mean in transform.image_mean],
        }
        preprocess |= {"fit": "letterbox", **bars}
    padding = [0, images.tensors.shape[-1] - width, 0, images.tensors.shape[-2] - height]
    traced = _traced(module, (height, width), padding, (centres, sizes) if decodes else None)
    anchors = None if decodes else torch.cat([centres, sizes], dim=1).float().numpy()
    return TorchvisionDetector(traced, image, settings, anchors, preprocess)


def _traced(module: Any, size: tuple[int, int], padding: Sequence[int], decoded: Any) -> Any:
    """Return the module that computes boxes and scores. The parts keep their names.

    `decoded` are the centres and sizes of FCOS' anchors. The numbers of its boxes are the distances of their edges from
    a centre.
    """
    import torch

    class Heads(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.backbone, self.head = module.backbone, module.head
            mean, std = module.transform.image_mean, module.transform.image_std
            self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
            self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)
            if decoded is not None:
                centres, sizes = decoded
                self.register_buffer("centres", centres.repeat(1, 2).float(), persistent=False)
                self.register_buffer("sides", torch.cat([-sizes, sizes], dim=1).float(), persistent=False)

        def forward(self, images: Any) -> tuple[Any, Any]:
            images = (images - self.mean) / self.std
            if images.shape[-2:] != size:
                images = torch.nn.functional.interpolate(images, size, mode="bilinear", align_corners=False)
            if any(padding):
                images = torch.nn.functional.pad(images, padding)
            features = self.backbone(images)
            found = self.head([features] if isinstance(features, torch.Tensor) else list(features.values()))
            boxes, scores = found["bbox_regression"], found["cls_logits"]
            if decoded is None:
                return boxes, scores
            scores = torch.sqrt(torch.sigmoid(scores) * torch.sigmoid(found["bbox_ctrness"]))
            return boxes * self.sides + self.centres, scores

    return Heads().eval()
