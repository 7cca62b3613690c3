"""`mpscnn convert MODEL FILE.onnx`: networks written for other engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from mpscnn._private.files import is_folder
from mpscnn._private.summary import bytes_text
from mpscnn.cli.failures import FAILED
from mpscnn.cli.output import show, warn
from mpscnn.cli.sizes import Size, check_size
from mpscnn.errors import ParameterError
from mpscnn.graph.network import Network
from mpscnn.model import model_path, open_model

ONNX_SUFFIX = ".onnx"


def write_onnx(
    sources: Sequence[Path],
    output: Path,
    *,
    dtype: str,
    layout: str,
    size: Size | None,
    shapes: Mapping[str, Sequence[int]],
    outputs: Sequence[str],
    architecture: str | None,
    fold: bool,
    check: bool,
) -> None:
    """Writes the only source as ONNX and, if asked to, compares the file on onnxruntime with the network.

    Raises ParameterError for several sources, for integers of a network that has none, and for choices that only files
    of other frameworks leave.
    """
    from mpscnn.converters import export_onnx, read_network
    from mpscnn.converters.formats import is_foreign

    if len(sources) != 1:
        raise ParameterError(f"{output}: expected one model to write as ONNX, got {len(sources)}")
    source = sources[0]
    if is_foreign(source) or is_folder(source):
        network = read_network(
            sources, size=size, shapes=shapes, outputs=outputs, architecture=architecture, fold=fold
        )
        for note in network.notes:
            warn(f"{source}: {note}")
    elif shapes or outputs or architecture:
        raise ParameterError(
            f"{source}: --shape, --outputs and --architecture are for files of other frameworks"
        )
    else:
        network = Network.from_graph(open_model(model_path(str(source))).graph())
    check_size(network, size)
    export_onnx(network, output, size=size, layout=layout, dtype=dtype)
    layers = len(network.to_dict()["nodes"])
    show(
        f"{output}: {network.name}, {layers} layers, {bytes_text(output.stat().st_size)} ({dtype}, {layout})"
    )
    if check and dtype == "uint8":
        _compare_integers(network, output)
    elif check:
        _compare(network, output, size)


def _compare_integers(network: Network, output: Path) -> None:
    from mpscnn.comparison.sides import missing_engine
    from mpscnn.quantization.onnx_check import layers_beyond_one_step

    free = any(None in tensor.shape[1:] for tensor in network.inputs)
    if missing := "the network leaves its size free" if free else missing_engine(output):
        show(f"not checked: {missing}")
        return
    apart = layers_beyond_one_step(network)
    if not apart:
        show("checked against onnxruntime: each layer within one integer, on random ones")
        return
    name = max(apart, key=apart.__getitem__)
    warn(
        f"{output} is written, but {len(apart)} of its layers differ on onnxruntime by more than one integer; "
        f"{name!r} by {apart[name]:.3g}"
    )
    raise typer.Exit(FAILED)


def _compare(network: Network, output: Path, size: Size | None) -> None:
    from mpscnn.comparison.proof import prove

    found, verdict = prove(network, [output], size)
    show(verdict)
    if found is not None and not found.equal:
        warn(f"{output} is written, but does not compute what the network does; see mpscnn compare --layers")
        raise typer.Exit(FAILED)
