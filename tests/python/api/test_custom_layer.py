"""Test Python functions as layers of a network."""

from __future__ import annotations

import copy
import functools
import gc
import pickle
import runpy
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mpscnn
from mpscnn.errors import ParameterError, ShapeError, UnsupportedError

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "python" / "custom_layer.py"
Array = NDArray[np.float32]


def double(x: Array, out: Array) -> None:
    """Write twice the input to `out`."""
    np.multiply(x, 2, out=out)


def around(function: Any, **options: Any) -> mpscnn.Network:
    """Return a network of a convolution, the function and an activation."""
    net = mpscnn.Network((6, 5, 3), name="around")
    x = net.conv2d(net.input, 4, 3, padding="same", name="conv")
    x = net.custom(function, x, name="mine", **options)
    net.output(net.activation(x, "relu", name="relu"))
    net.initialize_weights(3)
    return net


def without(scale: float) -> mpscnn.Network:
    """Return the network of `around` with a layer of the core instead of the function."""
    net = mpscnn.Network((6, 5, 3), name="around")
    x = net.conv2d(net.input, 4, 3, padding="same", name="conv")
    x = net.activation(x, {"kind": "linear", "a": scale}, name="mine")
    net.output(net.activation(x, "relu", name="relu"))
    net.initialize_weights(3)
    return net


def photos(n: int = 2) -> Array:
    return np.random.default_rng(0).normal(size=(n, 6, 5, 3)).astype(np.float32)


def run(net: mpscnn.Network, *inputs: Array, **options: Any) -> Any:
    return (
        net.compile(device="cpu", **options)
        .session(threads=1)
        .run(inputs[0] if len(inputs) == 1 else list(inputs))
    )


def test_strided_and_half_inputs_reach_a_function() -> None:
    net = mpscnn.Network((6, 5, 3))
    net.output(net.custom(double, net.input))
    x = photos(3)
    np.testing.assert_array_equal(run(net, x[:, ::-1]), 2 * x[:, ::-1])
    halves = x.astype(np.float16)
    np.testing.assert_array_equal(run(net, halves), 2 * halves.astype(np.float32))


def test_the_result_may_have_another_shape() -> None:
    seen: list[Any] = []

    def channels_summed(x: Array, out: Array) -> None:
        seen.append((x.shape, x.dtype, x.flags.writeable, out.shape, out.flags.writeable))
        np.sum(x, axis=3, keepdims=True, out=out)

    net = mpscnn.Network((None, 5, 3))
    x = net.custom(channels_summed, net.input, shape=(None, None, 1))
    assert x.shape == (None, None, 5, 1)
    net.output(net.activation(x, {"kind": "linear", "a": 1.0, "b": 1.0}))
    given = photos()
    np.testing.assert_allclose(run(net, given), given.sum(3, keepdims=True) + 1, rtol=1e-6)
    assert seen == [((2, 6, 5, 3), np.dtype(np.float32), False, (2, 6, 5, 1), True)]


def test_functions_take_several_inputs_and_each_others_results() -> None:
    def joined(a: Array, b: Array, out: Array) -> Array:
        return np.subtract(a, b, out=out)

    net = mpscnn.Network({"a": (4, 4, 2), "b": (4, 4, 2)})
    a, b = net.inputs
    first = net.custom(joined, [a, b])
    second = net.custom(double, first)
    third = net.custom(joined, [net.activation(second, "relu"), first])
    net.output(third)
    net.output(second)
    x, y = np.random.default_rng(1).normal(size=(2, 3, 4, 4, 2)).astype(np.float32)
    results = run(net, x, y)
    difference = x - y
    np.testing.assert_array_equal(results[second.name], 2 * difference)
    np.testing.assert_array_equal(results[third.name], np.maximum(2 * difference, 0) - difference)


def test_what_a_function_raises_names_the_layer() -> None:
    def broken(x: Array, out: Array) -> None:
        raise ValueError("no luck")

    session = around(broken).compile(device="cpu").session(threads=1)
    for _ in range(2):  # the session can be used again after an error
        with pytest.raises(ParameterError, match="layer 'mine': ValueError: no luck"):
            session.run(photos())


class Doubler:
    """An object that can be called, and a method."""

    def __call__(self, x: Array) -> Array:
        return 2 * x

    def write(self, x: Array, out: Array) -> None:
        double(x, out)


def _by_default(x: Array, factor: float = 2.0) -> Array:
    return x * np.float32(factor)


def _named(x: Array, out: Array | None = None) -> Array:
    return np.multiply(x, 2, out=out)


