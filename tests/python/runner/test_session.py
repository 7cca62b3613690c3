"""Test programs and sessions: memory used in place, shapes, threads, precision."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mpscnn
from mpscnn._private.arrays import as_input, check_output

# Seconds that a busy machine gets to run two threads in parallel.
PATIENCE = 60.0


def small_network(size: int | None = 12, channels: int = 5) -> mpscnn.Network:
    """Return a network with every kind of layer of a MobileNet, and random weights."""
    network = mpscnn.Network(input=(size, size, 3), name="small")
    x = network.conv2d(network.input, 8, 3, strides=2, padding="same", activation="relu6", name="conv1")
    y = network.conv2d(x, 24, 1, activation="relu6", name="expand")
    y = network.depthwise_conv2d(y, 3, padding="same", activation="relu6", name="depthwise")
    y = network.add(x, network.conv2d(y, 8, 1, name="project"), name="add")
    y = network.dense(network.global_average_pool2d(y, name="pool"), channels, name="classifier")
    network.output(network.softmax(y, name="softmax"))
    network.initialize_weights(7)
    return network


def photo(batch: int = 1, size: int = 12, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(batch, size, size, 3)).astype(np.float32)


def address(array: NDArray[Any]) -> int:
    pointer: int = array.__array_interface__["data"][0]
    return pointer


class Lent:
    """An array of another framework that supports only DLPack."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array

    def __dlpack__(self, **arguments: Any) -> Any:
        return self.array.__dlpack__(**arguments)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()


# ---- Zero copy --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_arrays_are_used_where_they_lie(dtype: type) -> None:
    x = photo(2).astype(dtype)
    for view in (x, x[:, ::2], x[..., ::-1], x.transpose(0, 2, 1, 3), x[:, :, 1:]):
        assert address(as_input("x", view)) == address(view)
    assert address(as_input("x", Lent(x))) == address(x)
    assert address(as_input("x", memoryview(x))) == address(x)
    assert check_output("y", x) is x


def test_a_tensor_with_a_negative_bit_is_refused() -> None:
    """Torch negates the tensor's numbers when it reads them. DLPack would give the numbers in memory."""
    torch = pytest.importorskip("torch", reason="needs torch")
    negated = torch._neg_view(torch.from_numpy(photo()))
    with pytest.raises(mpscnn.ParameterError, match=r"input 'image': .*tensor.resolve_neg\(\)"):
        small_network().compile(device="cpu").run(negated)
    np.testing.assert_array_equal(as_input("x", negated.resolve_neg()), -photo())


def test_out_is_written_in_place_and_returned() -> None:
    session = small_network().compile(device="cpu").session()
    expected = session.run(photo(2))
    out = np.zeros((2, 5), np.float32)
    assert session.run(photo(2), out=out) is out
    np.testing.assert_array_equal(out, expected)


def test_strided_results_leave_their_surroundings_alone() -> None:
    network = mpscnn.Network(input=(6, 6, 3))
    network.output(network.conv2d(network.input, 5, 3, padding="same"))
    network.initialize_weights()
    session = network.compile(device="cpu", precision="float32").session()
    expected = session.run(photo(2, 6))
    for slices in (np.s_[:, 1:7, 2:8, 3:8], np.s_[:, 0:12:2, 0:6, 0:10:2], np.s_[::-1, 5::-1, :6, 4::-1]):
        surroundings = np.full((2, 12, 12, 11), 7.0, np.float32)
        out = surroundings[slices]
        session.run(photo(2, 6), out=out)
        np.testing.assert_array_equal(out, expected)
        out[:] = 7.0
        assert (surroundings == 7.0).all()


@pytest.mark.parametrize(
    "change", ["float64", "big endian", "transposed", "reversed", "unaligned", "float16", "channel slice"]
)
def test_other_arrays_give_the_same_answer(change: str) -> None:
    x = photo(2).astype(np.float16).astype(np.float32)
    unaligned = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(np.uint8)
    changed: dict[str, Any] = {
        "float64": x.astype(np.float64),
        "big endian": x.astype(">f4"),
        "transposed": np.ascontiguousarray(x.transpose(3, 2, 1, 0)).transpose(3, 2, 1, 0),
        "reversed": np.ascontiguousarray(x[:, ::-1, ::-1, ::-1])[:, ::-1, ::-1, ::-1],
        "unaligned": np.ndarray(x.shape, np.float32, unaligned.data),
        "float16": x.astype(np.float16),
        "channel slice": np.concatenate([x, x], axis=-1)[..., :3],
    }
    session = small_network().compile(device="cpu", precision="float32").session()
    result = session.run(changed[change])
    assert isinstance(result, np.ndarray)
    assert result.dtype == (np.float16 if change == "float16" else np.float32)
    np.testing.assert_array_equal(result, np.asarray(session.run(x)).astype(result.dtype))
    out = np.zeros((2, 5), np.float32)
    session.run(changed[change], out=out)
    np.testing.assert_array_equal(out, session.run(x))


