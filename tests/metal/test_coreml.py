"""Tests of the device "coreml". The emulated Core ML computes each written program by mpscnn's own reader."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from metal.core_ml import reader_as_core_ml
from metal.emulation import RAISED, Emulation
from unsupported_cases import CASES, Case, Layer

import mpscnn
from mpscnn import kernels

pytest.importorskip("coremltools", reason="coremltools writes the programs")

X = np.random.default_rng(1).random((2, 9, 8, 3), np.float32)


def network(size: tuple[int | None, int | None] = (9, 8), name: str = "small") -> mpscnn.Network:
    """Return a small classifier of images."""
    net = mpscnn.Network(input=(*size, 3), name=name)
    x = net.conv2d(net.input, 8, 3, stride=2, padding="same", name="conv")
    x = net.batch_norm(x, name="norm", activation="relu")  # it becomes a part of the convolution
    x = net.global_average_pool2d(x) if None in size else net.flatten(x)
    net.output(net.softmax(net.dense(x, 5, name="dense"), name="scores"))
    net.initialize_weights(seed=2)
    net.set_weights({"norm.variance": np.linspace(0.1, 2, 8, dtype=np.float32)})
    return net


@pytest.fixture(autouse=True)
def core_ml(emulation: Emulation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Use an empty cache. Yields the models of all predictions."""
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "cache"))
    with reader_as_core_ml() as used:
        yield used


def folders(tmp_path: Path) -> list[Path]:
    """Return the folders of networks in the cache."""
    return sorted(path for path in (tmp_path / "cache" / "coreml").iterdir() if path.is_dir())


# ---- Results ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-6), ("float16", 2e-3)])
def test_results_are_those_of_the_cpu(precision: Any, tolerance: float, core_ml: list[str]) -> None:
    net = network()
    program = net.compile(device="coreml", precision=precision)
    assert program.device == "coreml"
    assert program.precision == precision
    assert program.device_name.startswith("Core ML on ")
    right = net.compile(device="cpu", precision=precision).run(X)
    np.testing.assert_allclose(program.run(X), right, atol=tolerance)
    assert len(core_ml) == 2, "a prediction for each image"


def test_any_strides_and_types_are_read_and_written() -> None:
    net = mpscnn.Network(input=(6, 5, 3))
    net.output(net.conv2d(net.input, 4, 3, padding="same"))
    net.initialize_weights(seed=0)
    program = net.compile(device="coreml")
    whole = np.random.default_rng(0).random((2, 7, 10, 3), np.float32)
    x, out = whole[:, 1:, ::2], np.full((2, 4, 6, 5), np.nan, np.float16).transpose(0, 2, 3, 1)
    program.run(x, out=out)
    np.testing.assert_allclose(out, net.compile(device="cpu").run(x), atol=2e-3)
    assert program.run(x.astype(np.float16)).dtype == np.float16


def test_several_inputs_and_outputs_keep_their_names() -> None:
    net = mpscnn.Network(input={"left image": (4, 4, 2), "right": (3,)}, name="two")
    left, right = net.inputs
    net.output(net.relu(left, name="positive"))
    net.output(net.dense(right, 2, name="0 dense"))
    net.initialize_weights(seed=0)
    given = {
        "left image": np.float32(np.arange(-16, 16).reshape(1, 4, 4, 2)),
        "right": np.ones((1, 3), np.float32),
    }
    found = net.compile(device="coreml").run(given)
    expected = net.compile(device="cpu").run(given)
    assert list(found) == ["positive", "0 dense"]
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, atol=1e-6)


def test_each_size_of_a_free_network_has_a_program(tmp_path: Path, emulation: Emulation) -> None:
    net = network((None, None))
    program = net.compile(device="coreml")
    assert emulation.get("models_loaded") == 0, "the size is not known yet"
    for rows, columns in ((9, 8), (6, 7), (9, 8)):
        x = np.random.default_rng(rows).random((1, rows, columns, 3), np.float32)
        np.testing.assert_allclose(program.run(x), net.compile(device="cpu").run(x), atol=1e-6)
    assert len(folders(tmp_path)) == 2
    assert emulation.get("models_compiled") == emulation.get("models_loaded") == 2


