"""Angles, keypoints and masks of YOLO files are those that a plain decoding of onnxruntime's results gives."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from converters.onnx_detectors import CLASSES, HEIGHT, POINTS, PROTOTYPES, WIDTH, named, yolo_v5, yolo_v8
from converters.onnx_files import Array, onnx, read, run_there
from PIL import Image

import mpscnn
from mpscnn.apps.ray.rows import result_from_row, row_from_result
from mpscnn.comparison.conversion_check import check_conversion
from mpscnn.converters import read_network
from mpscnn.vision.object_mask import mask_from_coco

pytest.importorskip("onnxruntime")

NAMES = "{0: 'plane', 1: 'ship', 2: 'crow'}"
SIDE = 150  # the photo is square, so the letterbox adds bars to its left and right
SCALE, BAR = SIDE / HEIGHT, (WIDTH - HEIGHT) / 2
LIMITS: dict[str, Any] = {"score_threshold": 0.3, "iou_threshold": 0.5}
METADATA = {
    "angle": {"task": "obb"},
    "points": {"task": "pose", "kpt_shape": f"[{POINTS}, 3]"},
    "places": {"task": "pose", "kpt_shape": f"({POINTS}, 2)"},
    "mask": {"task": "segment"},
}


def photo() -> Image.Image:
    return Image.fromarray(np.random.default_rng(5).integers(0, 256, (SIDE, SIDE, 3), np.uint8))


def made(extra: str, *, stated: bool = True) -> Any:
    """Return a file with a head of this kind. `stated`: it has the metadata that Ultralytics writes.

    "mask of v5" is the mask of a YOLOv5, whose metadata has the names of the classes only.
    """
    if extra == "mask of v5":
        graph, outputs = yolo_v5(masks=True)
        return named(graph.model(outputs), names=NAMES) if stated else graph.model(outputs)
    outputs = ["output0", "prototypes"] if extra == "mask" else ["output0"]
    model = yolo_v8(extra=extra).model(outputs)
    return named(model, names=NAMES, **METADATA[extra]) if stated else model


def results_of(model: Any, network: mpscnn.Network) -> list[Array]:
    """Return onnxruntime's results for the photo, without the batch; the rows of the first are boxes."""
    assert network.preprocess is not None
    x = mpscnn.preprocess(photo(), (HEIGHT, WIDTH), network.preprocess)
    first, *others = run_there(model, {"images": x.reshape(HEIGHT, WIDTH, 3).transpose(2, 0, 1)[None]})
    if (
        first.shape[2] == 5 + CLASSES + PROTOTYPES
    ):  # YOLOv5: the probability of an object is before the classes
        box, thing, classes, mask = np.split(first[0], [4, 5, 5 + CLASSES], axis=1)
        return [np.concatenate([box, classes * thing, mask], axis=1), *(one[0] for one in others)]
    return [first[0].T, *(one[0] for one in others)]


def detected(network: mpscnn.Network) -> mpscnn.Detections:
    return mpscnn.Model(network, device="cpu", precision="float32").detect(photo(), **LIMITS)


def on_photo(points: Array) -> Array:
    """Return points (..., 2) of the network's input in pixels of the photo."""
    return (points - [BAR, 0.0]) * SCALE


def probiou(a: Array, b: Array) -> float:
    """Return the overlap of two rotated boxes (x, y, width, height, angle) by Llerena et al. 2021."""

    def covariance(box: Array) -> Array:
        c, s = np.cos(box[4]), np.sin(box[4])
        turn = np.array([[c, -s], [s, c]])
        return np.asarray(turn @ np.diag(box[2:4] ** 2 / 12) @ turn.T)

    one, two = covariance(a), covariance(b)
    mean, way = (one + two) / 2, a[:2] - b[:2]
    distance = way @ np.linalg.inv(mean) @ way / 8
    distance += np.log(np.linalg.det(mean) / np.sqrt(np.linalg.det(one) * np.linalg.det(two))) / 2
    return float(1 - np.sqrt(1 - np.exp(-min(distance, 100.0))))


def iou(a: Array, b: Array) -> float:
    low, high = (
        np.maximum(a[:2] - a[2:4] / 2, b[:2] - b[2:4] / 2),
        np.minimum(a[:2] + a[2:4] / 2, b[:2] + b[2:4] / 2),
    )
    common = np.prod(np.maximum(high - low, 0))
    return float(common / (a[2] * a[3] + b[2] * b[3] - common))


def kept(rows: Array, overlap: Any) -> list[tuple[int, int]]:
    """Return the row and class of each object that remains after suppression, the best first."""
    places = np.argwhere(rows[:, 4 : 4 + CLASSES] >= LIMITS["score_threshold"])
    pairs = [(rows[i, 4 + label], i, label) for i, label in places]
    found: list[tuple[int, int]] = []
    for _, i, label in sorted(pairs, key=lambda one: -one[0]):
        box = np.append(rows[i, :4], rows[i, -1])
        same = [np.append(rows[j, :4], rows[j, -1]) for j, other in found if other == label]
        if all(overlap(box, one) <= LIMITS["iou_threshold"] for one in same):
            found.append((i, label))
    return found


