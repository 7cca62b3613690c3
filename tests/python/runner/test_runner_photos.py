"""Test the runner on photos: its classifications, detections, segmentations and features equal the model's."""

from __future__ import annotations

from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import photo_models
import pytest
from command_line import save_colour_model, save_photo
from PIL import Image

import mpscnn

PHOTOS = [(color, (20 + i, 30 - i)) for i, color in enumerate(["red", "green", "blue"] * 4)]


@pytest.mark.parametrize("max_batch", [1, 3])
@pytest.mark.parametrize("task", photo_models.NETWORKS)
def test_results_are_those_of_predict(tmp_path: Path, task: str, max_batch: int) -> None:
    model = photo_models.load(tmp_path, task)
    for options in photo_models.OPTIONS[task]:
        photo_models.check_runner(
            model, photo_models.photos(24), options, max_batch=max_batch, max_wait=0.01, inflight=3
        )


def test_the_networks_of_these_tests_tell_photos_apart(tmp_path: Path) -> None:
    first, second = photo_models.photos(2)
    for task in photo_models.NETWORKS:
        model = photo_models.load(tmp_path, task)
        assert not photo_models.same(model.predict(first), model.predict(second))
    found = photo_models.load(tmp_path, "detection").predict(first, score_threshold=0.05)
    assert len(found) > 1


@pytest.fixture
def model(tmp_path: Path) -> mpscnn.Model:
    return mpscnn.load(save_colour_model(tmp_path / "colours.safetensors"))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [save_photo(tmp_path / f"{i}.png", color, size) for i, (color, size) in enumerate(PHOTOS)]


@pytest.mark.parametrize("task", ["classification", "detection"])
def test_results_are_drawn_on_the_photo_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(Image.Image, "show", lambda picture: shown.append(np.asarray(picture)))
    model, photo = photo_models.load(tmp_path, task), photo_models.photos(1)[0]
    with mpscnn.Runner(model) as runner:
        result = runner.submit(photo).result()
    result.show()
    result = replace(result, photo=None)
    page = result._repr_html_()
    assert "<img" not in page
    assert "the result does not keep its photo" in page
    assert "<table>" in page
    with pytest.raises(mpscnn.ImageError, match=r"does not keep its photo; give it: draw\(photo\)"):
        result.draw()
    expected = model.predict(photo)
    result.show(photo)
    expected.show()
    np.testing.assert_array_equal(shown[0], np.asarray(expected.draw()))
    np.testing.assert_array_equal(shown[1], shown[0])
    np.testing.assert_array_equal(shown[2], shown[0])


def test_a_photo_that_cannot_be_read_fails_alone(
    model: mpscnn.Model, files: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "damaged.png").write_bytes(files[0].read_bytes()[:60])
    stream: list[Any] = [files[0], tmp_path / "missing.png", files[1], tmp_path / "damaged.png", files[2]]
    with mpscnn.Runner(model, max_batch=3, max_wait=0.01) as runner:
        results = list(runner.map(stream, return_exceptions=True, top=1))
        assert [results[i].predictions[0].label for i in (0, 2, 4)] == ["red", "green", "blue"]
        assert "missing.png: cannot be read" in str(results[1])
        assert "damaged.png" in str(results[3])
        with pytest.raises(mpscnn.ParameterError, match="top must be"):
            runner.submit(files[0], top=0)
        with pytest.raises(TypeError, match="no option 'out'; frames of this runner have top"):
            runner.submit(files[0], out=None)


def test_models_that_take_no_photos_are_refused(tmp_path: Path) -> None:
    network = mpscnn.Network(input=(None, None, 3), name="free")
    network.output(network.conv2d(network.input, 2, 3))
    network.initialize_weights()
    network.save(tmp_path / "free.safetensors")
    with pytest.raises(mpscnn.UnsupportedError, match=r"no preprocessing.*--set preprocess=NAME.*/infer"):
        mpscnn.Runner(mpscnn.load(tmp_path / "free.safetensors"))


@pytest.mark.parametrize(
    ("task", "option", "message"),
    [
        ("detection", {"score_threshold": 0.0}, "score_threshold must be above 0 and at most 1, got 0.0"),
        ("detection", {"iou_threshold": 2}, "iou_threshold must be"),
        ("detection", {"max_detections": True}, "max_detections must be"),
        ("classification", {"top": -1}, "top must be"),
    ],
)
def test_options_are_checked_when_a_frame_is_submitted(
    tmp_path: Path, task: str, option: dict[str, Any], message: str
) -> None:
    (photo,) = photo_models.photos(1)
    with mpscnn.Runner(photo_models.load(tmp_path, task)) as runner:
        with pytest.raises(mpscnn.ParameterError, match=message):
            runner.submit(photo, **option)
        with pytest.raises(mpscnn.ParameterError, match=message):
            runner.map([photo], **option)
        with pytest.raises(
            TypeError, match="Runner: there is no option 'bogus'; frames of this runner have "
        ):
            runner.submit(photo, bogus=1)
        runner.submit(photo).result()