@pytest.mark.parametrize(
    "name", ["digits", "page_digits", pytest.param("cifar10_mobilenet_v2", marks=pytest.mark.full)]
)
def test_bundled_networks_are_right(name: str) -> None:
    model = mpscnn.load(name, device="cpu")
    (_, *extents), *_ = (tensor.shape for tensor in model.network.inputs)
    x = np.random.default_rng(0).random((1, *(extent or 64 for extent in extents)), np.float32)
    found, right = mpscnn.load(name, device="coreml").program.run(x), model.program.run(x)
    for one, other in zip(as_arrays(found), as_arrays(right), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def as_arrays(found: Any) -> list[Any]:
    return list(found.values()) if isinstance(found, dict) else [found]


def test_all_interfaces_run_it(tmp_path: Path) -> None:
    model = mpscnn.load("digits", device="coreml")
    photo = np.zeros((28, 28), np.uint8)
    photo[4:24, 13:15] = 255
    right = mpscnn.load("digits", device="cpu").predict(photo)
    assert model.predict(photo).top(1)[0].label == right.top(1)[0].label
    x = np.zeros((1, 28, 28, 1), np.float32)
    with mpscnn.Runner(model) as runner:
        assert runner.submit(photo).result().top(1)[0].label == right.top(1)[0].label
    session = model.program.session()
    np.testing.assert_allclose(session.submit(x).result(), model.program.run(x))
    with pytest.raises(mpscnn.UnsupportedError, match="does not report the time of each layer"):
        session.profile(x)
    assert "\nequal: " in str(mpscnn.compare("digits", "digits@coreml"))
    found = mpscnn.compare("digits", "digits@coreml:cpuOnly@float16")
    assert "coreml:cpuOnly, float16" in str(found)


# ---- Options ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("units", "number"),
    [("", 2), (":all", 2), (":cpuAndNeuralEngine", 3), (":cpuAndGPU", 1), (":cpuOnly", 0)],
)
def test_compute_units_are_passed_on(units: str, number: int, emulation: Emulation) -> None:
    program = network().compile(device=f"coreml{units}", precision="float16")
    assert emulation.get("compute_units") == number
    assert program.device_name.endswith(f"compute units {units[1:] or 'all'}")


@pytest.mark.parametrize(
    ("options", "error", "reason"),
    [
        (
            {"device": "coreml:gpu"},
            mpscnn.ParameterError,
            "must be one of all, cpuAndNeuralEngine, cpuAndGPU, cpuOnly",
        ),
        (
            {"device": "coreml:cpuAndNeuralEngine"},
            mpscnn.UnsupportedError,
            "the neural engine computes in float16",
        ),
        ({"precision": "bfloat16"}, mpscnn.UnsupportedError, "precision must be float32 or float16"),
    ],
)
def test_options_that_core_ml_lacks_are_refused(options: dict[str, Any], error: Any, reason: str) -> None:
    with pytest.raises(error, match=reason):
        network().compile(**{"device": "coreml", **options})


@pytest.mark.parametrize("case", [case for case in CASES if case.engine == "coreml"], ids=str)
def test_rows_of_the_table_are_refused(case: Case) -> None:
    def session(layer: Layer) -> mpscnn.Session:
        program = layer.network().compile(device="coreml", **layer.options())
        return program.session(check_finite=layer.check_finite)

    with pytest.raises(mpscnn.UnsupportedError) as raised:
        session(case.refused)
    for part in ("on device 'coreml'", case.row()["field"], case.row()["allowed"], f"got {case.value}"):
        assert part in str(raised.value)
    session(case.allowed)


def test_other_uses_are_refused() -> None:
    with pytest.raises(mpscnn.UnsupportedError, match="Core ML runs whole networks only"):
        mpscnn.CommandQueue("coreml")
    with pytest.raises(mpscnn.UnsupportedError, match="coreml"):
        kernels.MetalKernel("kernel void f() {}", "f", device="coreml")
    with pytest.raises(mpscnn.UnsupportedError, match="coreml"):
        mpscnn.convolve1d(np.ones(4, np.float32), np.ones(2, np.float32), device="coreml")
    with pytest.raises(mpscnn.UnsupportedError, match=r"'coreml': .*'cpu' and 'metal'"):
        mpscnn.Trainer(network(), device="coreml")


def test_a_layer_that_core_ml_lacks_is_named() -> None:
    net = mpscnn.Network(input=(9, 9, 2), name="wide")
    net.output(net.max_pool2d(net.input, 2, dilation=2, name="spread"))
    with pytest.raises(
        mpscnn.UnsupportedError, match=r"network 'wide' on device 'coreml': .*spread.*dilation"
    ):
        net.compile(device="coreml")


