"""Train for `mpscnn train FOLDER` with a progress bar, and write the model and the report."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import typer

from mpscnn._private.files import exists, require_folder_for
from mpscnn._private.printable import quote_path
from mpscnn.apps.cli.existing_outputs import require_new
from mpscnn.apps.cli.failures import INTERRUPTED
from mpscnn.apps.cli.output import hint, show
from mpscnn.apps.cli.output import report as tell_error
from mpscnn.apps.cli.progress import console_options
from mpscnn.apps.cli.train_kinds import kind_of
from mpscnn.apps.cli.train_options import TrainOptions
from mpscnn.apps.train.complete_training import save_trained
from mpscnn.apps.train.photo_training import Backbone, open_backbone
from mpscnn.errors import Error, ParameterError
from mpscnn.training.image_folder import UnreadablePhotosError
from mpscnn.training.recorded import LogLines, Progress, record_text


def train_folder(folder: str | None, options: TrainOptions) -> None:
    """Train with a progress bar, write the model, and print its accuracy. Ctrl-C and SIGTERM end the training early.

    Args:
        folder: the folder of the photos; None if the annotations name it.
        options: the options of the command.
    """
    kind, output, resume = kind_of(folder, options), options.output, options.resume
    report = None if options.report is None else Path(options.report)
    backbone = open_backbone(options.model)
    _require_other_file(backbone, output)
    run = Path(f"{output}.run")
    reports = [] if report is None else [report / name for name in kind.report_files]
    # A stopped run has written its best network so far and the report, which --resume and --restart replace.
    require_new(options.overwrite or options.resume or exists(run), output, *reports)
    if report is not None:
        require_folder_for(report, kind.report_files, ParameterError)
    training = kind.start(backbone, run)
    show(*training.summary())
    interrupted = False
    try:
        with _progress() as bar:
            for progress in training.run():
                bar.show(progress)
    except KeyboardInterrupt as signalled:
        if not training.trained.has_result:
            raise
        if signalled.args:  # SIGTERM and SIGHUP leave no time to measure the result
            save_trained(training, output)
            hint(f"ended by a signal: {output} has the best network so far; --resume goes on from {run}")
            raise
        interrupted = True
    except Error as error:
        if training.trained.has_result:
            damaged = "; if its files are damaged, --restart starts again" if resume else ""
            hint(f"The state of the training is in {run}; --resume continues it{damaged}.")
        if isinstance(error, UnreadablePhotosError):
            for failure in error.failures.values():
                tell_error(failure)
        raise error
    save_trained(training, output)
    made = training.report()
    verdict = [made.convergence] if made.convergence else []
    if (accuracy := getattr(made, "teacher_accuracy", None)) is not None:
        verdict.insert(0, f"the teacher: {accuracy:.2%} right")
    show(*kind.lines(made.evaluation), *verdict, f"written: {output}")
    if report is not None:
        made.save(report)
        show(f"report: {report / kind.report_files[-1]}")
    if interrupted:
        hint(f"interrupted: this is the best so far; --resume goes on from {run}")
        raise typer.Exit(INTERRUPTED)
    training.trained.remove()
    hint(f"Try it: mpscnn {kind.command} --model {quote_path(output)} PHOTO...")


def _require_other_file(backbone: Backbone, output: Path) -> None:
    """Raise an error if the output would replace the backbone: an interrupted training needs it to continue."""
    for file in filter(None, (backbone.given, backbone.path)):
        try:
            same = output.samefile(file)
        except (OSError, ValueError):  # one of the files does not exist
            continue
        if same:
            raise ParameterError(
                f"--model {backbone.given} and --output {output} are the same file; name another --output"
            )


# ---- Progress ----------------------------------------------------------------------------------------------------


class _Bar(Protocol):
    def show(self, progress: Progress) -> None:
        """Show that one more step is done."""


class _Lines:
    """Shows the lines of a log, for output that is not a terminal."""

    def __init__(self) -> None:
        self._log = LogLines()

    def show(self, progress: Progress) -> None:
        if lines := self._log.lines(progress):
            show(*lines)


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
            show(record_text(progress.record, progress.total))
        self._bar.update(self._task, completed=progress.done)


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
