"""Check a conversion: compare the source on its own engine with the converted network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mpscnn.comparison.confined_engine import limits_of_check
from mpscnn.comparison.layer_comparison import Comparison
from mpscnn.comparison.side_by_side import compare_traces, default_tolerance, random_inputs
from mpscnn.comparison.sides import Side, missing_engine, open_side
from mpscnn.converters import read_network
from mpscnn.converters.formats.readers import model_files
from mpscnn.converters.opening.file_bytes import total_size
from mpscnn.errors import Error
from mpscnn.graph.network import Network

#: The numbers that all layers may compute, their weights and their operations, for a file of any size and for each of
#: its bytes. A few bytes can describe a run that takes hours.
_FREE_NUMBERS, _NUMBERS_PER_BYTE = 16_000_000, 40
_FREE_WEIGHTS, _WEIGHTS_PER_BYTE = 2_000_000, 8
_FREE_OPERATIONS, _OPERATIONS_PER_BYTE = 4_000_000_000, 1_000
#: Products of weights are computed faster than other operations by about this factor, but not by LiteRT's reference
#: kernels.
_SPEED_OF_PRODUCTS = 16


def check_conversion(
    network: Network,
    sources: Sequence[Path],
    size: tuple[int, int] | None = None,
    outputs: Sequence[str] = (),
    shapes: Mapping[str, Sequence[int]] | None = None,
    *,
    signature: str | None = None,
    quick: bool = False,
) -> tuple[Comparison | None, str]:
    """Compare a converted network with its source on random input.

    For a detector, the tensors from which the source computes boxes and scores are compared.

    Args:
        network: the converted network.
        sources: the files from which it was converted.
        size: (height, width) if the network accepts any size.
        outputs: tensors of the source at which the conversion stopped, instead of its outputs.
        shapes: shapes of the source's free inputs, as for the conversion.
        signature: the signature or function that was converted; None: the file's default.
        quick: run a TensorFlow Lite file with LiteRT's fast kernels instead of its reference kernels, which also
            happens if the reference kernels would take long.

    Returns:
        The comparison, and the verdict as a sentence. If the source's own engine is not installed or cannot run it with
        the network's input, or if a run would cost much more than a file of this size should, None and the reason.

    Raises the errors of mpscnn's own engine if it cannot run the network.
    """
    if len(sources) != 1:
        return None, "not checked: the network was made of several files"
    ends = outputs or network.source_ends
    if ends and sources[0].suffix.lower() != ".onnx":
        return None, f"not checked: the source ends elsewhere than at {', '.join(ends)}"
    if missing := missing_engine(sources[0]):
        return None, f"not checked: {missing}"
    if reason := costs_too_much(network, sources):
        return None, f"not checked: {reason}; mpscnn compare runs both all the same"
    quick = quick or bool(costs_too_much(network, sources, quick=False))
    try:
        if network.source_ends and network.detection is not None:
            network = read_network(sources, size=size, shapes=shapes, outputs=network.source_ends)
        # Errors of mpscnn's own engine are errors of the conversion. Only those of the source's engine prevent a check.
        engine = open_side(network).engine(size=size)
        source = Side(
            None, sources[0].name, sources[0], outputs=tuple(ends), signature=signature, quick=quick
        )
        limits = limits_of_check(total_size(model_files(sources[0])))
        try:
            other = source.engine(engine.inputs, size=size, limits=limits)
            inputs = random_inputs(engine, other, size)
            expected = other.trace(inputs)
        except Error as error:
            return None, f"not checked: {error}"
        engines, traces = (engine, other), (engine.trace(inputs), expected)
        compared = compare_traces(engines, traces, default_tolerance(*engines))
        found = _without_wrong_pairs(compared, len(network.outputs))
    except MemoryError:
        return None, f"not checked: there is not enough memory to run {sources[0].name} on its own engine"
    return found, f"checked against {found.second}: {found.verdict()}"


def costs_too_much(network: Network, sources: Sequence[Path], *, quick: bool = True) -> str:
    """Return why a run for one image costs much more than files of this size should; "" if it does not.

    Without `quick`, the kernels that run the source compute products no faster than other operations.
    """
    try:
        layers = network.describe(any_size(network))["layers"]
    except Error:
        return ""  # the network leaves another extent free than those of an image
    size = sum(total_size(model_files(source)) for source in sources)
    faster = _SPEED_OF_PRODUCTS if quick else 1
    numbers = sum(math.prod(layer["output"]) for layer in layers)
    weights = sum(layer["parameters"] for layer in layers)
    operations = sum(layer["flops"] // (faster if layer["macs"] else 1) for layer in layers)
    if numbers > _FREE_NUMBERS + _NUMBERS_PER_BYTE * size:
        return f"its layers compute {numbers:,} numbers, which is much for a file of {size:,} bytes"
    if weights > _FREE_WEIGHTS + _WEIGHTS_PER_BYTE * size:
        return f"its layers have {weights:,} weights, which is much for a file of {size:,} bytes"
    if operations > _FREE_OPERATIONS + _OPERATIONS_PER_BYTE * size:
        return f"its layers take {operations:,} operations, which is much for a file of {size:,} bytes"
    return ""


def differs(found: Comparison | None) -> bool:
    """Return True if a comparison shows that the network's results differ from its source's."""
    return found is not None and not found.equal


def any_size(network: Network) -> tuple[int, int] | None:
    """Return a size for the comparison if the network leaves height or width free, otherwise None."""
    from mpscnn.graph.structure import leaves_size_free

    for tensor in network.inputs:
        if leaves_size_free(tensor.shape):
            return tensor.shape[1] or 224, tensor.shape[2] or 224
    return None


def _without_wrong_pairs(found: Comparison, outputs: int) -> Comparison:
    """Return the comparison without inner layers that differ, if all outputs are equal.

    Such layers were paired only because they have the same shape. Each of the two is then listed without a partner.
    """
    results = [layer for layer in found.layers if layer.output]
    if len(results) == outputs:
        # Later operators of the source, such as an argmax, were omitted deliberately. A note reports that.
        found = replace(found, uncompared=())
    if found.equal or len(results) != outputs or not all(map(found.is_equal, results)):
        return found
    layers = tuple(layer for layer in found.layers if found.is_equal(layer))
    wrong = [layer for layer in found.layers if not found.is_equal(layer)]
    return replace(
        found,
        layers=layers,
        only_first=(*found.only_first, *(layer.name for layer in wrong)),
        only_second=(*found.only_second, *(layer.other_name for layer in wrong)),
    )
