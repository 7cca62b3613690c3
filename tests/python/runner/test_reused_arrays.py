"""Test arrays that their owner writes again, as cameras and decoders do: what is read later is copied or refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import photo_models
import pytest
from numpy.typing import NDArray
from PIL import Image
from runner_frames import doubling_program, value_of

import mpscnn
from mpscnn.evaluation.photo_stream import iterate_results
from mpscnn.quantization.inputs import to_arrays

SHADES = [0, 120, 250] * 4
SIZE = 24


def camera(write: Callable[[int], Any], frame: Any) -> Iterator[Any]:
    """Yield one object for all frames, after its memory was written."""
    for shade in SHADES:
        write(shade)
        yield frame


def array_frames() -> tuple[Callable[[int], Any], Any]:
    frame = np.zeros((SIZE, SIZE, 3), np.uint8)
    return lambda shade: frame.fill(shade), frame


def strided_frames() -> tuple[Callable[[int], Any], Any]:
    whole = np.zeros((2 * SIZE, 2 * SIZE, 3), np.uint8)
    return lambda shade: whole.fill(shade), whole[::2, ::2]


def read_only_frames() -> tuple[Callable[[int], Any], Any]:
    whole = np.zeros((SIZE, SIZE, 3), np.uint8)
    frame = whole.view()
    frame.flags.writeable = False
    return lambda shade: whole.fill(shade), frame


def buffer_frames() -> tuple[Callable[[int], Any], Any]:
    memory = bytearray(SIZE * SIZE * 3)

    def write(shade: int) -> None:
        memory[:] = bytes([shade]) * len(memory)

    return write, memoryview(memory).cast("B", (SIZE, SIZE, 3))


def float_frames() -> tuple[Callable[[int], Any], Any]:
    frame = np.zeros((SIZE, SIZE, 3), np.float32)
    return lambda shade: frame.fill(shade / 255), frame


def yuv_frames() -> tuple[Callable[[int], Any], Any]:
    y, u = np.zeros((SIZE, SIZE), np.uint8), np.full((SIZE // 2, SIZE), 128, np.uint8)
    return lambda shade: y.fill(shade), mpscnn.YuvImage(y, u, range="full")


def opened_frames() -> tuple[Callable[[int], Any], Any]:
    frame = np.zeros((SIZE, SIZE, 3), np.uint8)
    return lambda shade: frame.fill(shade), mpscnn.open_photo(frame)


KINDS = [
    array_frames,
    strided_frames,
    read_only_frames,
    buffer_frames,
    float_frames,
    yuv_frames,
    opened_frames,
]


@pytest.mark.parametrize("kind", KINDS)
def test_each_frame_of_one_memory_has_its_own_result(tmp_path: Path, kind: Callable[[], Any]) -> None:
    model = photo_models.load(tmp_path, "classification")
    write, frame = kind()
    expected = [model.predict(frame).probabilities for _ in camera(write, frame)]
    with mpscnn.Runner(model) as runner:
        mapped = list(runner.map(camera(write, frame)))
        futures = [runner.submit(one) for one in camera(write, frame)]
        submitted = [future.result() for future in futures]

        async def collected() -> list[Any]:
            async def frames() -> AsyncIterator[Any]:
                for one in camera(write, frame):
                    yield one

            return [result async for result in runner.map(frames())]

        awaited = asyncio.run(collected())
    samples = zip(camera(write, frame), SHADES, strict=True)
    evaluated = [found for _, _, found in iterate_results(model, samples, 3, model.run_options)]
    for found in (mapped, submitted, awaited, evaluated):
        assert [result.probabilities.tolist() for result in found] == [one.tolist() for one in expected]
        shades = [np.asarray(result.draw())[0, 0, 0] for result in found]
        np.testing.assert_allclose(shades, SHADES, atol=1)


def test_arrays_of_programs_and_features_may_be_written_again() -> None:
    program = doubling_program()
    frame = np.zeros((1, 2, 2, 1), np.float32)
    values = [value / 8 for value in range(12)]

    def frames() -> Iterator[NDArray[np.float32]]:
        for value in values:
            frame[:] = value
            yield frame

    with mpscnn.Runner(program) as runner:
        assert [value_of(result) for result in runner.map(frames())] == values
        futures = [runner.submit({next(iter(program.inputs)): one}) for one in frames()]
        assert [value_of(future.result()) for future in futures] == values
    network = mpscnn.Network(input=(2, 2, 1), name="n")
    network.output(network.activation(network.input, {"kind": "linear", "a": 2.0}, name="twice"))
    extractor = mpscnn.Model(network).features(["twice"])
    with mpscnn.Runner(extractor) as runner:
        assert [value_of(result["twice"]) for result in runner.map(frames())] == values
    assert [float(one[next(iter(one))].max()) for one in to_arrays(network, frames(), "images")] == values


#: The types of masks, and how an array is given.
MASKS: dict[str, tuple[Any, Callable[[NDArray[Any]], Any]]] = {
    "uint8": (np.uint8, lambda mask: mask),
    "int64": (np.int64, lambda mask: mask),
    "uint16": (np.uint16, lambda mask: mask[:]),
    "Pillow": (np.uint8, lambda mask: Image.frombuffer("L", (SIZE, SIZE), mask, "raw", "L", 0, 1)),
    "buffer": (np.int32, memoryview),
}


@pytest.mark.parametrize("kind", MASKS)
def test_masks_that_are_written_again_are_those_of_their_photos(tmp_path: Path, kind: str) -> None:
    model = photo_models.load(tmp_path, "segmentation")
    dtype, given = MASKS[kind]
    photo, mask = np.zeros((SIZE, SIZE, 3), np.uint8), np.zeros((SIZE, SIZE), dtype)

    def pairs() -> Iterator[tuple[NDArray[np.uint8], Any]]:
        for shade in SHADES:
            photo[:], mask[:] = shade, shade // 120
            yield photo, given(mask)

    found = mpscnn.evaluate_segmenter(model, pairs())
    counts = found.confusion.sum(axis=1) / (SIZE * SIZE)
    assert counts[:3].tolist() == [SHADES.count(0), SHADES.count(120), SHADES.count(250)]


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.full((SIZE, SIZE), -100), "numbers -100 to -100; a mask has class numbers"),
        (np.full((SIZE, SIZE), 256, np.uint16), "numbers 256 to 256"),
        (np.zeros((SIZE, SIZE), np.float32), "the mask is .* float32"),
        (Image.new("RGB", (SIZE, SIZE)), "a Pillow image of mode RGB; supported are 1, L, P"),
    ],
)
def test_masks_of_other_numbers_are_refused(tmp_path: Path, mask: Any, message: str) -> None:
    model = photo_models.load(tmp_path, "segmentation")
    with pytest.raises((mpscnn.ImageError, mpscnn.ShapeError), match=message):
        mpscnn.evaluate_segmenter(model, [(np.zeros((SIZE, SIZE, 3), np.uint8), mask)])


@pytest.mark.parametrize("task", photo_models.NETWORKS)
def test_results_are_not_drawn_on_the_next_frame(tmp_path: Path, task: str) -> None:
    model = photo_models.load(tmp_path, task)
    frame = photo_models.photos(1)[0]
    result = model.predict(frame)
    before = np.asarray(result.draw())
    frame[:] = 255 - frame
    with pytest.raises(mpscnn.ImageError, match="written again"):
        result.draw()
    assert np.array_equal(before, np.asarray(result.draw(255 - frame)))
