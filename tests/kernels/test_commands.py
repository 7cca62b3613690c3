"""Test command queues and command buffers: states, order, errors, handlers."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from kernels.index_rule import Gate, normal

import mpscnn
from mpscnn import CommandStatus, kernels


def add_one() -> kernels.Neuron:
    return kernels.Neuron(kernels.NeuronDescriptor("linear", 1.0, 1.0))


X = normal(0, (6, 7, 8))


@pytest.fixture
def queue() -> mpscnn.CommandQueue:
    return mpscnn.CommandQueue("cpu", threads=1)


def test_states_of_a_command_buffer(queue: mpscnn.CommandQueue) -> None:
    gate = Gate(queue)
    commands = queue.command_buffer()
    assert commands.status == CommandStatus.NOT_ENQUEUED
    commands.enqueue()
    assert commands.status == CommandStatus.ENQUEUED
    result = add_one().encode(commands, mpscnn.Image.from_numpy(X))
    commands.commit()
    assert commands.status == CommandStatus.COMMITTED
    gate.opened.set()
    commands.wait()
    assert commands.status == CommandStatus.COMPLETED
    assert commands.error is None
    np.testing.assert_array_equal(result.numpy(), X + 1)


def test_nothing_runs_before_commit(queue: mpscnn.CommandQueue) -> None:
    commands = queue.command_buffer()
    source = mpscnn.Image.from_numpy(X)
    result = add_one().encode(commands, source)
    queue.wait()
    assert not result.numpy().any()
    source.numpy()[...] = 0  # the kernel reads the source when it runs, so it sees this change
    commands.commit()
    commands.wait()
    assert (result.numpy() == 1).all()


def test_properties_are_copied_when_a_kernel_is_encoded(queue: mpscnn.CommandQueue) -> None:
    kernel = kernels.Neuron(kernels.NeuronDescriptor("linear", 1.0, 1.0), offset=(1, 2))
    results = []
    with queue.command_buffer() as commands:
        source = mpscnn.Image.from_numpy(X)
        for offset in ((1, 2), (0, 0)):
            kernel.offset = (*offset, 0)
            results.append(kernel.encode(commands, source, mpscnn.Image(2, 2, 8)))
        del kernel
        gc.collect()
    np.testing.assert_array_equal(results[0].numpy(), X[2:4, 1:3] + 1)
    np.testing.assert_array_equal(results[1].numpy(), X[:2, :2] + 1)


def test_images_may_go_once_they_are_encoded(queue: mpscnn.CommandQueue) -> None:
    commands = queue.command_buffer()
    source = mpscnn.Image.from_numpy(X)
    middle = add_one().encode(commands, source)
    result = add_one().encode(commands, middle)
    del source, middle
    gc.collect()
    commands.commit()
    commands.wait()
    np.testing.assert_array_equal(result.numpy(), X + 1 + 1)


def test_buffers_run_in_the_order_in_which_they_were_enqueued(queue: mpscnn.CommandQueue) -> None:
    order: list[str] = []
    first, second = queue.command_buffer(), queue.command_buffer()
    first.add_completed_handler(lambda commands: order.append("first"))
    second.add_completed_handler(lambda commands: order.append("second"))
    first.enqueue()
    second.commit()
    assert second.status == CommandStatus.COMMITTED
    first.commit()
    second.wait()
    assert order == ["first", "second"]


def test_a_buffer_that_goes_does_not_hold_up_the_queue(queue: mpscnn.CommandQueue) -> None:
    first, second = queue.command_buffer(), queue.command_buffer()
    first.enqueue()
    second.commit()
    del first
    gc.collect()
    second.wait()
    assert second.status == CommandStatus.COMPLETED


def test_handlers_are_functions(queue: mpscnn.CommandQueue) -> None:
    with pytest.raises(mpscnn.ParameterError, match="handler must be callable, got int"):
        queue.command_buffer().add_completed_handler(5)  # type: ignore[arg-type]


def test_handlers_run_before_wait_returns(queue: mpscnn.CommandQueue) -> None:
    seen: list[Any] = []
    commands = queue.command_buffer()
    result = add_one().encode(commands, mpscnn.Image.from_numpy(X))
    commands.add_completed_handler(lambda done: seen.append((done, done.status, result.numpy()[0, 0, 0])))
    commands.add_completed_handler(lambda done: seen.append(threading.current_thread()))
    commands.commit()
    commands.wait()
    assert seen[0] == (commands, CommandStatus.COMPLETED, X[0, 0, 0] + 1)
    assert seen[1] is not threading.current_thread()


def test_a_handler_runs_when_nobody_holds_the_buffer(queue: mpscnn.CommandQueue) -> None:
    seen: list[CommandStatus] = []
    commands = queue.command_buffer()
    commands.add_completed_handler(lambda done: seen.append(done.status))
    commands.commit()
    del commands
    gc.collect()
    queue.wait()
    assert seen == [CommandStatus.COMPLETED]


def test_what_a_handler_raises_harms_nobody(
    queue: mpscnn.CommandQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda given: raised.append(given.exc_value))

    def handler(commands: mpscnn.CommandBuffer) -> None:
        raise ValueError("from a handler")

    commands = queue.command_buffer()
    commands.add_completed_handler(handler)
    commands.commit()
    commands.wait()
    assert [str(error) for error in raised] == ["from a handler"]
    raised.clear()


def test_handlers_may_wait_for_what_is_done_and_for_nothing_else(queue: mpscnn.CommandQueue) -> None:
    later = queue.command_buffer()
    outcomes: list[Any] = []

    def attempt(action: Callable[[], None]) -> None:
        try:
            action()
            outcomes.append("done")
        except mpscnn.StateError as error:
            outcomes.append(str(error))

    def handler(commands: mpscnn.CommandBuffer) -> None:
        attempt(commands.wait)
        attempt(later.wait)
        attempt(queue.wait)

    first = queue.command_buffer()
    first.add_completed_handler(handler)
    first.enqueue()
    later.commit()
    first.commit()
    later.wait()
    assert outcomes[0] == "done"
    assert "cannot wait for a later command buffer" in outcomes[1]
    assert "cannot wait for its own queue" in outcomes[2]


def test_a_failure_is_an_error_of_its_buffer_alone(queue: mpscnn.CommandQueue) -> None:
    begun, ended = threading.Event(), threading.Event()

    def wait(x: Any, out: Any) -> None:
        begun.set()
        assert ended.wait(300)
        out[:] = x

    network = mpscnn.Network(input=X.shape)
    network.output(network.conv2d(network.custom(wait, network.input), 64, 9, padding="same"))
    network.initialize_weights()
    session = network.compile(device="cpu").session(threads=1)
    failing, after = queue.command_buffer(), queue.command_buffer()
    result = session.encode(failing, mpscnn.Image.from_numpy(X))
    untouched = add_one().encode(failing, mpscnn.Image.from_numpy(X))
    fine = add_one().encode(after, mpscnn.Image.from_numpy(X))
    statuses: list[CommandStatus] = []
    failing.add_completed_handler(lambda done: statuses.append(done.status))
    running = threading.Thread(target=session.run, args=(X[np.newaxis],))
    running.start()
    try:
        assert begun.wait(300)
        failing.commit()
        after.commit()
        queue.wait()
    finally:
        ended.set()
        running.join()
    for _ in range(2):
        with pytest.raises(mpscnn.StateError, match="this session is running in another thread"):
            failing.wait()
    assert statuses == [CommandStatus.ERROR]
    assert failing.error is not None
    assert failing.error.code == 1
    assert "this session is running in another thread" in failing.error.message
    np.testing.assert_array_equal(fine.numpy(), X + 1)
    assert isinstance(result, mpscnn.Image)
    assert not untouched.numpy().any()
    assert not result.numpy().any()


def test_an_exception_in_the_block_leaves_the_buffer_uncommitted(queue: mpscnn.CommandQueue) -> None:
    with pytest.raises(KeyError), queue.command_buffer() as commands:
        raise KeyError
    assert commands.status == CommandStatus.NOT_ENQUEUED


def test_a_block_may_commit_itself(queue: mpscnn.CommandQueue) -> None:
    with queue.command_buffer() as commands:
        commands.commit()
    assert commands.status == CommandStatus.COMPLETED


@pytest.mark.parametrize(
    "action",
    [
        mpscnn.CommandBuffer.commit,
        mpscnn.CommandBuffer.enqueue,
        lambda commands: commands.add_completed_handler(print),
        lambda commands: add_one().encode(commands, mpscnn.Image.from_numpy(X)),
    ],
)
def test_a_committed_buffer_takes_nothing_more(
    queue: mpscnn.CommandQueue, action: Callable[[mpscnn.CommandBuffer], object]
) -> None:
    commands = queue.command_buffer()
    commands.commit()
    with pytest.raises(mpscnn.StateError, match="has been committed already"):
        action(commands)


def test_a_buffer_is_enqueued_once(queue: mpscnn.CommandQueue) -> None:
    commands = queue.command_buffer()
    commands.enqueue()
    with pytest.raises(mpscnn.StateError, match="enqueued already"):
        commands.enqueue()


def test_waiting_needs_a_commit(queue: mpscnn.CommandQueue) -> None:
    with pytest.raises(mpscnn.StateError, match="has not been committed"):
        queue.command_buffer().wait()


def test_images_in_use_cannot_be_touched(queue: mpscnn.CommandQueue) -> None:
    gate = Gate(queue)
    commands = queue.command_buffer()
    source = mpscnn.Image.from_numpy(X)
    result = add_one().encode(commands, source)
    commands.commit()
    for image in (source, result):
        with pytest.raises(mpscnn.StateError, match="in use by a command buffer that has not completed"):
            image.numpy()
    gate.opened.set()
    commands.wait()
    np.testing.assert_array_equal(result.numpy(), source.numpy() + 1)


def test_a_queue_finishes_what_is_committed_before_it_goes() -> None:
    queue = mpscnn.CommandQueue("cpu", threads=1)
    results = []
    for _ in range(5):
        commands = queue.command_buffer()
        results.append(add_one().encode(commands, mpscnn.Image.from_numpy(X)))
        commands.commit()
    del queue, commands
    gc.collect()
    for result in results:
        np.testing.assert_array_equal(result.numpy(), X + 1)


def test_queues_of_several_threads_run_at_once() -> None:
    def work(results: list[Any]) -> None:
        queue = mpscnn.CommandQueue("cpu", threads=1)
        for i in range(50):
            with queue.command_buffer() as commands:
                image = add_one().encode(commands, mpscnn.Image.from_numpy(X + np.float32(i)))
            results.append(image.numpy())

    collected: list[list[Any]] = [[] for _ in range(4)]
    threads = [threading.Thread(target=work, args=(results,)) for results in collected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for results in collected:
        for i, result in enumerate(results):
            np.testing.assert_array_equal(result, X + np.float32(i) + 1)


def test_a_network_between_kernels(queue: mpscnn.CommandQueue) -> None:
    network = mpscnn.Network(input=(6, 7, 8))
    hidden = network.conv2d(network.input, 5, 3, padding="same", name="conv")
    network.output(hidden)
    network.output(network.dense(hidden, 3, name="dense"))
    network.initialize_weights()
    session = network.compile(device="cpu").session(threads=1)
    with queue.command_buffer() as commands:
        images = session.encode(commands, add_one().encode(commands, mpscnn.Image.from_numpy(X)))
        assert isinstance(images, dict)
        after = add_one().encode(commands, images["dense"])
    expected = session.run((X + 1)[None])
    assert isinstance(expected, dict)
    np.testing.assert_array_equal(images["conv"].numpy(), expected["conv"][0])
    np.testing.assert_array_equal(after.numpy(), expected["dense"][:, None] + 1)


def test_images_that_do_not_fit_a_network_are_refused(queue: mpscnn.CommandQueue) -> None:
    network = mpscnn.Network(input=(6, 7, 8))
    network.output(network.activation(network.input, "relu"))
    session = network.compile(device="cpu").session(threads=1)
    with pytest.raises(mpscnn.ParameterError, match=r"Session\.encode: expected an Image, got ndarray"):
        session.encode(queue.command_buffer(), X)  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ShapeError, match="expected"):
        session.encode(queue.command_buffer(), mpscnn.Image(7, 6, 9))


def test_devices_without_queues_are_refused() -> None:
    with pytest.raises(mpscnn.ParameterError, match="device must be auto, cpu, metal"):
        mpscnn.CommandQueue("fpga")
    with pytest.raises(mpscnn.ParameterError, match="threads must be"):
        mpscnn.CommandQueue("cpu", threads=0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_makes_its_own_queue() -> None:
    script = """
