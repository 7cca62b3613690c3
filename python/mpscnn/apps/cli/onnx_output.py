"""Write ONNX files for `mpscnn convert MODEL FILE.onnx`."""

from __future__ import annotations

from pathlib import Path

from mpscnn.apps.cli.checked_output import compare_floats, write_checked
from mpscnn.apps.cli.convert_options import Conversion
from mpscnn.apps.cli.sizes import Size
from mpscnn.apps.cli.written_network import network_to_write
from mpscnn.graph.network import Network
from mpscnn.graph.quantized import stored_type

ONNX_SUFFIX = ".onnx"


def write_onnx(given: Conversion) -> None:
    """Write a single source as ONNX.

    Without `given.dtype`, weights are integers in a quantised network, otherwise float32.

    With `given.check`, compare the network with its source, and the written file in onnxruntime with the network. If
    they differ, the file is only kept with `given.force`.

    Raises ParameterError for several sources, for an integer file of a network without integers, and for options that
    apply only to files of other frameworks.
    """
    from mpscnn.converters import export_onnx

    network = network_to_write(given)
    dtype = stored_type(network, given.dtype, "float32")
    layout = given.layout or "nchw"
    write_checked(
        given,
        network,
        lambda path: export_onnx(network, path, size=given.size, layout=layout, dtype=dtype),
        _compare_integers if dtype == "uint8" else compare_floats,
        f"{dtype}, {layout}",
    )


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
