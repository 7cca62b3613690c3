"""Compare single layers and a small network on the Metal engine with the float64 reference and the CPU engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from metal.emulation import Emulation
from numpy.typing import NDArray
from ops.single_layer import run_layer, values
from reference.convolution import convolution
from reference.neuron import neuron
from reference.pooling import pooling
from reference.softmax import softmax
from tolerance import SOFTMAX_ULPS, assert_close, linear_bound, ulp_bound

import mpscnn


def on_metal(
    operation: str, inputs: list[NDArray[Any]], attributes: dict[str, Any], **options: Any
) -> NDArray[Any]:
    return run_layer(operation, inputs, attributes, device="metal", **options)


def activated(reference: Any, activation: dict[str, Any] | None) -> Any:
    return reference if activation is None else neuron(reference, activation)


# ---- Layers: tests in addition to tests/ops, which also run on this engine -----------------------------------


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
    """Return a small MobileNet V2: inverted residuals with and without an addition, and the first and last layers."""
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


def referenced(node: dict[str, Any], inputs: list[Any], weights: dict[str, Any]) -> tuple[Any, Any]:
    """Return the float64 result of a layer of small_mobilenet, and an error bound."""
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
    """Each layer is compared with the reference on the same inputs, which are the results of the layers before it."""
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
        reference, bound = referenced(node, [results[name] for name in node["inputs"]], weights)
        assert_close(results[node["name"]], reference, bound, half=precision == "float16")


def as_stored(weight: Any, name: str, precision: str) -> Any:
    """Return weights as the network stores them: in float16 networks, weights are float16 and biases float32."""
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
    """A texture array has 2048 slices, which hold 8 images of 1024 channels."""
    x = values(2, (21, 1, 2, 1024))
    np.testing.assert_array_equal(on_metal("add", [x, x], {}), 2 * x)


def test_a_mask_goes_on_from_pass_to_pass() -> None:
    x, attributes = np.ones((21, 1, 2, 1024), np.float32), {"training": True, "seed": 2**40 + 3}
    expected = run_layer("dropout", [x], attributes, device="cpu")
    np.testing.assert_array_equal(on_metal("dropout", [x], attributes), expected)


@pytest.mark.parametrize("kind", ["sigmoid", "tanh", "softplus", "gelu", "prelu", "power", "exponential"])
@pytest.mark.parametrize("operation", ["convolution", "transposed_convolution", "subpixel_convolution"])
def test_activations_come_before_the_result_is_rounded(operation: str, kind: str) -> None:
    """Activations are applied before rounding, whether MPS can fuse them or not."""
    x, weight = values(4, (2, 3, 5, 6), precision="float16"), values(5, (8, 3, 3, 6), precision="float16")
    attributes = {"output_channels": 8, "kernel_height": 3, "kernel_width": 3}
    if operation == "subpixel_convolution":
        attributes |= {"output_channels": 2, "scale": 2}
    weights = {"weight": weight}
    if kind == "prelu":
        weights["slope"] = values(6, (attributes["output_channels"],))
    activation = {"kind": kind, "a": 0.125, "b": 0.25, "c": 2.0}
    half, single = (
        on_metal(operation, [x], attributes, weights=weights, activation=activation, precision=precision)
        for precision in ("float16", "float32")
    )
    np.testing.assert_array_equal(half, single.astype(np.float16).astype(np.float32))


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


# ---- Errors ---------------------------------------------------------------------------------------------------


def test_statistics_need_the_whole_batch_in_one_texture() -> None:
    x = values(3, (9, 1, 1, 1024))
    with pytest.raises(mpscnn.ShapeError, match=r"depend on each other.*holds 8 of them at once, got 9"):
        on_metal("batch_statistics", [x], {})


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
def test_without_a_device_the_error_says_what_to_do(
    emulation: Emulation, monkeypatch: pytest.MonkeyPatch, switch: str, message: str
) -> None:
    monkeypatch.delenv("MPSCNN_DEVICE")
    emulation.set(switch, 1)
    assert message in metal_device()["reason"]
    with pytest.raises(mpscnn.DeviceError, match=f"{message}.*Use device='cpu' or device='auto'"):
        small_mobilenet().compile(device="metal")
    program = small_mobilenet().compile(device="auto")
    assert program.device == "cpu"
    assert message in program.reason


@pytest.mark.parametrize("switch", ["fail_buffers", "fail_pipelines", "fail_textures"])
def test_what_cannot_be_made_is_a_device_error(emulation: Emulation, switch: str) -> None:
    net = small_mobilenet()
    emulation.set(switch, 1)
    with pytest.raises(mpscnn.DeviceError, match="Metal cannot"):
        net.compile(device="metal").session().run(np.zeros((1, 17, 23, 3), np.float32))
    assert np.isfinite(net.compile(device="metal").session().run(np.zeros((1, 17, 23, 3), np.float32))).all()


def test_shaders_are_compiled_from_source_where_the_library_fails(emulation: Emulation) -> None:
    emulation.set("fail_libraries", 1)  # loading the metallib fails, so the engine compiles the source
    x = values(6, (1, 4, 4, 5))
    np.testing.assert_array_equal(on_metal("add", [x, x], {}), 2 * x)


def test_a_device_without_shaders_is_an_error(emulation: Emulation) -> None:
    emulation.set("fail_libraries", 2)
    with pytest.raises(mpscnn.DeviceError, match="cannot compile mpscnn's shaders"):
        on_metal("add", [np.zeros((1, 4, 4, 5), np.float32)] * 2, {})


@pytest.mark.parametrize("code", [1, 2, 3, 8, 9])
def test_a_failed_command_buffer_is_a_device_error(emulation: Emulation, code: int) -> None:
    session = small_mobilenet().compile(device="metal").session()
    x = values(7, (1, 17, 23, 3))
    expected = session.run(x)
    for named in ("; if it fails again, the message names the layer$", ", in 'image'$"):
        emulation.set("command_buffer_error", code)
        with pytest.raises(mpscnn.DeviceError, match=rf"'small mobilenet' failed: .*\(code {code}\){named}"):
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