def corners_of(row: Array) -> Array:
    c, s = np.cos(row[-1]), np.sin(row[-1])
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * row[2:4] / 2
    return np.asarray(on_photo(row[:2] + half @ np.array([[c, s], [-s, c]])))


def is_on_photo(points: Array) -> bool:
    low, high = points.min(axis=0).clip(0, SIDE), points.max(axis=0).clip(0, SIDE)
    return bool((low < high).all())


@pytest.mark.parametrize("stated", [True, False], ids=["stated", "by shapes"])
def test_rotated_boxes(stated: bool) -> None:
    model = made("angle", stated=stated)
    network = read(model)
    rows = results_of(model, network)[0].astype(np.float64)
    chosen = [(i, label) for i, label in kept(rows, probiou) if is_on_photo(corners_of(rows[i]))]
    found = detected(network)
    assert len(found) == len(chosen) > 5
    assert [one.index for one in found] == [label for _, label in chosen]
    expected = np.array([corners_of(rows[i]) for i, _ in chosen])
    np.testing.assert_allclose(found.corners, expected, atol=2e-2)
    edges = np.concatenate([expected.min(axis=1), expected.max(axis=1)], axis=1).clip(0, SIDE)
    np.testing.assert_allclose(found.boxes, edges, atol=2e-2)
    turns = [
        one.angle - rows[i, -1] for one, (i, _) in zip(found, chosen, strict=True) if one.angle is not None
    ]
    np.testing.assert_allclose((np.array(turns) + np.pi) % (2 * np.pi) - np.pi, 0.0, atol=2e-2)


@pytest.mark.parametrize("extra", ["points", "places"])
@pytest.mark.parametrize("stated", [True, False], ids=["stated", "by shapes"])
def test_keypoints(extra: str, stated: bool) -> None:
    model = made(extra, stated=stated)
    network = read(model)
    rows = results_of(model, network)[0].astype(np.float64)
    points = rows[:, 4 + CLASSES :].reshape(len(rows), POINTS, -1)
    expected = np.concatenate([on_photo(points[..., :2]), points[..., 2:]], axis=-1)
    if extra == "places":
        expected = np.append(expected, np.ones((*expected.shape[:2], 1)), axis=-1)
    chosen = [
        i
        for i, _ in kept(rows, iou)
        if is_on_photo(on_photo(rows[i, :2] + np.outer([-0.5, 0.5], rows[i, 2:4])))
    ]
    found = detected(network)
    assert len(found) == len(chosen) > 5
    np.testing.assert_allclose(found.keypoints, expected[chosen], atol=2e-2)


def upsampled(mask: Array) -> Array:
    """Return a mask at all pixels of the photo, interpolated bilinearly."""
    places = (np.arange(SIDE) + 0.5) / SCALE
    y, x = (
        (place / 4 - 0.5).clip(0, extent - 1)
        for place, extent in zip((places, places + BAR), mask.shape, strict=True)
    )
    low_y, low_x = y.astype(int), x.astype(int)
    high_y, high_x = (low_y + 1).clip(max=len(mask) - 1), (low_x + 1).clip(max=mask.shape[1] - 1)
    rows = mask[low_y] + (mask[high_y] - mask[low_y]) * (y - low_y)[:, None]
    return np.asarray(rows[:, low_x] + (rows[:, high_x] - rows[:, low_x]) * (x - low_x))


@pytest.mark.parametrize("stated", [True, False], ids=["stated", "by shapes"])
@pytest.mark.parametrize("extra", ["mask", "mask of v5"])
def test_masks(extra: str, stated: bool) -> None:
    model = made(extra, stated=stated)
    network = read(model)
    rows, prototypes = (one.astype(np.float64) for one in results_of(model, network))
    found = detected(network)
    edges = [on_photo(row[:2] + np.outer([-0.5, 0.5], row[2:4])) for row in rows]
    chosen = [i for i, _ in kept(rows, iou) if is_on_photo(edges[i])]
    assert len(found) == len(chosen) > 5
    middles = np.arange(SIDE) + 0.5
    areas = 0
    for one, i in zip(found, chosen, strict=True):
        numbers = upsampled(np.tensordot(rows[i, 4 + CLASSES :], prototypes, 1))
        (left, top), (right, bottom) = edges[i]
        inside = ((middles >= top) & (middles <= bottom))[:, None] & ((middles >= left) & (middles <= right))
        clear = (np.abs(numbers) > 1e-3) & ~np.isclose(middles, edges[i][:, :1], atol=0.05).any(axis=0)
        clear &= ~np.isclose(middles, edges[i][:, 1:], atol=0.05).any(axis=0)[:, None]
        assert one.mask is not None
        mask = one.mask.on_photo((SIDE, SIDE))
        assert mask.sum() == one.mask.area
        np.testing.assert_array_equal(mask[clear], (inside & (numbers > 0))[clear])
        areas += one.mask.area
    assert areas > 100


