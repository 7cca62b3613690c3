"""Many machines: a cluster of two on this one. Every photo once and in order, whatever dies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import photo_models
import pytest
from command_line import COLOURS, save_colour_model, save_photo

import mpscnn

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
ray = pytest.importorskip("ray", reason="Ray is not installed: nox -s ray")
pytest.importorskip("ray.data", reason="Ray Data is not installed: nox -s ray", exc_type=ImportError)
pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed: nox -s ray")

# Ray's own: sockets and files that it leaves to the end of the process, and what will change in it.
pytestmark = pytest.mark.filterwarnings("ignore")


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
    """Photos of several colours in two folders, one that is none, and a folder that has none."""
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


def parquet_of(folder: Path, target: Path, form: str) -> list[str]:
    """Two Parquet files of the photos' bytes; their names in order."""
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


def test_a_killed_process_and_a_killed_machine_lose_no_photo(cluster: Any, photos: Path) -> None:
    third = cluster.add_node(num_cpus=1, object_store_memory=100_000_000)
    paths = [name for _ in range(40) for name in names_of(photos)]
    dataset = mpscnn.ray.map(paths, "cifar10_mobilenet_v2", top=1)
    rows: list[dict[str, Any]] = []
    machines: set[str] = set()
    for table in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
        if not rows:  # all have begun, and none has done more than a part
            programs = [
                one for one in ray.util.list_named_actors(all_namespaces=True) if one["namespace"] == "mpscnn"
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