def test_several_inputs_and_outputs_come_in_any_container() -> None:
    network = mpscnn.Network(input={"a": (2, 3, 4), "b": (2, 3, 4)})
    a, b = network.inputs
    network.output(network.subtract(a, b, name="difference"))
    network.output(network.divide(a, b, name="quotient"))
    session = network.compile(device="cpu", precision="float32").session()
    x, y = np.random.default_rng(0).uniform(1, 2, (2, 5, 2, 3, 4)).astype(np.float32)
    for inputs in ([x, y], (x, y), {"b": y, "a": x}, [x, y.astype(np.float64)], [x.tolist(), y]):
        difference, quotient = np.zeros_like(x), np.zeros_like(x)
        results: Any
        for results in (
            [difference, quotient],
            (difference, quotient),
            {"quotient": quotient, "difference": difference},
        ):
            difference[:], quotient[:] = 0, 0
            assert session.run(inputs, out=results) is results
            np.testing.assert_array_equal(difference, x - y)
            np.testing.assert_array_equal(quotient, x / y)
    for wrong in ([x], [x, y, x], x):
        with pytest.raises(mpscnn.ParameterError, match=r"expected 2 arrays \(a, b\)"):
            session.run(wrong, out=[difference, quotient])


def test_one_input_may_be_a_list_of_images() -> None:
    session = small_network().compile(device="cpu", precision="float32").session()
    out = np.zeros((2, 5), np.float32)
    for images in (list(photo(2)), [photo(2)], photo(2).tolist()):
        np.testing.assert_array_equal(session.run(images, out=out), session.run(photo(2)))


@pytest.mark.parametrize(
    "repeated", [(1, 1, 1, 1), (1, 1, 1, 3), (1, 1, 12, 3), (1, 12, 12, 1), (2, 1, 1, 1)]
)
def test_repeated_elements_count_as_often_as_they_are_repeated(repeated: tuple[int, ...]) -> None:
    x = np.broadcast_to(np.random.default_rng(0).normal(size=repeated).astype(np.float32), (2, 12, 12, 3))
    session = small_network().compile(device="cpu").session()
    np.testing.assert_array_equal(session.run(x), session.run(x.copy()))


# ---- Refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (photo(1)[..., [0, 1, 2, 0]], r"expected \(n, 12, 12, 3\), got \(1, 12, 12, 4\): 3 feature channels, not 4\."),
        (np.zeros((1, 12, 13, 3), np.float32), "12 columns, not 13"),
        (np.zeros((12, 12, 3), np.float32), "4 axes, not 3"),
        (np.zeros((0, 12, 12, 3), np.float32), "a batch of at least 1, not 0"),
        (np.zeros((1, 12, 12, 3), np.uint8), "photos go through Model.predict"),
        (np.zeros((1, 12, 12, 3), np.int64), "photos go through Model.predict"),
        (np.zeros((1, 12, 12, 3), np.complex64), "expected float32 or float16 elements, got complex64"),
        (np.zeros((1, 12, 12, 3), object), "got object"),
        ("cat.jpg", "expected float32 or float16"),
        ([[1.0], [1.0, 2.0]], "cannot be read as an array"),
    ],
)  # fmt: skip
def test_wrong_inputs_are_named(x: Any, message: str) -> None:
    session = small_network().compile(device="cpu").session()
    with pytest.raises(mpscnn.ShapeError, match=message):
        session.run(x)
    session.run(photo())  # after an error the session can be used again


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint32, np.uint64, np.bool_])
def test_integers_are_numbers(dtype: Any) -> None:
    network = mpscnn.Network(input=(3,))
    network.output(network.activation(network.input, "relu"))
    x = np.array([[0, 1, 1], [1, 0, 1]], dtype)
    np.testing.assert_array_equal(network.predict(x), x.astype(np.float32))
    np.testing.assert_array_equal(network.predict(x.tolist()), x.astype(np.float32))


