"""Read the network that `mpscnn convert` writes in another framework's format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import typer

from mpscnn._private.files import is_folder
from mpscnn.apps.cli.failures import DIFFERENT
from mpscnn.apps.cli.output import report, show, warn
from mpscnn.apps.cli.sizes import Size, check_size
from mpscnn.core_model import described_network, model_path, open_model
from mpscnn.errors import ParameterError
from mpscnn.graph.network import Network


@dataclass(frozen=True)
class Conversion:
    """The arguments of `mpscnn convert` that all formats have: what to read, and where to write it.

    Attributes:
        sources, output: the files to read, and the file to write.
        size, shapes, outputs, architecture, fold, signature: see `mpscnn.converters.read_network`.
        check: compare the network with its source.
        force: write the result even if it differs from its source.
        labels, preprocess, detection, scores: see `mpscnn.converters.convert_files`.
    """

    sources: Sequence[Path]
    output: Path
    size: Size | None
    shapes: Mapping[str, Sequence[int]]
    outputs: Sequence[str]
    architecture: str | None
    fold: bool
    signature: str | None
    check: bool
    force: bool
    labels: str | None
    preprocess: str | None
    detection: str | None
    scores: str | None

    def reading(self) -> dict[str, Any]:
        """Return the named arguments of `read_network`."""
        names = ("size", "shapes", "outputs", "architecture", "fold", "signature")
        return {name: getattr(self, name) for name in names}

    def choose_settings(self, network: Network) -> None:
        """Set the detection, preprocessing, labels and scores of the user, and drop labels that do not fit."""
        from mpscnn.converters.photo_settings import choose_settings, drop_wrong_labels

        choose_settings(
            network,
            detection=self.detection,
            preprocess=self.preprocess,
            labels=self.labels,
            scores=self.scores,
        )
        drop_wrong_labels(network)


def network_to_write(given: Conversion) -> Network:
    """Read the network of a single source, with its preprocessing, labels and detection, or those of the user.

    With `check`, the network of another framework's file is compared with the file on its own engine. If they differ,
    the command ends with the exit code `DIFFERENT`, or warns with `force`.

    Raises ParameterError for several sources, and for options that apply only to files of other frameworks.
    """
    from mpscnn.converters import read_network
    from mpscnn.converters.formats import is_foreign

    if len(given.sources) != 1:
        raise ParameterError(f"{given.output}: expected one model to write, got {len(given.sources)}")
    source = given.sources[0]
    if is_foreign(source) or is_folder(source):
        network = read_network(given.sources, **given.reading())
        given.choose_settings(network)
        _warn_of(network.notes, source)
        if given.check:
            _compare(network, source, given)
    elif given.shapes or given.outputs or given.architecture or given.signature:
        raise ParameterError(
            f"{source}: --shape, --outputs, --architecture and --signature are for files of other frameworks"
        )
    else:
        network, _ = described_network(open_model(model_path(str(source))))
        given.choose_settings(network)
        _warn_of(network.notes, source)
    check_size(network, given.size)
    return network


def _warn_of(notes: Sequence[str], source: Path) -> None:
    for note in notes:
        warn(f"{source}: {note}")


def _compare(network: Network, source: Path, given: Conversion) -> None:
    """Compare a network with the file from which it was read. If they differ, end the command or warn."""
    from mpscnn.comparison.conversion_check import any_size, check_conversion, differs

    size = given.size or any_size(network)
    found, verdict = check_conversion(
        network, [source], size, given.outputs, given.shapes, signature=given.signature
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
