"""Single layers and a small network on the Metal engine, against the float64 reference and the CPU engine."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from metal.emulation import Emulation
from numpy.typing import NDArray
from ops.single_layer import precisions, run_layer, seeds, values, windows
from reference.concatenation import concatenation
from reference.convolution import convolution
from reference.fully_connected import fully_connected
from reference.neuron import neuron
from reference.pooling import pooling
from reference.softmax import softmax
from reference.window import positions
from tolerance import SOFTMAX_ULPS, assert_close, linear_bound, ulp_bound

import mpscnn

# The fixture that looks for violations and leaks does so once for all examples of a test.
drawn = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])

ACTIVATIONS: list[dict[str, Any] | None] = [  # with slopes of at most 1, which do not enlarge an error
    None,
    {"kind": "relu", "a": 0.25},
    {"kind": "relun", "b": 1.0},
    {"kind": "linear", "a": -1.0, "b": 0.5},
]


def on_metal(
    operation: str, inputs: list[NDArray[Any]], attributes: dict[str, Any], **options: Any
) -> NDArray[Any]:
    return run_layer(operation, inputs, attributes, device="metal", **options)


def activated(reference: Any, activation: dict[str, Any] | None) -> Any:
    return reference if activation is None else neuron(reference, activation)


# ---- Layers ---------------------------------------------------------------------------------------------------


@drawn
@given(st.data(), seeds, precisions())
def test_convolution(data: st.DataObject, seed: int, precision: str) -> None:
    batch, height, width = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)))
    groups = data.draw(st.sampled_from([1, 1, 2]))
    step = 4 if groups > 1 else 1  # MPS: channels of a group in fours
    inputs, outputs = step * data.draw(st.integers(1, 9)), step * data.draw(st.integers(1, 9))
    attributes = data.draw(windows(height, width)) | {"output_channels": outputs * groups, "groups": groups}
    x = values(seed, (batch, height, width, inputs * groups), precision=precision)
    shape = (outputs * groups, attributes["kernel_height"], attributes["kernel_width"], inputs)
    weights = {"weight": values(seed + 1, shape, precision=precision)}
    if data.draw(st.booleans()):
        weights["bias"] = values(seed + 2, shape[:1])
    activation = data.draw(st.sampled_from(ACTIVATIONS))
    reference, magnitude = convolution(x, weights["weight"], weights.get("bias"), attributes)
    result = on_metal(
        "convolution", [x], attributes, weights=weights, activation=activation, precision=precision
    )
    assert_close(
        result, activated(reference, activation), linear_bound(magnitude), half=precision == "float16"
    )


@drawn
@given(st.data(), seeds, precisions())
def test_depthwise(data: st.DataObject, seed: int, precision: str) -> None:
    batch, height, width = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)))
    channels, multiplier = data.draw(st.integers(2, 9)), data.draw(st.sampled_from([1, 1, 2, 3]))
    attributes = data.draw(windows(height, width))
    attributes |= {"output_channels": channels * multiplier, "groups": channels}
    x = values(seed, (batch, height, width, channels), precision=precision)
    shape = (channels * multiplier, attributes["kernel_height"], attributes["kernel_width"], 1)
    weights = {
        "weight": values(seed + 1, shape, precision=precision),
        "bias": values(seed + 2, shape[:1]),
    }
    activation = data.draw(st.sampled_from([*ACTIVATIONS, {"kind": "prelu"}]))
    reference, magnitude = convolution(x, weights["weight"], weights["bias"], attributes)
    if activation == {"kind": "prelu"}:
        weights["slope"] = np.clip(values(seed + 3, shape[:1]), -1, 1)
        reference = neuron(reference, activation, weights["slope"])
    else:
        reference = activated(reference, activation)
    result = on_metal(
        "convolution", [x], attributes, weights=weights, activation=activation, precision=precision
    )
    assert_close(result, reference, linear_bound(magnitude), half=precision == "float16")


@drawn
@given(st.data(), seeds, precisions(), st.sampled_from(["max", "average"]))
def test_pooling(data: st.DataObject, seed: int, precision: str, kind: str) -> None:
    batch, height, width = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)))
    x = values(seed, (batch, height, width, data.draw(st.integers(1, 9))), precision=precision)
    attributes = data.draw(windows(height, width)) | {"kind": kind}
    for taps, size in zip(positions(attributes, height, width), (height, width), strict=True):
        if not all(any(0 <= tap < size for tap in window) for window in taps):
            return  # refused when the network is built
    if kind == "average":
        attributes["count_padding"] = data.draw(st.booleans())
    bound = 0.0 if kind == "max" else linear_bound(pooling(np.abs(x), attributes))
    result = on_metal("pooling", [x], attributes, precision=precision)
    assert_close(result, pooling(x, attributes), bound, half=precision == "float16" and kind == "average")


@drawn
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), seeds, st.sampled_from(["max", "average"]))
def test_global_pooling(height: int, width: int, channels: int, seed: int, kind: str) -> None:
    x = values(seed, (2, height, width, channels))
    attributes = {"kind": kind, "global": True}
    result = on_metal("pooling", [x], attributes)
    assert_close(result, pooling(x, attributes), linear_bound(pooling(np.abs(x), attributes)))


@drawn
@given(st.tuples(*[st.integers(1, 9)] * 4), seeds, precisions(), st.sampled_from(ACTIVATIONS))
def test_addition(
    shape: tuple[int, ...], seed: int, precision: str, activation: dict[str, Any] | None
) -> None:
    x, y = (values(seed + i, shape, precision=precision) for i in range(2))
    result = on_metal("add", [x, y], {}, activation=activation, precision=precision)
    exact = x.astype(np.float64) + y
    assert_close(
        result, activated(exact, activation), ulp_bound(np.abs(exact) + 1.0), half=precision == "float16"
    )


@drawn
@given(
    st.tuples(*[st.integers(1, 9)] * 4),
    seeds,
    precisions(),
    st.sampled_from([*ACTIVATIONS[1:], {"kind": "prelu"}]),
)
def test_neuron(shape: tuple[int, ...], seed: int, precision: str, attributes: dict[str, Any]) -> None:
    x, slope = values(seed, shape, precision=precision), values(seed + 1, shape[3:])
    weights = {"slope": slope} if attributes["kind"] == "prelu" else {}
    reference = neuron(x, attributes, slope)
    result = on_metal("neuron", [x], attributes, weights=weights, precision=precision)
    assert_close(result, reference, ulp_bound(np.abs(reference) + 1.0), half=precision == "float16")


@drawn
@given(st.data(), seeds, precisions())
def test_fully_connected(data: st.DataObject, seed: int, precision: str) -> None:
    """Images that are not square too: their rows and columns must not be mixed up in the weights."""
    shape = data.draw(st.one_of(st.tuples(st.integers(1, 70)), st.tuples(*[st.integers(1, 6)] * 3)))
    batch, outputs = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 9))
    x, weight = (values(seed + i, (n, *shape), precision=precision) for i, n in enumerate((batch, outputs)))
    bias = values(seed + 2, (outputs,))
    reference, magnitude = fully_connected(x, weight, bias)
    weights = {"weight": weight, "bias": bias}
    result = on_metal("fully_connected", [x], {"outputs": outputs}, weights=weights, precision=precision)
    assert_close(result, reference, linear_bound(magnitude), half=precision == "float16")


@drawn
@given(st.tuples(*[st.integers(1, 9)] * 4), seeds, precisions())
def test_softmax(shape: tuple[int, ...], seed: int, precision: str) -> None:
    x = values(seed, shape, precision=precision, scale=5.0)
    reference = softmax(x)
    # The rounding of a difference to the largest input is one of the exponent.
    spread = x.max(axis=-1, keepdims=True) - x.min(axis=-1, keepdims=True)
    bound = ulp_bound(reference, SOFTMAX_ULPS) + ulp_bound(reference, 1.0) * spread
    assert_close(
        on_metal("softmax", [x], {}, precision=precision), reference, bound, half=precision == "float16"
    )


@drawn
@given(st.data(), seeds, precisions(), st.integers(1, 3))
def test_concatenation(data: st.DataObject, seed: int, precision: str, axis: int) -> None:
    shape = [data.draw(st.integers(1, 4)), data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6)), 5]
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    if axis == 3:
        sizes = [*(4 * size for size in sizes[:-1]), sizes[-1]]
    shapes = [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]
    inputs = [values(seed + i, given, precision=precision) for i, given in enumerate(shapes)]
    result = on_metal("concatenation", inputs, {"axis": axis}, precision=precision)
    np.testing.assert_array_equal(result, concatenation(inputs, axis))


def test_a_maximum_never_comes_from_the_padding() -> None:
    x = -1.0 - np.abs(values(0, (1, 3, 3, 8)))
    for dilation in (1, 2):
        attributes = {"kind": "max", "kernel_height": 3, "kernel_width": 3, "padding": "same"}
        attributes |= {"dilation_y": dilation, "dilation_x": dilation}
        assert (on_metal("pooling", [x], attributes) < -1.0).all()


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_nan_and_infinity_pass_own_shaders(precision: str) -> None:
    x = np.zeros((1, 3, 3, 5), np.float32)
    x[0, 0, 0, 0], x[0, 1, 1, 1], x[0, 2, 2, 4] = np.nan, np.inf, -np.inf
    for activation in ({"kind": "relu"}, {"kind": "relun", "b": 6.0}):
        result = on_metal("add", [x, x], {}, activation=activation, precision=precision)
        assert np.isnan(result[0, 0, 0, 0])
        assert result[0, 1, 1, 1] == (np.inf if activation["kind"] == "relu" else 6.0)
        assert result[0, 2, 2, 4] == 0.0
    dilated = {"kind": "max", "kernel_height": 2, "kernel_width": 2, "dilation_y": 2, "dilation_x": 2}
    assert np.isnan(on_metal("pooling", [x], dilated, precision=precision)[0, 0, 0, 0])


# ---- Networks -------------------------------------------------------------------------------------------------


def small_mobilenet(height: int = 17, width: int = 23) -> mpscnn.Network:
    """Inverted residuals with and without an addition, and all that surrounds them in MobileNet V2."""
    net = mpscnn.Network(input=(height, width, 3), name="small mobilenet")
    x = net.conv2d(net.input, 8, 3, strides=2, padding="same", activation="relu6", name="conv1")
    for block, strides in enumerate((1, 2)):
        y = net.conv2d(x, 24, 1, activation="relu6", name=f"expand{block}")
        y = net.depthwise_conv2d(
            y, 3, strides=strides, padding="same", activation="relu6", name=f"depthwise{block}"
        )
        y = net.conv2d(y, 8, 1, name=f"project{block}")
        x = net.add(x, y, name=f"add{block}") if strides == 1 else y
    x = net.global_average_pool2d(x, name="pool")
    x = net.flatten(net.conv2d(x, 10, 1, name="classifier"), name="logits")
    net.output(net.softmax(x, name="softmax"))
    net.initialize_weights(3)
    return net


def judged(node: dict[str, Any], inputs: list[Any], weights: dict[str, Any]) -> tuple[Any, Any]:
    """The float64 result of a layer of small_mobilenet, and how far from it another result may lie."""
    operation, attributes = node["operation"], node["attributes"]
    if operation == "convolution":
        exact, magnitude = convolution(inputs[0], weights["weight"], weights.get("bias"), attributes)
        return activated(exact, node.get("activation")), linear_bound(magnitude)
    if operation == "pooling":
        return pooling(inputs[0], attributes), linear_bound(pooling(np.abs(inputs[0]), attributes))
    if operation == "softmax":
        return softmax(inputs[0]), ulp_bound(softmax(inputs[0]), SOFTMAX_ULPS)
    if operation == "reshape":
        return inputs[0].reshape(len(inputs[0]), -1).astype(np.float64), 0.0
    assert operation == "add"
    exact = inputs[0].astype(np.float64) + inputs[1]
    return exact, ulp_bound(exact)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_each_layer_of_a_network(precision: str) -> None:
    """Every layer on what the layers before it made of the input."""
    net = small_mobilenet()
    nodes = net.to_dict()["nodes"]
    program = net.compile(device="metal", precision=precision, outputs=[node["name"] for node in nodes])
    assert (program.device, program.precision) == ("metal", precision)
    x = values(0, (3, 17, 23, 3), precision=precision)
    results = {net.input.name: x, **program.session().run(x)}
    for node in nodes:
        weights = {
            name.removeprefix(f"{node['name']}."): as_stored(weight, name, precision)
            for name, weight in net.weights.items()
            if name.startswith(f"{node['name']}.")
        }
        reference, bound = judged(node, [results[name] for name in node["inputs"]], weights)
        assert_close(results[node["name"]], reference, bound, half=precision == "float16")


def as_stored(weight: Any, name: str, precision: str) -> Any:
    """float16 networks hold weights as halves, but not biases."""
    half = precision == "float16" and name.endswith(".weight")
    return weight.astype(np.float16).astype(np.float64) if half else weight


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_both_engines_choose_the_same_classes(precision: str) -> None:
    net, x = small_mobilenet(), values(1, (4, 17, 23, 3))
    chosen = [net.compile(device=device, precision=precision).session().run(x) for device in ("metal", "cpu")]
    np.testing.assert_array_equal(chosen[0].argmax(axis=1), chosen[1].argmax(axis=1))


def test_a_network_runs_any_batch_in_one_session() -> None:
    program = small_mobilenet().compile(device="metal", precision="float32")
    session = program.session()
    x = values(1, (5, 17, 23, 3))
    whole = session.run(x)
    for i in range(5):
        np.testing.assert_array_equal(session.run(x[i : i + 1])[0], whole[i])


def test_a_batch_beyond_the_slices_of_a_texture_takes_several_passes() -> None:
    """2048 slices hold 8 images of 1024 channels."""
    x = values(2, (21, 1, 2, 1024))
    np.testing.assert_array_equal(on_metal("add", [x, x], {}), 2 * x)


def test_sessions_in_several_threads_share_a_program() -> None:
    from concurrent.futures import ThreadPoolExecutor

    program = small_mobilenet().compile(device="metal", precision="float16")
    inputs = [values(i, (1 + i % 2, 17, 23, 3)) for i in range(8)]
    expected = [program.session().run(x) for x in inputs]

    def run(x: Any) -> Any:
        return program.session().run(x)

    with ThreadPoolExecutor(4) as pool:
        for result, wanted in zip(pool.map(run, inputs), expected, strict=True):
            np.testing.assert_array_equal(result, wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_arrays_of_any_strides(dtype: type) -> None:
    x = values(3, (2, 6, 8, 5), precision="float16").astype(dtype)
    program = mpscnn.Network(input=(6, 8, 5))
    program.output(program.add(program.input, program.input))
    session = program.compile(device="metal", precision="float16").session()
    views = [
        x,
        x[:, ::-1],
        np.asfortranarray(x),
        x[:, ::2, 1:].repeat(2, axis=1)[:, :, [0, 0, 1, 2, 3, 4, 5, 6]],
    ]
    out = np.full((2, 8, 6, 5), -1.0, dtype).transpose(0, 2, 1, 3)
    for view in views:
        result = session.run(view)
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, 2 * view)
        assert session.run(view, out=out) is out
        np.testing.assert_array_equal(out, 2 * view)


def test_flatten_before_a_dense_layer_needs_no_image() -> None:
    net = mpscnn.Network(input=(7, 3, 5))
    net.output(net.dense(net.flatten(net.conv2d(net.input, 6, 3, padding="same")), 4))
    net.initialize_weights(5)
    x = values(4, (2, 7, 3, 5))
    expected = net.compile(device="cpu").session().run(x)
    np.testing.assert_allclose(net.compile(device="metal").session().run(x), expected, rtol=1e-5, atol=1e-5)


# ---- What cannot run ------------------------------------------------------------------------------------------


def test_weights_that_half_cannot_hold_are_refused() -> None:
    weights = {"weight": np.full((4, 1, 1, 4), 1e5, np.float32)}
    x = np.ones((1, 2, 2, 4), np.float32)
    for groups in (1, 4):
        weights = {"weight": np.full((4, 1, 1, 4 // groups), 1e5, np.float32)}
        attributes = {"output_channels": 4, "groups": groups}
        with pytest.raises(mpscnn.WeightsError, match="layer 'layer': weight 100000"):
            on_metal("convolution", [x], attributes, weights=weights, precision="float16")


# ---- Devices and failures -------------------------------------------------------------------------------------


def metal_device() -> dict[str, Any]:
    return next(device for device in mpscnn.devices() if device["name"] == "metal")


def test_devices_lists_metal() -> None:
    device = metal_device()
    assert device["available"]
    assert device["description"]
    assert device["precisions"] == ["float32", "float16"]


@pytest.mark.parametrize(
    ("switch", "message"), [("no_device", "no Metal device"), ("unsupported_device", "cannot run")]
)
def test_without_a_device_the_error_says_what_to_do(emulation: Emulation, switch: str, message: str) -> None:
    emulation.set(switch, 1)
    assert message in metal_device()["reason"]
    with pytest.raises(mpscnn.DeviceError, match=f"{message}.*Use device='cpu' or device='auto'"):
        small_mobilenet().compile(device="metal")
    program = small_mobilenet().compile(device="auto")
    assert program.device == "cpu"


@pytest.mark.parametrize("switch", ["fail_buffers", "fail_pipelines", "fail_textures"])
def test_what_cannot_be_made_is_a_device_error(emulation: Emulation, switch: str) -> None:
    net = small_mobilenet()
    emulation.set(switch, 1)
    with pytest.raises(mpscnn.DeviceError, match="Metal cannot"):
        net.compile(device="metal").session().run(np.zeros((1, 17, 23, 3), np.float32))
    assert np.isfinite(net.compile(device="metal").session().run(np.zeros((1, 17, 23, 3), np.float32))).all()


def test_shaders_are_compiled_from_source_where_the_library_fails(emulation: Emulation) -> None:
    emulation.set("fail_libraries", 1)  # the metallib; the source is tried next
    x = values(6, (1, 4, 4, 5))
    np.testing.assert_array_equal(on_metal("add", [x, x], {}), 2 * x)


def test_a_device_without_shaders_is_an_error(emulation: Emulation) -> None:
    emulation.set("fail_libraries", 2)
    with pytest.raises(mpscnn.DeviceError, match="cannot compile mpscnn's shaders"):
        on_metal("add", [np.zeros((1, 4, 4, 5), np.float32)] * 2, {})


@pytest.mark.parametrize("code", [1, 2, 3, 8, 9, 11])
def test_a_failed_command_buffer_is_a_device_error(emulation: Emulation, code: int) -> None:
    session = small_mobilenet().compile(device="metal").session()
    x = values(7, (1, 17, 23, 3))
    expected = session.run(x)
    emulation.set("command_buffer_error", code)
    with pytest.raises(mpscnn.DeviceError, match=rf"'small mobilenet' failed: .*\(code {code}\), in 'image'"):
        session.run(x)
    np.testing.assert_array_equal(session.run(x), expected)


def test_a_slow_gpu_is_waited_for(emulation: Emulation) -> None:
    emulation.set("worker_delay_ms", 50)
    x = values(8, (1, 4, 4, 5))
    np.testing.assert_array_equal(on_metal("add", [x, x], {}), 2 * x)


@pytest.mark.parametrize(
    "switches",
    [{"reverse_threads": 1}, {"thread_execution_width": 16, "max_threads": 256}, {"discrete_memory": 1}],
)
def test_results_do_not_depend_on_how_threads_run(emulation: Emulation, switches: dict[str, int]) -> None:
    net, x = small_mobilenet(), values(9, (2, 17, 23, 3))
    expected = net.compile(device="metal").session().run(x)
    for switch, value in switches.items():
        emulation.set(switch, value)
    np.testing.assert_array_equal(net.compile(device="metal").session().run(x), expected)