def test_integers_that_would_be_rounded_are_refused() -> None:
    network = mpscnn.Network(input=(1,))
    network.output(network.activation(network.input, "absolute"))
    for number in (1 << 24, -(1 << 24)):
        assert network.predict(np.array([[number]])) == 1 << 24
        with pytest.raises(mpscnn.ShapeError, match="integers beyond 16777216 are rounded"):
            network.predict(np.array([[number + (1 if number > 0 else -1)]]))
    for dtype in (np.int8, np.uint8, np.int16, np.uint16):
        with pytest.raises(mpscnn.ShapeError, match="expected float32 or float16 elements"):
            network.predict(np.ones((1, 1), dtype))


def test_wrong_outputs_are_named() -> None:
    session = small_network().compile(device="cpu").session()
    x = photo()
    read_only = np.zeros((1, 5), np.float32)
    read_only.flags.writeable = False
    cases: list[tuple[Any, type[Exception], str]] = [
        (
            np.zeros((1, 6), np.float32),
            mpscnn.ShapeError,
            r"output 'softmax': expected \(1, 5\), got \(1, 6\)",
        ),
        (np.zeros((1, 5), np.float64), mpscnn.ShapeError, "got float64"),
        (np.zeros((1, 5), ">f4"), mpscnn.ShapeError, "native"),
        (read_only, mpscnn.ParameterError, "read-only"),
        ([0.0] * 5, mpscnn.ParameterError, "expected an array to write into"),
        (x.reshape(-1)[:5].reshape(1, 5), mpscnn.ParameterError, "overlaps an input's"),
        (
            np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (1, 5), (4, 0)),
            mpscnn.ParameterError,
            "stride of 0",
        ),
        (
            np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (1, 5), (0, 0)),
            mpscnn.ParameterError,
            "are one in",
        ),
    ]
    for out, kind, message in cases:
        with pytest.raises(kind, match=message):
            session.run(x, out=out)


@pytest.mark.skipif(sys.platform == "darwin", reason="Macs have Core ML")
def test_a_machine_without_a_neural_engine_takes_another_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MPSCNN_DEVICE")
    allowed = small_network().compile(device="auto", precision="float16", neural_engine=True)
    assert allowed.device == "cpu"
    assert "the neural engine is not used: Core ML is a part of macOS" in allowed.reason
    assert "Use device=" not in allowed.reason, "the remedy is for users who named the device"


def test_devices_precisions_and_threads_are_checked() -> None:
    network = small_network()
    with pytest.raises(mpscnn.DeviceError, match="Use device='cpu' or device='auto'"):
        network.compile(device="metal")
    with pytest.raises(mpscnn.DeviceError, match="Use device='cpu' or device='auto'"):
        network.compile(device="gpu")  # another framework's name for the device
    with pytest.raises(mpscnn.ParameterError, match="device 'tpu' is not supported: mpscnn runs on"):
        network.compile(device="tpu")
    with pytest.raises(
        mpscnn.ParameterError, match="precision must be auto, float32, float16, bfloat16 or int8"
    ):
        network.compile(precision="int4")
    with pytest.raises(mpscnn.ParameterError, match="device must be a name, got 5"):
        network.compile(device=5)  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ParameterError, match="precision must be a name, got None"):
        network.compile(precision=None)  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ParameterError, match="device must be a name, got None"):
        mpscnn.CommandQueue(None)  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ParameterError, match="check_finite must be True or False, got 1"):
        network.compile(device="cpu").session(check_finite=1)  # type: ignore[arg-type]
    for threads in (0, -1, 2.0, "two", True):
        with pytest.raises(mpscnn.ParameterError, match="threads must be"):
            network.compile().session(threads=threads)  # type: ignore[arg-type]


def test_texts_with_a_nul_are_refused() -> None:
    """C code would read only the text before the NUL: "cpu"."""
    network = small_network()
    for options in ({"device": "cpu\0x"}, {"precision": "float32\0"}, {"device": "\0"}):
        with pytest.raises(mpscnn.ParameterError, match=r"\.\.\.' has a NUL at position \d"):
            network.compile(**options)
    with pytest.raises(mpscnn.ParameterError, match="has a NUL at position 3"):
        mpscnn.Image(2, 2, 3, label="pho\0to")


