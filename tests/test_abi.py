"""Test that programs continue to run if they were built with older C headers of the same ABI number."""

from __future__ import annotations

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


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (("tensor *result", "tensor *result, int more"), "function run was"),
        (("int run(", "long run("), "function run was"),
        (("int run(", "int go("), "function run is gone"),
        (("int a ", "long a "), "struct options was"),
        (("int rank;", "int rank; int more;"), "struct tensor was"),
        (("SECOND = 1", "SECOND = 2"), "enumeration kind was"),
        (("MOST = 6", "MOST = 7"), "enumeration MOST was"),
        (("void *context", "int context"), "handler handler was"),
    ],
)
def test_changes_that_break_programs_are_seen(change: tuple[str, str], what: str) -> None:
    assert BEFORE.replace(*change) != BEFORE
    (fault,) = abi.broken(abi.declarations_in(BEFORE), abi.declarations_in(BEFORE.replace(*change)))
    assert fault.startswith(what)


@pytest.mark.parametrize(
    "change",
    [
        ("MPSCNN_UNLESS_SET(0); }", "MPSCNN_UNLESS_SET(0); float b MPSCNN_UNLESS_SET(1); }"),
        ("SECOND = 1", "SECOND = 1, THIRD = 2"),
        ("MPSCNN_API int run", "MPSCNN_API int stop(void);\n MPSCNN_API int run"),
    ],
)
def test_what_is_added_breaks_nothing(change: tuple[str, str]) -> None:
    after = BEFORE.replace(*change)
    assert after != BEFORE
    assert abi.declarations_in(BEFORE) != abi.declarations_in(after)
    assert not abi.broken(abi.declarations_in(BEFORE), abi.declarations_in(after))
