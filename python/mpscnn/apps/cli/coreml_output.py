"""Write Core ML models for `mpscnn convert MODEL FILE.mlpackage`."""

from __future__ import annotations

import sys

from mpscnn._private.files import is_folder
from mpscnn._private.shell import quote_path
from mpscnn._private.summary import bytes_text
from mpscnn.apps.cli.convert_options import Conversion
from mpscnn.apps.cli.output import show, warn
from mpscnn.apps.cli.written_network import network_to_write
from mpscnn.graph.quantized import stored_type

COREML_SUFFIXES = (".mlpackage", ".mlmodel")


def write_coreml(given: Conversion) -> None:
    """Write a single source as a Core ML model.

    Without `given.dtype`, weights are integers in a quantised network without a palette, otherwise float16.

    With `given.check`, the network is compared with its source. If they differ, the model is only written with
    `given.force`.

    Raises the errors of `mpscnn.converters.export_coreml`.
    """
    from mpscnn.converters import export_coreml
    from mpscnn.converters.photo_input import takes_photos

    network, output, palette = network_to_write(given), given.output, given.palette
    dtype = stored_type(network, given.dtype, "float16") if palette is None else given.dtype or "float16"
    export_coreml(network, output, size=given.size, dtype=dtype, palette=palette, target=given.target)
    if network.preprocess is None and takes_photos(network):
        warn(
            f"{given.sources[0]} does not say how a photo becomes its input, so the input of {output} is an array"
        )
    files = [file for file in output.rglob("*") if file.is_file()] if is_folder(output) else [output]
    size_text = bytes_text(sum(file.stat().st_size for file in files))
    layers = len(network.to_dict()["nodes"])
    stored = dtype if palette is None else f"palettes of {palette} bits"
    show(f"{output}: {network.name}, {layers} layers, {size_text} ({stored})")
    if sys.platform == "darwin":
        command = f"mpscnn compare {quote_path(output)} {quote_path(f'{output}@coreml')}"
        show(f"not checked: {command} compares it with Core ML")
    else:
        show("not checked: Core ML predicts on macOS only")
