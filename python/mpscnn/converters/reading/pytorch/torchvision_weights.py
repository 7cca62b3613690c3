"""Recognise torchvision's files of weights by their names. Newer ones of a network want other photos than its first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from mpscnn.models.photo_transforms import PhotoTransform, torchvision_transform

_HASH = re.compile(r"-([0-9a-f]{8})\.pth$")
_OLDER, _NEWER = torchvision_transform(256), torchvision_transform(232)
#: The transforms of torchvision 0.29's files for networks that have several ones in torchvision or timm. The keys are
#: the hashes at the end of their names.
_FILES: Mapping[str, PhotoTransform] = {
    "f37072fd": _OLDER,  # resnet18
    "b627a593": _OLDER,  # resnet34
    "0676ba61": _OLDER,  # resnet50
    "11ad3fa6": _NEWER,
    "63fe2227": _OLDER,  # resnet101
    "cd907fc2": _NEWER,
    "394f9c45": _OLDER,  # resnet152
    "f82ba261": _NEWER,
    "7cdf4587": _OLDER,  # resnext50_32x4d
    "1a0047aa": _NEWER,
    "8ba56ff5": _OLDER,  # resnext101_32x8d
    "110c445d": _NEWER,
    "173b62eb": _NEWER,  # resnext101_64x4d
    "95faca4d": _OLDER,  # wide_resnet50_2
    "9ba9bcbe": _NEWER,
    "32ee1156": _OLDER,  # wide_resnet101_2
    "d733dc28": _NEWER,
    "b0353104": _OLDER,  # mobilenet_v2
    "7ebf99e0": _NEWER,
    "8738ca79": _OLDER,  # mobilenet_v3_large
    "5c1a4163": _NEWER,
    "bac287d4": torchvision_transform(256, 240, "bicubic"),  # efficientnet_b1
    "c27df63c": torchvision_transform(255, 240),
    # vgg16 for features: its weights are Caffe's, for samples of 0 to 255, and those of its last layers are NaN.
    "88682ab5": replace(_OLDER, mean=(0.48235, 0.45882, 0.40784), std=(1 / 255,) * 3),
}
#: Networks that only torchvision has, with weights for several transforms.
SEVERAL_TRANSFORMS = {"mobilenet_v2 of width 1", "mobilenet_v3_large of width 1", "efficientnet_b1"}


def transform_of_file(name: str) -> PhotoTransform | None:
    """Return the transform of a file of torchvision, such as "resnet50-11ad3fa6.pth"; None for any other name."""
    found = _HASH.search(name)
    return None if found is None else _FILES.get(found[1])
