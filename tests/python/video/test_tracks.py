"""Follow objects from frame to frame, and count those that cross a line."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Command
from constant_detector import save_constant_detector
from PIL import Image, ImageDraw
from video.crossings import SEEDS, crossings

import mpscnn
from mpscnn.apps.video.assignment import best_pairs
from mpscnn.apps.video.following import Following
from mpscnn.apps.video.tracker import Tracker
from mpscnn.training.scenes.average_precision import overlaps_of
from mpscnn.vision.box import Box
from mpscnn.vision.found_object import Detection

#: Pairs of objects and tracks on the drawn crossings: trackeval 1.3.0 finds these, and no identity switch.
#: `python tests/python/video/crossings.py` prints its numbers.
PAIRS = (701, 693, 698, 696, 711, 690, 710, 689)


@pytest.mark.parametrize("seed", range(6))
def test_pairs_have_the_largest_sum_that_scipy_finds(seed: int) -> None:
    optimize = pytest.importorskip("scipy.optimize", reason="scipy is not installed")
    draw = np.random.default_rng(seed)
    for _ in range(10):
        values = draw.uniform(0, 1, draw.integers(0, 9, 2)) * (draw.random() < 0.8)
        least = float(draw.choice([0.1, 0.5, 0.8]))
        pairs = best_pairs(values, least)
        rows, columns = [one for one, _ in pairs], [one for _, one in pairs]
        assert len(set(rows)) == len(set(columns)) == len(pairs)
        assert all(values[pair] >= least for pair in pairs)
        gains = np.maximum(values - least, 0)
        assert gains[rows, columns].sum() == pytest.approx(
            gains[optimize.linear_sum_assignment(-gains)].sum()
        )


@pytest.mark.parametrize(("seed", "pairs"), [*zip(SEEDS, PAIRS, strict=True)])
def test_objects_that_cross_keep_their_identities(seed: int, pairs: int) -> None:
    """Each object has one identity, and each identity one object, on as many frames as trackeval 1.3.0 counts."""
    tracker, met = Tracker(0.5), Counter[tuple[int, int | None]]()
    for truth, found in crossings(seed):
        tracked = tracker.update(found)
        likeness = overlaps_of(
            np.array([box for _, box in truth]).reshape(-1, 4),
            np.array([one.box for one in tracked]).reshape(-1, 4),
        )
        for i, j in best_pairs(likeness, 0.5):
            met[truth[i][0], tracked[j].track] += 1
    assert sum(met.values()) == pairs
    assert len({thing for thing, _ in met}) == len({track for _, track in met}) == len(met) == 8


def frame(*boxes: tuple[float, float], score: float = 0.9, label: int = 0) -> list[Detection]:
    """Return objects of 40 x 40 pixels with these centres."""
    return [Detection("ab"[label], score, Box(x - 20, y - 20, x + 20, y + 20), label) for x, y in boxes]


def test_a_track_bridges_a_gap_and_keeps_its_class() -> None:
    tracker = Tracker(0.5)
    assert [one.track for one in tracker.update(frame((50, 50), (200, 50)))] == [1, 2]
    for i in range(1, 6):
        tracker.update(frame((50 + 4 * i, 50), (200, 50)))
    for _ in range(10):
        assert [one.track for one in tracker.update(frame((200, 50)))] == [2]
    assert [one.track for one in tracker.update(frame((114, 50), (200, 50)))] == [1, 2]
    assert [one.track for one in tracker.update(frame((118, 50), (200, 50), score=0.2))] == [1, 2]
    assert tracker.update(frame((122, 50), label=1)) == []  # another class, seen once
    assert [one.track for one in tracker.update(frame((122, 50), label=1))] == [3]


def counted(line: Any, *centres: tuple[float, float]) -> dict[str, tuple[int, int]]:
    """Return the crossings of an object that is at one centre after the other."""
    following = Following(mpscnn.load("page_digits"), {"score_threshold": 0.5}, line)
    result: Any = None
    for centre in centres:
        found = tuple(frame(centre))
        result = following.follow(mpscnn.Detections(found, (320, 320), "cpu", "float32", "", 1.0))
    return {label: tuple(number) for label, number in result.counts.items()}


@pytest.mark.parametrize(
    ("line", "way", "expected"),
    [
        ((100, 200, 100, 0), (80, 95, 110), {"a": (0, 1)}),
        (((100, 200), (100, 0)), (80, 95, 110), {"a": (0, 1)}),  # two points
        ((100, 0, 100, 200), (80, 95, 110), {"a": (1, 0)}),  # the other direction
        ((100, 200, 100, 0), (80, 90, 100, 110), {"a": (0, 1)}),  # a centre on the line
        ((100, 200, 100, 0), (80, 90, 100, 90), {}),  # it returns
        ((100, 200, 100, 0), (90, 105, 95, 105), {"a": (1, 2)}),
        ((100, 200, 100, 110), (80, 95, 110), {}),  # beside an end of the line
    ],
)
def test_a_crossing_counts_once_in_its_direction(line: Any, way: tuple[float, ...], expected: Any) -> None:
    assert counted(line, *((x, 100) for x in way)) == expected


@pytest.fixture(scope="module")
def rings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 15 pictures, on which one ring moves to the right, and another one to the left."""
    folder = tmp_path_factory.mktemp("rings")
    for i in range(15):
        page = Image.new("L", (320, 320), 230)
        for left, top in ((20 + 16 * i, 90), (262 - 16 * i, 190)):
            ImageDraw.Draw(page).ellipse((left, top, left + 36, top + 50), outline=40, width=6)
        page.save(folder / f"{i:02}.png")
    return folder