#: Functions that compute 2 * x, in all forms that a signature can have.
DOUBLES: dict[str, Any] = {
    "returns": lambda x: 2 * x,
    "writes": lambda x, out: np.multiply(x, 2, out=out),
    "takes an output and returns another array": lambda x, out: 2 * x,
    "returns float64": lambda x: x.astype(np.float64) * 2,
    "returns a list": lambda x: (2 * x).tolist(),
    "returns other strides": lambda x: np.asfortranarray(2 * x),
    "returns a view of the output": lambda x, out: np.multiply(x, 2, out=out)[:],
    "default that is no output": _by_default,
    "output with a default": _named,
    "object": Doubler(),
    "method": Doubler().write,
    "partial": functools.partial(np.multiply, 2.0),
}


@pytest.mark.parametrize("form", DOUBLES)
def test_functions_write_or_return_their_result(form: str) -> None:
    x = photos()
    np.testing.assert_array_equal(run(around(DOUBLES[form]), x), run(without(2.0), x))


def test_functions_of_c_write_their_result() -> None:
    net = mpscnn.Network({"a": (4, 4, 2), "b": (4, 4, 2)})
    net.output(net.custom(np.subtract, net.inputs))
    x, y = np.random.default_rng(1).normal(size=(2, 3, 4, 4, 2)).astype(np.float32)
    np.testing.assert_array_equal(run(net, x, y), x - y)


def any_number(*arrays: Array) -> Array:
    return arrays[0]


@pytest.mark.parametrize("function", [max, min, dict, any_number])
def test_functions_without_a_signature_are_refused(function: Any) -> None:
    net = mpscnn.Network((4, 4, 2))
    with pytest.raises(ParameterError, match=rf"give lambda x: {function.__name__}\(x\)$"):
        net.custom(function, net.input)


def forget_output(x: Array, out: Array) -> None:
    out = 2 * x  # noqa: F841 - a new array, not the output's memory


@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (lambda: None, 1),
        (lambda x, y, out: None, 1),
        (lambda x, *, out: None, 1),
        (lambda x: x, 2),
        (lambda x, y, z, out: None, 2),
        (lambda **named: None, 1),
        (np.multiply, 1),  # `out` would be its second operand
        (np.tanh, 2),
    ],
)
def test_other_signatures_are_refused_when_the_layer_is_added(function: Any, inputs: int) -> None:
    net = mpscnn.Network(dict.fromkeys("abc"[:inputs], (4, 4, 2)))
    names = "x" if inputs == 1 else "x1, x2"
    shown = "(<lambda>|<ufunc|multiply|tanh)"
    message = rf"custom: function must take \({names}\) and return .*\({names}, out\) .*got {shown}"
    with pytest.raises(ParameterError, match=message):
        net.custom(function, net.inputs)
    assert net.layer_names() == [tensor.name for tensor in net.inputs]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: None, "returned None instead of the result"),
        (lambda x: x[..., :1], r"returned an array of the shape \(2, 6, 5, 1\), expected \(2, 6, 5, 4\)"),
        (lambda x: 2.0, r"returned an array of the shape \(\), expected"),
        (lambda x, out: x[:1], r"returned an array of the shape \(1, 6, 5, 4\), expected"),
        (forget_output, "neither returned a result nor wrote to its last argument"),
        (lambda x: x * 1j, "must return an array of numbers, but returned ndarray"),
        (lambda x: "double", "must return an array of numbers, but returned str"),
        (lambda x: {"out": x}, "must return an array of numbers, but returned dict"),
    ],
)
def test_other_results_are_refused(function: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=rf"layer 'mine': its function {message}"):
        run(around(function), photos())


def _callbacks() -> dict[str, Callable[[Any], object]]:
    """Return a call for each place that takes a function of one argument."""
    net = mpscnn.Network((4, 4, 1), name="small")
    net.output(net.dense(net.input, 2))
    net.initialize_weights()
    trainer = mpscnn.Trainer(net, threads=1)
    data = np.zeros((2, 4, 4, 1), np.float32), np.array([0, 1])
    return {
        "callback": lambda function: trainer.fit(data, callbacks=function, progress=False),
        "learning rate": lambda function: mpscnn.Trainer(net, optimizer=mpscnn.Adam(function)),
        "assigned rate": lambda function: setattr(trainer, "learning_rate", function),
        "warm-up": lambda function: mpscnn.training.schedules.warm_up(2, function),
        "handler": lambda function: (
            mpscnn.CommandQueue("cpu").command_buffer().add_completed_handler(function)
        ),
    }


