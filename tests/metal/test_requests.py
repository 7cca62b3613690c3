"""Tests of several requests in flight: results, failures, limits, lifetimes."""

from __future__ import annotations

import gc
import signal
import threading
import time
from typing import Any

import numpy as np
import pytest
from metal.emulation import HELD, Emulation

import mpscnn


def program(device: str = "metal") -> mpscnn.Program:
    net = mpscnn.Network(input=(9, 7, 6), name="requests")
    x = net.conv2d(net.input, 8, 3, padding="same", activation="relu", name="conv")
    net.output(net.global_average_pool2d(x, name="pool"))
    net.initialize_weights(5)
    return net.compile(device=device)


def image(seed: int) -> Any:
    return np.random.default_rng(seed).uniform(-1, 1, (1, 9, 7, 6)).astype(np.float32)


@pytest.mark.parametrize("device", ["metal", "cpu"])
@pytest.mark.parametrize("inflight", [1, 3, 32])
def test_results_are_those_of_run(device: str, inflight: int) -> None:
    session = program(device).session(inflight=inflight)
    expected = [session.run(image(i)) for i in range(10)]
    requests = [session.submit(image(i)) for i in range(10)]
    for request, right in zip(reversed(requests), reversed(expected), strict=True):
        np.testing.assert_array_equal(request.result(), right)
        assert request.done()
        assert request.result() is request.result()


def test_submit_returns_while_the_gpu_works(emulation: Emulation) -> None:
    session = program().session(inflight=2)
    session.run(image(0))
    emulation.set("worker_delay_ms", HELD)
    requests = [session.submit(image(i)) for i in range(2)]
    assert not requests[0].done()
    with pytest.raises(TimeoutError, match=r"not done after 0\.01 seconds"):
        requests[1].result(timeout=0.01)
    with pytest.raises(TimeoutError):
        requests[1].result(timeout=-1)
    with pytest.raises(mpscnn.ParameterError, match="got NaN"):
        requests[1].result(timeout=float("nan"))
    emulation.set("worker_delay_ms", 0)
    requests[1].result(timeout=60)
    assert requests[0].done()


@pytest.mark.parametrize("timeout", [None, 600.0])
def test_a_signal_interrupts_the_waiting(emulation: Emulation, timeout: float | None) -> None:
    class TimeLimit(Exception):
        pass

    def limit(*_: object) -> None:
        raise TimeLimit

    session = program().session()
    right = session.run(image(0))

    def result_interrupted() -> None:  # on a busy machine the signal may come before the wait
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        request.result(timeout)

    emulation.set("worker_delay_ms", 60_000)
    request = session.submit(image(0))
    before = signal.signal(signal.SIGALRM, limit)
    try:
        with pytest.raises(TimeLimit):
            result_interrupted()
        assert not request.done()
    finally:
        signal.signal(signal.SIGALRM, before)
        emulation.set("worker_delay_ms", 0)
    np.testing.assert_array_equal(request.result(timeout), right)


def test_one_more_than_may_be_under_way_waits(emulation: Emulation) -> None:
    session = program().session(inflight=2)
    session.run(image(0))
    emulation.set("worker_delay_ms", HELD)
    first = session.submit(image(0))
    second = session.submit(image(1))
    third: list[Any] = []
    submitting = threading.Thread(target=lambda: third.append(session.submit(image(2))))
    submitting.start()
    time.sleep(0.2)
    assert not third  # it waits for the first
    emulation.set("worker_delay_ms", 0)
    submitting.join()
    assert len(third) == 1
    # The first request gives its place to the third one just before it is done.
    for request in (first, second, *third):
        request.result()


def test_others_run_python_while_a_result_is_waited_for(emulation: Emulation) -> None:
    session = program().session()
    session.run(image(0))
    emulation.set("worker_delay_ms", 60_000)
    request = session.submit(image(0))
    waiting = threading.Thread(target=request.result)
    waiting.start()
    for _ in range(100):
        time.sleep(0.001)
    assert waiting.is_alive()
    emulation.set("worker_delay_ms", 0)
    waiting.join()