def test_custom_layers_run_between_programs(core_ml: list[str]) -> None:
    net = mpscnn.Network(input=(6, 5, 3), name="mixed")
    x = net.conv2d(net.input, 4, 3, name="first")
    x = net.custom(lambda array, out: np.abs(array, out=out), x, name="magnitude")
    net.output(net.conv2d(x, 2, 3, name="last"))
    net.initialize_weights(seed=0)
    x = np.random.default_rng(0).random((1, 6, 5, 3), np.float32)
    found = net.compile(device="coreml").run(x)
    np.testing.assert_allclose(found, net.compile(device="cpu").run(x), atol=1e-6)
    assert len(set(core_ml)) == 2


# ---- "auto" with neural_engine=True -------------------------------------------------------------------------------


def automatic(monkeypatch: pytest.MonkeyPatch, emulation: Emulation, **options: Any) -> mpscnn.Program:
    """Compile for "auto" with the neural engine. Other processes compute by a program, since no test can call them.

    A process remembers the verdict on a network, so each test has a network of its own.
    """
    emulation.set("no_device", 1)  # the check of a GPU takes long
    monkeypatch.delenv("MPSCNN_DEVICE", raising=False)
    # Results count, but no times, which depend on the emulation.
    monkeypatch.setenv("MPSCNN_PREFLIGHT", options.pop("preflight", "results"))
    program = f"{sys.executable} {Path(__file__).with_name('core_ml.py')}"
    monkeypatch.setenv("CORE_ML_EMULATION_RUNNER", program)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    net = network(name=options.pop("name"))
    return net.compile(**{"device": "auto", "precision": "float16", "neural_engine": True, **options})


@pytest.mark.full
def test_auto_takes_a_neural_engine_that_is_right(
    monkeypatch: pytest.MonkeyPatch, emulation: Emulation, core_ml: list[str]
) -> None:
    program = automatic(monkeypatch, emulation, name="right")
    assert program.device == "coreml", program.reason
    assert "compute units cpuAndNeuralEngine" in program.device_name
    assert "the neural engine, as neural_engine allows; it ran an image in" in program.reason
    assert core_ml == [], "only the other process has run it"
    again = automatic(monkeypatch, emulation, name="right")
    assert (again.device, again.reason) == (program.device, program.reason), "the result is on record"
    # Times decide, too, and the emulation of Core ML is slow.
    slower = automatic(monkeypatch, emulation, name="right", preflight="on")
    assert slower.device != "coreml"
    assert "the neural engine is not used: it ran an image in" in slower.reason


@pytest.mark.full
def test_auto_does_without_a_neural_engine_that_is_wrong(
    monkeypatch: pytest.MonkeyPatch, emulation: Emulation
) -> None:
    monkeypatch.setenv("METAL_EMULATION_SWITCHES", "wrong_predictions=1")
    with pytest.warns(
        RuntimeWarning, match="network 'wrong' does not run on the neural engine: output 'scores'"
    ):
        program = automatic(monkeypatch, emulation, name="wrong")
    assert program.device != "coreml"
    assert "the neural engine is not used: output 'scores' in float16: result" in program.reason


@pytest.mark.full
def test_a_slow_compiler_of_core_ml_has_a_limit_of_its_own(
    monkeypatch: pytest.MonkeyPatch, emulation: Emulation
) -> None:
    """Core ML loads a network in one call, which is silent for longer than a case of the check may be."""
    monkeypatch.setenv("METAL_EMULATION_SWITCHES", "load_delay_ms=6000")
    monkeypatch.setenv("MPSCNN_SELF_CHECK_SECONDS", "3")
    assert automatic(monkeypatch, emulation, name="slow").device == "coreml"
    monkeypatch.setenv("MPSCNN_COREML_SECONDS", "0.5")
    with pytest.warns(RuntimeWarning, match="Core ML did not load the network within 0.5 s"):
        assert automatic(monkeypatch, emulation, name="slower").device != "coreml"


def test_auto_asks_before_it_takes_the_neural_engine(
    monkeypatch: pytest.MonkeyPatch, emulation: Emulation
) -> None:
    assert automatic(monkeypatch, emulation, name="asked", neural_engine=False).device != "coreml"
    assert automatic(monkeypatch, emulation, name="asked", device="cpu").device == "cpu"
    without = automatic(monkeypatch, emulation, name="asked", preflight="off")
    assert without.device != "coreml"
    assert "the neural engine is not used: the network has no preflight" in without.reason
    with pytest.raises(mpscnn.ParameterError, match="neural_engine is for precision float16"):
        automatic(monkeypatch, emulation, name="asked", precision="float32")
    emulation.set("fail_compilations", 1)
    failed = automatic(monkeypatch, emulation, name="asked")
    assert failed.device != "coreml"
    assert "the neural engine is not used: Core ML cannot compile" in failed.reason
    assert emulation.get("models_loaded") == 0


