"""The transforms of photos that published weights of torchvision and timm were evaluated with, as preprocessing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

FilterName = Literal["bilinear", "bicubic", "nearest"]
CropMode = Literal["center", "squash", "border"]
#: Means and standard deviations for photos of 0 to 1, by the presets of the same normalisation.
NORMALISATIONS: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "torch": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "tensorflow": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
_FITS = {"center": "center_crop", "squash": "stretch", "border": "letterbox"}


@dataclass(frozen=True)
class PhotoTransform:
    """Resize a photo, crop its centre and normalise it, as timm's `create_transform` does.

    Attributes:
        crop: the side of the input divided by that of the resized photo: timm's crop_pct.
        filter: the interpolation of the resize, antialiased as in Pillow.
        mode: "center" resizes the shorter side, "squash" both sides, and "border" the longer one, with bars of the mean
            around the photo.
        mean, std: the means and standard deviations of red, green and blue, for photos of 0 to 1.
    """

    crop: float = 0.875
    filter: FilterName = "bilinear"
    mode: CropMode = "center"
    mean: tuple[float, ...] = NORMALISATIONS["torch"][0]
    std: tuple[float, ...] = NORMALISATIONS["torch"][1]

    def settings(self) -> dict[str, Any]:
        """Return the preprocessing as a mapping (docs/preprocessing.md)."""
        settings: dict[str, Any] = {
            "fit": _FITS[self.mode],
            "crop_fraction": self.crop,
            "whole_pixels": True,
            "filter": self.filter if self.filter == "nearest" else f"{self.filter}_antialias",
            "mean": [255.0 * mean for mean in self.mean],
            "scale": [1.0 / (255.0 * std) for std in self.std],
        }
        if self.mode == "border":
            settings["letterbox_value"] = [float(round(255.0 * mean)) for mean in self.mean]
        return settings


def normalised_like(preset: str, **options: Any) -> PhotoTransform:
    """Return a transform with the normalisation of a preset."""
    mean, std = NORMALISATIONS[preset]
    return PhotoTransform(mean=mean, std=std, **options)


# ---- torchvision -------------------------------------------------------------------------------------------------


def torchvision_transform(
    resize: int, crop: int = 224, filter: FilterName = "bilinear", normalisation: str = "torch"
) -> PhotoTransform:
    """Return torchvision's transform for classifiers: Resize(resize), CenterCrop(crop), and normalisation."""
    fraction = crop / resize
    if math.floor(crop / fraction) != resize:  # the quotient was rounded up
        fraction = math.nextafter(fraction, 0.0)
    return normalised_like(normalisation, crop=fraction, filter=filter)