@pytest.mark.parametrize("task", photo_models.NETWORKS)
def test_a_result_that_cannot_be_made_fails_alone(tmp_path: Path, task: str) -> None:
    """A photo with NaN fails, and other photos in its batch do not."""
    model = photo_models.load(tmp_path, task)
    photos = [photo.astype(np.float32) / 255 for photo in photo_models.photos(4)]
    photos[2][:] = np.nan
    with mpscnn.Runner(model, max_batch=4, max_wait=1.0) as runner:
        results = list(runner.map(photos, return_exceptions=True))
    assert isinstance(results[2], mpscnn.ParameterError)
    assert "nan" in str(results[2]).lower()
    for i in (0, 1, 3):
        assert photo_models.same(results[i], model.predict(photos[i]))


def test_detections_in_order_with_failures_and_cancelled_frames(tmp_path: Path) -> None:
    model = photo_models.load(tmp_path, "detection")
    photos = photo_models.photos(7)
    expected = [model.predict(photo) for photo in photos]
    ends: list[int] = []
    with mpscnn.Runner(model, inflight=2, max_batch=2) as runner:
        futures = []
        for i in range(400):
            future = runner.submit("missing.png" if i % 11 == 5 else photos[i % 7])
            future.add_done_callback(lambda _, i=i: ends.append(i))  # type: ignore[misc]
            if i % 13 == 7:
                future.cancel()
            futures.append(future)
    assert sorted(ends) == list(range(400))
    kept = [
        i for i in ends if not futures[i].cancelled()
    ]  # `cancel` itself calls the callbacks of cancelled frames
    assert kept == sorted(kept)
    for i, future in enumerate(futures):
        if future.cancelled():
            assert i % 13 == 7
        elif i % 11 == 5:
            assert isinstance(future.exception(), mpscnn.ImageError)
        else:
            assert photo_models.same(future.result(), expected[i % 7])


def test_closing_cancels_photos_that_have_not_begun(tmp_path: Path) -> None:
    model = photo_models.load(tmp_path, "segmentation")
    (photo,) = photo_models.photos(1)
    runner = mpscnn.Runner(model, inflight=4, threads=1, max_batch=8, max_wait=1000)
    first = runner.submit(photo)  # waits until the batch has seven other photos
    runner.close(cancel=True)
    with pytest.raises(CancelledError):
        first.result()
    with pytest.raises(mpscnn.StateError, match="the runner is closed"):
        runner.submit(photo)


def test_features_are_those_of_the_extractor(tmp_path: Path) -> None:
    model = photo_models.load(tmp_path, "classification")
    extractor = model.features(["pool", "dense"])
    frames = [*photo_models.photos(9), np.zeros((2, 8, 8, 3), np.float32)]
    with mpscnn.Runner(extractor, max_batch=2, max_wait=0.01) as runner:
        for frame, result in zip(frames, runner.map(frames), strict=True):
            expected = extractor.run(frame)
            assert list(result) == list(expected) == ["pool", "dense"]
            for layer in expected:
                np.testing.assert_array_equal(result[layer], expected[layer])
        with pytest.raises(mpscnn.ParameterError, match="a frame of a feature extractor is one photo"):
            runner.submit(frames[:2]).result()
        with pytest.raises(TypeError, match="no option 'top'; frames of this runner have no options"):
            runner.submit(frames[0], top=1)


def test_features_without_preprocessing_take_arrays_only() -> None:
    network = mpscnn.Network(input=(4, 4, 3), name="plain")
    network.output(network.conv2d(network.input, 2, 3, name="conv"))
    network.initialize_weights()
    extractor = mpscnn.FeatureExtractor(network, "conv")
    with mpscnn.Runner(extractor) as runner:
        assert runner.submit(np.zeros((1, 4, 4, 3), np.float32)).result()["conv"].shape == (1, 2, 2, 2)
        with pytest.raises(mpscnn.UnsupportedError, match="does not say how a photo becomes its input"):
            runner.submit(np.zeros((4, 4, 3), np.uint8)).result()
