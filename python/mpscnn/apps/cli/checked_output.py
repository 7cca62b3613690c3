"""Write files in formats of other frameworks, and compare them with the network on the framework's engine."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import typer

from mpscnn._private.files import replace_atomically
from mpscnn._private.summary import bytes_text
from mpscnn.apps.cli.convert_options import Conversion
from mpscnn.apps.cli.failures import DIFFERENT
from mpscnn.apps.cli.output import report, show, warn
from mpscnn.apps.cli.sizes import Size
from mpscnn.errors import WeightsError
from mpscnn.graph.network import Network

Compare = Callable[[Network, Path, Size | None], tuple[str, str]]
"""Compares a written file with the network. Returns the verdict, and a description of the difference or ""."""


def write_checked(
    given: Conversion, network: Network, write: Callable[[Path], None], compare: Compare, kind: str
) -> None:
    """Write a file, and with `given.check` compare it. If it differs, it is only kept with `given.force`.

    Args:
        given: the arguments of `mpscnn convert`.
        network: the network to write.
        write: writes the network to a path.
        compare: compares the file with the network.
        kind: the type of weights and other properties of the file, for the summary.
    """
    output, verdict, different = given.output, "", ""
    with tempfile.TemporaryDirectory(prefix="mpscnn_convert_") as folder:
        made = Path(folder) / output.name
        write(made)
        if given.check:
            verdict, different = compare(network, made, given.size)
        if different and not given.force:
            show(verdict)
            report(f"{output} is not written: {different}; --force writes it")
            raise typer.Exit(DIFFERENT)
        with made.open("rb") as content, replace_atomically(output, WeightsError) as file:
            shutil.copyfileobj(content, file)
    layers = len(network.to_dict()["nodes"])
    show(f"{output}: {network.name}, {layers} layers, {bytes_text(output.stat().st_size)} ({kind})")
    if given.check:
        show(verdict)
    if different:
        warn(f"{output} is written because of --force, but {different}")


def compare_floats(network: Network, output: Path, size: Size | None) -> tuple[str, str]:
    """Compare a file of floats with the network. See `Compare`."""
    from mpscnn.comparison.conversion_check import check_conversion, differs

    found, verdict = check_conversion(network, [output], size)
    return verdict, "it does not compute what the network does" if differs(found) else ""
