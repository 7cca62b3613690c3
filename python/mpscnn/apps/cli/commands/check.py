"""The command `mpscnn check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpscnn.apps.cli.arguments import JsonOption
from mpscnn.apps.cli.existing_outputs import OverwriteOption, require_new
from mpscnn.apps.cli.option_groups import COMPILE, RUN, add_options
from mpscnn.apps.cli.output import sentences, show, show_json, table_width
from mpscnn.evaluation.data_check import REPORT_FILES, check_data
from mpscnn.model import load
from mpscnn.registry.catalogue import BUNDLED_MODEL
from mpscnn.runtime.options import CompileOptions, RunOptions


@add_options()
def check(
    photos: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="A folder with a folder of photos for each class, or with train/, val/ and test/ of this kind; with "
            "--annotations a folder of photos.",
        ),
    ],
    annotations: Annotated[
        Path | None,
        typer.Option(
            metavar="PLACE",
            help="Check the objects of these annotations, in a format of `mpscnn train --task detect`.",
        ),
    ] = None,
    unlabelled: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Say which photos of this folder to label next."),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="NAME_OR_FILE",
            help="Compare photos by the features of this classifier. It need not know the classes.",
        ),
    ] = BUNDLED_MODEL.name,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Write findings.html with pictures, and findings.csv, into DIR.",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    program: CompileOptions = COMPILE,
    runs: RunOptions = RUN,
    as_json: JsonOption = False,
) -> None:
    """Check labelled photos before a training.

    The command prints photos whose label is probably wrong, copies of photos and those that are in two parts of the
    data set, photos that cannot be read or are unlike all others, classes with too few photos, and boxes outside of
    their photo.

    Example: mpscnn check photos/

    Example: mpscnn check photos/ --output report/ --unlabelled more/

    Example: mpscnn check street/ --annotations street.json
    """
    if output is not None:
        require_new(overwrite, *(output / name for name in REPORT_FILES))
    loaded = load(model, **program.to_dict(), **runs.to_dict())
    found = check_data(photos, annotations=annotations, model=loaded, unlabelled=unlabelled)
    if output is not None:
        found.write(output)
    if as_json:
        show_json(found.to_dict())
        return
    show(*sentences(*found._sentences()))
    if found.findings:
        show(*found.table(width=table_width()).split("\n"))
