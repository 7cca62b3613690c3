"""Test `mpscnn.ray` on a cluster of two nodes: every photo appears once and in order, even if nodes or workers die."""

from __future__ import annotations

import json
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import photo_models
import pytest
from command_line import COLOURS, LABELS, Command, save_colour_model, save_photo
from PIL import Image

import mpscnn
from mpscnn._private.installation import install_command
from mpscnn.apps.cli.app import insert_default_address
from mpscnn.apps.ray import node
from mpscnn.apps.ray.cluster import translate_errors
from mpscnn.apps.ray.output import writer
from mpscnn.apps.ray.rows import result_columns, row_from_result
from mpscnn.apps.ray.sources import Columns

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
ray = pytest.importorskip("ray", reason="Ray is not installed: nox -s ray")
pytest.importorskip("ray.data", reason="Ray Data is not installed: nox -s ray", exc_type=ImportError)
pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed: nox -s ray")

# Ray leaves sockets and files open until the end of the process, and warns about future changes.
pytestmark = pytest.mark.filterwarnings("ignore")


#: A command that is killed at its seventh row.
KILLED = """
import os, signal
from mpscnn.apps.cli import main
from mpscnn.apps.cli.row_file import RowFile
add, calls = RowFile.add, []
def add_or_die(*given, **options):
    calls.append(given)
    if len(calls) == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return add(*given, **options)
RowFile.add = add_or_die
main()
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    memory = {"object_store_memory": 100_000_000, "num_cpus": 1}
    made = Cluster(initialize_head=True, head_node_args={**memory, "include_dashboard": False})
    made.second = made.add_node(**memory)
    ray.init(address=made.address, logging_level="ERROR", log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with photos in two subfolders, a file that is no photo, and a subfolder without photos."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(24):
        place = folder / ("first" if number < 12 else "second")
        place.mkdir(exist_ok=True)
        save_photo(place / f"{number:03}.png", list(COLOURS)[number % 4])
    (folder / "first" / "007.png").write_bytes(b"no photo")
    return folder


def rows_of(dataset: Any) -> list[dict[str, Any]]:
    return [
        row
        for table in dataset.iter_batches(batch_size=None, batch_format="pyarrow")
        for row in table.to_pylist()
    ]


def names_of(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*.png"))


def without_progress(stderr: str) -> list[str]:
    """Return the lines without those about the progress, which a slow machine prints."""
    return [line for line in stderr.splitlines() if " per second, " not in line]


def without_times(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "milliseconds"}


def test_a_folder_becomes_rows_in_order(cluster: Any, photos: Path, tmp_path: Path) -> None:
    path = save_colour_model(tmp_path / "colours.safetensors")
    rows = rows_of(mpscnn.ray.map(photos, path, top=2))
    assert [row["image"] for row in rows] == names_of(photos)
    model = mpscnn.load(path)
    for row in rows:
        if row["image"].endswith("007.png"):
            assert row["error_kind"] == "ImageError"
            assert row["error"].startswith(f"{row['image']}: is not an image")
            assert row["predictions"] is None
            continue
        expected = model.classify(row["image"], top=2).to_dict()
        assert row["error"] is None
        assert row["milliseconds"] > 0
        assert {name: row[name] for name in ("device", "precision", "predictions")} == {
            name: expected[name] for name in ("device", "precision", "predictions")
        }


def test_rows_of_calibrated_classifiers_say_how_unfamiliar_photos_are(
    cluster: Any, photos: Path, tmp_path: Path, command: Command
) -> None:
    path = save_colour_model(tmp_path / "colours.safetensors")
    model = mpscnn.load(path)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
    assert "unfamiliar" not in result_columns(model.task).names
    model.calibrate((pixels, np.arange(12) % 3)).save(path, dtype="float32")
    names, expected = names_of(photos)[:3], []
    for row, name in zip(rows_of(mpscnn.ray.map(names, path)), names, strict=True):
        expected.append(model.classify(name))
        assert row["unfamiliar"] == expected[-1].unfamiliar
        known = result_columns(model.task, calibrated=True).names
        assert set(row_from_result(expected[-1])) < {*known}  # Arrow leaves out what no column is for
    files = [tmp_path / name for name in ("cluster.csv", "here.csv")]
    for file, where in zip(files, (["--ray", "auto"], []), strict=True):
        command("classify", str(photos), "--model", str(path), "--output", str(file), *where)
    assert files[0].read_text() == files[1].read_text()
    with writer(tmp_path / "table.csv") as write:
        for table in mpscnn.ray.map(photos, path, top=5).iter_batches(
            batch_size=None, batch_format="pyarrow"
        ):
            write(table)
    assert (tmp_path / "table.csv").read_text() == files[0].read_text()
    source = pa.table({"path": names, "unfamiliar": ["a", "b", "c"]})
    rows = rows_of(
        mpscnn.ray.map(ray.data.from_arrow(source), save_colour_model(tmp_path / "plain.safetensors"))
    )
    assert [row["source_unfamiliar"] for row in rows] == ["a", "b", "c"]
    call = ("classify", *names, "--model", str(path), "--coverage", "0.5", "--json", "--ray")
    for line, one in zip(command(*call).stdout.splitlines(), expected, strict=True):
        shown = json.loads(line)
        assert shown["unfamiliar"] == one.unfamiliar
        assert [entry["index"] for entry in shown["predictions"]] == [entry.index for entry in one.set(0.5)]


def parquet_of(folder: Path, target: Path, form: str) -> list[str]:
    """Write the photos' bytes to two Parquet files. Return the photos' names in order."""
    names = names_of(folder)
    target.mkdir()
    for part, files in enumerate((names[:10], names[10:])):
        content = [Path(name).read_bytes() for name in files]
        numbers = list(range(len(files)))
        if form == "struct":
            pairs = [
                {"bytes": one, "path": Path(name).name} for one, name in zip(content, files, strict=True)
            ]
            table = pa.table({"image": pairs, "number": numbers})
        else:
            table = pa.table(
                {"jpeg": content, "name": [Path(name).name for name in files], "number": numbers}
            )
        pa.parquet.write_table(table, target / f"part{part}.parquet", row_group_size=4)
    return [Path(name).name for name in names]


@pytest.mark.parametrize("form", ["struct", "bytes"])
def test_parquet_of_bytes_becomes_rows_with_its_other_columns(
    cluster: Any, photos: Path, tmp_path: Path, form: str
) -> None:
    names = parquet_of(photos, tmp_path / "parquet", form)
    model = photo_models.load(tmp_path, "detection")
    rows = rows_of(mpscnn.ray.map(tmp_path / "parquet", model, score_threshold=0.06, max_detections=3))
    assert [row["image"] for row in rows] == names
    assert [row["number"] for row in rows] == [*range(10), *range(14)]
    for row, path in zip(rows, names_of(photos), strict=True):
        if "007" in path:
            assert row["error"].startswith("007.png: ")
            continue
        expected = model.detect(path, score_threshold=0.06, max_detections=3)
        assert (row["width"], row["height"]) == expected.photo_size
        found = [(one["label"], one["index"], one["score"], *one["box"]) for one in row["detections"]]
        assert found == expected.rows()


@pytest.mark.parametrize("form", ["struct", "bytes", "path"])
def test_a_cell_that_is_null_is_told_by_its_column(
    cluster: Any, photos: Path, tmp_path: Path, command: Command, form: str
) -> None:
    names = [name for name in names_of(photos) if "007" not in name][:2]
    content = [Path(name).read_bytes() for name in names]
    if form == "struct":
        both = {"bytes": content[0], "path": "a.png"}
        table = pa.table({"photo": [both, {"bytes": None, "path": "b.png"}, None, {**both, "path": None}]})
        place, called = "photo.bytes", ["a.png", "b.png", "(no name)", "(no name)"]
    elif form == "bytes":
        table = pa.table(
            {"photo": [content[0], None, None, content[1]], "name": ["a.png", "b.png", None, None]}
        )
        place, called = "photo", ["a.png", "b.png", "(no name)", "(no name)"]
    else:
        table = pa.table({"path": [names[0], None, None, names[1]]})
        place, called = "path", [names[0], "(no name)", "(no name)", names[1]]
    path = str(save_colour_model(tmp_path / "colours.safetensors"))
    pa.parquet.write_table(table, tmp_path / "a.parquet")
    source = ray.data.from_arrow(table) if form == "path" else tmp_path / "a.parquet"
    rows = rows_of(mpscnn.ray.map(source, path))
    assert [row["image"] for row in rows] == called
    assert [row["error"] is None for row in rows] == [True, False, False, True]
    for row, column in zip(rows[1:3], (place, place.removesuffix(".bytes")), strict=True):
        before = "" if form == "path" else f"{row['image']}: "
        assert row["error"] == f"{before}there is no photo in this row: its {column} is null"
        assert row["error_kind"] == "ImageError"
    if form == "bytes":
        ended = command("classify", str(tmp_path / "a.parquet"), "--model", path, "--csv", "--ray")
        assert ended.returncode == 1
        assert "error: (no name): there is no photo in this row: its photo is null\n" in ended.stderr
        assert ended.stdout.splitlines()[-1].startswith("(no name),")


def test_columns_called_like_results_are_kept_by_another_name(
    cluster: Any, photos: Path, tmp_path: Path
) -> None:
    name = names_of(photos)[0]
    others = {"image": ["i"], "model": ["m"], "error": ["e"], "source_model": ["s"], "width": [7]}
    table = pa.table({"jpeg": [Path(name).read_bytes()], "name": ["a.png"], **others})
    pa.parquet.write_table(table, tmp_path / "a.parquet")
    model = mpscnn.load(save_colour_model(tmp_path / "colours.safetensors"))
    dataset = mpscnn.ray.map(tmp_path / "a.parquet", model, photo_column="jpeg", name_column="name")
    (row,) = rows_of(dataset)
    assert (row["image"], row["model"], row["error"]) == ("a.png", model.name, None)
    assert row["predictions"][0]["label"] == model.classify(name).top(1)[0].label
    assert [row[f"source_{name}"] for name in ("image", "error", "model")] == ["i", "e", "s"]
    assert (row["source_source_model"], row["width"]) == ("m", 7)


def test_datasets_segmentations_and_layers(cluster: Any, photos: Path, tmp_path: Path) -> None:
    names = [name for name in names_of(photos) if "007" not in name][:5]
    model = photo_models.load(tmp_path, "segmentation")
    dataset = ray.data.from_items([{"path": name, "side": len(name)} for name in names])
    for row, name in zip(rows_of(mpscnn.ray.map(dataset, model)), names, strict=True):
        assert (row["image"], row["side"]) == (name, len(name))
        assert row["areas"] == model.segment(name).to_dict()["areas"]
    extractor = model.features(["scores"])
    for row, name in zip(rows_of(mpscnn.ray.map(names, model, layers="scores")), names, strict=True):
        np.testing.assert_array_equal(row["scores"], extractor.run(name)["scores"].reshape(-1))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"tops": 1}, mpscnn.ParameterError, "no option 'tops'; it has top, channel_order"),
        ({"top": 0}, mpscnn.ParameterError, "top"),
        ({"layers": ["nowhere"]}, mpscnn.ParameterError, "nowhere"),
        ({"threads": 0}, mpscnn.ParameterError, "threads"),
        ({"name_column": "name"}, mpscnn.ParameterError, "for Parquet files and datasets"),
        ({"address": "photos/"}, mpscnn.ParameterError, "is not a cluster"),
        ({"layers": []}, mpscnn.ParameterError, "layers is empty"),
        ({"address": "127.0.0.1:1"}, mpscnn.StateError, "has joined the cluster"),
    ],
)
def test_wrong_options_are_refused_before_anything_runs(
    cluster: Any, photos: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        mpscnn.ray.map(photos, "cifar10_mobilenet_v2", **options)


def test_wrong_sources_are_refused(cluster: Any, photos: Path, tmp_path: Path) -> None:
    def refused(source: Any, error: type[Exception], message: str, **options: Any) -> None:
        with pytest.raises(error, match=message):
            mpscnn.ray.map(source, "cifar10_mobilenet_v2", **options)

    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", mpscnn.ImageError, "has no photos in it")
    refused([], mpscnn.ImageError, "no photo is given")
    refused(7, mpscnn.ParameterError, "expected a folder, files or a dataset")
    refused("s3://photos/a.parquet", mpscnn.ParameterError, r"ray\.data\.read_parquet\('s3://")
    (tmp_path / "a.parquet").write_bytes(b"none")
    refused(tmp_path / "a.parquet", mpscnn.ImageError, "cannot be read as a Parquet file")
    refused([tmp_path / "a.parquet", photos], mpscnn.ParameterError, "one after the other")
    pa.parquet.write_table(pa.table({"a": [1], "b": [b"x"], "c": [b"y"]}), tmp_path / "b.parquet")
    refused(tmp_path / "b.parquet", mpscnn.ParameterError, "several columns that could be photos: b, c")
    refused(
        tmp_path / "b.parquet", mpscnn.ParameterError, "which column has the photos' names", photo_column="b"
    )
    refused(
        tmp_path / "b.parquet",
        mpscnn.ParameterError,
        "'a' is int64, not text",
        photo_column="b",
        name_column="a",
    )
    refused(tmp_path / "b.parquet", mpscnn.ParameterError, "no column 'd'", photo_column="d")
    other, kind = {"name": ["b"], "jpeg": [b"y"]}, {"name": ["b"], "bytes": [b"y"], "c": ["d"]}
    for name, later, error, message in (
        ("short", b"none", mpscnn.ImageError, r"b\.parquet: cannot be read as a Parquet file"),
        ("other", other, mpscnn.ParameterError, r"b\.parquet: has no column 'bytes'"),
        ("kind", kind, mpscnn.ParameterError, "not parts of one table: .* c "),
    ):
        folder = tmp_path / name
        folder.mkdir()
        pa.parquet.write_table(pa.table({"name": ["a"], "bytes": [b"x"], "c": [1]}), folder / "a.parquet")
        if isinstance(later, bytes):
            (folder / "b.parquet").write_bytes(later)
        else:
            pa.parquet.write_table(pa.table(later), folder / "b.parquet")
        refused(folder, error, message)


def test_damage_within_a_parquet_file_is_told_in_a_line(
    cluster: Any, tmp_path: Path, command: Command
) -> None:
    path = tmp_path / "a.parquet"
    pa.parquet.write_table(pa.table({"name": ["a"], "bytes": [bytes(500)]}), path, compression="none")
    content = bytearray(path.read_bytes())
    content[4:200] = b"\xaa" * 196  # the first four bytes name the format, and the pages follow
    path.write_bytes(content)
    ended = command("classify", str(path), "--ray")
    assert ended.returncode == 1
    assert "a.parquet" in ended.stderr
    (told,) = [line for line in ended.stderr.splitlines() if line.startswith("error: the cluster failed")]
    assert not any(word in told for word in ("Traceback", "line ", "\\x1b"))


def test_the_example_runs(
    cluster: Any, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = runpy.run_path(str(project / "examples" / "python" / "ray_cluster.py"))
    example["main"](str(project / "python/mpscnn/samples/photos"), str(tmp_path / "out"))
    counted, *found = capsys.readouterr().out.splitlines()
    assert counted == "3 photos, 0 failed"
    assert " 90.9%  cat" in found


# ---- Commands ------------------------------------------------------------------------------------------------------


def json_lines(text: str) -> list[dict[str, Any]]:
    return [without_times(json.loads(line)) for line in text.splitlines()]


def test_classify_prints_what_it_prints_without_and_writes_it(
    cluster: Any, photos: Path, tmp_path: Path, command: Command
) -> None:
    path = str(save_colour_model(tmp_path / "colours.safetensors"))
    arguments = "classify", str(photos), "--model", path, "--top", "2"
    alone, ray_lines = command(*arguments, "--json"), command(*arguments, "--json", "--ray")
    assert ray_lines.returncode == alone.returncode == 1
    assert json_lines(ray_lines.stdout) == json_lines(alone.stdout)
    assert without_progress(ray_lines.stderr)[:-1] == alone.stderr.splitlines()
    assert re.search(r"\n24 photos, 1 failed, .* photos/s, \d machines\n$", ray_lines.stderr)

    output = tmp_path / "out.parquet"
    written = command(*arguments, "--ray", "--output", str(output))
    assert (written.returncode, written.stdout) == (1, "")
    assert written.stderr.endswith(f"{output} is written\n")
    table = pa.parquet.read_table(output)
    assert table.column("image").to_pylist() == names_of(photos)
    for ending, form in (("jsonl", "--json"), ("csv", "--csv")):
        target = tmp_path / f"out.{ending}"
        with writer(target) as write:
            write(table.slice(0, 9))
            write(table.slice(9))
        text = target.read_text("utf-8")
        if ending == "csv":
            assert text == command(*arguments, form).stdout
        else:
            assert json_lines(text) == json_lines(alone.stdout)


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_a_killed_command_continues_and_leaves_no_process(
    cluster: Any, photos: Path, tmp_path: Path, command: Command, ending: str
) -> None:
    """SIGKILL leaves the rows so far, and no program on a machine. The command continues with Ray and without."""
    path, target = str(save_colour_model(tmp_path / "colours.safetensors")), tmp_path / f"rows.{ending}"
    given = ["classify", str(photos), "--model", path, "--output", str(target)]
    killed = [sys.executable, "-c", KILLED, *given, "--ray", cluster.address]
    ended = subprocess.run(killed, capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert sorted(one.name for one in tmp_path.iterdir() if one.name.startswith("rows")) == [
        f"rows.{ending}.lock",
        f"rows.{ending}.part",
    ]
    end = time.monotonic() + 60
    while programs := [
        one for one in ray.util.list_named_actors(all_namespaces=True) if one["namespace"] == "mpscnn"
    ]:
        assert time.monotonic() < end, programs
        time.sleep(0.5)
    again = command(*given, *(["--ray", cluster.address] if ending == "csv" else []))
    assert again.returncode == 1
    assert "the rows of 6 of 24 photos are there already" in again.stderr
    assert f"{target} is written: 24 photos, 1 failed" in again.stderr
    alone = command(*given[:4], f"--{ending.replace('jsonl', 'json')}").stdout
    if ending == "csv":
        assert target.read_text("utf-8") == alone
    else:
        assert json_lines(target.read_text("utf-8")) == json_lines(alone)
    assert not Path(f"{target}.part").exists()


def test_outputs_that_cannot_be_are_told_at_once(
    cluster: Any, photos: Path, tmp_path: Path, command: Command
) -> None:
    there = tmp_path / "there.parquet"
    there.write_text("a result")
    for name, told in (
        (str(there), "exists already"),
        ("out.png", "expected a name that ends in .parquet, .jsonl, .csv"),
        (str(tmp_path / "no" / "out.csv"), "cannot be written: No such file"),
    ):
        ended = command("classify", str(photos), "--ray", "--output", name)
        assert ended.returncode == 2
        assert told in ended.stderr
    assert there.read_text() == "a result"
    ended = command("classify", "a.mp4", "--ray")
    assert ended.returncode == 2
    assert "a video is computed on one machine" in ended.stderr
    ended = command("evaluate", "--idx", "a", "--idx-labels", "b", "--ray")
    assert ended.returncode == 2
    assert "an IDX file is read on one machine" in ended.stderr


def test_features_are_those_of_one_machine(
    cluster: Any, photos: Path, tmp_path: Path, command: Command
) -> None:
    photo_models.load(tmp_path, "segmentation")
    arguments = "features", str(photos / "second"), "--model", str(tmp_path / "segmentation.safetensors")
    shown = []
    for name, options in (("one", ()), ("many", ("--ray",))):
        output = str(tmp_path / f"{name}.npz")
        ended = command(*arguments, "--layers", "scores", "--output", output, "--json", *options)
        assert ended.returncode == 0, ended.stderr
        shown.append({**json.loads(ended.stdout), "file": ""})
    assert shown[0] == shown[1]
    with np.load(tmp_path / "one.npz") as one, np.load(tmp_path / "many.npz") as many:
        assert set(one) == set(many) == {"errors", "photos", "scores"}
        for name in one:
            np.testing.assert_array_equal(one[name], many[name])


def figures(text: str) -> dict[str, Any]:
    return {
        name: value
        for name, value in json.loads(text).items()
        if not name.startswith(("seconds", "images_per"))
    }


def test_evaluations_have_the_figures_of_one_machine(cluster: Any, tmp_path: Path, command: Command) -> None:
    def compare(*arguments: str) -> None:
        alone = command("evaluate", *arguments, "--json")
        many = command("evaluate", *arguments, "--json", "--ray")
        assert many.returncode == alone.returncode
        assert without_progress(many.stderr) == alone.stderr.splitlines()
        assert figures(many.stdout) == figures(alone.stdout)

    classes = tmp_path / "classes"
    for number in range(12):  # some photos are in the wrong folder
        place = classes / LABELS[number % 3]
        place.mkdir(parents=True, exist_ok=True)
        save_photo(place / f"{number}.png", LABELS[(number + number // 9) % 3])
    (classes / "red" / "bad.png").write_bytes(b"no photo")
    compare(str(classes), "--model", str(save_colour_model(tmp_path / "colours.safetensors")))

    photos, masks = tmp_path / "photos", tmp_path / "masks"
    photos.mkdir()
    masks.mkdir()
    for number, photo in enumerate(photo_models.photos(6)):
        Image.fromarray(photo).save(photos / f"{number}.png")
        mask = np.arange(photo[..., 0].size).reshape(photo.shape[:2]) % 5
        Image.fromarray(np.where(mask > 2, 255, mask).astype(np.uint8)).save(masks / f"{number}.png")
    (masks / "4.png").write_bytes(b"no mask")
    for task in ("segmentation", "detection"):
        photo_models.load(tmp_path, task)
    compare(str(photos), "--model", str(tmp_path / "segmentation.safetensors"), "--masks", str(masks))

    pytest.importorskip("pycocotools", reason="pycocotools is not installed")
    images = [{"id": number, "file_name": f"{number}.png"} for number in range(6)]
    boxes = [
        {"image_id": number, "category_id": 1 + number % 2, "bbox": [3, 4, 20, 9]} for number in range(6)
    ]
    kinds = [{"id": number, "name": name} for number, name in enumerate(LABELS, start=1)]
    (tmp_path / "boxes.json").write_text(
        json.dumps({"images": images, "categories": kinds, "annotations": boxes})
    )
    compare(
        *(str(photos), "--model", str(tmp_path / "detection.safetensors")),
        *("--annotations", str(tmp_path / "boxes.json")),
    )


def test_errors_of_machines_are_told_as_they_are(cluster: Any) -> None:
    def fail(_: Any) -> Any:
        raise mpscnn.DeviceError("there is no such device here")

    dataset = ray.data.from_items([1]).map_batches(fail)
    with pytest.raises(mpscnn.DeviceError) as caught, translate_errors(ray):
        dataset.materialize()
    assert (type(caught.value), str(caught.value)) == (mpscnn.DeviceError, "there is no such device here")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--ray", "a.jpg"], ["--ray=", "a.jpg"]),
        (["a.jpg", "--ray"], ["a.jpg", "--ray="]),
        (["--ray", "10.0.0.1:6379", "a.jpg"], ["--ray", "10.0.0.1:6379", "a.jpg"]),
        (["--ray", "auto"], ["--ray", "auto"]),
        (["--ray=[::1]:1", "a"], ["--ray=[::1]:1", "a"]),
        (["--", "--ray", "a"], ["--", "--ray", "a"]),
    ],
)
def test_an_address_behind_the_option_is_one_only_if_it_looks_so(
    arguments: list[str], expected: list[str]
) -> None:
    assert insert_default_address(arguments) == expected


def test_ray_that_is_missing_is_named(photos: Path) -> None:
    program = (
        "import sys\n"
        "sys.modules['ray'] = None\n"
        "import mpscnn\n"
        "try: mpscnn.ray.map(sys.argv[1], 'cifar10_mobilenet_v2')\n"
        "except mpscnn.UnsupportedError as error: print(error)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(photos)], capture_output=True, text=True, check=True
    )
    assert ended.stdout.startswith(f"many machines need Ray Data: {install_command('ray')}")


def test_clusters_that_do_not_answer_are_told(photos: Path) -> None:
    with socket.socket() as silent, socket.socket() as closed:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        closed.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in (silent, closed)]
        program = (
            "import sys, mpscnn\n"
            "for address in sys.argv[2:]:\n"
            "    try: mpscnn.ray.map(sys.argv[1], 'cifar10_mobilenet_v2', address=address)\n"
            "    except mpscnn.Error as error: print(type(error).__name__, error)\n"
        )
        command = [sys.executable, "-c", program, str(photos), *addresses, "ray://127.0.0.1:1"]
        ended = subprocess.run(command, capture_output=True, text=True, check=True)
    timed_out, refused, client = ended.stdout.splitlines()
    assert re.match(rf"DeviceError the cluster {addresses[0]} does not answer: timed out", timed_out)
    assert re.match(rf"DeviceError the cluster {addresses[1]} does not answer: Connection refused", refused)
    assert re.match(r"UnsupportedError ray://127\.0\.0\.1:1: Ray's client is not used", client)


# ---- Deaths of processes and machines ------------------------------------------------------------------------------


class Dying:
    def run(self, table: Any) -> None:
        os._exit(1)


def test_a_batch_over_which_processes_die_ends_the_job(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = Columns("jpeg", "bytes", "name")
    job = node.Job("mpscnn-test", None, node.Work("classification", {}, None, columns))
    started: list[Any] = []

    def program(*_: Any) -> Any:
        started.append(ray.remote(Dying).options(num_cpus=0).remote())
        return started[-1]

    monkeypatch.setattr(node, "_program", program)
    monkeypatch.setattr(node, "_ATTEMPTS", 2)
    table = pa.table({"name": ["a.jpg", "b.jpg"], "jpeg": [b"a", b"b"]})
    with pytest.raises(mpscnn.DeviceError, match=r"died 2 times over the photos a\.jpg to b\.jpg"):
        node.compute_table(job, table)
    assert len(started) == 2


def test_a_killed_process_and_a_killed_machine_lose_no_photo(cluster: Any, photos: Path) -> None:
    third = cluster.add_node(num_cpus=1, object_store_memory=100_000_000)
    paths = [name for _ in range(40) for name in names_of(photos)]
    dataset = mpscnn.ray.map(paths, "cifar10_mobilenet_v2", top=1)
    rows: list[dict[str, Any]] = []
    programs: list[dict[str, str]] = []
    machines: set[str] = set()
    for table in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
        if not rows:
            end = time.monotonic() + 120
            while len(machines) < 3 and time.monotonic() < end:  # until a task has begun on each machine
                time.sleep(0.01)
                programs = [
                    one
                    for one in ray.util.list_named_actors(all_namespaces=True)
                    if one["namespace"] == "mpscnn"
                ]
                machines = {one["name"].rpartition("-")[2] for one in programs}
            own = next(one for one in programs if one["name"].endswith(cluster.head_node.node_id))
            ray.kill(ray.get_actor(own["name"], namespace="mpscnn"))
            cluster.remove_node(third, allow_graceful=False)
        rows += table.to_pylist()
    assert third.node_id in machines
    assert len(machines) == len({one.node_id for one in (cluster.head_node, cluster.second, third)})
    assert [row["image"] for row in rows] == paths
    assert [row["image"] for row in rows if row["error"] is not None] == [n for n in paths if "007" in n]
    labels = {row["image"]: row["predictions"][0]["label"] for row in rows if row["predictions"]}
    assert all(row["predictions"][0]["label"] == labels[row["image"]] for row in rows if row["predictions"])