# ---- Failures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("switch", "text"),
    [
        ("fail_compilations", r"Core ML cannot compile .*Failed to parse the model specification \(code 0\)"),
        ("fail_models", r"Core ML cannot load .*Failed to build the model execution plan \(code 0\)"),
    ],
)
def test_errors_of_compiling_have_core_mls_text(switch: str, text: str, emulation: Emulation) -> None:
    emulation.set(switch, 2)
    with pytest.raises(mpscnn.DeviceError, match=text):
        network().compile(device="coreml")
    emulation.set(switch, 0)
    network().compile(device="coreml").run(X)


@pytest.mark.parametrize(
    ("switch", "text"),
    [
        ("fail_predictions", r"Core ML cannot run the network: Failed to evaluate the model \(code 0\)"),
        (
            "fail_multi_arrays",
            r"input 'image': Core ML makes no array of the shape \(1, 3, 9, 8\): there is no memory",
        ),
    ],
)
@pytest.mark.parametrize("images", [1, 2])
def test_errors_of_predictions_have_core_mls_text(
    switch: str, text: str, images: int, emulation: Emulation
) -> None:
    program = network().compile(device="coreml")
    emulation.set(switch, 1)
    with pytest.raises(mpscnn.DeviceError, match=text):
        program.run(X[:images])
    program.run(X)  # only that run has failed


#: The calls of Core ML, by the switch that delays each, with the count that it raises at its end.
DELAYS = {
    "compilation_delay_ms": ("compile the network", "models_compiled"),
    "load_delay_ms": ("load the network", "models_loaded"),
    "prediction_delay_ms": ("run the network for the first time", "predictions_made"),
}


def compile_and_run() -> None:
    network().compile(device="coreml").run(X[:1])


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a call that goes on in a thread of its own. The fixture would count its objects."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "the call has not ended"
        time.sleep(0.05)
        gc.collect()


