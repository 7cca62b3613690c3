"""Build well-known architectures. Weights by name are in the registry."""

from mpscnn._private.other_names import explain_unknown_names
from mpscnn.models.deep_mnist import deep_mnist, export_deep_mnist
from mpscnn.models.deeplab import deeplab_v3, deeplab_v3_plus
from mpscnn.models.efficientnet import (
    efficientnet_b0,
    efficientnet_b1,
    efficientnet_b2,
    efficientnet_b3,
    efficientnet_b4,
    efficientnet_b5,
    efficientnet_b6,
    efficientnet_b7,
    efficientnet_lite0,
    efficientnet_lite1,
    efficientnet_lite2,
    efficientnet_lite3,
    efficientnet_lite4,
    efficientnet_v2_l,
    efficientnet_v2_m,
    efficientnet_v2_s,
)
from mpscnn.models.features import mobilenet_v1_features, mobilenet_v2_features
from mpscnn.models.inception import inception_v3
from mpscnn.models.mnasnet import mnasnet0_5, mnasnet0_75, mnasnet1_0, mnasnet1_3
from mpscnn.models.mobilenet import mobilenet_v1, mobilenet_v2
from mpscnn.models.mobilenet_v2_torch import mobilenet_v2_torch
from mpscnn.models.mobilenet_v3 import mobilenet_v3_large, mobilenet_v3_small
from mpscnn.models.mobilenet_v3_segmenters import deeplabv3_mobilenet_v3_large, lraspp_mobilenet_v3_large
from mpscnn.models.mobilenet_v4 import (
    mobilenet_v4_conv_large,
    mobilenet_v4_conv_medium,
    mobilenet_v4_conv_small,
    mobilenet_v4_hybrid_large,
    mobilenet_v4_hybrid_medium,
)
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
from mpscnn.models.shufflenet import (
    shufflenet_v2_x0_5,
    shufflenet_v2_x1_0,
    shufflenet_v2_x1_5,
    shufflenet_v2_x2_0,
)
from mpscnn.models.squeezenet import squeezenet1_0, squeezenet1_1
from mpscnn.models.ssd import ssd_head, ssd_mobilenet_v1, ssdlite_mobilenet_v2, ultraface_head
from mpscnn.models.ssdlite320 import ssdlite320_mobilenet_v3_large
from mpscnn.models.ultraface import ultraface_slim
from mpscnn.models.vgg import vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn
from mpscnn.models.yolo import tiny_yolo_v2

__all__ = [
    "deep_mnist",
    "deeplab_v3",
    "deeplab_v3_plus",
    "deeplabv3_mobilenet_v3_large",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
    "efficientnet_lite3",
    "efficientnet_lite4",
    "efficientnet_v2_l",
    "efficientnet_v2_m",
    "efficientnet_v2_s",
    "export_deep_mnist",
    "inception_v3",
    "lraspp_mobilenet_v3_large",
    "mnasnet0_5",
    "mnasnet0_75",
    "mnasnet1_0",
    "mnasnet1_3",
    "mobilenet_v1",
    "mobilenet_v1_features",
    "mobilenet_v2",
    "mobilenet_v2_features",
    "mobilenet_v2_torch",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "mobilenet_v4_conv_large",
    "mobilenet_v4_conv_medium",
    "mobilenet_v4_conv_small",
    "mobilenet_v4_hybrid_large",
    "mobilenet_v4_hybrid_medium",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
    "squeezenet1_0",
    "squeezenet1_1",
    "ssd_head",
    "ssd_mobilenet_v1",
    "ssdlite320_mobilenet_v3_large",
    "ssdlite_mobilenet_v2",
    "tiny_yolo_v2",
    "ultraface_head",
    "ultraface_slim",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "wide_resnet50_2",
    "wide_resnet101_2",
]


explain_unknown_names(__name__)
