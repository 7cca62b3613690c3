"""Train networks: data, optimisers, learning rates and the trainer (docs/training.md).

`mpscnn` has the same classes and functions.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mpscnn._private.expected_names import attribute_error, twin_attribute

if TYPE_CHECKING:
    from mpscnn.training import batches, optimizers, schedules
    from mpscnn.training.early_stopping import EarlyStopping
    from mpscnn.training.history import Epoch, History
    from mpscnn.training.image_folder import ImageFolder
    from mpscnn.training.optimizers import Adam, AdamW, RmsProp, Sgd
    from mpscnn.training.photo_views import Augmentation
    from mpscnn.training.trainer import Trainer

_MODULES = ("batches", "optimizers", "schedules")
__all__ = [
    "Adam",
    "AdamW",
    "Augmentation",
    "EarlyStopping",
    "Epoch",
    "History",
    "ImageFolder",
    "RmsProp",
    "Sgd",
    "Trainer",
    "batches",
    "optimizers",
    "schedules",
]


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


if not TYPE_CHECKING:  # hidden from type checkers, for which every wrong name would be an Any

    def __getattr__(name: str) -> Any:
        # Modules and classes are imported at their first use: many programs need only a part of this package.
        if name in _MODULES:
            return import_module(f"{__name__}.{name}")
        if name in __all__:
            return getattr(sys.modules["mpscnn"], name)
        found, hint = twin_attribute(sys.modules[__name__], __name__, name)
        if found:
            return found[0]
        raise attribute_error(__name__, name, hint)