@pytest.mark.parametrize("place", ["callback", "learning rate", "assigned rate", "warm-up", "handler"])
def test_other_functions_are_checked_when_they_are_given(place: str) -> None:
    give = _callbacks()[place]
    for wrong in (lambda: 0.1, lambda a, b: 0.1, lambda *, step: 0.1):
        with pytest.raises(ParameterError, match=r"must be a function that takes \(\w+\), got <lambda>\("):
            give(wrong)
    for right in (lambda step: 0.1, lambda *steps: 0.1, lambda step, factor=1: 0.1):
        give(right)


def test_a_kept_array_is_refused() -> None:
    kept: list[Array] = []

    def keeps(x: Array, out: Array) -> None:
        kept.append(x[0])
        double(x, out)

    with pytest.raises(ParameterError, match=r"layer 'mine': .*kept an array.*keep a copy"):
        run(around(keeps), photos())
    kept.clear()


def test_a_result_that_is_not_finite_is_found() -> None:
    session = around(lambda x, out: out.fill(np.nan)).compile(device="cpu").session(check_finite=True)
    with pytest.raises(ParameterError, match="layer 'mine': NaN"):
        session.run(photos())


def test_impossible_shapes_are_refused() -> None:
    net = mpscnn.Network((6, 5, 3))
    for shape in [(), (0,), (-2, 1)]:
        with pytest.raises(ShapeError, match="extents of at least 1"):
            net.custom(double, net.input, shape=shape)
    with pytest.raises(ParameterError, match="layer 'custom_1': shape has too many"):
        net.custom(double, net.input, shape=(1,) * 12)
    with pytest.raises(ParameterError, match="must be callable"):
        net.custom(3, net.input)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="another network"):
        net.custom(double, mpscnn.Network((6, 5, 3)).input)


def test_such_a_network_is_neither_saved_nor_copied(tmp_path: Path) -> None:
    net = around(double)
    with pytest.raises(
        UnsupportedError, match="layer 'mine' is a function of this program and cannot be saved"
    ):
        net.save(tmp_path / "file.safetensors")
    with pytest.raises(UnsupportedError, match="'mine' is a function of this program and cannot be exported"):
        net.save(tmp_path / "file.onnx")
    for copied in (pickle.dumps, copy.deepcopy, copy.copy):
        with pytest.raises(UnsupportedError, match="cannot be copied or pickled"):
            copied(net)
    with pytest.raises(UnsupportedError, match="'mine'"):
        pickle.dumps(net.compile(device="cpu"))
    assert not list(tmp_path.iterdir())


def test_such_a_network_is_described() -> None:
    net = around(double)
    assert net.layer_names() == ["image", "conv", "mine", "relu"]
    assert net["mine"].shape == (None, 6, 5, 4)
    assert "custom" in net.summary()
    result = net.compile(device="cpu", outputs=["conv"]).session(threads=1).run(photos())
    assert isinstance(result, np.ndarray)
    assert result.shape == (2, 6, 5, 4)


def test_threads_run_a_function_at_once() -> None:
    both = threading.Barrier(2, timeout=60)

    def waits(x: Array, out: Array) -> None:
        both.wait()
        double(x, out)

    program = around(waits).compile(device="cpu")
    expected = run(without(2.0), photos())
    results: list[Any] = [None, None]

    def work(index: int) -> None:
        results[index] = program.session(threads=1).run(photos())

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        np.testing.assert_array_equal(result, expected)


def test_a_runner_runs_functions() -> None:
    program = around(double).compile(device="cpu")
    expected = run(without(2.0), photos(1))
    with mpscnn.Runner(program) as runner:
        for result in runner.map([photos(1)] * 5):
            np.testing.assert_array_equal(result, expected)


def test_a_function_goes_with_its_network() -> None:
    class Function:
        def __call__(self, x: Array, out: Array) -> None:
            double(x, out)

    function = Function()
    gone = weakref.ref(function)
    net = around(function)
    del function
    run(net, photos())
    assert gone() is not None
    del net
    gc.collect()
    assert gone() is None


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    printed = capsys.readouterr().out
    assert "result (2, 4, 4, 4)" in printed
    assert "Metal" in printed


def test_modules_of_pytorch_are_refused() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    net = mpscnn.Network((4, 4, 2))
    with pytest.raises(ParameterError, match=r"gets NumPy arrays, .* module\(torch.from_numpy\(x\)\)"):
        net.custom(torch.nn.ReLU(), net.input)