@pytest.mark.parametrize("switch", DELAYS)
def test_each_call_of_core_ml_has_a_limit(
    switch: str, emulation: Emulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    what, count = DELAYS[switch]
    monkeypatch.setenv("MPSCNN_COREML_SECONDS", "0.3")
    emulation.set(switch, 2000)
    told = rf"Core ML did not {what} within 0.3 s \(MPSCNN_COREML_SECONDS\)"
    with pytest.raises(mpscnn.DeviceError, match=told):
        compile_and_run()
    wait_until(lambda: emulation.get(count) == 1 and emulation.live_objects() == "")


@pytest.mark.full
@pytest.mark.parametrize("switch", DELAYS)
def test_a_long_call_of_core_ml_is_logged(
    switch: str, emulation: Emulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People must see it while they wait, so the handler notes whether the call has ended."""
    what, count = DELAYS[switch]
    told: list[tuple[str, int]] = []
    log = logging.getLogger("mpscnn")
    monkeypatch.setattr(
        log, "handle", lambda record: told.append((record.getMessage(), emulation.get(count)))
    )
    emulation.set(switch, 3500)
    compile_and_run()
    assert told == [
        (
            f"Core ML needs long to {what}: it works since 2 s, and may work for 300 s (MPSCNN_COREML_SECONDS)",
            0,
        )
    ]


@pytest.mark.parametrize("switch", DELAYS)
def test_ctrl_c_ends_the_wait_for_core_ml(switch: str, emulation: Emulation) -> None:
    count = DELAYS[switch][1]
    emulation.set(switch, 3000)
    emulation.set("interrupt_delays", 1)
    with pytest.raises(KeyboardInterrupt):
        compile_and_run()
    assert emulation.get(count) == 0, "it has waited for the end of the call"
    wait_until(lambda: emulation.get(count) == 1 and emulation.live_objects() == "")


def test_a_program_is_refused_while_its_first_run_goes_on(
    emulation: Emulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = network().compile(device="coreml")
    monkeypatch.setenv("MPSCNN_COREML_SECONDS", "0.2")
    emulation.set("prediction_delay_ms", 2000)
    with pytest.raises(mpscnn.DeviceError, match="did not run the network for the first time"):
        program.run(X[:1])
    emulation.set("prediction_delay_ms", 0)
    monkeypatch.delenv("MPSCNN_COREML_SECONDS")
    with pytest.raises(mpscnn.DeviceError, match="Core ML has not finished the first run of this network"):
        program.run(X[:1])

    def runs() -> bool:
        try:
            program.run(X[:1])
        except mpscnn.DeviceError:
            return False
        return True

    wait_until(runs)


@pytest.mark.parametrize(
    "switch", ["fail_compilations", "fail_models", "fail_predictions", "fail_multi_arrays"]
)
def test_an_exception_of_core_ml_keeps_its_name_and_reason(switch: str, emulation: Emulation) -> None:
    emulation.set("throw_failures", 1)
    emulation.set(switch, 2)
    with pytest.raises(mpscnn.DeviceError, match=RAISED):
        network().compile(device="coreml").run(X)
    emulation.set(switch, 0)
    network().compile(device="coreml").run(X)


def test_several_threads_predict_one_after_another(core_ml: list[str]) -> None:
    program = network().compile(device="coreml")
    threads = [threading.Thread(target=program.session().run, args=(X,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(core_ml) == 8  # the emulation reports two threads in one model


def run_in_child(program: mpscnn.Program, answers: Any) -> None:
    try:
        program.run(X)
    except mpscnn.DeviceError as error:
        answers.put(str(error))
    listed = {device["name"]: device for device in mpscnn.devices()}
    answers.put(listed["coreml"].get("reason"))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_is_refused() -> None:
    program = network().compile(device="coreml")
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=run_in_child, args=(program, answers))
    child.start()
    told = answers.get(), answers.get()
    child.join()
    assert told[0] == told[1]
    assert "forked from one that used Core ML" in told[0]


# ---- The cache ----------------------------------------------------------------------------------------------------


def test_a_program_is_written_and_compiled_once(tmp_path: Path, emulation: Emulation) -> None:
    for _ in range(2):
        network().compile(device="coreml:cpuOnly").run(X)
    network().compile(device="coreml", precision="float16")
    assert emulation.get("models_compiled") == 2
    assert emulation.get("models_loaded") == 3
    assert len(folders(tmp_path)) == 2
    network((9, 9)).compile(device="coreml")
    assert len(folders(tmp_path)) == 3


@pytest.mark.parametrize("what", ["network.mlpackage/Manifest.json", "*.mlmodelc/coremldata.bin"])
def test_a_damaged_program_is_made_again(what: str, tmp_path: Path, emulation: Emulation) -> None:
    network().compile(device="coreml")
    (folder,) = folders(tmp_path)
    (file,) = folder.glob(what)
    file.write_bytes(b"damaged")
    with pytest.warns(RuntimeWarning, match="is damaged, as its checksum shows; it is made again"):
        program = network().compile(device="coreml")
    np.testing.assert_allclose(program.run(X), network().compile(device="cpu").run(X), atol=1e-6)
    assert file.read_bytes() != b"damaged"
    assert emulation.get("models_compiled") == 2


def test_a_program_that_core_ml_does_not_load_is_made_again(emulation: Emulation) -> None:
    network().compile(device="coreml")
    emulation.set("fail_models", 1)
    network().compile(device="coreml").run(X)
    assert emulation.get("models_compiled") == 2


def test_a_compiled_program_is_for_one_build_of_the_system(tmp_path: Path, emulation: Emulation) -> None:
    network().compile(device="coreml")
    (folder,) = folders(tmp_path)
    for path in [*folder.glob("*.mlmodelc"), *folder.glob("*.mlmodelc.crc32")]:
        path.rename(path.with_name(f"older{path.name}"))
    network().compile(device="coreml")
    assert emulation.get("models_compiled") == 2
    assert len(list(folder.glob("*.mlmodelc"))) == 2


def test_the_cache_keeps_some_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpscnn.converters.writing.coreml.compiled_program.KEPT_PROGRAMS", 2)
    for rows in (5, 6, 7):
        network((rows, 8)).compile(device="coreml")
    assert len(folders(tmp_path)) == 2


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(mpscnn.DeviceError, match="MPSCNN_CACHE"):
        network().compile(device="coreml")


def test_coremltools_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "coremltools", None)
    with pytest.raises(mpscnn.UnsupportedError, match=r"'coreml': .*pip install .[^']*\[coreml\]"):
        network().compile(device="coreml")
