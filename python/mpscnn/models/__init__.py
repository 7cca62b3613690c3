"""Networks of the field, ready to build: architectures here, weights by name from the registry."""

from mpscnn.models.deep_mnist import deep_mnist, export_deep_mnist
from mpscnn.models.deeplab import deeplab_v3, deeplab_v3_plus
from mpscnn.models.features import mobilenet_v1_features, mobilenet_v2_features
from mpscnn.models.mobilenet import mobilenet_v1, mobilenet_v2
from mpscnn.models.ssd import ssd_head, ssd_mobilenet_v1, ssdlite_mobilenet_v2, ultraface_head

__all__ = [
    "deep_mnist",
    "deeplab_v3",
    "deeplab_v3_plus",
    "export_deep_mnist",
    "mobilenet_v1",
    "mobilenet_v1_features",
    "mobilenet_v2",
    "mobilenet_v2_features",
    "ssd_head",
    "ssd_mobilenet_v1",
    "ssdlite_mobilenet_v2",
    "ultraface_head",
]