def test_missing_weights_are_named() -> None:
    network = mpscnn.Network(input=(8, 8, 3))
    network.output(network.conv2d(network.input, 4, 3, name="first"))
    with pytest.raises(mpscnn.WeightsError, match="layer 'first': weight"):
        network.compile()
    with pytest.raises(mpscnn.WeightsError, match=r"no weight 'second\.weight'"):
        network.load_weights({"second.weight": np.zeros(3)}, layout="OHWI")
    with pytest.raises(mpscnn.WeightsError, match=r"expected shape \(4, 3, 3, 3\), got \(4, 3, 3, 2\)"):
        network.load_weights({"first.weight": np.zeros((4, 3, 3, 2))}, layout="OHWI")
    with pytest.raises(mpscnn.WeightsError, match="is nan; weight must hold finite numbers"):
        network.load_weights({"first.weight": np.full((4, 3, 3, 3), np.nan)}, layout="OHWI")
    with pytest.raises(mpscnn.ParameterError, match="has no output"):
        mpscnn.Network(input=(8, 8, 3)).compile()


# ---- Shapes, inputs and outputs -----------------------------------------------------------------------------


def test_any_batch_and_any_allowed_size() -> None:
    session = small_network(size=None).compile(device="cpu", precision="float32").session()
    for batch, size in ((1, 12), (3, 12), (2, 33), (1, 12)):
        result = session.run(photo(batch, size))
        assert np.asarray(result).shape == (batch, 5)
        alone = session.run(photo(batch, size)[-1:])
        np.testing.assert_array_equal(np.asarray(result)[-1:], alone)


def test_several_inputs_and_outputs_by_name() -> None:
    network = mpscnn.Network(input={"left": (4, 4, 2), "right": (4, 4, 2)})
    total = network.add(*network.inputs, name="total")
    network.output(total)
    network.output(network.global_max_pool2d(total, name="largest"))
    session = network.compile(device="cpu", precision="float32").session()
    left, right = (np.random.default_rng(i).normal(size=(1, 4, 4, 2)).astype(np.float32) for i in range(2))
    results = session.run({"right": right, "left": left})
    np.testing.assert_array_equal(results["total"], left + right)  # type: ignore[index]
    np.testing.assert_array_equal(results["largest"], (left + right).max(axis=(1, 2), keepdims=True))  # type: ignore[index]
    with pytest.raises(mpscnn.ParameterError, match=r"expected \['left', 'right'\]"):
        session.run({"left": left})
    with pytest.raises(mpscnn.ShapeError, match="one batch size"):
        session.run([left, np.concatenate([right, right])])


def test_only_what_is_asked_for_is_computed() -> None:
    network = small_network()
    program = network.compile(device="cpu", outputs=["expand", "conv1"])
    assert list(program.outputs) == ["expand", "conv1"]
    results = program.session().run(photo())
    assert {name: array.shape for name, array in results.items()} == {
        "expand": (1, 6, 6, 24),
        "conv1": (1, 6, 6, 8),
    }  # type: ignore[union-attr]
    assert program.weight_bytes < network.compile(device="cpu").weight_bytes
    with pytest.raises(mpscnn.ParameterError, match="has no layer 'expanded'; similar: 'expand'"):
        network.compile(outputs=["expanded"])


# ---- Threads, processes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_the_same_bits_for_any_number_of_threads_and_batch_position(precision: str) -> None:
    program = small_network(24).compile(device="cpu", precision=precision)
    x = photo(5, 24)
    expected = program.session(threads=1).run(x)
    for threads in (2, 3, 4):
        np.testing.assert_array_equal(program.session(threads=threads).run(x), expected)
    session = program.session(threads=2)
    for i in range(5):
        np.testing.assert_array_equal(session.run(x[i : i + 1]), np.asarray(expected)[i : i + 1])


def test_a_session_serves_one_caller_at_a_time() -> None:
    session = small_network(None).compile(device="cpu").session(threads=1)
    x = photo(8, 256)
    errors: list[BaseException] = []
    start = threading.Barrier(3)
    give_up = time.monotonic() + PATIENCE

    def call() -> None:
        start.wait()
        # A busy machine may run the threads one after the other.
        while not errors and time.monotonic() < give_up:
            try:
                session.run(x)
            except mpscnn.StateError as error:
                errors.append(error)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors
    assert "one session per thread" in str(errors[0])
    session.run(photo())