@pytest.mark.parametrize("code", [1, 2, 3, 4, 7, 8, 9, 10, 12])
def test_a_failure_belongs_to_its_request(emulation: Emulation, code: int) -> None:
    session = program().session()
    expected = session.run(image(1))
    emulation.set("worker_delay_ms", 20)
    emulation.set("command_buffer_error", code)
    failing, later = session.submit(image(0)), session.submit(image(1))
    for _ in range(2):
        with pytest.raises(
            mpscnn.DeviceError, match=rf"'requests' failed: .*\(code {code}\); if it fails again"
        ):
            failing.result()
    assert failing.done()
    np.testing.assert_array_equal(later.result(), expected)
    np.testing.assert_array_equal(session.run(image(1)), expected)


def test_what_cannot_be_started_is_raised_at_once(emulation: Emulation) -> None:
    session = program().session(inflight=1)
    emulation.set("fail_textures", 1)
    with pytest.raises(mpscnn.DeviceError, match="Metal cannot allocate an image"):
        session.submit(image(0))
    with pytest.raises(mpscnn.ShapeError, match="expected \\(n, 9, 7, 6\\)"):
        session.submit(np.zeros((1, 9, 7, 5), np.float32))
    # The failed request does not count against the limit any more.
    assert np.isfinite(session.submit(image(0)).result()).all()


def test_a_session_may_go_while_its_requests_are_under_way(emulation: Emulation) -> None:
    session = program().session()
    expected = session.run(image(0))
    emulation.set("worker_delay_ms", 50)
    request = session.submit(image(0))
    del session
    gc.collect()
    np.testing.assert_array_equal(request.result(), expected)


def test_requests_nobody_waits_for_are_finished(emulation: Emulation) -> None:
    """Requests keep their arrays alive, even if the caller drops all references."""
    session = program().session()
    out = np.zeros((1, 1, 1, 8), np.float32)
    expected = session.run(image(0))
    emulation.set("worker_delay_ms", 50)
    for _ in range(3):
        session.submit(image(0).copy(), out=out)
    session.submit(image(0), out=out)
    del session
    gc.collect()
    np.testing.assert_array_equal(out, expected)


