"""Compare the processor time of loading MobileNetV2 from a 14 MB ONNX file with that of onnxruntime.

Each line is a process of its own that imports the package and loads the file, with compiled Python code already on the
disk. The cache of conversions is empty, or has the converted file in it. The engines take turns.

    python benchmarks/loading.py --rounds 7
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from harness import keep_compiled_code, random_network

_TIMES = """
import json, sys, time
start = time.process_time()
{imports}
imported = time.process_time()
{load}
print(json.dumps([imported - start, time.process_time() - imported]))
"""
_OURS = _TIMES.format(imports="import mpscnn", load="mpscnn.load(sys.argv[1], device='cpu')")
_ONNXRUNTIME = _TIMES.format(imports="import onnxruntime", load="onnxruntime.InferenceSession(sys.argv[1])")


def measure(code: str, model: Path, folder: Path) -> tuple[float, float]:
    """Return the processor seconds of importing and of loading in a new process."""
    environment = {**os.environ, "MPSCNN_CACHE": str(folder / "cache")}
    keep_compiled_code(environment, folder)
    done = subprocess.run(
        [sys.executable, "-c", code, str(model)], env=environment, capture_output=True, text=True, check=True
    )
    imported, loaded = json.loads(done.stdout.splitlines()[-1])
    return imported, loaded


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7, help="the number of processes of each line")
    rounds = parser.parse_args().rounds
    engines = {"mpscnn, empty cache": _OURS, "mpscnn, filled cache": _OURS}
    if find_spec("onnxruntime") is None:
        print("onnxruntime is not installed, so its line is missing: pip install onnxruntime")
    else:
        engines["onnxruntime"] = _ONNXRUNTIME
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in engines}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "mobilenet_v2.onnx"
        random_network().save(model)
        for code in engines.values():
            measure(code, model, folder)  # compiles the Python code
        for _ in range(rounds):
            for kept in (folder / "cache").rglob("*.safetensors"):
                kept.unlink()
            for engine, code in engines.items():
                times[engine].append(measure(code, model, folder))
    print("| processor seconds, minimum (median) | import | load | both |\n|---|---|---|---|")
    for engine, rows in times.items():
        columns = ([row[0] for row in rows], [row[1] for row in rows], [sum(row) for row in rows])
        cells = (f"{min(column):.3f} ({statistics.median(column):.3f})" for column in columns)
        print(f"| {engine} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
