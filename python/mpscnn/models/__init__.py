"""Networks of the field, ready to build: architectures here, weights by name from the registry."""

from mpscnn.models.mobilenet import mobilenet_v1, mobilenet_v2

__all__ = ["mobilenet_v1", "mobilenet_v2"]
