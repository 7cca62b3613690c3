"""Read the network that `mpscnn convert` writes in another framework's format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from mpscnn._private.files import is_folder
from mpscnn.apps.cli.failures import DIFFERENT
from mpscnn.apps.cli.output import report, show, warn
from mpscnn.apps.cli.sizes import Size, check_size
from mpscnn.errors import ParameterError
from mpscnn.graph.network import Network
from mpscnn.model import Model, model_path, open_model


def network_to_write(
    sources: Sequence[Path],
    output: Path,
    *,
    size: Size | None,
    shapes: Mapping[str, Sequence[int]],
    outputs: Sequence[str],
    architecture: str | None,
    fold: bool,
    signature: str | None,
    check: bool,
    force: bool,
) -> Network:
    """Read the network of a single source, with its preprocessing and labels.

    With `check`, the network of another framework's file is compared with the file on its own engine. If they differ,
    the command ends with the exit code `DIFFERENT`, or warns with `force`.

    Raises ParameterError for several sources, and for options that apply only to files of other frameworks.
    """
    from mpscnn.converters import read_network
    from mpscnn.converters.formats import is_foreign

    if len(sources) != 1:
        raise ParameterError(f"{output}: expected one model to write, got {len(sources)}")
    source = sources[0]
    if is_foreign(source) or is_folder(source):
        network = read_network(
            sources,
            size=size,
            shapes=shapes,
            outputs=outputs,
            architecture=architecture,
            fold=fold,
            signature=signature,
        )
        for note in network.notes:
            warn(f"{source}: {note}")
        if check:
            _compare(
                network,
                source,
                output,
                size=size,
                shapes=shapes,
                outputs=outputs,
                signature=signature,
                force=force,
            )
    elif shapes or outputs or architecture or signature:
        raise ParameterError(
            f"{source}: --shape, --outputs, --architecture and --signature are for files of other frameworks"
        )
    else:
        model = Model(open_model(model_path(str(source))), device="cpu")
        network = Network.from_graph(open_model(model_path(str(source))).graph())
        network.preprocess, network.labels = model.preprocess, model.labels
        network.detection = model.network.detection
    check_size(network, size)
    return network


def _compare(
    network: Network,
    source: Path,
    output: Path,
    *,
    size: Size | None,
    shapes: Mapping[str, Sequence[int]],
    outputs: Sequence[str],
    signature: str | None,
    force: bool,
) -> None:
    """Compare a network with the file from which it was read. If they differ, end the command or warn."""
    from mpscnn.comparison.conversion_check import any_size, differs, prove

    found, verdict = prove(network, [source], size or any_size(network), outputs, shapes, signature=signature)
    show(f"before writing: {verdict}")
    if not differs(found):
        return
    if not force:
        report(
            f"{source}: the network does not compute what the file does, so {output} is not written; --force writes "
            "it, and mpscnn compare --layers shows where they differ"
        )
        raise typer.Exit(DIFFERENT)
    warn(
        f"{output} is written because of --force, but does not compute what {source} does; see mpscnn compare --layers"
    )
