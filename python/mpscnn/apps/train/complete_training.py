"""Train on photos from the first one to the written model, for `mpscnn.train`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpscnn._private.arguments import path_name
from mpscnn._private.files import exists, require_folder_for
from mpscnn._private.progress_line import TextLine, draw_bar
from mpscnn.apps.train.output_lock import lock_output
from mpscnn.apps.train.photo_training import Backbone, FolderTraining, open_backbone
from mpscnn.errors import ParameterError
from mpscnn.graph.network import Network
from mpscnn.model import Model
from mpscnn.training.callbacks import Callback, callback_list
from mpscnn.training.history import History
from mpscnn.training.recorded import LogLines, history_of
from mpscnn.training.run_folder import RunChoices


@dataclass(frozen=True)
class Results:
    """Where the results of a training go.

    Args:
        callbacks: as for `Trainer.fit`.
        output: the model's file (.safetensors); None: none is written.
        report: the folder of the report; None: none is written.
        report_files: the files of the report.
        progress: whether to write a line on stderr for each epoch, and a bar in a terminal or a notebook. None: the bar
            is left out elsewhere; True: it is always drawn; False: nothing is written.
    """

    callbacks: Any
    output: str | os.PathLike[str] | None
    report: str | os.PathLike[str] | None
    report_files: Sequence[str]
    progress: bool | None


def complete_training(
    start: Callable[[Backbone, Path], FolderTraining],
    model: str | os.PathLike[str] | Network | Model[Any] | None,
    results: Results,
    choices: RunChoices,
) -> TrainedModel:
    """Train, write the results, and return the trained model. `start` gets the folder for the training's state.

    KeyboardInterrupt ends the training. With an output, the best network so far is written first.
    """
    output, report = results.output, results.report
    if (choices.resume or choices.restart) and output is None:
        raise ParameterError(
            "resume and restart need output=, whose .run folder has the state of the training"
        )
    called = callback_list(results.callbacks)
    if report is not None:
        path_name("report", report)
        require_folder_for(report, results.report_files, ParameterError)
    if output is not None:
        _require_model_file(output)
    backbone = open_backbone(model)
    with ExitStack() as stack:
        if output is None:
            run = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mpscnn-train-")))
        else:
            _require_other_file(output, backbone.path)
            stack.enter_context(lock_output(Path(output)))
            run = Path(f"{os.fspath(output)}.run")
        training = start(backbone, run)
        try:
            show_training(training, called, results.progress)
        except KeyboardInterrupt as interrupted:
            if output is None or not training.trained.has_result:
                raise
            save_trained(training, output)
            raise KeyboardInterrupt(
                f"{os.fspath(output)} has the best network so far; resume=True continues the training"
            ) from interrupted
        network, information = training.network()
        made = training.report()
        if report is not None:
            made.save(report)
        if output is not None:
            save_trained(training, output)
            training.trained.remove()
        history = history_of(training.trained.history)
        return TrainedModel.of(
            network, information, history, made, device=choices.device, threads=choices.threads
        )


def save_trained(training: FolderTraining, output: str | os.PathLike[str]) -> None:
    """Write the best network so far to a model file."""
    network, information = training.network()
    network.save(output, labels=network.labels, information=information)


def _require_model_file(output: str | os.PathLike[str]) -> None:
    """Raise ParameterError if the output is not named like a model file."""
    path = Path(path_name("output", output))
    if path.suffix != ".safetensors":
        raise ParameterError(
            f"output: the name must end in .safetensors, got {path}; model.save({path.name!r}) of the trained model "
            "writes other formats"
        )


def _require_other_file(output: str | os.PathLike[str], backbone: str | None) -> None:
    """Raise ParameterError if the output is the backbone, which a resumed training needs."""
    path = Path(output)
    if backbone is not None and exists(path) and path.samefile(backbone):
        raise ParameterError(f"output: {path} is the file of the model; name another file")


def show_training(training: FolderTraining, called: list[Callback], progress: bool | None) -> None:
    """Train, with a line on stderr for each epoch, and a bar if the user watches."""
    line = TextLine(shown=progress, kept=progress is not False)
    try:
        line.keep(*training.summary())
        log = LogLines()
        for one in training.run(called):
            if lines := log.lines(one):
                line.keep(*lines)
            else:
                line.write(f"{one.phase}  {draw_bar(one.done, one.total)} {one.done}/{one.total}")
    finally:
        line.end()


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
