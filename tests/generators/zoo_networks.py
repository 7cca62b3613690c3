"""The networks that zoo.py converts: a function for each package yields them, with random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

Maker = Callable[[], Any]
#: Height and width of images for networks that take images of any size.
SIDE = 160


@dataclass(frozen=True)
class Entry:
    """A network: its package and name, a function that makes it, and the shape of its example."""

    package: str
    name: str
    make: Maker
    shape: tuple[int, ...] = (1, 3, SIDE, SIDE)


class _Output(torch.nn.Module):  # type: ignore[misc]
    """A network of which some results are taken, by their keys."""

    def __init__(self, network: Any, *keys: str) -> None:
        super().__init__()
        self.network, self.keys = network, keys

    def forward(self, x: Any) -> Any:
        found = self.network(x)
        taken = [found[key] if isinstance(found, dict) else getattr(found, key) for key in self.keys]
        return taken[0] if len(taken) == 1 else tuple(taken)


class _Pair(torch.nn.Module):  # type: ignore[misc]
    """An optical flow of an image and the same image, moved by a pixel."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Any) -> Any:
        return self.network(x, x.roll(1, -1), num_flow_updates=2)[-1]


def of_torchvision() -> Iterator[Entry]:
    """Yield all networks of torchvision but those of videos and of quantised integers."""
    from torchvision import models

    def made(name: str, **options: Any) -> Maker:
        return lambda: models.get_model(name, weights=None, **options)

    for name in models.list_models(module=models):
        side = 224 if name.startswith(("vit", "maxvit")) else SIDE
        yield Entry("torchvision", name, made(name), (1, 3, side, side))
    for name in models.list_models(module=models.segmentation):
        build = made(name, weights_backbone=None)
        yield Entry("torchvision", name, lambda build=build: _Output(build(), "out"))
    for name in models.list_models(module=models.detection):
        yield Entry("torchvision", name, made(name, weights_backbone=None), (1, 3, 320, 320))
    for name in models.list_models(module=models.optical_flow):
        build = made(name)
        yield Entry("torchvision", name, lambda build=build: _Pair(build()), (1, 3, 128, 128))


#: Networks of timm whose windows must divide their feature maps.
_OF_FIXED_WINDOWS = ("halonet26t",)


def of_timm() -> Iterator[Entry]:
    """Yield the network of each of timm's modules whose name is the shortest."""
    import timm

    for module in timm.list_modules():
        names = sorted(timm.list_models(module=module), key=lambda name: (len(name), name))
        if names:
            config = timm.models.get_pretrained_cfg(names[0])
            channels, side, _ = config.input_size if config is not None else (3, 224, 224)
            free = config is not None and not config.fixed_input_size and config.pool_size is not None
            side = min(side, SIDE) if free and names[0] not in _OF_FIXED_WINDOWS else side
            shape = (1, channels, side, side)
            yield Entry("timm", names[0], lambda name=names[0]: timm.create_model(name), shape)


def of_smp() -> Iterator[Entry]:
    """Yield each architecture of segmentation_models_pytorch, with a ResNet 18 or its own smallest encoder."""
    import segmentation_models_pytorch as smp

    for name in ("Unet", "UnetPlusPlus", "MAnet", "Linknet", "FPN", "PSPNet", "DeepLabV3", "DeepLabV3Plus"):
        yield Entry("segmentation_models_pytorch", name, _of_smp(smp, name, "resnet18"))
    for name, encoder in (("PAN", "resnet18"), ("UPerNet", "resnet18"), ("Segformer", "mit_b0"), ("DPT", "")):
        side = 224 if name == "DPT" else SIDE
        made = _of_smp(smp, name, encoder or "tu-vit_tiny_patch16_224")
        yield Entry("segmentation_models_pytorch", name, made, (1, 3, side, side))


def _of_smp(smp: Any, name: str, encoder: str) -> Maker:
    return lambda: getattr(smp, name)(encoder_name=encoder, encoder_weights=None)


