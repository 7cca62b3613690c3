"""Base classes with the properties of raw kernels, made from the core's table. `fields.pyi` declares them."""

from mpscnn.kernels.class_table import BASES, DESCRIPTORS
from mpscnn.kernels.made_classes import descriptor_of, fields_of

globals().update({f"{name}Fields": fields_of(name) for name in BASES})
globals().update({f"{name}Fields": descriptor_of(name) for name in DESCRIPTORS})
