"""A trained model with the history of its training: the result of `mpscnn.train`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mpscnn.graph.network import Network
from mpscnn.model import Model
from mpscnn.training.history import History

__all__ = ["TrainedModel"]


class TrainedModel(Model[Any]):
    """A model from `mpscnn.train`, with the history of its training and a report. Pickles have only the model."""

    history: History
    """The epochs of all phases."""
    report: Any
    """How well the model does on the photos for validation: a `TrainingReport` for classifiers."""

    @classmethod
    def of(
        cls, network: Network, information: Mapping[str, str], history: History, report: Any, **options: Any
    ) -> TrainedModel:
        """Return the model of a trained network. `options` are those of `Model`."""
        model = cls(network, **options)
        model.information.update(information)
        model.history, model.report = history, report
        return model