_NEWER = torchvision_transform(232)
#: The transforms of torchvision's first weights of each network, except those with Resize(256) and CenterCrop(224).
TORCHVISION: Mapping[str, PhotoTransform] = {
    **dict.fromkeys(
        ("mnasnet0_75", "mnasnet1_3", "resnext101_64x4d", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0"), _NEWER
    ),
    "inception_v3": torchvision_transform(
        342, 299, normalisation="tensorflow"
    ),  # torchvision's transform_input
    "efficientnet_b0": torchvision_transform(256, 224, "bicubic"),
    "efficientnet_b1": torchvision_transform(256, 240, "bicubic"),
    "efficientnet_b2": torchvision_transform(288, 288, "bicubic"),
    "efficientnet_b3": torchvision_transform(320, 300, "bicubic"),
    "efficientnet_b4": torchvision_transform(384, 380, "bicubic"),
    "efficientnet_b5": torchvision_transform(456, 456, "bicubic"),
    "efficientnet_b6": torchvision_transform(528, 528, "bicubic"),
    "efficientnet_b7": torchvision_transform(600, 600, "bicubic"),
    "efficientnet_v2_s": torchvision_transform(384, 384),
    "efficientnet_v2_m": torchvision_transform(480, 480),
    "efficientnet_v2_l": torchvision_transform(480, 480, "bicubic", "tensorflow"),
}


# ---- timm --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TimmWeights:
    """The side of the input and the transform of the weights that timm takes for a network by default."""

    size: int = 224
    photos: PhotoTransform = PhotoTransform(filter="bicubic")


def _timm(
    size: int,
    crop: float,
    filter: FilterName = "bicubic",
    normalisation: str = "torch",
    mode: CropMode = "center",
) -> TimmWeights:
    return TimmWeights(size, normalised_like(normalisation, crop=crop, filter=filter, mode=mode))


_EDGE = ("mobilenet_edgetpu_100", *(f"mobilenet_edgetpu_v2_{size}" for size in ("xs", "s", "l")))
_TF_V3 = (
    *(f"tf_mobilenetv3_{size}_{width}" for size in ("large", "small") for width in ("050", "075", "100")),
    *(f"tf_mobilenetv3_{size}_minimal_100" for size in ("large", "small")),
)
_HALVES = ("mobilenetv4_conv_small_050", "mobilenetv4_conv_small_035", "mobilenetv1_100", "mobilenetv1_100h")
#: timm 1.0.31's default weights of each network, except those that are `TimmWeights()`.
TIMM: Mapping[str, TimmWeights] = {
    **dict.fromkeys(_TF_V3, _timm(224, 0.875, "bilinear", "tensorflow")),
    **dict.fromkeys((*_HALVES, "tf_efficientnet_lite0"), _timm(224, 0.875, "bicubic", "tensorflow")),
    **dict.fromkeys(_EDGE, _timm(224, 0.9)),
    **dict.fromkeys(("mobilenetv3_large_075", "lcnet_035", "lcnet_150"), _timm(224, 0.875, "bilinear")),
    **dict.fromkeys(("mobilenetv1_125", "mobilenet_edgetpu_v2_m"), _timm(224, 0.9, "bicubic", "tensorflow")),
    "mobilenetv3_large_150d": _timm(256, 0.95, "bilinear", "tensorflow"),
    "mobilenetv4_conv_medium": _timm(256, 0.95),
    "mobilenetv4_conv_large": _timm(384, 0.95),
    "mobilenetv4_hybrid_medium": _timm(256, 0.95),
    "mobilenetv4_hybrid_medium_075": _timm(224, 0.95),
    "mobilenetv4_hybrid_large": _timm(384, 0.95),
    "mobilenetv4_hybrid_large_075": _timm(256, 0.95),
    "efficientnet_b1": _timm(240, 0.9, "bicubic", "tensorflow"),
    "efficientnet_b2": _timm(256, 0.875),
    "efficientnet_b3": _timm(288, 0.875),
    "efficientnet_b4": _timm(320, 0.875),
    "efficientnet_b5": _timm(448, 1.0, mode="squash"),
    **dict.fromkeys(("efficientnet_lite1", "tf_efficientnet_b1"), _timm(240, 0.882)),
    **dict.fromkeys(("efficientnet_lite2", "tf_efficientnet_b2"), _timm(260, 0.89)),
    **dict.fromkeys(("efficientnet_lite3", "tf_efficientnet_b3"), _timm(300, 0.904)),
    **dict.fromkeys(("efficientnet_lite4", "tf_efficientnet_b4"), _timm(380, 0.922)),
    "tf_efficientnet_b5": _timm(456, 0.934),
    **dict.fromkeys(("efficientnet_b6", "tf_efficientnet_b6"), _timm(528, 0.942)),
    **dict.fromkeys(("efficientnet_b7", "tf_efficientnet_b7"), _timm(600, 0.949)),
    "tf_efficientnet_lite1": _timm(240, 0.882, "bicubic", "tensorflow"),
    "tf_efficientnet_lite2": _timm(260, 0.89, "bicubic", "tensorflow"),
    "tf_efficientnet_lite3": _timm(300, 0.904, "bilinear", "tensorflow"),
    "tf_efficientnet_lite4": _timm(380, 0.92, "bilinear", "tensorflow"),
    "tf_efficientnetv2_s": _timm(300, 1.0, "bicubic", "tensorflow"),
    **dict.fromkeys(
        ("tf_efficientnetv2_m", "tf_efficientnetv2_l"), _timm(384, 1.0, "bicubic", "tensorflow", "squash")
    ),
}
