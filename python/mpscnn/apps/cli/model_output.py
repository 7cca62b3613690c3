"""Write model files for `mpscnn convert FILE... MODEL.safetensors`."""

from __future__ import annotations

from mpscnn._private.summary import bytes_text
from mpscnn.apps.cli.convert_options import Conversion
from mpscnn.apps.cli.output import show, warn
from mpscnn.apps.cli.written_network import end_as_different, warn_of_difference
from mpscnn.graph.network import Network


def write_model(given: Conversion) -> None:
    """Convert files of other frameworks to a model file.

    Without `given.dtype`, weights are integers in a quantised network, otherwise float16.

    With `given.check`, compare the network with its source. If they differ, the file is only written with
    `given.force`.
    """
    from mpscnn.comparison.conversion_check import any_size, check_conversion, costs_too_much, differs
    from mpscnn.comparison.weight_rounding import rounding_effect
    from mpscnn.converters import convert_files
    from mpscnn.converters.finishing.photo_input import takes_photos
    from mpscnn.graph.quantized import stored_type

    source, output = given.sources[0], given.output
    verdict, compared, different = "", False, False

    def approve(network: Network) -> bool:
        nonlocal verdict, compared, different
        for note in network.notes:
            warn(f"{source}: {note}")
        if given.check:
            size = given.size or any_size(network)
            found, verdict = check_conversion(
                network, given.sources, size, given.output_names, given.shapes, signature=given.signature
            )
            compared, different = found is not None, differs(found)
        return given.force or not different

    network = convert_files(
        given.sources,
        output,
        dtype=given.dtype,
        information=given.information or None,
        approve=approve,
        **given.settings(),
        **given.reading(),
    )
    if different and not given.force:
        show(verdict)
        end_as_different(given)
    if network.preprocess is None and takes_photos(network):
        warn(
            f"{source} does not say how a photo becomes the network's input, so {output} cannot be used with "
            "photos; for photos convert it with --preprocess NAME (mpscnn convert --help)"
        )
    size = given.size or any_size(network)
    layers = network.describe(any_size(network))["layers"]
    parameters = sum(layer["parameters"] for layer in layers)
    stored = stored_type(network, given.dtype, "float16")
    show(
        f"{output}: {network.name}, {len(layers)} layers, {parameters:,} parameters, "
        f"{bytes_text(output.stat().st_size)} ({stored})"
    )
    if given.check:
        show(f"before storing: {verdict}" if compared else verdict)
        if not costs_too_much(network, given.sources):
            show(rounding_effect(network, output, size).sentence(output, stored))
    if different:
        warn_of_difference(given)
