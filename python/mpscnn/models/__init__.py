"""Networks of the field, ready to build: architectures here, weights by name from the registry."""

from mpscnn.models.deep_mnist import deep_mnist, export_deep_mnist
from mpscnn.models.deeplab import deeplab_v3, deeplab_v3_plus
from mpscnn.models.features import mobilenet_v1_features, mobilenet_v2_features
from mpscnn.models.mnasnet import mnasnet0_5, mnasnet0_75, mnasnet1_0, mnasnet1_3
from mpscnn.models.mobilenet import mobilenet_v1, mobilenet_v2
from mpscnn.models.mobilenet_v2_torch import mobilenet_v2_torch
from mpscnn.models.resnet import (
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    resnext50_32x4d,
    resnext101_32x8d,
    resnext101_64x4d,
    wide_resnet50_2,
    wide_resnet101_2,
)
from mpscnn.models.squeezenet import squeezenet1_0, squeezenet1_1
from mpscnn.models.ssd import ssd_head, ssd_mobilenet_v1, ssdlite_mobilenet_v2, ultraface_head

__all__ = [
    "deep_mnist",
    "deeplab_v3",
    "deeplab_v3_plus",
    "export_deep_mnist",
    "mnasnet0_5",
    "mnasnet0_75",
    "mnasnet1_0",
    "mnasnet1_3",
    "mobilenet_v1",
    "mobilenet_v1_features",
    "mobilenet_v2",
    "mobilenet_v2_features",
    "mobilenet_v2_torch",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "squeezenet1_0",
    "squeezenet1_1",
    "ssd_head",
    "ssd_mobilenet_v1",
    "ssdlite_mobilenet_v2",
    "ultraface_head",
    "wide_resnet50_2",
    "wide_resnet101_2",
]
