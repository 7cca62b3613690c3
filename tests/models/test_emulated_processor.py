"""Run networks on an emulated processor and compare them with this one, and with promises.

`nox -s portable` and `nox -s emulated` run these tests on an emulated arm64. MPSCNN_EMULATED_PROGRAMS is the beginning
of the command of a program of tests/cpp there, such as "qemu-aarch64 build/arm64/tests/cpp/".
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
from kernels_here import needs_fma
from models.test_fingerprints import FINGERPRINTS, PRECISIONS, network_of
from PIL import Image

import mpscnn
from mpscnn._private.literals import PrecisionName
from mpscnn.apps.verify import case as verify
from mpscnn.apps.verify.conformance import Row, all_cases, compare_case
from mpscnn.apps.verify.processes import Outcome

_PROGRAMS = os.environ.get("MPSCNN_EMULATED_PROGRAMS")
_PHOTO = mpscnn.samples.photo("cat")

if _PROGRAMS is None:
    pytest.skip(
        "`nox -s portable` says by MPSCNN_EMULATED_PROGRAMS where programs for another processor are",
        allow_module_level=True,
    )


def emulated(program: str, *arguments: object) -> bytes:
    """Return the output of a program of tests/cpp on the emulated processor."""
    command = [*shlex.split(f"{_PROGRAMS}{program}"), *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


# ---- Fingerprints -------------------------------------------------------------------------------------------------


def test_the_bits_are_those_of_every_processor(tmp_path: Path) -> None:
    known = json.loads(FINGERPRINTS.read_text(encoding="utf-8"))
    files = {name: tmp_path / f"{name}.safetensors" for name in known}
    for name, file in files.items():
        network_of(name).save(file, dtype="float32")
    for precision in PRECISIONS:
        lines = emulated("fingerprint_of", precision, *files.values()).decode().splitlines()
        found = dict(zip(files, (line.split()[0] for line in lines), strict=True))
        assert found == {name: fingerprints[precision] for name, fingerprints in known.items()}


# ---- The cases of `mpscnn verify` ---------------------------------------------------------------------------------


def cases_of_verify() -> list[verify.Case]:
    """Return a case of each operation in each precision, and the bundled networks."""
    layers = [case for case in all_cases("cpu") if "precision" in case.recipe]
    return list({(case.subject, case.recipe["precision"]): case for case in reversed(layers)}.values())


@pytest.fixture(params=cases_of_verify(), ids=lambda case: f"{case.subject}-{case.recipe['precision']}")
def case(request: pytest.FixtureRequest) -> verify.Case:
    found: verify.Case = request.param
    return found


def test_verify(case: verify.Case, tmp_path: Path) -> None:
    network, given = verify.computation(case.recipe)
    network.save(tmp_path / "network.safetensors", dtype="float32")
    files = []
    for name, array in given.items():
        files.append(tmp_path / f"{name}.numbers")
        array.astype(np.float32).tofile(files[-1])
    right = verify.run(case.recipe, "cpu")
    written = emulated("results_of", case.recipe["precision"], tmp_path / "network.safetensors", *files)
    numbers = np.frombuffer(written, np.float32)
    ends = np.cumsum([array.size for array in right.values()])
    assert numbers.size == ends[-1]
    parts = zip(right.items(), np.split(numbers, ends[:-1]), strict=True)
    found = {name: part.reshape(array.shape) for (name, array), part in parts}
    row = Row(case.subject)
    compare_case(row, case, Outcome(right), Outcome(found), "cpu")
    assert row.failures == []


# ---- Photos -------------------------------------------------------------------------------------------------------


def quantized(model: mpscnn.Model[mpscnn.Prediction]) -> mpscnn.Network:
    with Image.open(_PHOTO) as photo:
        turned = [photo.convert("RGB").rotate(angle) for angle in range(0, 360, 45)]
    network, _ = mpscnn.quantize(model, turned)
    return network


@needs_fma
@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_a_photo_is_classified_as_here(precision: PrecisionName, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    model = mpscnn.load()
    if precision == "int8":
        network = quantized(model)
        network.labels = model.labels
        network.save(file)
    else:
        model.save(file)
    with Image.open(_PHOTO) as photo:
        pixels = photo.convert("RGB")
    (tmp_path / "pixels").write_bytes(pixels.tobytes())
    best = mpscnn.load(file, precision=precision, device="cpu").classify(pixels, top=5)
    said = emulated("classes_of", precision, file, *pixels.size, tmp_path / "pixels").decode()
    assert said.splitlines() == [f"{one.label} {one.probability:.9g}" for one in best]
