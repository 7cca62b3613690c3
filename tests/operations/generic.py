"""Test any operation. A test module imports these tests and lists its records as OPERATIONS; see conftest.py."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from exact_engines import onnxruntime_session
from hypothesis import given, settings
from kernels.index_rule import encode
from kernels_here import device_trains
from numpy.typing import NDArray
from operations.record import Array, Layers, Operation, RawKernel, Refusal, Sample
from ops.single_layer import held, layer_network, precisions, run_layer, run_training, values
from tolerance import FLOAT32_EPS, assert_close

import mpscnn
from mpscnn import onnx_backend
from mpscnn.converters.writing.onnx.export import to_onnx

__all__ = [
    "test_bits_do_not_depend_on_threads",
    "test_bits_of_cases_do_not_depend_on_threads",
    "test_drawn",
    "test_drawn_layers",
    "test_gradients",
    "test_known",
    "test_layers",
    "test_raw_kernels",
    "test_refused",
    "test_results_are_torchs",
    "test_through_onnx_and_back",
]

#: The roles of weights that are rounded to the network's precision. Other weights are float32 in all precisions.
HELD = ("weight", "value")
MAX_HALF = 65504.0
#: The step of finite differences in float64.
STEP = 1e-6
#: The number of examples for tests whose subject `test_drawn` covers in part.
FEWER = settings().max_examples // 2


def run(operation: Operation, sample: Sample, *, threads: int = 1, apart: bool = False) -> Array:
    inputs, attributes = list(sample.inputs), dict(sample.attributes)
    if operation.training:
        return run_training(operation.name, inputs, attributes, threads=threads, apart=apart)
    return run_layer(
        operation.name,
        inputs,
        attributes,
        weights=dict(sample.weights),
        activation=None if sample.activation is None else dict(sample.activation),
        precision=sample.precision,
        threads=threads,
        apart=apart,
    )


def in_precision(sample: Sample, precision: str) -> Sample:
    """Return a sample with its numbers rounded to the network's precision."""
    return dataclasses.replace(
        sample,
        inputs=[held(x, precision) for x in sample.inputs],
        weights={
            role: held(value, precision) if role in HELD else value for role, value in sample.weights.items()
        },
        precision=precision,
    )


def check(result: Array, reference: Array, bound: Any, precision: str) -> None:
    """Compare a result with the reference in float64."""
    if bound is None:
        np.testing.assert_array_equal(result, np.asarray(reference).astype(np.float32))
        return
    half = precision == "float16"
    if half:
        # From 65520 on, float16 results are infinite. Near 65520 both results are allowed, because rounding decides.
        size = np.abs(reference)
        reference = np.where(size > MAX_HALF + 16, np.copysign(np.inf, reference), reference)
        reference = np.where(np.abs(size - 65520) < 65520 * 64 * FLOAT32_EPS, result, reference)
    assert_close(result, reference, bound, half=half)


@given(st.data(), precisions(), st.integers(1, 3), st.booleans())
def test_drawn(
    drawn: tuple[Operation, st.SearchStrategy[Sample]],
    data: st.DataObject,
    precision: str,
    threads: int,
    apart: bool,
) -> None:
    operation, samples = drawn
    sample = in_precision(data.draw(samples), "float32" if operation.training else precision)
    if sample.refusal is not None:
        with pytest.raises(mpscnn.ShapeError, match=sample.refusal):
            run(operation, sample)
        return
    result = run(operation, sample, threads=threads, apart=apart)
    check(result, *operation.expect(sample), sample.precision)


def test_known(known: tuple[Operation, Sample]) -> None:
    operation, sample = known
    reference, bound = operation.expect(sample)
    expected = reference if sample.expected is None else np.asarray(sample.expected, np.float64)
    check(run(operation, sample), expected.reshape(reference.shape), bound, sample.precision)


def use(operation: Operation, refusal: Refusal, network: mpscnn.Network) -> None:
    if callable(refusal.use):
        refusal.use(network, *network.inputs)
    else:
        network.layer(operation.name, network.inputs, dict(refusal.use))


def test_refused(refused: tuple[Operation, Refusal]) -> None:
    operation, refusal = refused
    if operation.training:
        inputs = [np.ones([extent or 1 for extent in shape], np.float32) for shape in refusal.shapes]
        assert not callable(refusal.use)
        with pytest.raises(refusal.error, match=refusal.message):
            run_training(operation.name, inputs, dict(refusal.use))
        return
    network = mpscnn.Network(input={f"x{i}": shape for i, shape in enumerate(refusal.shapes)})
    with pytest.raises(refusal.error, match=refusal.message):
        use(operation, refusal, network)


