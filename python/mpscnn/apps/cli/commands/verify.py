"""The command `mpscnn verify`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mpscnn._private.files import replace_atomically, require_replaceable
from mpscnn.apps.cli.arguments import AUTO_DEVICE
from mpscnn.apps.cli.existing_outputs import OverwriteOption, require_new
from mpscnn.apps.cli.failures import FAILED
from mpscnn.apps.cli.output import sentences, show, table_width
from mpscnn.errors import ParameterError

if TYPE_CHECKING:
    from mpscnn.apps.verify.report import Verification

NOT_TESTED = 3


def verify(
    device: Annotated[
        str,
        typer.Option(
            metavar="DEVICE",
            help="Test this device: metal (the default GPU), metal:NAME (a GPU by name or registry id), or cpu "
            "(its best instruction set against the simplest one of the build). auto: metal if there is one, "
            "otherwise cpu.",
        ),
    ] = AUTO_DEVICE,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write all results as JSON, too, to attach to an issue."),
    ] = None,
    overwrite: OverwriteOption = False,
    only: Annotated[str, typer.Option(metavar="NAME", help="Test only rows whose names contain this.")] = "",
    time_limit: Annotated[
        float, typer.Option(min=0.1, max=86_400, metavar="SECONDS", help="End a case after this time.")
    ] = 120.0,
) -> None:
    """Test whether a device computes every operation, raw kernel and bundled network as promised.

    Use it when you do not know whether to trust a device, for example a new Mac or a new system.

    Each group of tests runs in its own process, so a crash or a hang makes tests fail, but does not end the command. If
    a device passes its self-check, this is recorded, and the device "auto" may mean it from then on.

    Exit codes: 0 all tests passed, 1 a test failed, 3 the device could not be tested; the output has the reason.

    Example: mpscnn verify --device metal --report report.json
    """
    from mpscnn.apps.verify import verify as run

    if report is not None:
        require_new(overwrite, report)
        require_replaceable(report, ParameterError)
    with _group_shown() as progress:
        found = run(
            device,
            only=only,
            time_limit=time_limit,
            progress=progress,
            seen=lambda seen: _write(report, seen),
        )
    described = found.device.get("description", "not available")
    show(
        *sentences(
            f"device:        {found.device['name']} ({described})", f"compared with: {found.compared_with}"
        )
    )
    if found.rows:
        show("", *found.table(width=table_width()).split("\n"), "")
    show(*sentences(*found.summary().split("\n")))
    _write(report, found)
    if found.not_tested:
        raise typer.Exit(NOT_TESTED)
    if found.failed:
        raise typer.Exit(FAILED)


def _write(file: Path | None, report: Verification) -> None:
    """Write the report, if a file for it was given."""
    if file is not None:
        with replace_atomically(file, ParameterError) as target:
            target.write(f"{report.to_json()}\n".encode())


@contextmanager
def _group_shown() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows the name of the running group on stderr if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True, highlight=False, markup=False).status("") as status:
        yield status.update
