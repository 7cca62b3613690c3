"""Read the network that `mpscnn convert` writes in another framework's format, and report what it cannot read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import typer

from mpscnn._private.files import is_folder, replace_atomically
from mpscnn.apps.cli.convert_options import Conversion
from mpscnn.apps.cli.failures import DIFFERENT
from mpscnn.apps.cli.output import report, show, show_as_is, warn
from mpscnn.apps.cli.sizes import check_size
from mpscnn.errors import ParameterError, WeightsError
from mpscnn.graph.network import Network
from mpscnn.opening_models import described_network, model_path, open_model


def network_to_write(given: Conversion) -> tuple[Network, dict[str, str]]:
    """Read the network of one model file, or of the several files of a network.

    It has its preprocessing, labels and detection, or those of the user.

    Return it with the texts of its file about the model, such as "license".

    With `check`, the network of another framework's file is compared with the file on its own engine. If they differ,
    the command ends with the exit code `DIFFERENT`, or warns with `force`.

    Raises ParameterError for several networks, and for options that apply only to files of other frameworks.
    """
    from mpscnn.converters import read_network
    from mpscnn.converters.formats.readers import is_foreign

    source = given.sources[0]
    information = given.information
    if all(
        is_foreign(one) or is_folder(one) for one in given.sources
    ):  # several are the files of one network
        network = read_network(given.sources, **given.reading())
        information = {**network.information, **information}
        given.choose_settings(network)
        _warn_of(network.notes, source)
        if given.check:
            _compare(network, given)
    elif len(given.sources) != 1:
        raise ParameterError(f"{given.output}: expected one model to write, got {len(given.sources)}")
    elif given.shapes or given.outputs or given.architecture or given.signature:
        raise ParameterError(
            f"{source}: --shape, --outputs, --architecture and --signature are for files of other frameworks"
        )
    else:
        network, stated = described_network(open_model(model_path(str(source))))
        information = information | stated
        given.choose_settings(network)
        _warn_of(network.notes, source)
    check_size(network, given.size)
    return network, information


def _warn_of(notes: Sequence[str], source: Path) -> None:
    for note in notes:
        warn(f"{source}: {note}")


def _compare(network: Network, given: Conversion) -> None:
    """Compare a network with the file from which it was read. If they differ, end the command or warn."""
    from mpscnn.comparison.conversion_check import any_size, check_conversion, differs

    size = given.size or any_size(network)
    found, verdict = check_conversion(
        network, given.sources, size, given.output_names, given.shapes, signature=given.signature
    )
    show(f"before writing: {verdict}")
    if not differs(found):
        return
    if not given.force:
        end_as_different(given)
    warn_of_difference(given)


def end_as_different(given: Conversion) -> NoReturn:
    """End the command, since the network differs from its source. Nothing was written."""
    report(
        f"{given.sources[0]}: the network does not compute what the file does, so {given.output} is not written; "
        "--force writes it, and mpscnn compare --layers shows where they differ"
    )
    raise typer.Exit(DIFFERENT)


def warn_of_difference(given: Conversion) -> None:
    """Warn that the result is written although the network differs from its source."""
    warn(
        f"{given.output} is written because of --force, but does not compute what {given.sources[0]} does; see mpscnn "
        "compare --layers"
    )


def write_report(given: Conversion, target: str) -> None:
    """Write the report to the file `target`, or to the terminal for "-", even if there are no such layers."""
    from mpscnn.converters import read_network
    from mpscnn.converters.opening.unsupported import UnsupportedLayersError, report

    try:
        text = report([], read_network(given.sources, **given.reading()).notes)
    except UnsupportedLayersError as error:
        text = report(error.layers, [])
    if target == "-":
        show_as_is(text)
        return
    with replace_atomically(target, WeightsError) as file:
        file.write(text.encode())
