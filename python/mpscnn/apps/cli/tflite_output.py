"""Write TensorFlow Lite files for `mpscnn convert MODEL FILE.tflite`."""

from __future__ import annotations

from mpscnn.apps.cli.checked_output import compare_floats, write_checked
from mpscnn.apps.cli.convert_options import Conversion
from mpscnn.apps.cli.written_network import network_to_write
from mpscnn.graph.quantized import stored_type

TFLITE_SUFFIX = ".tflite"


def write_tflite(given: Conversion) -> None:
    """Write a single source as a TensorFlow Lite file, and compare it with the network in LiteRT.

    Without `given.dtype`, weights are integers in a quantised network, otherwise float32.

    Raises the errors of `mpscnn.converters.export_tflite`.
    """
    from mpscnn.converters import export_tflite

    network = network_to_write(given)
    dtype = stored_type(network, given.dtype, "float32")
    write_checked(
        given,
        network,
        lambda path: export_tflite(network, path, size=given.size, dtype=dtype),
        compare_floats,
        dtype,
    )
