"""Positions that a precision would round are refused, or kept in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernels_here import cpu_precisions

import mpscnn
from mpscnn import Network, UnsupportedError

COUNT = 5000
# float16 can represent at most every second one of these numbers beyond 2048 / 8192.
NUMBERS = np.arange(COUNT, dtype=np.float32).reshape(1, COUNT) / 8192
PLACES = np.array([[5, 2049, 3001, 4999]], np.float32)


def reader(count: int | None = COUNT) -> Network:
    """Return a network that takes elements at positions, which are its second input."""
    net = Network(input={"x": (count, 1, 1), "places": (4, 1, 1)})
    net.output(net.take_along_axis(*net.inputs, axis=1, name="taken"))
    return net


def run(net: Network, inputs: Any, precision: Any) -> Any:
    return net.compile(device="cpu", precision=precision).session().run(inputs)


@pytest.mark.parametrize("count", [COUNT, 2050, None])
def test_positions_of_an_input(count: int | None) -> None:
    net = reader(count)
    with pytest.raises(
        UnsupportedError, match=r"'taken'.*'places' holds positions, so compile it in float32"
    ):
        net.compile(device="cpu", precision="float16")
    numbers = NUMBERS[:, : count or COUNT]
    places = np.minimum(PLACES, numbers.size - 1)
    given = [numbers.reshape(1, -1, 1, 1), places.reshape(1, 4, 1, 1)]
    wanted = np.take_along_axis(numbers, places.astype(int), 1)
    np.testing.assert_array_equal(run(net, given, "float32").reshape(1, 4), wanted)
    if "bfloat16" in cpu_precisions():
        found = run(net, given, "bfloat16").reshape(1, 4)
        np.testing.assert_allclose(found, wanted, rtol=2.0**-8)


def test_an_axis_that_float16_can_count() -> None:
    net = reader(2049)
    x, places = np.arange(2049, dtype=np.float32), np.array([0, 1023, 2047, 2048], np.float32)
    found = run(net, [x.reshape(1, -1, 1, 1), places.reshape(1, 4, 1, 1)], "float16")
    np.testing.assert_array_equal(found.reshape(4), places)


def computed(limit: float | None = None) -> Network:
    """Return a network that computes positions: fractions of the axis's extent, rounded down."""
    net = Network(input={"x": (COUNT,), "part": (4,)})
    y = net.activation(net.inputs[1], {"kind": "linear", "a": float(COUNT)}, name="scaled")
    y = net.activation(y, "floor", name="whole")
    y = net.reshape(y, [2, 2, 1], name="square")
    if limit is not None:
        y = net.activation(y, {"kind": "clamp", "a": 0.0, "b": limit}, name="limited")
    y = net.reshape(y, [4], name="flat")
    net.output(net.take_along_axis(net.inputs[0], y, name="taken"))
    return net


def test_positions_that_the_network_computes() -> None:
    """In float16 the layers that compute positions stay float32, so that the positions are exact."""
    net = computed()
    before = net.to_dict()
    part = np.array([[0.001, 0.25, 0.5, 0.9990234375]], np.float32).astype(np.float16).astype(np.float32)
    places = np.floor(part * np.float32(COUNT)).astype(int)
    assert places.max() > 2048
    found = run(net, [NUMBERS, part], "float16")
    np.testing.assert_allclose(found, NUMBERS[0, places], rtol=2.0**-11)
    assert len(set(found.reshape(-1))) == 4
    assert net.to_dict() == before


def test_layers_of_positions_are_found() -> None:
    net = computed()
    net.graph.keep_positions()
    kept = {node["name"] for node in net.to_dict()["nodes"] if node.get("keep_float32")}
    assert kept == {"scaled", "whole", "square", "flat"}


def test_small_positions_need_not_be_kept() -> None:
    net = computed(limit=2000.0)
    part = np.full((1, 4), 0.75, np.float32)
    np.testing.assert_allclose(run(net, [NUMBERS, part], "float16"), 2000 / 8192, rtol=2.0**-11)
    net.graph.keep_positions()
    assert not any(node.get("keep_float32") for node in net.to_dict()["nodes"])


@pytest.mark.parametrize("places", [[5, 2050, 4996], [5, 2049, 4996]])
def test_positions_of_a_constant(places: list[int]) -> None:
    """A constant is rounded in float16, so only positions that float16 has are taken."""
    net = Network(input=(COUNT,))
    held = net.constant(net.input, (3,), name="places")
    net.graph.set_weight("places", "value", np.array(places, np.float32))
    net.output(net.take_along_axis(net.input, held, name="taken"))
    if 2049 in places:
        with pytest.raises(UnsupportedError, match="'places' holds positions"):
            run(net, NUMBERS, "float16")
    else:
        np.testing.assert_allclose(run(net, NUMBERS, "float16"), NUMBERS[:, places], rtol=2.0**-11)


