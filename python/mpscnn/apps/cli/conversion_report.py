"""Write the report of layers that cannot be converted, for `mpscnn convert --report`."""

from __future__ import annotations

from mpscnn._private.files import replace_atomically
from mpscnn.apps.cli.convert_options import Conversion
from mpscnn.apps.cli.output import show_as_is
from mpscnn.errors import WeightsError


def write_report(given: Conversion, target: str) -> None:
    """Write the report to the file `target`, or to the terminal for "-", even if there are no such layers."""
    from mpscnn.converters import read_network
    from mpscnn.converters.unsupported import UnsupportedLayersError, report

    try:
        text = report([], read_network(given.sources, **given.reading()).notes)
    except UnsupportedLayersError as error:
        text = report(error.layers, [])
    if target == "-":
        show_as_is(text)
        return
    with replace_atomically(target, WeightsError) as file:
        file.write(text.encode())
