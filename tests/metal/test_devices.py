"""Test the devices of a machine: listing, choosing and losing them, and forks."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from metal.emulation import HELD, Emulation

import mpscnn
from mpscnn import kernels


def small_network() -> mpscnn.Network:
    net = mpscnn.Network(input=(6, 5, 4), name="small")
    net.output(net.conv2d(net.input, 8, 3, padding="same", name="conv"))
    net.initialize_weights(3)
    return net


X = np.linspace(-1, 1, 2 * 6 * 5 * 4, dtype=np.float32).reshape(2, 6, 5, 4)


def metal_devices() -> list[dict[str, Any]]:
    return [device for device in mpscnn.devices() if device["name"].startswith("metal")]


# ---- Listing ----------------------------------------------------------------------------------------------------


def test_the_default_device_is_described() -> None:
    (device,) = metal_devices()
    assert device["name"] == "metal"
    assert device["available"]
    assert device["default"]
    assert device["description"]
    assert device["precisions"] == ["float32", "float16"]


def test_all_devices_and_their_properties_are_listed(emulation: Emulation) -> None:
    emulation.set("devices", 4)
    first, external, *headless = metal_devices()
    assert first["name"] == "metal"
    assert first["registry_id"] == "0x100000abc"
    assert first["unified_memory"]
    assert {"apple7", "mac2", "common3", "metal3"} <= set(first["families"])
    assert not {"apple8", "metal4"} & set(first["families"])
    assert first["recommended_working_set_bytes"] == 8 << 30
    assert first["max_buffer_bytes"] == 4 << 30
    assert external["name"] == "metal:0x100000def"
    assert external["removable"]
    assert not external["unified_memory"]
    assert "apple1" not in external["families"]
    assert [device["description"] for device in headless] == ["Emulated headless GPU"] * 2
    assert all(device["headless"] and device["low_power"] for device in headless)
    assert [device["default"] for device in metal_devices()] == [True, False, False, False]
    assert len({device["name"] for device in metal_devices()}) == 4


def test_without_devices_the_list_says_why(emulation: Emulation) -> None:
    emulation.set("no_device", 1)
    (device,) = metal_devices()
    assert (device["name"], device["available"]) == ("metal", False)
    assert "no Metal device" in device["reason"]


def test_a_device_that_cannot_run_mps_is_listed_with_the_reason(emulation: Emulation) -> None:
    emulation.set("unsupported_device", 1)
    (device,) = metal_devices()
    assert (device["name"], device["available"], device["default"]) == ("metal", False, False)
    assert "cannot run Metal Performance Shaders" in device["reason"]
    with pytest.raises(
        mpscnn.DeviceError, match="'Emulated Metal device' cannot run Metal Performance Shaders"
    ):
        small_network().compile(device="metal")


# ---- Choosing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ("metal", "Emulated Metal device"),
        ("metal:Emulated Metal device", "Emulated Metal device"),
        ("metal:Emulated external GPU", "Emulated external GPU"),
        ("metal:0x100000def", "Emulated external GPU"),
        ("metal:4294970863", "Emulated external GPU"),  # the same registry id
        ("metal:0x200000002", "Emulated headless GPU"),
    ],
)
def test_a_device_is_chosen_by_name_or_registry_id(emulation: Emulation, device: str, name: str) -> None:
    emulation.set("devices", 4)
    program = small_network().compile(device=device)
    assert (program.device, program.device_name) == ("metal", name)
    expected = small_network().compile(device="cpu").session().run(X)
    np.testing.assert_allclose(program.session().run(X), expected, rtol=1e-5, atol=1e-5)


@pytest.fixture
def automatic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MPSCNN_DEVICE")


@pytest.mark.usefixtures("automatic")
def test_auto_is_metal_where_it_can_run_the_network() -> None:
    program = small_network().compile()
    assert (program.device, program.precision) == ("metal", "float32")
    assert "checked" in program.reason
    assert "not checked" not in program.reason
    assert mpscnn.CommandQueue().device == "metal"


@pytest.mark.usefixtures("automatic")
def test_auto_says_when_the_answers_were_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSCNN_SKIP_SELF_CHECK", "1")
    program = small_network().compile()
    assert program.device == "metal"
    assert "not checked" in program.reason
    assert "MPSCNN_SKIP_SELF_CHECK" in program.reason


@pytest.mark.usefixtures("automatic")
def test_a_queue_of_auto_does_not_turn_to_the_cpu() -> None:
    queue = mpscnn.CommandQueue()
    wide, relu = mpscnn.Image(16385, 1, 1), kernels.Neuron(kernels.NeuronDescriptor("relu"))
    with (
        pytest.raises(mpscnn.UnsupportedError, match="on device 'metal': rows and columns must be at most"),
        queue.command_buffer() as commands,
    ):
        relu.encode(commands, wide)
    with mpscnn.CommandQueue("cpu").command_buffer() as commands:
        relu.encode(commands, wide)
    with queue.command_buffer() as commands:  # the queue still works
        result = relu.encode(commands, mpscnn.Image.from_numpy(np.float32([[[-1], [2]]])))
    np.testing.assert_array_equal(result.numpy(), [[[0], [2]]])


@pytest.mark.usefixtures("automatic")
def test_auto_is_the_cpu_for_layers_that_metal_refuses() -> None:
    network = mpscnn.Network(input=(2, 1, 8193))
    network.output(network.activation(network.input, "relu", name="wide"))
    program = network.compile()
    assert program.device == "cpu"
    assert "feature channels must be at most 8192" in program.reason


def test_auto_is_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSCNN_DEVICE", "cpu")
    program = small_network().compile()
    assert program.device == "cpu"
    assert "MPSCNN_DEVICE" in program.reason
    assert small_network().compile(device="metal").device == "metal"
    monkeypatch.setenv("MPSCNN_DEVICE", "gpu")
    with pytest.raises(mpscnn.ParameterError, match="device must be auto, cpu, metal"):
        small_network().compile()


def test_programs_on_several_devices_run_side_by_side(emulation: Emulation) -> None:
    emulation.set("devices", 4)
    sessions = [small_network().compile(device=entry["name"]).session() for entry in metal_devices()]
    requests = [session.submit(X) for session in sessions]
    results = [request.result() for request in requests]
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


def test_every_listed_name_can_be_compiled_for(emulation: Emulation) -> None:
    emulation.set("devices", 4)
    for device in [mpscnn.devices()[0], *metal_devices()]:  # test_coreml.py tests Core ML
        assert small_network().compile(device=device["name"]).device_name == device["description"]


@pytest.mark.parametrize("wanted", ["Apple M2", "0x1", "7", "emulated metal device"])
def test_an_unknown_device_is_refused_with_those_that_are_there(emulation: Emulation, wanted: str) -> None:
    emulation.set("devices", 2)
    message = f"no Metal device '{wanted}'; there are 'Emulated Metal device' \\(0x100000abc\\), .*external"
    with pytest.raises(mpscnn.DeviceError, match=message):
        small_network().compile(device=f"metal:{wanted}")


@pytest.mark.parametrize("wanted", ["metal:", "cpu:1", "auto:1", "", ":"])
def test_other_names_are_a_parameter_error(wanted: str) -> None:
    with pytest.raises(mpscnn.ParameterError, match="device must be auto, cpu, metal, metal: with"):
        small_network().compile(device=wanted)


def test_devices_of_other_frameworks_are_refused_with_those_of_the_machine() -> None:
    with pytest.raises(mpscnn.ParameterError, match=r"device 'tpu' is not supported: .*Emulated Metal"):
        small_network().compile(device="tpu")


def test_a_machine_whose_gpus_have_no_screen_has_a_default(emulation: Emulation) -> None:
    emulation.set("devices", 3)
    emulation.set("removed_device", 1)
    assert metal_devices()[0]["description"] == "Emulated external GPU"
    assert small_network().compile(device="metal").device_name == "Emulated external GPU"


# ---- Losing -----------------------------------------------------------------------------------------------------


def test_a_removed_device_is_an_error_and_others_go_on(emulation: Emulation) -> None:
    emulation.set("devices", 2)
    program = small_network().compile(device="metal:Emulated external GPU")
    session = program.session()
    expected = session.run(X)
    emulation.set("removed_device", 2)
    with pytest.raises(mpscnn.DeviceError, match=r"'small' failed: the device was removed \(code 11\)$"):
        session.run(X)
    for use in (lambda: session.run(X), lambda: program.session().run(X)):
        with pytest.raises(mpscnn.DeviceError, match="'Emulated external GPU' was removed from this machine"):
            use()
    with pytest.raises(mpscnn.DeviceError, match="no Metal device 'Emulated external GPU'"):
        small_network().compile(device="metal:Emulated external GPU")
    np.testing.assert_array_equal(small_network().compile(device="metal").session().run(X), expected)
    # The device is connected again: new programs can use it, old programs cannot.
    emulation.set("removed_device", 0)
    again = small_network().compile(device="metal:Emulated external GPU")
    np.testing.assert_array_equal(again.session().run(X), expected)
    with pytest.raises(mpscnn.DeviceError, match="was removed"):
        session.run(X)


# ---- Forks ------------------------------------------------------------------------------------------------------


def in_child(session: mpscnn.Session, net: mpscnn.Network, messages: Any) -> None:
    for use in (
        lambda: session.run(X),
        lambda: net.compile(device="metal"),
        lambda: session.submit(X).result(),
    ):
        try:
            use()
            messages.put("no error")
        except mpscnn.DeviceError as error:
            messages.put(str(error))
    messages.put(float(net.compile(device="cpu").session().run(X).sum()))


def test_a_forked_child_is_told_to_use_spawn() -> None:
    session = small_network().compile(device="metal").session()
    expected = session.run(X)
    context = multiprocessing.get_context("fork")
    messages = context.SimpleQueue()
    child = context.Process(target=in_child, args=(session, small_network(), messages))
    child.start()
    for _ in range(3):
        assert "forked from one that used Metal" in messages.get()
    assert messages.get() == pytest.approx(float(expected.sum()), rel=1e-3)
    child.join(60)
    assert child.exitcode == 0
    np.testing.assert_array_equal(session.run(X), expected)


def test_a_request_under_way_does_not_hold_up_a_forked_child(emulation: Emulation) -> None:
    session = small_network().compile(device="metal").session()
    emulation.set("worker_delay_ms", HELD)
    request = session.submit(X)
    child = os.fork()
    if child == 0:
        try:
            request.result()
        except mpscnn.DeviceError:
            del request, session  # in the parent process these destructors would wait
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    emulation.set("worker_delay_ms", 0)
    assert request.result().shape == (2, 6, 5, 8)


FORK = """
import os
import sys
import mpscnn

if sys.argv[1] == "lists":
    mpscnn.devices()
net = mpscnn.Network(input=(2, 2, 1))
net.output(net.activation(net.input, "relu"))
child = os.fork()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
try:
    print(net.compile(device="metal").device)
except mpscnn.DeviceError as error:
    print(error)
print([device.get("reason") for device in mpscnn.devices() if device["name"] == "metal"][0] or "available")
print(net.compile(device="auto").device)
"""


@pytest.mark.parametrize(
    ("parent", "expected"),
    [("does nothing", ["metal", "available", "metal"]), ("lists", ["forked", "forked", "cpu"])],
)
def test_a_child_may_use_metal_unless_its_parent_asked_for_devices(parent: str, expected: list[str]) -> None:
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    del variables["MPSCNN_DEVICE"]
    command = [sys.executable, "-c", FORK, parent]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    said = [
        "forked" if "forked from one that used Metal" in line else line for line in done.stdout.splitlines()
    ]
    assert said == expected
