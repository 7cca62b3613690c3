"""Tests of the runner on a GPU: order, failures of the device, batches."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import photo_models
import pytest
from metal.emulation import HELD, Emulation
from runner_frames import doubling_program, frame, value_of, with_pauses

import mpscnn


def test_ten_thousand_frames_come_in_order_each_once(emulation: Emulation) -> None:
    """Each frame has one result in order, despite pauses, frames of another size, and failing command buffers."""
    count, other_sizes = 10_000, 97
    chance = random.Random(11)
    injected = 0

    def frames() -> Iterator[Any]:
        nonlocal injected
        for i in range(count):
            # Let a command buffer fail, if the previous injected failure has already happened.
            if chance.random() < 0.02 and emulation.get("command_buffer_error") == 0:
                injected += 1
                emulation.set("command_buffer_error", 3)
            yield frame(i, size=3 if i % other_sizes == 0 else 2)

    failed: list[int] = []
    served = 0
    with mpscnn.Runner(doubling_program("metal"), inflight=4) as runner:
        results = runner.map(with_pauses(frames(), seed=1), return_exceptions=True)
        for i, result in enumerate(with_pauses(results, seed=2)):
            served += 1
            if i % other_sizes == 0:
                assert isinstance(result, mpscnn.ShapeError)
            elif isinstance(result, mpscnn.DeviceError):
                assert "(code 3)" in str(result)
                failed.append(i)
            else:
                assert value_of(result) == i
    assert served == count
    assert injected - 1 <= len(failed) <= injected  # no frame may follow the last injected failure
    assert len(failed) > 100


def test_results_are_those_of_the_cpu() -> None:
    network = mpscnn.Network(input=(9, 7, 6), name="small")
    x = network.conv2d(network.input, 8, 3, padding="same", activation="relu", name="conv")
    network.output(network.global_average_pool2d(x, name="pool"))
    network.initialize_weights(5)
    images = np.random.default_rng(0).uniform(-1, 1, (12, 1, 9, 7, 6)).astype(np.float32)
    session = network.compile(device="cpu").session()
    with mpscnn.Runner(network.compile(device="metal"), inflight=3, max_batch=4, max_wait=0.05) as runner:
        assert (runner.sessions, runner.permits) == (3, 12)
        for image, result in zip(images, runner.map(images), strict=True):
            np.testing.assert_allclose(result, session.run(image), rtol=1e-5, atol=1e-6)


def test_several_frames_are_on_the_gpu_at_once(emulation: Emulation) -> None:
    """Several frames are encoded while the emulation runs one command buffer after the other."""
    with mpscnn.Runner(doubling_program("metal"), inflight=3) as runner:
        for result in runner.map([frame(i) for i in range(6)]):
            assert result is not None
        emulation.set("worker_delay_ms", HELD)
        futures = [runner.submit(frame(i)) for i in range(3)]
        assert not futures[0].done()
        emulation.set("worker_delay_ms", 0)
        assert [value_of(future.result()) for future in futures] == [0, 1, 2]


def test_a_failing_batch_is_run_again_frame_by_frame(emulation: Emulation) -> None:
    with mpscnn.Runner(doubling_program("metal"), inflight=1, max_batch=4, max_wait=1000) as runner:
        emulation.set("command_buffer_error", 8)
        futures = [runner.submit(frame(i)) for i in range(4)]
        assert [value_of(future.result()) for future in futures] == [0, 1, 2, 3]


def test_check_finite_is_refused() -> None:
    with pytest.raises(mpscnn.UnsupportedError, match="check_finite"):
        mpscnn.Runner(doubling_program("metal"), check_finite=True)


@pytest.mark.parametrize("task", photo_models.NETWORKS)
def test_photos_give_what_predict_gives(tmp_path: Path, task: str) -> None:
    model = photo_models.load(tmp_path, task, "metal")
    for options in photo_models.OPTIONS[task]:
        photo_models.check_runner(model, photo_models.photos(8), options, max_batch=2, max_wait=0.01)


def test_features_are_those_of_the_extractor(tmp_path: Path) -> None:
    extractor = photo_models.load(tmp_path, "classification", "metal").features(["pool", "dense"])
    photos = photo_models.photos(4)
    with mpscnn.Runner(extractor, max_batch=2, max_wait=0.01) as runner:
        for photo, result in zip(photos, runner.map(photos), strict=True):
            for layer, values in extractor.run(photo).items():
                np.testing.assert_array_equal(result[layer], values)
