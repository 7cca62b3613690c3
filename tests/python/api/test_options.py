"""Each option is defined once: all functions that compile or run accept every field of the option classes."""

from __future__ import annotations

import ast
import copy
import json
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpscnn
from mpscnn.runtime import options as stated

#: For each field, a value other than the default.
CHANGED: dict[str, Any] = {
    "device": "cpu",
    "precision": "float16",
    "weights": "int8",
    "accumulate_dtype": "float32",
    "winograd": False,
    "metal_kernels": "own",
    "neural_engine": True,
    "max_memory": 1 << 24,
    "threads": 1,
    "check_finite": True,
}


def network() -> mpscnn.Network:
    net = mpscnn.Network(input=(4, 4, 1), name="small")
    net.output(net.softmax(net.dense(net.conv2d(net.input, 2, 3, name="conv"), 2)))
    net.initialize_weights(seed=0)
    return net


@pytest.mark.parametrize("kind", ["Compile", "Run"])
def test_type_checkers_know_the_fields(kind: str) -> None:
    """The argument classes exist for type checkers only. Creating them at runtime would slow down the import."""
    tree = ast.parse(Path(stated.__file__).read_text("utf-8"))
    classes = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    options, arguments = (
        {
            ast.unparse(line.target): ast.unparse(line.annotation)
            for line in body
            if isinstance(line, ast.AnnAssign)
        }
        for body in (classes[f"{kind}Options"].body, classes[f"{kind}Arguments"].body)
    )
    assert options == arguments
    assert [*options] == [*getattr(stated, f"{kind}Options").fields]


def test_every_field_is_tried_and_has_documentation() -> None:
    every = {**mpscnn.CompileOptions.fields, **mpscnn.RunOptions.fields}
    assert CHANGED.keys() == every.keys()
    for name, option in every.items():
        assert option.check(name, option.default) == option.default
        assert f"    {name}: {option.text}" in f"{mpscnn.CompileOptions.__doc__}{mpscnn.RunOptions.__doc__}"


@pytest.mark.parametrize(
    ("path", "begin", "pattern"),
    [
        ("cpp/include/mpscnn/network.hpp", "struct CompileOptions {", r"(\w+)\s*=\s*(\S+);"),
        ("cpp/engine/run/program.h", "struct CompileOptions {", r"(\w+)\s*=\s*(\S+);"),
        ("cpp/bindings/bind_program.cpp", '"compile",', r'py::arg\("(\w+)"\)\s*=\s*([^,]+),'),
    ],
)
def test_defaults_in_cpp_are_those_of_python(path: str, begin: str, pattern: str) -> None:
    text = (Path(__file__).parents[3] / path).read_text("utf-8").partition(begin)[2]
    body = text.partition(".def(" if path.endswith(".cpp") else "\n};")[0]
    found = {name: value for name, value in re.findall(pattern, body) if name != "outputs"}
    assert found == {name: json.dumps(value) for name, value in mpscnn.CompileOptions().for_core().items()}


def test_options_are_values() -> None:
    options = mpscnn.CompileOptions(device="cpu", precision="half", winograd=False)  # type: ignore[arg-type]
    assert (options.device, options.precision, options.weights) == ("cpu", "float16", "auto")
    assert repr(options) == "CompileOptions(device='cpu', precision='float16', winograd=False)"
    assert options.replaced(winograd=True) == mpscnn.CompileOptions(device="cpu", precision="float16")
    assert options != options.replaced(winograd=True)
    for other in (copy.copy(options), copy.deepcopy(options), pickle.loads(pickle.dumps(options))):
        assert other == options
    with pytest.raises(AttributeError, match="immutable"):
        options.winograd = True
    assert mpscnn.CompileOptions(**options.to_dict()) == options


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"device": 1}, "device must be a name, got 1"),
        ({"precision": None}, "precision must be a name"),
        ({"winograd": 1}, "winograd must be True or False, got 1"),
        ({"max_memory": 0}, "max_memory must be None or a number"),
        ({"threads": 0}, "threads must be 'auto' or a number from 1 to 1024, got 0"),
        ({"threads": "all"}, "threads must be 'auto' or a number"),
        ({"check_finite": "yes"}, "check_finite must be True or False"),
        ({"neural_engine": "yes"}, "neural_engine must be True or False"),
        ({"neural_engine": True}, "neural_engine is for precision float16, .* got 'auto'"),
    ],
)
def test_values_are_checked(given: dict[str, Any], message: str) -> None:
    with pytest.raises(mpscnn.ParameterError, match=message):
        mpscnn.Model(network(), **given)


