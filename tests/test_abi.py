"""Test that programs continue to run if they were built with older C headers of the same ABI number."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import abi
import pytest

BEFORE = """
    typedef struct options { size_t size MPSCNN_UNLESS_SET(sizeof(options)); int a MPSCNN_UNLESS_SET(0); } options;
    typedef struct tensor { void *data; int rank; } tensor;
    typedef enum kind { FIRST = 0, SECOND = 1 } kind;
    enum { MOST = 6 };
    typedef void (*handler)(void *context);
    MPSCNN_API int run(const options *given,
                       tensor *result); /* computes */
"""


def test_no_program_of_this_abi_is_broken() -> None:
    before, now = abi.read_record(abi.abi_version()), abi.declarations()
    assert len(before) > 150
    assert not abi.broken(before, now), "this needs a new MPSCNN_ABI_VERSION, docs/versioning.md"
    assert before == now, "run: python tests/abi.py"


def test_declarations_are_found() -> None:
    assert abi.declarations_in(BEFORE) == {
        "function run": "int run(const options *given, tensor *result)",
        "struct options": "size_t size; int a",
        "struct tensor": "void *data; int rank",
        "enumeration kind": "FIRST = 0, SECOND = 1",
        "enumeration MOST": "MOST = 6",
        "handler handler": "void (*handler)(void *context)",
    }


BREAKING = [
    (("tensor *result", "tensor *result, int more"), "function run was"),
    (("int run(", "long run("), "function run was"),
    (("int run(", "int go("), "function run is gone"),
    (("int a ", "long a "), "struct options was"),
    (("int rank;", "int rank; int more;"), "struct tensor was"),
    (("SECOND = 1", "SECOND = 2"), "enumeration kind was"),
    (("MOST = 6", "MOST = 7"), "enumeration MOST was"),
    (("void *context", "int context"), "handler handler was"),
]
ADDING = [
    ("MPSCNN_UNLESS_SET(0); }", "MPSCNN_UNLESS_SET(0); float b MPSCNN_UNLESS_SET(1); }"),
    ("SECOND = 1", "SECOND = 1, THIRD = 2"),
    ("MPSCNN_API int run", "MPSCNN_API int stop(void);\n MPSCNN_API int run"),
]


@pytest.mark.parametrize(("change", "what"), BREAKING)
def test_changes_that_break_programs_are_seen(change: tuple[str, str], what: str) -> None:
    assert BEFORE.replace(*change) != BEFORE
    (fault,) = abi.broken(abi.declarations_in(BEFORE), abi.declarations_in(BEFORE.replace(*change)))
    assert fault.startswith(what)


@pytest.mark.parametrize("change", ADDING)
def test_what_is_added_breaks_nothing(change: tuple[str, str]) -> None:
    after = BEFORE.replace(*change)
    assert after != BEFORE
    assert abi.declarations_in(BEFORE) != abi.declarations_in(after)
    assert not abi.broken(abi.declarations_in(BEFORE), abi.declarations_in(after))


COMPILED = """
    #include <stddef.h>
    #define MPSCNN_API __attribute__((visibility("default")))
    #define MPSCNN_UNLESS_SET(value)
    #define EXTENTS 4
    typedef int status;
"""
#: A function that uses every type, because abidiff sees only types in use. One type uses a macro and a typedef.
USES = """
    typedef struct shape { int extents[EXTENTS]; status state; } shape;
    MPSCNN_API void each(kind which, handler call, shape *result);
"""


def compared(folder: Path, change: tuple[str, str]) -> str:
    """Return the report of abidiff about a change of the declarations."""
    if shutil.which("abidiff") is None or shutil.which("cc") is None:
        pytest.skip("abidiff (Debian's abigail-tools) or a C compiler is missing")
    before = COMPILED + BEFORE + USES
    assert before.replace(*change) != before
    for name, text in (("before", before), ("now", before.replace(*change))):
        (folder / name).mkdir()
        (folder / name / "mpscnn.h").write_text(text, "utf-8")
    script = runpy.run_path(str(abi.PROJECT / ".ci" / "compare_abi.py"))
    report = script["compare"](folder / "before", folder / "now")
    assert isinstance(report, str)
    return report


# No function uses the enumeration without a name, so abidiff does not see it.
IN_TYPES = [change for change, what in BREAKING if "MOST" not in what]
BEHIND_NAMES = [("EXTENTS 4", "EXTENTS 6"), ("typedef int status", "typedef long status")]


@pytest.mark.parametrize("change", IN_TYPES + BEHIND_NAMES)
def test_abidiff_reports_changes_that_break_programs(tmp_path: Path, change: tuple[str, str]) -> None:
    assert compared(tmp_path, change)


@pytest.mark.parametrize("change", ADDING)
def test_abidiff_accepts_what_is_added(tmp_path: Path, change: tuple[str, str]) -> None:
    assert not compared(tmp_path, change)
