"""Write files in formats of other frameworks, and compare them with the network on the framework's engine."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import typer

from mpscnn._private.files import is_folder, replace_atomically, replace_folder, size_on_disk
from mpscnn._private.printable import quote_path
from mpscnn._private.summary import bytes_text
from mpscnn.apps.cli.convert_options import Conversion
from mpscnn.apps.cli.failures import DIFFERENT
from mpscnn.apps.cli.output import report, show, warn
from mpscnn.apps.cli.sizes import Size
from mpscnn.apps.cli.written_network import network_to_write
from mpscnn.converters.writing.integer_weights import of_stored_type
from mpscnn.errors import Error, UnsupportedError, WeightsError
from mpscnn.graph.network import Network
from mpscnn.graph.quantized import has_integer_tensors, stored_type

Compare = Callable[[Network, Path, Size | None], tuple[str, str]]
"""Compares a written file with the network. Returns the verdict, and a description of the difference or ""."""


def write_checked(
    given: Conversion, network: Network, write: Callable[[Path], None], compare: Compare, kind: str
) -> None:
    """Write a file, and with `given.check` compare it. If it differs, it is only kept with `given.force`.

    Args:
        given: the arguments of `mpscnn convert`.
        network: the network to write.
        write: writes the network to a path.
        compare: compares the file with the network.
        kind: the type of weights and other properties of the file, for the summary.
    """
    output, verdict, different = given.output, "", ""
    with tempfile.TemporaryDirectory(prefix="mpscnn_convert_") as temporary:
        made = Path(temporary) / output.name
        try:
            write(made)
        except Error as error:  # its message names the temporary file
            error.args = tuple(_named(argument, made, output) for argument in error.args)
            raise
        if given.check:
            verdict, different = compare(network, made, given.size)
        if different and not given.force:
            show(verdict)
            report(f"{output} is not written: {different}; --force writes it")
            raise typer.Exit(DIFFERENT)
        if is_folder(made):
            with replace_folder(output, WeightsError) as folder:
                shutil.copytree(made, folder, dirs_exist_ok=True)
        else:
            with made.open("rb") as content, replace_atomically(output, WeightsError) as file:
                shutil.copyfileobj(content, file)
    layers = len(network.to_dict()["nodes"])
    show(f"{output}: {network.name}, {layers} layers, {bytes_text(size_on_disk(output))} ({kind})")
    if given.check:
        show(verdict)
    if different:
        warn(f"{output} is written because of --force, but {different}")


def _named(argument: object, made: Path, output: Path) -> object:
    """Return an argument of an error with the name of the output in place of the temporary file's."""
    return argument.replace(str(made), str(output)) if isinstance(argument, str) else argument


def compare_floats(network: Network, output: Path, size: Size | None) -> tuple[str, str]:
    """Compare a file of floats with the network. See `Compare`."""
    from mpscnn.comparison.conversion_check import check_conversion, differs

    found, verdict = check_conversion(network, [output], size)
    return verdict, "it does not compute what the network does" if differs(found) else ""


ONNX_SUFFIX = ".onnx"


def write_onnx(given: Conversion) -> None:
    """Write a single source as ONNX.

    Without `given.dtype`, weights are integers in a quantised network, otherwise float32.

    With `given.check`, compare the network with its source, and the written file in onnxruntime with the network. If
    they differ, the file is only kept with `given.force`.

    Raises ParameterError for several sources, and for options that apply only to files of other frameworks.
    """
    from mpscnn.converters import export_onnx

    found, information = network_to_write(given)
    network, dtype = of_stored_type(found, given.dtype, "float32")
    layout = given.layout or "nchw"
    write_checked(
        given,
        network,
        lambda path: export_onnx(
            network,
            path,
            size=given.size,
            layout=layout,
            dtype=given.dtype,
            suppression=given.suppression,
            information=information,
        ),
        _compare_integers if dtype == "uint8" and has_integer_tensors(network) else compare_floats,
        f"{dtype}, {layout}",
    )


