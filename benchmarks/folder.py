"""Compare `mpscnn classify FOLDER` with loops of torch's DataLoader and of onnxruntime with a pool of threads.

    python benchmarks/folder.py [--photos N] [--size 1280x720] [--rounds N]

All classify the same JPEG files by MobileNetV2 with random weights, which takes as long as a trained one, on all
processors. torch runs frozen TorchScript with batches that two worker processes decode by Pillow; onnxruntime runs in
the threads that decode by OpenCV, with one thread a run. Each engine is a new process, and they take turns. It runs
with a quarter of the photos and with all of them, so the difference is the time of photos without the start.
"Of the processors" is the processor time divided by the time and the number of processors. The memory is the largest
sum of Pss of a process and its workers, seen four times a second. Linux only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import random_network, table_head, table_row
from service_load import descendants
from service_memory import memory

from mpscnn.runtime.library import available_processors

SIDE = 224
WORKERS = 2
"""The worker processes of the DataLoader, and the threads of the pool for onnxruntime."""
BATCH = 25
OURS = "mpscnn classify"
_SECONDS_BETWEEN_LOOKS = 0.25


def torch_loop(model: Path, paths: list[Path], threads: int) -> int:
    """Classify photos in batches that worker processes decode. Return the number of photos."""
    import numpy as np
    import torch
    from PIL import Image

    class Photos:  # a dataset of torch needs these two functions only
        def __len__(self) -> int:
            return len(paths)

        def __getitem__(self, index: int) -> torch.Tensor:
            with Image.open(paths[index]) as image:
                resized = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
            return torch.from_numpy(np.array(resized))

    torch.set_num_threads(threads)
    notes: dict[str, Any] = {"fusion": ""}  # written by torch_writer.py
    loaded = torch.jit.load(str(model), _extra_files=notes).eval().to(memory_format=torch.channels_last)
    torch.jit.enable_onednn_fusion(notes["fusion"] == b"right")
    network = torch.jit.freeze(loaded)
    classes: list[int] = []
    with torch.inference_mode():
        for pixels in torch.utils.data.DataLoader(Photos(), BATCH, num_workers=WORKERS):
            images = pixels.permute(0, 3, 1, 2).float().mul_(1 / 127.5).sub_(1)
            scores = network(images)
            classes += (scores[0] if isinstance(scores, tuple) else scores).argmax(1).tolist()
    return len(classes)


def onnxruntime_loop(model: Path, paths: list[Path], _: int) -> int:
    """Classify photos in a pool of threads. Return the number of photos."""
    import cv2
    import numpy as np
    import onnxruntime

    cv2.setNumThreads(1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options)
    given = session.get_inputs()[0]

    def label(path: Path) -> int:
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        assert pixels is not None
        small = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        values = small.astype(np.float32) * np.float32(1 / 127.5) - np.float32(1)
        if given.shape[3] != 3:
            values = np.ascontiguousarray(values.transpose(2, 0, 1))
        return int(session.run(None, {given.name: values[None]})[0].argmax())

    with ThreadPoolExecutor(WORKERS) as pool:
        return len(list(pool.map(label, paths)))


LOOPS: dict[str, tuple[str, Callable[[Path, list[Path], int], int]]] = {
    "torch, DataLoader": ("model.pt", torch_loop),
    "onnxruntime, threads": ("model.onnx", onnxruntime_loop),
}


@dataclass(frozen=True)
class Run:
    """One process: its seconds, its processor seconds, and the largest memory in megabytes."""

    seconds: float
    processor: float
    memory: float


def run(command: list[str]) -> Run:
    """Run a command, and measure it and its workers."""
    begun, largest = time.perf_counter(), 0.0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while True:
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        with suppress(OSError):  # a process may end meanwhile
            largest = max(largest, sum(memory(each) for each in descendants(process.pid)))
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    seconds = time.perf_counter() - begun
    assert process.stderr is not None
    said = process.stderr.read().decode()
    process.stderr.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} failed:\n{said}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, largest)


def write_all(folder: Path, size: tuple[int, int], count: int) -> dict[str, Path]:
    """Write photos, and the models of all engines. Return the folders with a quarter of the photos and with all."""
    from peer_files.torch_writer import write_torch
    from photo_plan import write_photos

    originals = folder / "originals"
    originals.mkdir()
    written = write_photos(originals, size, 90)
    folders = {"few": folder / "few", "all": folder / "all"}
    for name, number in (("few", count // 4), ("all", count)):
        folders[name].mkdir()
        for i in range(number):
            shutil.copy(written[i % len(written)], folders[name] / f"{i:05}.jpg")
    network = random_network()
    network.save(folder / "model.safetensors", preprocess="tensorflow")
    network.save(folder / "model.onnx")
    write_torch(network, (BATCH, SIDE, SIDE, 3), folder / "model.pt")
    return folders


def measured(folder: Path, options: argparse.Namespace) -> dict[str, dict[str, list[Run]]]:
    width, height = map(int, options.size.split("x"))
    photos = write_all(folder, (width, height), options.photos)
    classify = ["-m", "mpscnn", "classify", "--model", str(folder / "model.safetensors"), "--device", "cpu"]
    commands = {OURS: [sys.executable, *classify, "--json"]}
    for name, (file, _) in LOOPS.items():
        commands[name] = [sys.executable, __file__, "--loop", name, "--torch-threads"]
        commands[name] += [str(options.torch_threads), str(folder / file)]
    runs: dict[str, dict[str, list[Run]]] = {name: {"few": [], "all": []} for name in commands}
    for _ in range(options.rounds):
        for name, command in commands.items():
            for amount, given in photos.items():
                runs[name][amount].append(run([*command, str(given)]))
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--torch-threads", type=int, default=1, help="of each run of torch; default: 1")
    parser.add_argument("--loop", nargs=1, choices=LOOPS, help=argparse.SUPPRESS)
    parser.add_argument("files", nargs="*", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.loop:
        model, photos = options.files
        LOOPS[options.loop[0]][1](model, sorted(photos.iterdir()), options.torch_threads)
        return
    processors = available_processors()
    with tempfile.TemporaryDirectory() as folder:
        runs = measured(Path(folder), options)
    count = options.photos - options.photos // 4
    print(
        f"{options.photos} photos of {options.size}, {processors} processors, minimum of {options.rounds}.\n"
    )
    columns = "processor ms a photo", "ms a photo", "of the processors", "processor s, all"
    print(table_head("engine", *columns, "memory of a quarter, MB", "memory of all, MB", "mpscnn / it"))
    ours = 0.0
    for name, each in runs.items():
        few, every = each["few"], each["all"]
        processor = min(one.processor for one in every) - min(one.processor for one in few)
        seconds = min(one.seconds for one in every) - min(one.seconds for one in few)
        ours = ours or processor
        shares = [one.processor / one.seconds / processors for one in every]
        cells = [f"{1000 * processor / count:.2f}", f"{1000 * seconds / count:.2f}", f"{max(shares):.2f}"]
        cells += [f"{min(one.processor for one in every):.2f}"]
        cells += [f"{statistics.median(one.memory for one in amount):.0f}" for amount in (few, every)]
        print(table_row([name, *cells, f"{ours / processor:.2f}"]), flush=True)


if __name__ == "__main__":
    main()