def of_pytorchcv() -> Iterator[Entry]:
    """Yield small networks of pytorchcv's families."""
    from pytorchcv.model_provider import get_model

    names = (
        *("resnet10", "preresnet10", "seresnet10", "densenet121", "condensenet74_c4_g4", "dpn68", "dla34"),
        *("shufflenet_g1_w1", "shufflenetv2_wd2", "menet108_8x1_g3", "mobilenet_wd4", "fdmobilenet_wd4"),
        *("mobilenetv2_wd4", "igcv3_wd4", "mnasnet_b1", "darknet_tiny", "squeezenet_v1_1", "sqnxt23_w1"),
        *("proxylessnas_cpu", "fbnet_cb", "xception", "airnet50_1x64d_r2", "bam_resnet18", "cbam_resnet18"),
        *("hrnet_w18_small_v1", "vovnet27s", "selecsls42", "hardnet39ds", "ghostnet", "revnet38"),
    )
    for name in names:
        side = 299 if name == "xception" else 224  # the poolings at their ends have windows of fixed sizes
        yield Entry("pytorchcv", name, lambda name=name: get_model(name), (1, 3, side, side))


_CLASSIFIERS = (
    *(
        "Beit",
        "Bit",
        "ConvNext",
        "ConvNextV2",
        "Cvt",
        "Data2VecVision",
        "DeiT",
        "Dinov2",
        "Dinov2WithRegisters",
    ),
    *("DonutSwin", "EfficientNet", "FocalNet", "HGNetV2", "Hiera", "Levit", "MobileNetV1", "MobileNetV2"),
    *("MobileViT", "MobileViTV2", "PPLCNet", "PoolFormer", "Pvt", "PvtV2", "RegNet", "ResNet", "Segformer"),
    *("SwiftFormer", "Swin", "Swinv2", "TextNet", "ViT", "ViTMSN"),
)
#: The other heads of transformers: the class, the class of its configuration, and the results that are taken.
_HEADS = {
    "BeitForSemanticSegmentation": ("BeitConfig", "logits"),
    "CLIPVisionModel": ("CLIPVisionConfig", "pooler_output"),
    "ConditionalDetrForObjectDetection": ("ConditionalDetrConfig", "logits pred_boxes"),
    "DFineForObjectDetection": ("DFineConfig", "logits pred_boxes"),
    "DPTForDepthEstimation": ("DPTConfig", "predicted_depth"),
    "DabDetrForObjectDetection": ("DabDetrConfig", "logits pred_boxes"),
    "DeformableDetrForObjectDetection": ("DeformableDetrConfig", "logits pred_boxes"),
    "DepthAnythingForDepthEstimation": ("DepthAnythingConfig", "predicted_depth"),
    "DetrForObjectDetection": ("DetrConfig", "logits pred_boxes"),
    "GLPNForDepthEstimation": ("GLPNConfig", "predicted_depth"),
    "Mask2FormerForUniversalSegmentation": (
        "Mask2FormerConfig",
        "class_queries_logits masks_queries_logits",
    ),
    "MaskFormerForInstanceSegmentation": ("MaskFormerConfig", "class_queries_logits masks_queries_logits"),
    "MobileNetV2ForSemanticSegmentation": ("MobileNetV2Config", "logits"),
    "MobileViTForSemanticSegmentation": ("MobileViTConfig", "logits"),
    "RTDetrForObjectDetection": ("RTDetrConfig", "logits pred_boxes"),
    "RTDetrV2ForObjectDetection": ("RTDetrV2Config", "logits pred_boxes"),
    "SegformerForSemanticSegmentation": ("SegformerConfig", "logits"),
    "SiglipVisionModel": ("SiglipVisionConfig", "pooler_output"),
    "Siglip2VisionModel": ("Siglip2VisionConfig", "pooler_output"),
    "Swin2SRForImageSuperResolution": ("Swin2SRConfig", "reconstruction"),
    "UperNetForSemanticSegmentation": ("UperNetConfig", "logits"),
    "VitPoseForPoseEstimation": ("VitPoseConfig", "heatmaps"),
    "YolosForObjectDetection": ("YolosConfig", "logits pred_boxes"),
    "ZoeDepthForDepthEstimation": ("ZoeDepthConfig", "predicted_depth"),
}


