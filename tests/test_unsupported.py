"""Test the table of unsupported features: its rows, their combinations, and the rows that hold for every engine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from kernels_here import require_set
from unsupported_cases import CASES, ROWS, Case

import mpscnn

CPP = Path(__file__).resolve().parent.parent / "cpp"
ON_THE_CPU = [case for case in CASES if case.engine in ("any", "cpu")]


def test_every_row_has_one_case() -> None:
    rows = [(row["engine"], row["operation"], row["field"]) for row in ROWS]
    assert len(set(rows)) == len(rows)
    assert sorted(rows) == sorted(case.key() for case in CASES)


def test_rows_name_engines_and_operations_that_exist() -> None:
    operations = {entry["name"] for entry in mpscnn.operations()}
    assert {row["engine"] for row in ROWS} <= {"cpu", "metal", "coreml", "any"}
    assert {row["operation"] for row in ROWS} <= operations | {"any"}


@pytest.mark.parametrize("case", ON_THE_CPU, ids=str)
def test_what_the_cpu_refuses(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in case.environment.items():
        require_set(value)
        monkeypatch.setenv(name, value)
    if case.refused.precision in mpscnn.devices()[0]["precisions"] and case.field == "precision":
        pytest.skip("every instruction set of this processor has what others lack")
    with pytest.raises(mpscnn.UnsupportedError) as raised:
        case.refused.network().compile(device="cpu", precision=case.refused.precision)
    for part in ("on device 'cpu'", case.row()["field"], case.row()["allowed"], f"got {case.value}"):
        assert part in str(raised.value)
    case.allowed.network().compile(device="cpu", precision=case.allowed.precision)


@pytest.mark.parametrize("case", [case for case in CASES if case.engine in ("metal", "coreml")], ids=str)
def test_the_cpu_takes_what_others_refuse(case: Case) -> None:
    case.refused.network().compile(device="cpu", **case.refused.options())


def test_backends_refuse_nothing_on_their_own() -> None:
    unsupported = re.compile(r"ErrorKind::unsupported|\brefusal\(")
    found = [
        str(path.relative_to(CPP))
        for part in ("cpu", "metal")
        for path in sorted((CPP / part).rglob("*"))
        if path.suffix in {".h", ".cpp", ".mm"} and unsupported.search(path.read_text("utf-8"))
    ]
    assert found == [
        "cpu/isa/dispatch.cpp",  # an instruction set that the processor lacks
        "metal/coreml/coreml_backend.mm",  # no layer: training, profiles, and float32 on the neural engine
        "metal/device/custom_kernel.mm",  # the features that a user's own Metal function needs
        "metal/device/function_constants.mm",
        "metal/encoding/native_photo.mm",  # no layer: photos in formats that Metal textures lack
        "metal/encoding/preprocess.mm",  # no layer: digits in photos, which only the processor finds
        "metal/run/signal.mm",  # no layer: signals
    ]
