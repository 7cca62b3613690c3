"""List the engines of other formats, and check a conversion with one of them in a separate process.

So an engine that crashes or hangs does no harm.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from mpscnn._private.child_python import inherited_environment, module_command
from mpscnn.converters.format_detection import is_saved_model

#: For each suffix: the Python module that runs such files, and the name of its package on PyPI.
REFERENCE_ENGINES = {
    ".onnx": ("onnxruntime", "onnxruntime"),
    ".tflite": ("ai_edge_litert.interpreter", "ai-edge-litert"),
    ".keras": ("keras", "keras"),
    ".h5": ("keras", "keras"),
    ".hdf5": ("keras", "keras"),
    ".pb": ("tensorflow", "tensorflow"),
}

#: For suffixes without an engine: the reason.
NO_REFERENCE_ENGINE = {
    **dict.fromkeys((".mlmodel", ".mlpackage"), "Core ML predicts on macOS only"),
    ".index": "a checkpoint has weights, but not the network that they belong to",
    ".json": "TensorFlow.js runs in browsers only",
}


def engine_key(path: Path) -> str:
    """Return a file's key in these tables: its suffix, or ".pb" for the folder of a SavedModel."""
    return ".pb" if is_saved_model(path) else path.suffix.lower()


FOLD, NO_FOLD = "--fold", "--no-fold"
_TIME_LIMIT = 120.0


@dataclass(frozen=True)
class CheckResult:
    """The result of comparing a converted network with its file.

    Attributes:
        sentence: the result as a sentence for users.
        differs: whether the network's results differ from those of its file.
        failed: whether the file's own engine crashed or hung, mpscnn's engine cannot run the network, or a run would
            cost much more than a file of this size should.
    """

    sentence: str
    differs: bool = False
    failed: bool = False


def check_in_process(path: Path, *, fold: bool = True) -> CheckResult:
    """Compare the network that `mpscnn.load` makes of a file with the file on its own engine (such as ONNX Runtime).

    Args:
        path: the file. A file whose format has no engine on this machine is not checked.
        fold: as for `mpscnn.converters.read_network`.
    """
    if reason := NO_REFERENCE_ENGINE.get(engine_key(path)):
        return CheckResult(f"not checked: {reason}")
    module, _ = REFERENCE_ENGINES.get(engine_key(path), ("", ""))
    if not module or importlib.util.find_spec(module.partition(".")[0]) is None:
        return CheckResult("not checked: the file's own engine is not installed")
    command = module_command(
        "mpscnn.comparison.check_process", str(path.absolute()), FOLD if fold else NO_FOLD
    )
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIME_LIMIT,
            env=inherited_environment(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return CheckResult(f"not checked: the check took more than {_TIME_LIMIT:g} s", failed=True)
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    if done.returncode != 0 or not lines:
        return CheckResult(f"not checked: the check ended with status {done.returncode}", failed=True)
    return CheckResult(**json.loads(lines[-1]))