def of_transformers() -> Iterator[Entry]:
    """Yield transformers' networks for images in their own configurations, which are of the family's base size."""
    import transformers

    heads = {f"{name}ForImageClassification": (f"{name}Config", "logits") for name in _CLASSIFIERS} | _HEADS
    for head, (config, keys) in heads.items():
        made, model = getattr(transformers, config, None), getattr(transformers, head, None)
        if made is not None and model is not None:
            side = _side(made, head)
            build = _of_transformers(made, model, keys, side if head in _CHOOSING else 0)
            yield Entry("transformers", head, build, (1, 3, side, side))


#: Detectors that choose their queries by scores.
_CHOOSING = ("RTDetrForObjectDetection", "RTDetrV2ForObjectDetection", "DFineForObjectDetection")
_QUERIES = 30


def _of_transformers(made: Any, model: Any, keys: str, side: int) -> Maker:
    def build() -> Any:
        config = _small(made)
        if side:
            config.num_queries = _QUERIES
        network = model(config)
        return _Output(_with_different_scores(network, side) if side else network, *keys.split())

    return build


def _with_different_scores(network: Any, side: int) -> Any:
    """Give a detector norms with the statistics of random images, and score layers with wide weights.

    With the random weights of the package, its scores are nearly equal, so that rounding chooses the queries.
    """

    def normalise(norm: Any, given: Any) -> None:
        norm.running_mean.copy_(given[0].mean((0, 2, 3)))
        norm.running_var.copy_(given[0].var((0, 2, 3)) + 1e-3)

    for name, parameter in network.named_parameters():
        if any(part in name for part in ("score_head", "class_embed", "bbox")):
            spread = 3.0 if "bbox" not in name else 0.3
            torch.nn.init.normal_(parameter, std=spread * parameter.shape[-1] ** -0.5)
    norms = [part for part in network.modules() if hasattr(part, "running_mean")]
    hooks = [norm.register_forward_pre_hook(normalise) for norm in norms]
    with torch.no_grad():
        network.eval()(torch.rand(2, 3, side, side))
    for hook in hooks:
        hook.remove()
    return network


def _small(made: Any) -> Any:
    """Return a configuration whose transformers have at most four layers, without weights from the network."""
    config = made()
    for part in (config, getattr(config, "backbone_config", None)):
        for name in ("num_hidden_layers", "encoder_layers", "decoder_layers"):
            if isinstance(getattr(part, name, None), int) and getattr(part, name) > 4:
                setattr(part, name, 4)
    for name in ("use_pretrained_backbone", "use_timm_backbone"):
        if getattr(config, name, None):
            setattr(config, name, False)
    return config


def _side(made: Any, head: str) -> int:
    if "Detr" in head or "DFine" in head or "Mask" in head:
        return 320
    side = getattr(made(), "image_size", None)
    return side if isinstance(side, int) else 224


def of_ultralytics() -> Iterator[Entry]:
    """Yield the smallest network of each generation and task of ultralytics."""
    from ultralytics import YOLO

    names = (
        "yolov3-tiny",
        "yolov5n",
        "yolov6n",
        "yolov8n",
        "yolov9t",
        "yolov10n",
        "yolo11n",
        "yolo12n",
        "yolo26n",
    )
    tasks = (
        "yolo11n-seg",
        "yolo11n-pose",
        "yolo11n-obb",
        "yolo11n-cls",
        "yolo26n-seg",
        "yolo26n-pose",
        "yolo26m",
    )
    for name in (*names, *tasks):
        yield Entry("ultralytics", name, lambda name=name: YOLO(f"{name}.yaml").model, (1, 3, 320, 320))


PACKAGES: dict[str, Callable[[], Iterator[Entry]]] = {
    "torchvision": of_torchvision,
    "timm": of_timm,
    "segmentation_models_pytorch": of_smp,
    "pytorchcv": of_pytorchcv,
    "transformers": of_transformers,
    "ultralytics": of_ultralytics,
}
