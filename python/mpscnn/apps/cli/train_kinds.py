"""Describe the kinds of training on photos for `mpscnn train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mpscnn.apps.cli.train_folder import Kind, accuracy_lines, scene_lines
from mpscnn.apps.train.photo_training import PhotoTraining
from mpscnn.apps.train.report import REPORT_FILES
from mpscnn.apps.train.scene_report import SCENE_REPORT_FILES
from mpscnn.apps.train.scene_training import SceneData, SceneSource, ScenesTraining
from mpscnn.training.classifier import ClassifierOptions
from mpscnn.training.run_folder import RunChoices
from mpscnn.training.scenes.training import SceneOptions

__all__ = ["classifier_kind", "scene_kind"]


def classifier_kind(folder: Path, options: ClassifierOptions, **reading: Any) -> Kind:
    """Return the training of a classifier. `reading` has other arguments of `PhotoTraining`."""

    def start(backbone: Any, run: Path) -> PhotoTraining:
        return PhotoTraining(folder, backbone, run, options, **reading)

    return Kind(start, REPORT_FILES, accuracy_lines, "classify")


def scene_kind(source: SceneSource, data: SceneData, options: SceneOptions, choices: RunChoices) -> Kind:
    """Return the training of a detector or a segmenter."""

    def start(backbone: Any, run: Path) -> ScenesTraining:
        return ScenesTraining(source, data, backbone, run, options, choices)

    return Kind(start, SCENE_REPORT_FILES, scene_lines, data.task)
