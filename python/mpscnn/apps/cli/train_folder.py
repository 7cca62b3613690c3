"""Train for `mpscnn train FOLDER` with a progress bar, and write the model and the report."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import typer
from numpy.typing import NDArray

from mpscnn import registry
from mpscnn._private.files import require_folder_for
from mpscnn._private.shell import quote_path
from mpscnn.apps.cli.failures import INTERRUPTED
from mpscnn.apps.cli.output import hint, show
from mpscnn.apps.cli.output import report as tell_error
from mpscnn.apps.cli.progress import console_options
from mpscnn.apps.cli.task import setting_command
from mpscnn.apps.cli.train_report import REPORT_FILES, evaluate_best, write_report
from mpscnn.core_model import described_network, model_path, open_model
from mpscnn.errors import Error, ImageError, ParameterError, UnsupportedError
from mpscnn.graph.network import Network
from mpscnn.registry.catalogue import BUNDLED_MODEL
from mpscnn.training.classifier import ClassifierOptions, ClassifierTraining, Progress, Record
from mpscnn.training.image_folder import ImageFolder, UnreadablePhotosError
from mpscnn.training.split_folders import SplitFolders, find_splits

if TYPE_CHECKING:
    from mpscnn.evaluation.classifier import Evaluation

_PREFERRED = "mobilenet_v2"
_ABOUT = ("license", "source")


def train_folder(
    folder: Path,
    output: Path,
    options: ClassifierOptions,
    *,
    model: str | None,
    validation: float,
    share_is_given: bool,
    report: Path | None,
    resume: bool,
    restart: bool,
    device: str,
    threads: int | Literal["auto"],
) -> None:
    """Train with a progress bar, write the model, and print its accuracy. Ctrl-C ends the training early.

    `validation` is the share of photos for validation, and `share_is_given` whether the user asked for it.
    """
    started = time.monotonic()
    chosen = model or _backbone_here()
    path = model_path(chosen)
    _require_other_file(chosen, path, output)
    network, about = described_network(open_model(path))
    if network.preprocess is None:
        raise UnsupportedError(
            f"{chosen}: does not say how a photo becomes its input; "
            f"say it: {setting_command(chosen, 'preprocess', 'NAME')}"
        )
    read = partial(
        ImageFolder,
        size=_input_extents(network)[:2],
        preprocess=network.preprocess,
        seed=options.seed,
        threads=threads,
        channels=_input_extents(network)[2],
    )
    splits = find_splits(folder)
    if share_is_given and splits is not None and splits.validation is not None:
        raise ParameterError(
            f"--validation: the photos in {splits.validation} are for validation; leave it out"
        )
    training, held = _split_photos(folder, splits, read, validation)
    show(
        f"{len(training):,} photos to train with and {len(held):,} for validation, "
        f"{len(training.labels)} classes, on {network.name}"
    )
    if splits is not None:
        show(*_split_lines(splits))
    if report is not None:
        require_folder_for(report, REPORT_FILES, ParameterError)
    run = Path(f"{output}.run")
    trained = ClassifierTraining(
        training,
        held,
        network,
        run,
        options=options,
        resume=resume,
        restart=restart,
        device=device,
        threads=threads,
    )
    interrupted = False
    try:
        with _progress() as bar:
            for progress in trained.run():
                bar.show(progress)
    except KeyboardInterrupt as signalled:
        if not trained.has_result:
            raise
        if signalled.args:  # SIGTERM and SIGHUP leave no time to measure the result
            hint(f"The state of the training is in {run}; --resume continues it.")
            raise
        interrupted = True
    except Error as error:
        if trained.has_result:
            damaged = "; if its files are damaged, --restart starts again" if resume else ""
            hint(f"The state of the training is in {run}; --resume continues it{damaged}.")
        if isinstance(error, UnreadablePhotosError):
            for failure in error.failures.values():
                tell_error(failure)
        raise error
    result = trained.result
    information = {key: about[key] for key in _ABOUT if key in about}
    information["description"] = f"trained from {network.name} for {len(trained.labels)} classes"
    result.save(output, labels=trained.labels, information=information)
    evaluation = evaluate_best(trained, time.monotonic() - started)
    show(*_lines(evaluation), f"written: {output}")
    if report is not None:
        write_report(report, trained, evaluation)
        show(f"report: {report / 'mistakes.html'}")
    if interrupted:
        hint(f"interrupted: this is the best so far; --resume goes on from {run}")
        raise typer.Exit(INTERRUPTED)
    trained.remove()
    hint(f"Try it: mpscnn classify --model {quote_path(output)} PHOTO...")


def _split_photos(
    folder: Path, splits: SplitFolders | None, read: Callable[..., ImageFolder], share: float
) -> tuple[ImageFolder, ImageFolder]:
    """Return the photos for training and for validation.

    Photos for validation are those of the folder's own split. If it has none, they are a share of each class.
    """
    if splits is None:
        return read(folder, augment=True).split(share)
    if splits.train is None:
        raise ImageError(f"{folder}: is split into {splits}; there is no train to train with")
    training = read(splits.train, augment=True)
    if splits.validation is None:
        return training.split(share)
    return training, read(splits.validation).numbered_like(training)


def _split_lines(splits: SplitFolders) -> list[str]:
    """Return lines that say what each split is used for."""
    held = "a share of train" if splits.validation is None else splits.validation.name
    lines = [f"the data set is split into {splits}: validation is with {held}"]
    if splits.test is not None:
        lines.append(f"{splits.test} is not used; `mpscnn evaluate` measures the result on it")
    return lines


def _backbone_here() -> str:
    """Return the preferred backbone if it is on this machine, otherwise the bundled one. Nothing is downloaded."""
    entry = next(entry for entry in registry.models() if entry.name == _PREFERRED)
    return BUNDLED_MODEL.name if entry.location() is None else _PREFERRED


def _require_other_file(model: str, path: str, output: Path) -> None:
    """Raise an error if the output would replace the backbone: an interrupted training needs it to continue."""
    for file in (model, path):
        try:
            same = output.samefile(file)
        except (OSError, ValueError):  # one of the files does not exist
            continue
        if same:
            raise ParameterError(
                f"--model {model} and --output {output} are the same file; name another --output"
            )


def _input_extents(network: Network) -> tuple[int, int, int]:
    shape = network.inputs[0].shape[1:]
    if len(network.inputs) != 1 or len(shape) != 3 or None in shape:
        raise UnsupportedError(
            f"network {network.name!r}: photos need one input (n, height, width, channels) of a fixed size"
        )
    height, width, channels = (int(extent or 0) for extent in shape)
    return height, width, channels


def _lines(evaluation: Evaluation) -> list[str]:
    """Return lines with the accuracy of each class and the most frequent confusions."""
    counts, labels = evaluation.confusion, evaluation.labels
    widest = max(len(label) for label in labels)
    rows = [
        f"  {label:<{widest}}  {_right(row, i)}"
        for i, (label, row) in enumerate(zip(labels, counts, strict=True))
    ]
    mistakes = [f"  {true} taken for {found}: {count}" for true, found, count in evaluation.mistakes(5)]
    return [
        f"validation: {evaluation.top1:.2%} right of {evaluation.images:,}, in {evaluation.seconds:.0f} s",
        *rows,
        *mistakes,
    ]


def _right(row: NDArray[np.int64], index: int) -> str:
    """Return the share of right answers for a class, from its row of the confusion matrix."""
    total = row.sum()
    return f"{row[index] / total:7.2%}  ({row[index]} of {total})" if total else "no photo for validation"


# ---- Progress ----------------------------------------------------------------------------------------------------


class _Bar(Protocol):
    def show(self, progress: Progress) -> None:
        """Show that one more step is done."""


class _Lines:
    """Shows one line for each epoch, for output that is not a terminal."""

    def show(self, progress: Progress) -> None:
        if progress.record is not None:
            show(_text(progress.record, progress.total))


class _RichBar:
    """Shows a bar with the remaining time for each phase on a terminal, and above it a line for each epoch."""

    def __init__(self, bar: object) -> None:
        from rich.progress import Progress as Bar

        assert isinstance(bar, Bar)
        self._bar = bar
        self._task = bar.add_task("", total=None)
        self._phase: tuple[str, int] | None = None

    def show(self, progress: Progress) -> None:
        phase = (progress.phase, progress.total)
        if phase != self._phase:
            self._phase = phase
            self._bar.remove_task(self._task)
            self._task = self._bar.add_task(progress.phase, total=progress.total)
        if progress.record is not None:
            show(_text(progress.record, progress.total))
        self._bar.update(self._task, completed=progress.done)


def _text(record: Record, total: int) -> str:
    return (
        f"{record.phase} {record.epoch}/{total}: loss {record.loss:.4f}, accuracy {record.accuracy:.2%}, "
        f"validation {record.validation_accuracy:.2%}{' (best)' if record.best else ''}"
    )


@contextmanager
def _progress() -> Iterator[_Bar]:
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    with Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        **console_options(),
    ) as bar:
        yield _RichBar(bar)