def test_sessions_in_several_threads_agree() -> None:
    program = small_network(None).compile(device="cpu", precision="float32")
    inputs = [photo(1, 40 + i, seed=i) for i in range(4)]
    expected = [np.asarray(program.session().run(x)) for x in inputs]
    failures: list[int] = []

    def call(i: int) -> None:
        session = program.session(threads=2)
        for _ in range(20):
            if not np.array_equal(session.run(inputs[i]), expected[i]):
                failures.append(i)

    threads = [threading.Thread(target=call, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_the_interpreter_lock_is_released() -> None:
    session = small_network(None).compile(device="cpu").session(threads=1)
    x = photo(32, 256)
    ticks: list[float] = []
    done = threading.Event()

    def tick() -> None:
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.0005)

    session.run(x)
    ticker = threading.Thread(target=tick)
    ticker.start()
    give_up, within = time.monotonic() + PATIENCE, 0
    while within < 3 and time.monotonic() < give_up:  # fewer could fall before and after the run itself
        started = time.perf_counter()
        session.run(x)
        ended = time.perf_counter()
        within = sum(started < moment < ended for moment in ticks)
    done.set()
    ticker.join()
    assert within >= 3


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_forked_child_can_run() -> None:
    session = small_network(24).compile(device="cpu", precision="float32").session(threads=2)
    expected = session.run(photo(4, 24))
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(session.run(photo(4, 24)), expected) else 1)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        finished, status = os.waitpid(child, os.WNOHANG)
        if finished:
            break
        time.sleep(0.01)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
        pytest.fail("the child hangs")
    assert os.waitstatus_to_exitcode(status) == 0
    np.testing.assert_array_equal(session.run(photo(4, 24)), expected)


# ---- Precision, checks -----------------------------------------------------------------------------------------


def test_auto_says_what_it_picked() -> None:
    program = small_network().compile()
    assert (program.device, program.precision) == ("cpu", "float32")
    assert "float32" in program.reason


def test_float16_rounds_every_layer_to_half() -> None:
    network = small_network()
    layers = ["conv1", "expand", "depthwise", "project", "add", "pool", "classifier", "softmax"]
    results = network.compile(device="cpu", precision="float16", outputs=layers).session().run(photo())
    exact = network.compile(device="cpu", precision="float32", outputs=layers).session().run(photo())
    for name in layers:
        result = results[name]  # type: ignore[index]
        np.testing.assert_array_equal(result, result.astype(np.float16).astype(np.float32))
        np.testing.assert_allclose(result, exact[name], rtol=2e-2, atol=2e-2)  # type: ignore[index]


def test_weights_beyond_half_are_refused_in_float16() -> None:
    network = mpscnn.Network(input=(2, 2, 1))
    network.output(network.conv2d(network.input, 1, 1, name="big"))
    network.load_weights({"big.weight": np.full((1, 1, 1, 1), 1e6, np.float32)}, layout="OHWI")
    network.compile(precision="float32")
    with pytest.raises(mpscnn.WeightsError, match="big"):
        network.compile(precision="float16")


def test_check_finite_names_the_first_layer() -> None:
    network = mpscnn.Network(input=(2, 2, 1))
    x = network.conv2d(network.input, 1, 1, name="fine")
    x = network.conv2d(x, 1, 1, name="overflows")
    network.output(network.conv2d(x, 1, 1, name="behind"))
    network.load_weights(
        {f"{name}.weight": np.full((1, 1, 1, 1), 300.0) for name in ("fine", "overflows", "behind")},
        layout="OHWI",
    )
    x1 = np.ones((1, 2, 2, 1), np.float32)
    session = network.compile(device="cpu", precision="float16").session(check_finite=True)
    with pytest.raises(
        mpscnn.ParameterError, match="layer 'overflows': infinity at image 0, row 0, column 0, channel 0"
    ):
        session.run(x1)
    x1[0, 1, 0, 0] = np.nan
    with pytest.raises(mpscnn.ParameterError, match="input 'image': NaN at image 0, row 1, column 0"):
        session.run(x1)
    assert np.isinf(
        np.asarray(network.compile(device="cpu", precision="float16").session().run(np.ones_like(x1)))
    ).all()