import os, sys, warnings
import numpy as np
import mpscnn
warnings.simplefilter("ignore", DeprecationWarning)
kernel = mpscnn.kernels.Neuron(mpscnn.kernels.NeuronDescriptor("linear", 1.0, 1.0))
def once(queue):
    with queue.command_buffer() as commands:
        image = kernel.encode(commands, mpscnn.Image.from_numpy(np.ones((2, 2, 4), np.float32)))
    return (image.numpy() == 2).all()
queue = mpscnn.CommandQueue("cpu", threads=2)
pending = queue.command_buffer()
assert once(queue)
child = os.fork()
if child == 0:
    try:
        once(queue)
    except mpscnn.StateError as error:
        assert "forked" in str(error)
        sys.exit(0 if once(mpscnn.CommandQueue("cpu", threads=2)) else 3)
    sys.exit(4)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) or (0 if once(queue) else 5))
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120, env=os.environ)


def test_handlers_run_before_the_interpreter_goes() -> None:
    script = """
import numpy as np
import mpscnn
kernel = mpscnn.kernels.Neuron(mpscnn.kernels.NeuronDescriptor("linear", 1.0, 1.0))
queue = mpscnn.CommandQueue("cpu", threads=1)
image = mpscnn.Image.from_numpy(np.ones((64, 64, 64), np.float32))
for i in range(20):
    commands = queue.command_buffer()
    image = kernel.encode(commands, image)
    commands.add_completed_handler(lambda commands, i=i: print(i, flush=True))
    commands.commit()
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        timeout=120,
        env=os.environ,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == [str(i) for i in range(20)]
    assert done.stderr == ""