@pytest.mark.parametrize("extra", METADATA)
def test_the_command_prints_and_draws_them(
    extra: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read(made(extra)).save(tmp_path / "yolo.safetensors")
    photo().save(tmp_path / "photo.png")
    arguments = [
        str(tmp_path / "photo.png"),
        "--model",
        str(tmp_path / "yolo.safetensors"),
        "--output",
        str(tmp_path / "out"),
    ]
    assert call("detect", *arguments, "--json") == 0
    (line,) = capsys.readouterr().out.splitlines()
    one = json.loads(line)["detections"][0]
    assert one["label"] in NAMES
    assert len(one.get("corners", [])) == (4 if extra == "angle" else 0)
    assert len(one.get("keypoints", [])) == (POINTS if extra in ("points", "places") else 0)
    assert one.get("segmentation", {}).get("size") == ([SIDE, SIDE] if extra == "mask" else None)
    drawn = np.asarray(Image.open(tmp_path / "out" / "photo_detections.png").convert("RGB"))
    assert (drawn != np.asarray(photo())).any()


@pytest.mark.full
@pytest.mark.parametrize("extra", METADATA)
def test_the_conversion_is_proved(extra: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(made(extra), path)
    network = read_network([path])
    found, verdict = check_conversion(network, [path])
    assert found is not None, verdict
    assert found.equal, verdict


@pytest.mark.parametrize("extra", METADATA)
def test_saved_models_and_results_keep_them(extra: str, tmp_path: Path) -> None:
    network = read(made(extra))
    network.save(tmp_path / "yolo.safetensors", dtype="float32")
    found = mpscnn.load(tmp_path / "yolo.safetensors", device="cpu", precision="float32").detect(
        photo(), **LIMITS
    )
    assert found.detections == detected(network).detections
    again = pickle.loads(pickle.dumps(found))
    assert again.detections == found.detections
    if extra == "mask":
        for one, other in zip(found.masks, again.masks, strict=True):
            assert one is not None
            assert other is not None
            assert one.box == other.box
            np.testing.assert_array_equal(one.pixels, other.pixels)


def test_masks_are_written_as_cocos_tools_write_them() -> None:
    coco = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    rng = np.random.default_rng(2)
    for share in (0.0, 0.1, 0.5, 0.9, 1.0):
        for _ in range(20):
            height, width = (int(one) for one in rng.integers(1, 40, 2))
            top, left = int(rng.integers(height)), int(rng.integers(width))
            whole = np.zeros((height, width), bool)
            part = whole[top : top + int(rng.integers(1, 40)), left : left + int(rng.integers(1, 40))]
            part[...] = rng.random(part.shape) < share
            expected = coco.encode(np.asfortranarray(whole.astype(np.uint8)))
            expected["counts"] = expected["counts"].decode()
            mask = mask_from_coco(expected)
            np.testing.assert_array_equal(mask.on_photo((width, height)), whole)
            assert mask.to_coco((width, height)) == expected


def test_rows_of_tables_keep_masks() -> None:
    found = detected(read(made("mask")))
    again = result_from_row(row_from_result(found))
    assert isinstance(again, mpscnn.Detections)
    assert len(found) > 5
    for one, other in zip(found.masks, again.masks, strict=True):
        assert one is not None
        assert other is not None
        np.testing.assert_array_equal(one.on_photo((SIDE, SIDE)), other.on_photo((SIDE, SIDE)))


@pytest.mark.parametrize(
    ("extra", "metadata"),
    [
        ("angle", {"task": "pose"}),
        ("points", {"task": "obb"}),
        ("places", {"task": "detect"}),
        ("mask", {"task": "pose", "kpt_shape": "[9, 3]"}),
    ],
)
def test_columns_that_contradict_the_task_are_noted(extra: str, metadata: dict[str, str]) -> None:
    network = read(named(yolo_v8(extra=extra).model(["output0"]), names=NAMES, **metadata))
    assert network.detection is None
    assert "'output0' look like the boxes" in network.notes[0]


@pytest.mark.parametrize(
    ("part", "settings", "message"),
    [
        ("angles", {"output": "scores"}, "has 3 angles for a box, expected 1"),
        ("angles", {"output": "none"}, "has no output 'none'"),
        ("angles", {"output": ""}, "names no output"),
        ("keypoints", {"output": "boxes"}, "keypoints have 3"),
        ("masks", {"coefficients": "boxes", "prototypes": "scores"}, "prototypes of masks are"),
        ("masks", {"coefficients": "boxes"}, "prototypes"),
    ],
)
def test_settings_that_do_not_fit_are_refused(part: str, settings: dict[str, str], message: str) -> None:
    network = read(yolo_v8().model(["output0"]))
    assert network.detection is not None
    network.detection = {**network.detection.settings, part: settings}
    with pytest.raises(mpscnn.WeightsError, match=message):
        mpscnn.Model(network, device="cpu", precision="float32")