def test_what_is_no_option_is_named() -> None:
    for call in (network().compile, mpscnn.load, lambda **given: mpscnn.Model(network(), **given)):
        with pytest.raises(TypeError, match="has no argument 'accumulate'; did you mean 'accumulate_dtype'"):
            call(accumulate="half")
        with pytest.raises(TypeError, match="has no argument 'devise'; did you mean 'device'"):
            call(devise="cpu")
    with pytest.raises(TypeError, match="there is no option 'thread'; did you mean 'threads'"):
        network().compile(device="cpu").session(thread=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="there is no option 'accumulate'; did you mean 'accumulate_dtype'"):
        mpscnn.CompileOptions(accumulate="half")  # type: ignore[call-arg]
    with pytest.raises(mpscnn.ParameterError, match="accumulate_dtype must be auto, float32 or float16"):
        network().compile(device="cpu", accumulate_dtype="double")  # type: ignore[arg-type]


def test_models_and_their_features_keep_all_options() -> None:
    model = mpscnn.Model(network(), **CHANGED)
    for found in (model, copy.copy(model), pickle.loads(pickle.dumps(model))):
        assert {**found.compile_options.to_dict(), **found.run_options.to_dict()} == CHANGED
    for program in (model.program, model.features("conv").program, pickle.loads(pickle.dumps(model.program))):
        assert program.numbers == "float16, weights int8"
        assert program.winograd is False
        assert program.metal_kernels == "own"
        assert program.max_memory == CHANGED["max_memory"]
    for found in (model, model.features("conv")):
        assert found._sessions.options == mpscnn.RunOptions(threads=1, check_finite=True)


@pytest.mark.parametrize("lend", [lambda model: model, lambda model: model.features("conv")])
def test_predictions_check_results_if_asked(lend: Any) -> None:
    x = np.full((1, 4, 4, 1), 1e38, np.float32)
    net = mpscnn.Network(input=(4, 4, 1), name="large")
    net.output(net.conv2d(net.input, 1, 3, name="conv"))
    net.set_weights(
        {"conv.weight": np.full((1, 3, 3, 1), 1e38, np.float32), "conv.bias": np.zeros(1, np.float32)},
        layout="OHWI",
    )
    for finite in (False, True):
        with lend(mpscnn.Model(net, device="cpu", check_finite=finite))._sessions.session() as session:
            if finite:
                with pytest.raises(mpscnn.Error, match="conv"):
                    session.run(x)
            else:
                assert np.isinf(session.run(x)).all()


def test_commands_have_an_option_for_each_field() -> None:
    pytest.importorskip("typer", reason="needs typer")
    from mpscnn.apps.cli.app import every_command

    commands = every_command()
    wanted = {f"--{name.replace('_', '-')}" for name in CHANGED}
    for name in ("classify", "detect", "digits", "segment", "features", "evaluate", "profile", "serve"):
        assert wanted <= {option for parameter in commands[name].params for option in parameter.opts}, name
    has = {name: {o for p in command.params for o in p.opts} for name, command in commands.items()}
    assert wanted - has["explain"] == {"--device", "--check-finite"}
    assert wanted - has["benchmark"] == {"--check-finite"}