def test_factors_of_zero_do_not_hide_positions() -> None:
    """A layer 0 * x + 3 gives small positions for any x. Joined with x itself, the positions may still be too large."""
    net = Network(input={"x": (COUNT,), "places": (2,)})
    zero = net.activation(net.inputs[1], {"kind": "linear", "a": 0.0, "b": 3.0}, name="three")
    joined = net.concat([zero, net.activation(net.inputs[1], "floor", name="whole")], name="joined")
    net.output(net.take_along_axis(net.inputs[0], joined, name="taken"))
    with pytest.raises(UnsupportedError, match="'places' holds positions"):
        net.compile(device="cpu", precision="float16")


def test_positions_of_the_best_are_small() -> None:
    """Positions of top_k are at most 2048 in float16, so they stay exact even if layers move them."""
    net = Network(input={"x": (COUNT,), "scores": (9,)})
    _, places = net.top_k(net.inputs[1], 3)
    net.output(net.take_along_axis(net.inputs[0], net.reshape(net.reshape(places, [3, 1, 1]), [3])))
    scores = np.array([[0, 5, 1, 9, 2, 3, 8, 7, 4]], np.float32)
    found = run(net, [NUMBERS, scores], "float16")
    np.testing.assert_allclose(found, NUMBERS[:, [3, 6, 7]], rtol=2.0**-11)


def test_other_outputs_do_not_count() -> None:
    net = reader()
    first = net.activation(net.inputs[0], "relu", name="first")
    program = net.compile(outputs=[first], device="cpu", precision="float16")
    x = np.ones((1, COUNT, 1, 1), np.float32)
    np.testing.assert_array_equal(program.session().run([x, np.zeros((1, 4, 1, 1), np.float32)]), x)


def table(rows: int) -> Network:
    """Return a network that looks up rows of a table in the form that converters write: a comparison and a product."""
    net = Network(input=(1, 4, 1))
    numbers = net.constant(net.input, (1, 1, rows), name="rows")
    net.graph.set_weight("rows", "value", np.arange(rows, dtype=np.float32).reshape(1, 1, rows))
    y = net.conv2d(net.equal(net.input, numbers, name="chosen"), 2, 1, bias=False, name="words")
    weight = np.stack([np.arange(rows) % 7, np.arange(rows) % 5], 0).astype(np.float32)
    net.graph.set_weight("words", "weight", weight.reshape(2, 1, 1, rows))
    net.output(y)
    return net


@pytest.mark.parametrize(("precision", "rows"), [("float16", 2049), ("bfloat16", 257)])
def test_tables_of_words(precision: Any, rows: int) -> None:
    """A table with more rows than the precision can number exactly is refused, and works in float32.

    Rounded numbers would choose several rows, or another row.
    """
    if precision not in cpu_precisions():
        pytest.skip(f"this processor does not compute in {precision}")
    words = np.array([0, 1, 100, rows - 1], np.float32)
    found = run(table(rows), words.reshape(1, 1, 4, 1), precision)
    np.testing.assert_array_equal(found.reshape(4, 2), np.stack([words % 7, words % 5], 1))
    larger = table(rows + 1)
    with pytest.raises(UnsupportedError, match=f"'chosen' looks for whole numbers that {precision} rounds"):
        larger.compile(device="cpu", precision=precision)
    words[3] = rows
    found = run(larger, words.reshape(1, 1, 4, 1), "float32")
    np.testing.assert_array_equal(found.reshape(4, 2), np.stack([words % 7, words % 5], 1))


def test_fractions_may_be_compared() -> None:
    net = Network(input=(3,))
    number = net.constant(net.input, (1,), name="number")
    net.graph.set_weight("number", "value", np.array([0.1], np.float32))
    net.output(net.equal(net.input, number))
    x = np.array([[0.1, 0.2, 0.3]], np.float32)
    np.testing.assert_array_equal(run(net, x, "float16"), [[1, 0, 0]])


def test_a_saved_model_is_refused_too(tmp_path: Any) -> None:
    path = tmp_path / "reader.safetensors"
    reader().save(path)
    with pytest.raises(UnsupportedError, match="'places' holds positions"):
        mpscnn.load(path, precision="float16")
