"""Classify photos in Parquet files on the machines of a Ray cluster, and write the classes.

python examples/python/ray_cluster.py python/mpscnn/samples/photos classes [ADDRESS]
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import mpscnn

PHOTOS_IN_A_FILE = 1000


def pack(photos: Path, target: Path) -> None:
    """Write the photos of a folder as Parquet files, because a few large files are read faster than many small ones."""
    target.mkdir(parents=True)
    paths = sorted(path for path in photos.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    for start in range(0, len(paths), PHOTOS_IN_A_FILE):
        part = paths[start : start + PHOTOS_IN_A_FILE]
        columns = {"name": [path.name for path in part], "photo": [path.read_bytes() for path in part]}
        pq.write_table(pa.table(columns), target / f"{start:012}.parquet", row_group_size=100)


def main(photos: str, target: str, address: str | None = None) -> None:
    """Pack the photos, classify them on the cluster, and print the classes."""
    shards, classes = Path(target) / "photos", Path(target) / "classes"
    pack(Path(photos), shards)
    rows = mpscnn.ray.map(shards, "cifar10_mobilenet_v2", top=1, address=address)
    rows.write_parquet(str(classes))  # each machine writes its own files
    table = pq.read_table(classes)
    failed = len(table) - table.column("error").null_count
    print(f"{len(table)} photos, {failed} failed")
    for entry in table.column("predictions").drop_null().to_pylist():
        print(f"{entry[0]['probability']:6.1%}  {entry[0]['label']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
