"""Compare programs with float16, float32 or both types, in precision="float16", with an emulation in numpy.

The emulation computes each operation in float64 from the values of its operands and rounds the result to its type.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from converters.coreml.test_coreml_layers import last
from converters.coreml.test_coreml_programs import TABLE, Case, random_inputs
from converters.coreml_writer import Program
from converters.operator_cases import sigmoid, softmax
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference.convolution import channels_first

from mpscnn import converters

Array = NDArray[Any]

HALF = 2.0**-11  # the largest relative rounding error of float16
SHAPE = (1, 4, 5, 6)
# The results of these operations may jump if the operand changes by a rounding error.
JUMPS = {"ceil", "floor", "floor_div", "mod", "round", "reduce_argmax", "reduce_argmin", "thresholded_relu"}
#: The allowed error of float16 results, in rounding errors of the largest result. The result is rounded once. Products
#: may have another error, because their operands or bias are rounded before.
ERRORS = 2.0


def _in_halves(x: Any) -> Any:
    return np.asarray(x, np.float64).astype(np.float16).astype(np.float64)


def _network(program: Program, folder: Path) -> Any:
    return converters.read_network([program.saved(folder / "one.mlpackage")])


def _run(network: Any, inputs: list[Array]) -> list[Array]:
    given = [last(x) for x in inputs]
    session = network.compile(device="cpu", precision="float16").session()
    found = session.run(given[0] if len(given) == 1 else given)
    return [found] if isinstance(found, np.ndarray) else list(found.values())


def _made(case: Case, kind: str) -> tuple[Program, list[str]]:
    """Return a program of one operation of the type `kind`. Operations of float16 compute its operands."""
    program = Program({f"x{place}": shape for place, shape in enumerate(case.shapes)})
    for place in range(len(case.shapes)):
        program.add("cast", f"h{place}:fp16", x=f"%x{place}", dtype="fp16")
        program.add("mul", f"m{place}:fp16", x=f"%h{place}", y=np.float16(1.0))
        if kind == "fp32":
            program.add("cast", f"s{place}:fp32", x=f"%m{place}", dtype="fp32")
    source = "%m" if kind == "fp16" else "%s"
    operands: dict[str, Any] = {"query" if case.kind.startswith("scaled_dot") else "x": f"{source}0"}
    for name, value in case.operands.items():
        if value == "%x1" if isinstance(value, str) else False:
            value = f"{source}1"
        elif isinstance(value, np.ndarray) and value.dtype == np.float32 and kind == "fp16":
            value = value.astype(np.float16)
        operands[name] = value
    results = case.expected(*(np.ones(shape) for shape in case.shapes))
    makes = [f"y{place}" for place in range(len(results))] if isinstance(results, list) else ["y"]
    program.add(case.kind, " ".join(f"{name}:{kind}" for name in makes), **operands)
    program.block.outputs[:] = makes
    return program, makes


@pytest.mark.parametrize("name", [*TABLE][::4])
def test_operations_of_float32_round_nothing(name: str, tmp_path: Path) -> None:
    """In a program of float16, an operation between casts to float32 has the accuracy of float32 (one of four)."""
    case = TABLE[name]
    program, _ = _made(case, "fp32")
    inputs = [_in_halves(x).astype(np.float32) for x in random_inputs(case.shapes, positive=case.positive)]
    expected = case.expected(*(x.astype(np.float64) for x in inputs))
    found = _run(_network(program, tmp_path), inputs)
    for one, wanted in zip(found, expected if isinstance(expected, list) else [expected], strict=True):
        wanted = last(np.asarray(wanted, np.float64)).reshape(one.shape)
        np.testing.assert_allclose(one, wanted, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", [name for name, case in TABLE.items() if case.kind not in JUMPS])
def test_operations_of_float16_round_once(name: str, tmp_path: Path) -> None:
    """The result has the type of the file, and the error of rounding the operands' product once."""
    case = TABLE[name]
    program, _ = _made(case, "fp16")
    inputs = [_in_halves(x).astype(np.float32) for x in random_inputs(case.shapes, positive=case.positive)]
    plain = case.expected(*(x.astype(np.float64) for x in inputs))
    found = _run(_network(program, tmp_path), inputs)
    for one, wanted in zip(found, plain if isinstance(plain, list) else [plain], strict=True):
        wanted = last(np.asarray(wanted, np.float64)).reshape(one.shape)
        assert np.array_equal(one, _in_halves(one), equal_nan=True)
        assert np.array_equal(np.isnan(one), np.isnan(wanted))
        assert np.nanmax(np.abs(one - wanted)) <= ERRORS * HALF * np.nanmax(np.abs(wanted))


# ---- Programs of both types ----------------------------------------------------------------------------------------

_DRAW = np.random.default_rng(3)
_FACTORS, _OFFSETS = _DRAW.uniform(0.5, 1.5, (2, 1, 4, 1, 1)).astype(np.float16)
_FILTERS = _DRAW.uniform(-0.2, 0.2, (4, 4, 3, 3)).astype(np.float16)
_GAIN = float(np.abs(_FILTERS.astype(np.float64)).sum((1, 2, 3)).max())


class Step(NamedTuple):
    """An operation that keeps the shape: its operands, its meaning, and the largest factor by which errors grow."""

    operands: dict[str, Any]
    meaning: Callable[[Array], Array]
    gain: float