def test_bits_do_not_depend_on_threads(divided: tuple[Operation, Sample]) -> None:
    operation, sample = divided
    one = run(operation, sample)
    for threads in (2, 3, 8):
        np.testing.assert_array_equal(one, run(operation, sample, threads=threads))


def large_case(case: Mapping[str, Any]) -> tuple[mpscnn.Network, list[Array]]:
    """Return a case's network for two images of some 50,000 elements, which each kernel divides among threads.

    If larger images do not suit the case, the batch is larger. Some cases are large already.
    """
    elements = max(math.prod(shape) for shape in case["inputs"])
    factor = math.isqrt(50_000 // elements) if elements < 1000 else 1
    if factor > 1:
        try:
            return network_of_case(case, [(factor * h, factor * w, c) for h, w, c in case["inputs"]], 2)
        except (mpscnn.ShapeError, mpscnn.ParameterError, ValueError):
            pass
    return network_of_case(case, case["inputs"], 2 * factor**2)


def network_of_case(
    case: Mapping[str, Any], shapes: Sequence[Sequence[int]], batch: int
) -> tuple[mpscnn.Network, list[Array]]:
    network = mpscnn.Network(input={f"x{i}": tuple(shape) for i, shape in enumerate(shapes)})
    network.output(
        network.layer(
            case["operation"], network.inputs, case["attributes"], activation=case.get("activation")
        )
    )
    network.initialize_weights(seed=1)
    return network, [values(i, (batch, *shape)) for i, shape in enumerate(shapes)]


@pytest.mark.cpu("Metal has no threads")
def test_bits_of_cases_do_not_depend_on_threads(case: Mapping[str, Any]) -> None:
    network, inputs = large_case(case)
    program = network.compile(precision="float32")
    one, *others = (program.session(threads=threads).run(inputs) for threads in (1, 2, 5))
    for other in others:
        np.testing.assert_array_equal(one, other)


def built(layers: Layers) -> tuple[mpscnn.Network, list[Array]]:
    """Return the network and inputs for it."""
    network = mpscnn.Network(input={f"x{i}": shape for i, shape in enumerate(layers.shapes)})
    outputs = layers.build(network, *network.inputs)
    for output in outputs if isinstance(outputs, (list, tuple)) else [outputs]:
        network.output(output)
    network.load_weights(dict(layers.weights), layout="OHWI")
    if layers.inputs is not None:
        return network, list(layers.inputs)
    sizes = layers.sizes or [(2, *(extent or 1 for extent in shape)) for shape in layers.shapes]
    return network, [values(i, size, precision=layers.precision) for i, size in enumerate(sizes)]


def check_layers(layers: Layers) -> None:
    network, arrays = built(layers)
    found: Any = network.compile(precision=layers.precision).session(threads=2).run(arrays)
    results: list[NDArray[Any]] = list(found.values()) if isinstance(found, dict) else [found]
    right = layers.expected(*arrays)
    expected = list(right) if isinstance(right, (list, tuple)) else [right]
    for output, result, wanted in zip(network.outputs, results, expected, strict=True):
        assert all(extent in (None, own) for extent, own in zip(output.shape, result.shape, strict=True))
        if layers.rtol or layers.atol:
            np.testing.assert_allclose(result, wanted, rtol=layers.rtol, atol=layers.atol)
        else:
            np.testing.assert_array_equal(result, wanted)


def test_layers(layers: Layers) -> None:
    check_layers(layers)


@settings(max_examples=FEWER)
@given(st.data())
def test_drawn_layers(drawn_layers: st.SearchStrategy[Layers], data: st.DataObject) -> None:
    check_layers(data.draw(drawn_layers))


@settings(max_examples=FEWER // 3)
@given(st.data())
def test_raw_kernels(
    raw_kernel: tuple[Operation, RawKernel], chosen_device: str, data: st.DataObject
) -> None:
    operation, kernel = raw_kernel
    if operation.training and not device_trains(chosen_device):
        pytest.skip(f"{chosen_device} does not run operations of training")
    sample = data.draw(kernel.draws)
    reference, bound = operation.expect(sample)
    result = encode(kernel.make(sample), *kernel.sources(sample)).reshape(reference.shape)
    check(result, reference, bound, "float32")
    if chosen_device == "cpu":  # there a network runs the same code as the raw kernel
        np.testing.assert_array_equal(
            result, run(operation, dataclasses.replace(sample, precision="float32"))
        )


def in_onnx_order(x: Array) -> Array:
    """Return an image with the order of axes that ONNX files have."""
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if x.ndim == 4 else x


def through_onnx(network: mpscnn.Network, inputs: Sequence[Array]) -> list[Array]:
    """Return the results of ONNX Runtime and of mpscnn's reader for the exported file, in ONNX' order of axes."""
    model = to_onnx(network, layout="nchw")
    feeds = [in_onnx_order(x) for x in inputs]
    session = onnxruntime_session(model)
    names = [argument.name for argument in session.get_inputs()]
    (found,) = session.run(None, dict(zip(names, feeds, strict=True)))
    (back,) = onnx_backend.prepare(model, precision="float32").run(feeds)
    return [found, back]


@settings(max_examples=FEWER // 3)
@given(st.data())
def test_through_onnx_and_back(
    exported: tuple[Operation, st.SearchStrategy[Sample]], data: st.DataObject
) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    operation, samples = exported
    sample = data.draw(samples)
    hypothesis.assume(sample.refusal is None)
    network = layer_network(
        operation.name, sample.inputs, sample.attributes, sample.weights, sample.activation
    )
    reference, bound = operation.expect(sample)
    expected = in_onnx_order(reference)
    allowed = None if bound is None else in_onnx_order(2 * np.broadcast_to(bound, reference.shape))
    for result in through_onnx(network, sample.inputs):
        check(result, expected, allowed, "float32")


def with_tensors(torch: Any, sample: Sample) -> Sample:
    return dataclasses.replace(
        sample,
        inputs=[torch.from_numpy(x).double() for x in sample.inputs],
        weights={role: torch.from_numpy(value).double() for role, value in sample.weights.items()},
    )


@settings(max_examples=FEWER)
@given(st.data())
def test_results_are_torchs(oracle: tuple[Operation, st.SearchStrategy[Sample]], data: st.DataObject) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    operation, samples = oracle
    sample = data.draw(samples)
    assert operation.torch is not None
    expected = operation.torch(torch, with_tensors(torch, sample)).numpy()
    _, bound = operation.expect(sample)
    check(run(operation, sample), expected, bound, "float32")


def moved(sample: Sample, tensor: str, direction: Array, step: float) -> Sample:
    """Return a sample in float64 with one of its tensors moved along a direction."""

    def of(name: str, x: Array) -> Array:
        return x.astype(np.float64) + (step * direction if name == tensor else 0.0)

    return dataclasses.replace(
        sample,
        inputs=[of(f"input{i}", x) for i, x in enumerate(sample.inputs)],
        weights={role: of(f"layer.{role}", x) for role, x in sample.weights.items()},
    )


def derivative(operation: Operation, sample: Sample, tensor: str, direction: Array) -> Array | None:
    """Return the reference's derivative along a direction, or None at a kink or jump."""
    before, here, after = (
        np.asarray(operation.expect(moved(sample, tensor, direction, step))[0], np.float64)
        for step in (-STEP, 0.0, STEP)
    )
    slope = (after - before) / (2 * STEP)
    bend = np.abs(after - 2 * here + before) / STEP
    return slope if bend.max() <= 1e-3 * (np.abs(slope).max() + 1e-3) else None


@pytest.mark.cpu("gradients of networks are computed on the CPU")
@settings(max_examples=FEWER)
@given(st.data())
def test_gradients(differentiable: tuple[Operation, st.SearchStrategy[Sample]], data: st.DataObject) -> None:
    """The gradients of a network follow the slopes of the reference, which is computed in float64.

    Transposed convolutions take seconds, since the reference is computed for each slope.
    """
    operation, samples = differentiable
    sample = data.draw(samples)
    hypothesis.assume(sample.refusal is None)
    shape = np.shape(operation.expect(sample)[0])
    gradient = values(1, shape)
    network = layer_network(
        operation.name, sample.inputs, sample.attributes, sample.weights, sample.activation
    )
    _, found = network.gradients(list(sample.inputs), output_gradient=gradient)
    tensors = dict(zip((tensor.name for tensor in network.inputs), sample.inputs, strict=True))
    tensors |= {f"layer.{role}": x for role, x in sample.weights.items()}
    compared = 0
    for name, x in tensors.items():
        direction = np.random.default_rng(2).normal(size=x.shape)
        slope = derivative(operation, sample, name, direction)
        if slope is None:
            continue
        compared += 1
        terms = found[name].astype(np.float64) * direction if name in found else np.zeros(())
        size = np.abs(terms).sum() + np.abs(gradient * slope).sum() + np.abs(gradient).sum()
        assert abs(terms.sum() - (gradient * slope).sum()) <= 1e-5 * size, name
    hypothesis.assume(compared)
