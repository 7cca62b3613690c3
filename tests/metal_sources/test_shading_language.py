"""Test that the translator of shaders refuses code that Metal refuses, and keeps lines and columns."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def translator(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Import the module translate_metal."""
    monkeypatch.syspath_prepend(str(project / "tests" / "metal_emulation" / "shading_language"))
    import translate_metal

    yield translate_metal
    for name in ("translate_metal", "lint_metal"):
        sys.modules.pop(name, None)


KERNEL = "kernel void f(device float *v [[buffer(0)]], uint i [[thread_position_in_grid]]) { "

REFUSED = {
    "double literal": (KERNEL + "v[i] = 1.0; }", "suffix"),
    "double exponent": (KERNEL + "v[i] = 1e-3; }", "suffix"),
    "double": (KERNEL + "double d; }", "no double"),
    "exception": (KERNEL + "throw 1; }", "no exceptions"),
    "no attribute": ("kernel void f(device float *v) {}", "no attribute"),
    "unknown attribute": ("kernel void f(uint i [[thread_position_in_house]]) {}", "unknown attribute"),
    "bound twice": (
        "kernel void f(device int *a [[buffer(1)]], device int *b [[buffer(1)]]) {}",
        "bound twice",
    ),
    "index out of range": ("kernel void f(device int *a [[buffer(31)]]) {}", "out of range"),
    "buffer without address space": ("kernel void f(float *v [[buffer(0)]]) {}", "address space"),
    "pointer without address space": ("float g(const float *p) { return p[0]; }", "address space"),
    "reference without address space": ("float g(float &p) { return p; }", "address space"),
    "local pointer without address space": (KERNEL + "float *p = v; }", "address space"),
    "template kernel": ("template <class T> kernel void f(device T *v [[buffer(0)]]) {}", "macro"),
    "kernel with a result": ("kernel int f(device int *v [[buffer(0)]]) { return 0; }", "kernel void"),
    "barrier in a helper": ("void g() { threadgroup_barrier(mem_flags::mem_none); }", "body of a kernel"),
    "positions of different types": (
        "kernel void f(uint2 a [[thread_position_in_grid]], ushort2 b [[threads_per_grid]]) {}",
        "differ in type",
    ),
    "initialised threadgroup variable": (KERNEL + "threadgroup int s = 1; }", "initialised"),
    "shared constant index": (
        "constant int a [[function_constant(0)]];\nconstant int b [[function_constant(0)]];",
        "share an index",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_metal_refuses_is_refused(translator: ModuleType, case: str) -> None:
    source, message = REFUSED[case]
    with pytest.raises(translator.ShaderError, match=message):
        translator.translate(f'# 1 "shader.metal"\n{source}\n')


def test_messages_name_the_place(translator: ModuleType) -> None:
    with pytest.raises(translator.ShaderError, match=re.escape("shader.metal:3:5: error")):
        translator.translate('# 1 "shader.metal"\n\n\n    double d;\n')


def test_lines_and_columns_stay(translator: ModuleType) -> None:
    source = "constant float w[2] = {0.5f, 1h};\n" + KERNEL + "threadgroup int s[4]; s[0] = 1; }\n"
    translated = translator.translate(source).splitlines()[1:]
    for before, after in zip(source.splitlines(), translated, strict=False):
        assert len(before) == len(after)
        assert before.index(";") == after.index(";")
    assert translated[0].startswith("const    float w")
    assert "static      int s[4]" in translated[1]
    assert "[[" not in translated[1]


def test_constants_and_attributes_reach_the_table(translator: ModuleType) -> None:
    translated = translator.translate(
        "constant int n [[function_constant(3)]];\n"
        "kernel void f(texture2d<half, access::write> t [[texture(2)]], threadgroup int *s [[threadgroup(1)]],"
        " uint2 i [[thread_position_in_grid]]) { threadgroup_barrier(mem_flags::mem_none); }\n"
    )
    assert '{3, "n",' in translated
    entry = "msl::Entry<&f, true, msl::texture<2>, msl::threadgroup_memory<1>, msl::thread_position_in_grid>"
    assert entry in translated


LINT = {
    "write to constant": "kernel void f(constant float *v [[buffer(0)]]) { v[0] = 1.0f; }",
    "device from threadgroup": "inline float g(device float *p) { return *p; }\n"
    "kernel void f(threadgroup float *s [[threadgroup(0)]], device float *v [[buffer(0)]]) { v[0] = g(s); }",
    "device from thread": "inline float g(const device float *p) { return *p; }\n"
    + KERNEL
    + "float x = 1.0f; v[i] = g(&x); }",
    "half4 times float4": "kernel void f(device half4 *a [[buffer(0)]], device float4 *b [[buffer(1)]])"
    " { a[0] = a[0] * b[0]; }",
    "half4 times float": "kernel void f(device half4 *a [[buffer(0)]]) { a[0] = a[0] * 2.0f; }",
    "float4 from half4": "kernel void f(device half4 *a [[buffer(0)]]) { float4 b = a[0]; a[0].x = half(b.x); }",
    "half2 from half4": "kernel void f(device half4 *a [[buffer(0)]]) { half2 b = a[0]; a[0].xy = b; }",
}


@pytest.fixture
def clang() -> str:
    compiler = shutil.which("clang++-16")
    if compiler is None:
        pytest.skip("clang++-16 is not installed")
    return compiler


@pytest.mark.parametrize("case", LINT)
def test_wrong_types_and_address_spaces_are_seen(
    translator: ModuleType, clang: str, tmp_path: Path, case: str
) -> None:
    import lint_metal

    with pytest.raises(translator.ShaderError, match="C\\+\\+ for OpenCL"):
        lint_metal.lint(LINT[case], clang, tmp_path / "shader.clcpp")


def test_good_shaders_pass(translator: ModuleType, clang: str, tmp_path: Path) -> None:
    import lint_metal

    source = (
        "using namespace metal;\nconstant int n [[function_constant(0)]];\n"
        "inline half4 g(thread const half4 &v, threadgroup float *s) { return v * half(s[0]) + half4(float4(2.0f)); }\n"
        "kernel void f(texture2d_array<half, access::read> t [[texture(0)]], device half4 *a [[buffer(0)]],"
        " threadgroup float *s [[threadgroup(0)]], uint2 i [[thread_position_in_grid]]) {\n"
        "    threadgroup int own[4];\n    own[0] = n;\n    half4 v = t.read(i, 0u);\n"
        "    a[i.x] = max(g(v, s), half4(0.0h)); }\n"
    )
    assert translator is not None
    lint_metal.lint(source, clang, tmp_path / "shader.clcpp")


NEWER = {
    "hexadecimal number": KERNEL + "v[i] = 0x1p-3f; }",
    "if constexpr": KERNEL + "if constexpr (true) v[i] = 1.0f; }",
    "variable in a condition": KERNEL + "if (float x = v[i]; x > 0.0f) v[i] = 1.0f; }",
}


@pytest.mark.parametrize("case", NEWER)
def test_what_is_younger_than_the_language_is_refused(
    project: Path, clang: str, tmp_path: Path, case: str
) -> None:
    """Metal 2.3 is based on C++14, so code of C++17 is refused."""
    shader = tmp_path / "shader.metal"
    shader.write_text(f"#include <metal_stdlib>\nusing namespace metal;\n{NEWER[case]}\n", "utf-8")
    script = project / "tests" / "metal_emulation" / "shading_language" / "compile_metal.py"
    command = [
        sys.executable,
        str(script),
        f"--compiler={clang}",
        f"--output={tmp_path / 'out.so'}",
        str(shader),
    ]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode != 0
    assert "standards before C++17" in finished.stderr