def _filtered(x: Array) -> Array:
    return channels_first(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), _FILTERS.astype(np.float64))


def _scaled(x: Array) -> Array:
    return (x - _OFFSETS.astype(np.float64)) * _FACTORS.astype(np.float64)


STEPS = {
    "abs": Step({}, np.abs, 1.0),
    "add": Step({"y": _OFFSETS}, lambda x: x + _OFFSETS.astype(np.float64), 1.0),
    "batch_norm": Step(
        {
            "mean": _OFFSETS.reshape(4),
            "variance": np.ones(4, np.float16),
            "gamma": _FACTORS.reshape(4),
            "epsilon": np.float16(0.0),
        },
        _scaled,
        1.5,
    ),
    "conv": Step({"weight": _FILTERS, "pad_type": "same"}, _filtered, _GAIN),
    "leaky_relu": Step({"alpha": np.float16(0.25)}, lambda x: np.where(x < 0, 0.25 * x, x), 1.0),
    "mul": Step({"y": _FACTORS}, lambda x: x * _FACTORS.astype(np.float64), 1.5),
    "relu": Step({}, lambda x: np.maximum(x, 0.0), 1.0),
    "sigmoid": Step({}, sigmoid, 0.25),
    "softmax": Step({"axis": 1}, lambda x: softmax(x, 1), 1.0),
    "tanh": Step({}, np.tanh, 1.0),
}


def _chain(steps: list[tuple[str, str]]) -> Program:
    """Return a program of these operations and types, with casts between them.

    The program first casts its input to float16. Its output is float32.
    """
    program = Program({"x0": SHAPE})
    program.add("cast", "v0:fp16", x="%x0", dtype="fp16")
    last, now = "v0", "fp16"
    for place, (name, kind) in enumerate([*steps, ("", "fp32")], 1):
        if kind != now:
            program.add("cast", f"c{place}:{kind}", x=f"%{last}", dtype=kind)
            last, now = f"c{place}", kind
        if name:
            operands = {
                key: value.astype(np.float32) if kind == "fp32" and hasattr(value, "dtype") else value
                for key, value in STEPS[name].operands.items()
            }
            program.add(name, f"v{place}:{kind}", x=f"%{last}", **operands)
            last = f"v{place}"
    program.block.outputs[:] = [last]
    return program


def _emulated(steps: list[tuple[str, str]], x: Array) -> tuple[Array, float]:
    """Return the emulated result, and how far another order of roundings may be from it."""
    slack = 0.0
    for name, kind in steps:
        largest = np.abs(x).max()
        x = STEPS[name].meaning(x)
        # A batch normalization that is folded into a convolution rounds the weights again.
        operands = STEPS[name].gain * largest if name == "conv" else 0.0
        errors = (ERRORS * np.abs(x).max() + operands) * (HALF if kind == "fp16" else 2.0**-20)
        slack = STEPS[name].gain * slack + errors
        x = _in_halves(x) if kind == "fp16" else x
    return x, slack


_STEP = st.tuples(st.sampled_from(sorted(STEPS)), st.sampled_from(["fp16", "fp32"]))


@given(steps=st.lists(_STEP, min_size=1, max_size=6), seed=st.integers(0, 99))
def test_programs_of_both_types(
    steps: list[tuple[str, str]], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # A program with float32 alone would run in the precision of the user.
    steps = [("leaky_relu", "fp16"), *steps]
    x = _in_halves(np.random.default_rng(seed).normal(0.0, 1.0, SHAPE))
    expected, slack = _emulated(steps, x)
    network = _network(_chain(steps), tmp_path_factory.mktemp("program"))
    (found,) = _run(network, [x.astype(np.float32)])
    assert np.abs(found - last(expected)).max() <= slack
    if steps[-1][1] == "fp16":
        assert np.array_equal(found, _in_halves(found))


@pytest.mark.parametrize(
    "steps",
    [
        [("relu", "fp16"), ("tanh", "fp32"), ("relu", "fp16"), ("abs", "fp32")],
        [("conv", "fp16"), ("relu", "fp32")],
        [("relu", "fp16"), ("conv", "fp32"), ("abs", "fp16")],
        [("relu", "fp16"), ("mul", "fp32"), ("relu", "fp16"), ("abs", "fp32")],
    ],
)
def test_casts_between_the_types_round(steps: list[tuple[str, str]], tmp_path: Path) -> None:
    """A cast to float16 rounds results of float32, even if layers are merged. A cast to float32 changes nothing."""
    x = _in_halves(np.random.default_rng(1).normal(0.0, 1.0, SHAPE))
    expected, slack = _emulated(steps, x)
    (found,) = _run(_network(_chain(steps), tmp_path), [x.astype(np.float32)])
    assert np.array_equal(found, _in_halves(found))
    assert np.abs(found - last(expected)).max() <= slack


def test_types_change_no_result_in_float32(tmp_path: Path) -> None:
    steps = [("conv", "fp16"), ("tanh", "fp32"), ("mul", "fp16"), ("softmax", "fp32")]
    network = _network(_chain(steps), tmp_path)
    x = np.random.default_rng(1).normal(0.0, 1.0, SHAPE).astype(np.float32)
    found = network.compile(device="cpu").session().run(last(x))
    expected = x.astype(np.float64)
    for name, _ in steps:
        expected = STEPS[name].meaning(expected)
    np.testing.assert_allclose(found, last(expected), rtol=2e-5, atol=2e-5)