def _compare_integers(network: Network, output: Path, _: Size | None) -> tuple[str, str]:
    """Compare an int8 file with the network. Return the verdict, and a description of the difference or ""."""
    from mpscnn.comparison.sides import missing_engine
    from mpscnn.quantization.onnx_check import layers_beyond_one_step

    free = any(None in tensor.shape[1:] for tensor in network.inputs)
    if missing := "the network leaves its size free" if free else missing_engine(output):
        return f"not checked: {missing}", ""
    try:
        apart = layers_beyond_one_step(network)
    except UnsupportedError as error:
        return f"not checked: {error}", ""
    if not apart:
        return "checked against onnxruntime: each layer within one integer, on random ones", ""
    name = max(apart, key=apart.__getitem__)
    wrong = f"{len(apart)} of its layers differ on onnxruntime by more than one integer; {name!r} by {apart[name]:.3g}"
    return "checked against onnxruntime: different", wrong


TFLITE_SUFFIX = ".tflite"


def write_tflite(given: Conversion) -> None:
    """Write a single source as a TensorFlow Lite file, and compare it with the network in LiteRT.

    Without `given.dtype`, weights are integers in a quantised network, otherwise float32.

    Raises the errors of `mpscnn.converters.export_tflite`.
    """
    from mpscnn.converters import export_tflite

    found, information = network_to_write(given)
    network, dtype = of_stored_type(found, given.dtype, "float32")
    write_checked(
        given,
        network,
        lambda path: export_tflite(
            network, path, size=given.size, dtype=given.dtype, information=information
        ),
        compare_floats,
        dtype,
    )


COREML_SUFFIXES = (".mlpackage", ".mlmodel")


def write_coreml(given: Conversion) -> None:
    """Write a single source as a Core ML model.

    Without `given.dtype`, weights are integers in a quantised network without a palette, otherwise float16.

    With `given.check`, the network is compared with its source. If they differ, the model is only written with
    `given.force`.

    Raises the errors of `mpscnn.converters.export_coreml`.
    """
    from mpscnn.converters import export_coreml
    from mpscnn.converters.finishing.photo_input import takes_photos

    network, information = network_to_write(given)
    output, palette = given.output, given.palette
    dtype = stored_type(network, given.dtype, "float16") if palette is None else given.dtype or "float16"
    export_coreml(
        network,
        output,
        size=given.size,
        dtype=dtype,
        palette=palette,
        target=given.target,
        information=information,
    )
    if network.preprocess is None and takes_photos(network):
        warn(
            f"{given.sources[0]} does not say how a photo becomes its input, so the input of {output} is an array"
        )
    size_text = bytes_text(size_on_disk(output))
    layers = len(network.to_dict()["nodes"])
    stored = dtype if palette is None else f"palettes of {palette} bits"
    if dtype == "uint8":
        stored = (
            "8-bit weights, results in float16" if output.suffix == COREML_SUFFIXES[0] else "8-bit weights"
        )
    show(f"{output}: {network.name}, {layers} layers, {size_text} ({stored})")
    if sys.platform == "darwin":
        command = f"mpscnn compare {quote_path(output)} {quote_path(f'{output}@coreml')}"
        show(f"not checked: {command} compares it with Core ML")
    else:
        show("not checked: Core ML predicts on macOS only")


COREAI_SUFFIX = ".aimodel"


def write_coreai(given: Conversion) -> None:
    """Write a single source as a Core AI asset, and compare the network that is read from it with the given one.

    Without `given.dtype`, weights are integers in a quantised network, otherwise float32.

    Raises the errors of `mpscnn.converters.export_coreai`.
    """
    from mpscnn.converters import export_coreai

    network, information = network_to_write(given)
    network, dtype = of_stored_type(network, given.dtype, "float32")
    write_checked(
        given,
        network,
        lambda path: export_coreai(
            network, path, size=given.size, dtype=dtype, image=given.image_input, information=information
        ),
        _compare_read_back,
        dtype,
    )


def _compare_read_back(network: Network, output: Path, size: Size | None) -> tuple[str, str]:
    """Read a file again, and compare it with the network; on a Mac that runs it, in Core AI, too. See `Compare`."""
    from mpscnn.comparison import compare
    from mpscnn.converters import read_network

    written = read_network(output)
    found = compare(network, written, size=size)
    own, different = compare_floats(network, output, size)
    verdict = f"checked by reading it again: {found.verdict()}; Core AI itself: {own}"
    return verdict, different if found.equal else "it does not compute what the network does"