LINE = "160,320,160,0"
COUNTS = {"0": {"left": 1, "right": 1}}


def test_results_have_identities_counts_and_drawings(rings: Path) -> None:
    line = (160, 320, 160, 0)
    results = [r for _, r in mpscnn.video(rings, mpscnn.load("page_digits"), track=True, count_line=line)]
    assert all(sorted(result.tracks) == [1, 2] for result in results)
    assert results[0].counts == {}
    last = results[-1]
    assert isinstance(last, mpscnn.TrackedDetections)
    assert last.counts == {"0": (1, 1)}
    assert [row[-1] for row in last.rows()] == list(last.tracks)
    assert last.columns[-1] == "track"
    assert "#1 0" in repr(next(one for one in last if one.track == 1))
    picture = np.asarray(last.draw(rings / "14.png").convert("RGB"))
    assert (picture[250, 160] == (255, 0, 0)).all()


def test_json_csv_text_and_files_have_identities_and_counts(
    command: Command, rings: Path, tmp_path: Path
) -> None:
    call = ("detect", str(rings), "--model", "page_digits", "--track", "--count-line", LINE)
    lines = [json.loads(line) for line in command(*call, "--json").stdout.splitlines()]
    assert all(sorted(one["track"] for one in line["detections"]) == [1, 2] for line in lines)
    assert (lines[0]["counts"], lines[-1]["counts"]) == ({}, COUNTS)
    rows = list(csv.DictReader(io.StringIO(command(*call, "--csv").stdout)))
    assert len(rows) == 30
    assert {row["track"] for row in rows} == {"1", "2"}
    text = command(*call).stdout
    assert "crossed the line: 0: 1 to the left, 1 to the right" in text
    assert "track" in text
    for name in ("rows.csv", "rows.jsonl"):
        assert command(*call, "--output", str(tmp_path / name)).returncode == 0
    assert list(csv.DictReader(io.StringIO((tmp_path / "rows.csv").read_text()))) == rows
    assert json.loads((tmp_path / "rows.jsonl").read_text().splitlines()[-1])["counts"] == COUNTS


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--count-line", LINE), "counts objects that --track follows"),
        (("--track", "--count-line", "1,2,3"), "must be four numbers in pixels"),
        (("--track", "--count-line", "1,2,3,x"), "must be four numbers in pixels"),
        (("--track", "--count-line", "1,2,1,2"), "two distinct ends"),
        (("--track", "--ray", "127.0.0.1:1"), "--ray"),
    ],
)
def test_commands_refuse_what_they_cannot_follow(
    command: Command, rings: Path, options: tuple[str, ...], said: str
) -> None:
    ended = command("detect", str(rings), "--model", "page_digits", *options)
    assert ended.returncode != 0
    assert said in " ".join(ended.stderr.replace("│", " ").split())


def test_photos_have_no_tracks(command: Command, rings: Path) -> None:
    ended = command("detect", str(rings / "00.png"), "--model", "page_digits", "--track")
    assert ended.returncode != 0
    assert "is for one video" in ended.stderr


def test_functions_refuse_what_they_cannot_follow(rings: Path, tmp_path: Path) -> None:
    detector = mpscnn.load(save_constant_detector(tmp_path / "constants.safetensors"))
    with pytest.raises(mpscnn.ParameterError, match="give track=True, too"):
        mpscnn.video(rings, detector, count_line=(0, 0, 1, 1))
    for line in ((0, 0, 1), (0, 0, 1, float("nan")), "0,0,1,1", ((0, 0), (1, 1, 1))):
        with pytest.raises(mpscnn.ParameterError, match="four numbers"):
            mpscnn.video(rings, detector, track=True, count_line=line)  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ParameterError, match="the task of this model is classification"):
        mpscnn.video(rings, mpscnn.load(), track=True)
