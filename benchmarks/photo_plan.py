"""Measure the time that a photo takes on one core, stage by stage, and estimate many photos on many machines.

chrt -r 1 python benchmarks/photo_plan.py --photos 1e9 --machines 20 --cores 16 --core-hour 0.04

Seconds are of processor time, so that other programs count little. Photos are JPEG files of one size; the network is
MobileNetV2 with random weights, which takes as long as a trained one. Photos are read from the system's file cache. A
disk or network adds waiting time; the table has the needed bytes per second.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from harness import table_head, table_row
from PIL import Image

import mpscnn
from mpscnn.runtime.library import available_processors
from mpscnn.runtime.options import RunOptions
from mpscnn.runtime.session_pool import SessionPool

PHOTO = mpscnn.samples.photo("cat")
HOUR = 3600.0
FILES = 64


def write_photos(folder: Path, size: tuple[int, int], quality: int) -> list[Path]:
    """Write shifted copies of a photo with noise like a camera's, so that the files have the size of real photos."""
    random = np.random.default_rng(0)
    source = np.asarray(Image.open(PHOTO).convert("RGB").resize(size, Image.Resampling.BICUBIC), np.float32)
    paths = []
    for number in range(FILES):
        moved = np.roll(source, 7 * number, axis=1) + random.normal(0, 8, source.shape)
        stream = io.BytesIO()
        Image.fromarray(np.clip(moved, 0, 255).astype(np.uint8)).save(stream, "JPEG", quality=quality)
        paths.append(folder / f"{number:03}.jpg")
        paths[-1].write_bytes(stream.getvalue())
    return paths


def published_model(folder: Path, precision: Any) -> mpscnn.Model:
    network = mpscnn.models.mobilenet_v2()
    network.initialize_weights(seed=0)
    path = folder / "mobilenet_v2.safetensors"
    network.save(path, preprocess="tensorflow")
    return mpscnn.load(path, device="cpu", threads=1, precision=precision)


def core_milliseconds(call: Callable[[Path], object], paths: Sequence[Path], turns: int) -> float:
    """Return the processor time per photo in milliseconds: the median of several turns over all photos."""
    times = []
    for _ in range(turns):
        begun = time.process_time()
        for path in paths:
            call(path)
        times.append(time.process_time() - begun)
    return 1000 * statistics.median(times) / len(paths)


def ray_rate(model: mpscnn.Model, paths: Sequence[Path], count: int) -> float:
    """Return the photos per second of a local Ray cluster, from its first results on, without starting processes."""
    from mpscnn.apps.ray.cluster import connect

    connect("local", quiet=True).data.DataContext.get_current().enable_progress_bars = False
    listed = [paths[number % len(paths)] for number in range(count)]
    rows = mpscnn.ray.map(listed, model, top=5)
    done, begun, ended = 0, 0.0, 0.0
    for table in rows.iter_batches(batch_size=None, batch_format="pyarrow"):
        ended = time.perf_counter()
        if begun == 0.0:
            begun = ended
        else:
            done += len(table)
    return done / (ended - begun)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="500x375", help="of the photos, in pixels")
    parser.add_argument("--quality", type=int, default=90, help="of the JPEG files")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--photos", type=float, default=1e9)
    parser.add_argument("--machines", type=int, default=20)
    parser.add_argument("--cores", type=int, default=16, help="of each machine")
    parser.add_argument("--core-hour", type=float, default=0.04, help="the price of one core for an hour")
    parser.add_argument("--ray", type=int, metavar="N", help="N photos through a local cluster, too")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        paths = write_photos(Path(folder), (width, height), arguments.quality)
        model = published_model(Path(folder), arguments.precision)
        classify = partial(model.classify, top=5)
        size = statistics.mean(path.stat().st_size for path in paths)
        read = core_milliseconds(Path.read_bytes, paths, arguments.turns)
        decoded = core_milliseconds(mpscnn.open_photo, paths, arguments.turns) - read
        whole = core_milliseconds(classify, paths, arguments.turns)
        stages = {"reading": read, "decoding": decoded, "computing": whole - read - decoded, "whole": whole}
        processors = available_processors()
        model._sessions = SessionPool(model.program, RunOptions(threads=1))
        with ThreadPoolExecutor(processors) as pool:
            list(pool.map(classify, paths))
            begun = time.perf_counter()
            list(pool.map(classify, paths * arguments.turns))
            rate = len(paths) * arguments.turns / (time.perf_counter() - begun)
        by_ray = None if arguments.ray is None else ray_rate(model, paths, arguments.ray)
    print(f"{width} x {height} pixels, {size / 1000:.0f} kB a file, {model.program.precision}\n")
    print(table_head("stage", "ms of a core", "photos/s of a core", "core-hours"))
    for stage, milliseconds in stages.items():
        hours = arguments.photos * milliseconds / 1000 / HOUR
        print(table_row((stage, f"{milliseconds:.2f}", f"{1000 / milliseconds:.0f}", f"{hours:,.0f}")))
    cores = arguments.machines * arguments.cores
    hours = arguments.photos * whole / 1000 / HOUR
    print(f"\n{processors} threads of this machine: {rate:.0f} photos/s of the clock")
    if by_ray is not None:
        print(f"the same by mpscnn.ray.map on a local cluster: {by_ray:.0f} photos/s")
    print(f"{arguments.photos:g} photos: {arguments.photos * size / 1e12:.1f} TB, {hours:,.0f} core-hours")
    print(
        f"{arguments.machines} machines of {arguments.cores} cores: {hours / cores:.1f} hours, "
        f"{hours * arguments.core_hour:,.0f} at {arguments.core_hour} for a core-hour, "
        f"{1000 / whole * arguments.cores * size / 1e6:.0f} MB/s into each machine"
    )


if __name__ == "__main__":
    main()
