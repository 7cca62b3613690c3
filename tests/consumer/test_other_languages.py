"""Test the programs of docs/other_languages.md, and the module map of the C headers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpscnn

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "docs" / "other_languages.md").read_text("utf-8")
INCLUDE = PROJECT / "cpp" / "include"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def run(*command: str | Path, **options: Any) -> str:
    finished = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)
    assert finished.returncode == 0, f"{command}\n{finished.stdout}\n{finished.stderr}"
    return finished.stdout


def need(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


@pytest.mark.full
def test_rust(tmp_path: Path) -> None:
    need("rustc")
    need("pkg-config")
    answer = subprocess.run(
        [sys.executable, "-m", "mpscnn", "--pkg-config-dir"], capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        pytest.skip("mpscnn is not installed with its C++ package here")
    environment = {**os.environ, "PKG_CONFIG_PATH": answer.stdout.strip()}
    (tmp_path / "main.rs").write_text(blocks("rust")[0])
    build = next(text for text in blocks("sh") if "rustc" in text)
    run("bash", "-euc", build, cwd=tmp_path, env=environment)

    network = mpscnn.Network(input=(8, 8, 3), name="colors")
    network.output(network.softmax(network.dense(network.input, 3, name="scores")))
    network.initialize_weights(seed=0)
    model = tmp_path / "colors.safetensors"
    network.save(model, labels=["red", "green", "blue"], preprocess="unit")
    best = mpscnn.load(model, device="cpu").predict(np.full((48, 64, 3), 128, np.uint8))[0]
    assert run(tmp_path / "app", model) == f"{100 * best.probability:.2f} %  {best.label}\n"

    refused = subprocess.run([tmp_path / "app", "none"], capture_output=True, text=True, check=False)
    assert (refused.returncode, "none cannot be read" in refused.stderr) == (1, True)
    usage = subprocess.run([tmp_path / "app"], capture_output=True, text=True, check=False)
    assert (usage.returncode, usage.stderr) == (2, "usage: app MODEL.safetensors\n")


def test_the_module_map_has_all_c_headers(tmp_path: Path) -> None:
    text = (INCLUDE / "mpscnn" / "module.modulemap").read_text("utf-8")
    headers = {path.name for path in (INCLUDE / "mpscnn").glob("*.h")}
    assert set(re.findall(r'header "([^"]+)"', text)) == headers - {"metal.h"}  # metal.h is not C
    need("clang-16")
    program = tmp_path / "program.m"
    program.write_text(
        "@import mpscnn;\nint main(void) { return mpscnn_version() == 0 || MPSCNN_OK != 0; }\n"
    )
    run(
        "clang-16",
        "-fmodules",
        f"-fmodules-cache-path={tmp_path / 'cache'}",
        "-fsyntax-only",
        f"-I{INCLUDE}",
        program,
    )


@pytest.mark.parametrize("language", ["rust", "swift"])
def test_programs_call_what_the_interface_has(language: str) -> None:
    declared = "".join(path.read_text("utf-8") for path in (INCLUDE / "mpscnn").glob("*.h"))
    (program,) = blocks(language)
    called = set(re.findall(r"\bmpscnn_\w+", program)) | set(re.findall(r"\bMPSCNN_\w+", program))
    assert len(called) > 8
    assert not [name for name in called if not re.search(rf"\b{name}\b", declared)]
