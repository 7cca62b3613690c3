"""Write ONNX files for `mpscnn convert MODEL FILE.onnx`."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import typer

from mpscnn._private.files import replace_atomically
from mpscnn._private.summary import bytes_text
from mpscnn.apps.cli.failures import DIFFERENT
from mpscnn.apps.cli.output import report, show, warn
from mpscnn.apps.cli.sizes import Size
from mpscnn.apps.cli.written_network import Conversion, network_to_write
from mpscnn.errors import WeightsError
from mpscnn.graph.network import Network
from mpscnn.graph.quantized import stored_type

ONNX_SUFFIX = ".onnx"


def write_onnx(given: Conversion, *, dtype: str | None, layout: str) -> None:
    """Write a single source as ONNX.

    `dtype` is the type of weights. None: integers for a quantised network, otherwise float32.

    With `given.check`, compare the network with its source, and the written file in onnxruntime with the network. If
    they differ, the file is only kept with `given.force`.

    Raises ParameterError for several sources, for an integer file of a network without integers, and for options that
    apply only to files of other frameworks.
    """
    from mpscnn.converters import export_onnx

    network, output, size = network_to_write(given), given.output, given.size
    dtype = stored_type(network, dtype, "float32")
    verdict, different = "", ""
    with tempfile.TemporaryDirectory(prefix="mpscnn_convert_") as folder:
        made = Path(folder) / output.name
        export_onnx(network, made, size=size, layout=layout, dtype=dtype)
        if given.check:
            compare = _compare_integers if dtype == "uint8" else _compare
            verdict, different = compare(network, made, size)
        if different and not given.force:
            show(verdict)
            report(f"{output} is not written: {different}; --force writes it")
            raise typer.Exit(DIFFERENT)
        with made.open("rb") as content, replace_atomically(output, WeightsError) as file:
            shutil.copyfileobj(content, file)
    layers = len(network.to_dict()["nodes"])
    show(
        f"{output}: {network.name}, {layers} layers, {bytes_text(output.stat().st_size)} ({dtype}, {layout})"
    )
    if given.check:
        show(verdict)
    if different:
        warn(f"{output} is written because of --force, but {different}")


def _compare_integers(network: Network, output: Path, _: Size | None) -> tuple[str, str]:
    """Compare an int8 file with the network. Return the verdict, and a description of the difference or ""."""
    from mpscnn.comparison.sides import missing_engine
    from mpscnn.quantization.onnx_check import layers_beyond_one_step

    free = any(None in tensor.shape[1:] for tensor in network.inputs)
    if missing := "the network leaves its size free" if free else missing_engine(output):
        return f"not checked: {missing}", ""
    apart = layers_beyond_one_step(network)
    if not apart:
        return "checked against onnxruntime: each layer within one integer, on random ones", ""
    name = max(apart, key=apart.__getitem__)
    wrong = f"{len(apart)} of its layers differ on onnxruntime by more than one integer; {name!r} by {apart[name]:.3g}"
    return "checked against onnxruntime: different", wrong


def _compare(network: Network, output: Path, size: Size | None) -> tuple[str, str]:
    """Compare a float file with the network. Return the verdict, and a description of the difference or ""."""
    from mpscnn.comparison.conversion_check import check_conversion, differs

    found, verdict = check_conversion(network, [output], size)
    return verdict, "it does not compute what the network does" if differs(found) else ""
