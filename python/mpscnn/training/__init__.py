"""Train networks: data, optimisers, learning rates and the trainer (docs/training.md).

`mpscnn` has the same classes and functions.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mpscnn._private.other_names import explain_unknown_names

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


def _imported(name: str) -> Any:
    """Return a module or a class. They are imported at their first use: many programs need only a part of these."""
    return import_module(f"{__name__}.{name}") if name in _MODULES else getattr(sys.modules["mpscnn"], name)


explain_unknown_names(__name__, make=_imported, made=__all__)