def test_a_session_serves_one_thread_at_a_time(emulation: Emulation) -> None:
    session = program().session(inflight=1)
    emulation.set("worker_delay_ms", HELD)
    first = session.submit(image(0))
    refusals: list[str] = []

    def submit() -> None:
        """Wait in `submit` until the first is done, or be refused because the other thread waits there."""
        try:
            session.submit(image(1)).result()
        except mpscnn.StateError as error:
            refusals.append(str(error))

    threads = [threading.Thread(target=submit) for _ in range(2)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 60
    while not refusals and time.monotonic() < end:
        time.sleep(0.01)
    emulation.set("worker_delay_ms", 0)
    first.result()
    for thread in threads:
        thread.join()
    (refusal,) = refusals
    assert "running in another thread already" in refusal


def test_sessions_of_several_threads_share_the_device() -> None:
    shared = program()
    expected = [shared.session().run(image(i)) for i in range(4)]
    wrong: list[int] = []

    def work(i: int) -> None:
        session = shared.session(inflight=2)
        requests = [session.submit(image(i)) for _ in range(8)]
        if not all(np.array_equal(request.result(), expected[i]) for request in requests):
            wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# ---- Runs in several command buffers ----------------------------------------------------------------------------


def two_convolutions(kernels: Any) -> mpscnn.Program:
    """Compile a network with 60,480 multiplications in each of two layers of an image."""
    net = mpscnn.Network(input=(10, 7, 8), name="large")
    x = net.conv2d(net.input, 12, 3, padding="same", activation="relu")
    net.output(net.conv2d(x, 8, 3, padding="same", name="last"))
    net.initialize_weights(5)
    return net.compile(device="metal", metal_kernels=kernels)


LARGE = np.random.default_rng(2).uniform(-1, 1, (7, 10, 7, 8)).astype(np.float32)


@pytest.mark.parametrize(
    ("kernels", "millions", "command_buffers"),
    [
        ("mps", 20_000.0, 1),
        ("mps", 0.3, 4),  # at most two images, so the last command buffer computes one image again
        ("mps", 0.13, 7),  # one image
        ("mps", 0.001, 14),  # one image is too much, so each of its layers has a command buffer
        ("own", 0.9, 1),
        ("own", 0.5, 2),  # a layer is the least, because all images of a layer are one array
        ("own", 0.001, 2),
    ],
)
def test_a_large_batch_takes_several_command_buffers(
    emulation: Emulation, monkeypatch: pytest.MonkeyPatch, kernels: str, millions: float, command_buffers: int
) -> None:
    right = two_convolutions(kernels).session().run(LARGE)
    monkeypatch.setenv("MPSCNN_METAL_GMACS", str(millions / 1000))
    session = two_convolutions(kernels).session()
    before = emulation.get("command_buffers_made")
    np.testing.assert_array_equal(session.run(LARGE), right)
    assert emulation.get("command_buffers_made") - before == command_buffers
    request = session.submit(LARGE)
    np.testing.assert_array_equal(request.result(), right)
    assert len(session.profile(LARGE, runs=2).milliseconds) == 2


def residual(gmacs: str, monkeypatch: pytest.MonkeyPatch) -> mpscnn.Session:
    """Return a session of a network whose input and first results are read again by later layers."""
    monkeypatch.setenv("MPSCNN_METAL_GMACS", gmacs)
    net = mpscnn.Network(input=(6, 5, 8), name="residual")
    first = net.conv2d(net.input, 8, 3, padding="same", activation="relu")
    second = net.conv2d(net.max_pool2d(first, 3, strides=1, padding="same"), 8, 3, padding="same")
    third = net.conv2d(net.add(first, second), 8, 3, padding="same")
    net.output(net.concatenate([net.add(third, net.input), first]))
    net.output(net.global_average_pool2d(second))
    net.initialize_weights(5)
    return net.compile(device="metal").session(inflight=2)


@pytest.mark.parametrize(
    ("gmacs", "images", "command_buffers"),
    [
        ("0.00004", 1, 2),  # two convolutions of 17,280 multiplications, then the third
        ("0.00004", 3, 5),  # two of nine convolutions at a time
        ("0.000001", 1, 3),
        ("0.000001", 3, 9),
    ],
)
def test_the_layers_of_one_image_take_several_command_buffers(
    emulation: Emulation, monkeypatch: pytest.MonkeyPatch, gmacs: str, images: int, command_buffers: int
) -> None:
    x = LARGE[:images, :6, :5]
    right = residual("1", monkeypatch).run(x)
    session = residual(gmacs, monkeypatch)
    before = emulation.get("command_buffers_made")
    for result, expected in zip(session.run(x), right, strict=True):
        np.testing.assert_array_equal(result, expected)
    assert emulation.get("command_buffers_made") - before == command_buffers
    requests = [session.submit(LARGE[i : i + images, :6, :5]) for i in range(3)]
    for result, expected in zip(requests[0].result(), right, strict=True):
        np.testing.assert_array_equal(result, expected)
    assert len(session.profile(x, runs=1).milliseconds) == 1


@pytest.mark.parametrize("part", range(3))
def test_a_layer_that_cannot_be_encoded_fails_the_request(
    emulation: Emulation, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    session = residual("0.000001", monkeypatch)
    x = LARGE[:1, :6, :5]
    right = session.run(x)
    emulation.set("successes_first", part)
    emulation.set("fail_command_buffers", 1)
    with pytest.raises(mpscnn.DeviceError, match="Metal gives no command buffer"):
        session.run(x)
    for result, expected in zip(session.run(x), right, strict=True):
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("part", [0, 1, 3])
def test_a_part_that_cannot_be_encoded_fails_the_request(
    emulation: Emulation, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    monkeypatch.setenv("MPSCNN_METAL_GMACS", "0.0003")
    session = two_convolutions("mps").session(inflight=1)
    right = session.run(LARGE)
    emulation.set("successes_first", part)
    emulation.set("fail_command_buffers", 1)
    with pytest.raises(mpscnn.DeviceError, match="Metal gives no command buffer"):
        session.run(LARGE)
    np.testing.assert_array_equal(session.run(LARGE), right)


def test_a_part_that_fails_on_the_gpu_fails_the_request(
    emulation: Emulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPSCNN_METAL_GMACS", "0.0003")
    session = two_convolutions("mps").session(inflight=1)
    right = session.run(LARGE)
    emulation.set("command_buffer_error", 2)
    with pytest.raises(mpscnn.DeviceError, match="'large' failed"):
        session.run(LARGE)
    np.testing.assert_array_equal(session.run(LARGE), right)


@pytest.mark.parametrize("text", ["0", "-1", "x", "1x", "nan"])
def test_the_limit_must_be_a_positive_number(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    session = two_convolutions("mps").session()
    monkeypatch.setenv("MPSCNN_METAL_GMACS", text)
    with pytest.raises(mpscnn.ParameterError, match="MPSCNN_METAL_GMACS must be a positive number, got"):
        session.run(LARGE)
