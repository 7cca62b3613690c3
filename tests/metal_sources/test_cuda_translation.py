"""Test the translation of shaders to CUDA: each kernel becomes one of CUDA, and unsupported code is refused."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def translator(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Import the module translate_cuda."""
    monkeypatch.syspath_prepend(str(project / "tests" / "metal_emulation" / "cuda"))
    path = list(sys.path)
    import translate_cuda

    yield translate_cuda
    sys.path[:] = path
    for name in ("translate_cuda", "translate_metal"):
        sys.modules.pop(name, None)


def preprocessed(project: Path, shader: Path) -> str:
    """Return a shader's text after preprocessing."""
    language = project / "tests" / "metal_emulation" / "shading_language"
    command = [
        "c++",
        "-E",
        "-x",
        "c++",
        "-std=c++14",
        "-nostdinc",
        "-DMSL_REFLECT",
        "-D__METAL_VERSION__=230",
    ]
    command += [f"-I{project / 'shaders'}", "-isystem", str(language), str(shader)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_every_kernel_gets_an_entry(project: Path, translator: ModuleType) -> None:
    shaders = sorted((project / "shaders").glob("*.metal"))
    assert len(shaders) > 30
    for shader in shaders:
        text = preprocessed(project, shader)
        kernels = re.findall(r"\bkernel\s+void\s+(\w+)", text)
        entries = re.findall(
            r'extern "C" __global__ void (?:__launch_bounds__\(\d+\) )?(\w+)', translator.translate_cuda(text)
        )
        assert entries == kernels, shader.name
        assert kernels, shader.name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kernel void f(threadgroup float *v [[threadgroup(1)]]) {}", "attribute threadgroup"),
        ("kernel void f(uint i [[threads_per_simdgroup]]) {}", "attribute threads_per_simdgroup"),
        ("void f() { threadgroup float v[4]; }", "threadgroup memory as a parameter only"),
    ],
)
def test_what_cuda_has_not_is_refused(translator: ModuleType, text: str, message: str) -> None:
    with pytest.raises(translator.ShaderError, match=message):
        translator.translate_cuda(text)


def test_threads_share_the_memory_of_their_block(translator: ModuleType) -> None:
    text = translator.translate_cuda(
        "[[max_total_threads_per_threadgroup(64)]] kernel void f(threadgroup float *v [[threadgroup(0)]],\n"
        "uint g [[threadgroup_position_in_grid]], uint i [[thread_index_in_threadgroup]]) {\n"
        "threadgroup float *mine = v + i; *mine = 0.0f; threadgroup_barrier(mem_flags::mem_threadgroup); }"
    )
    assert "threadgroup float" not in text
    entry = text[text.index("__global__") :]
    assert "__launch_bounds__(64) f(uint grid_width, uint grid_height, uint grid_depth)" in entry
    memory = "reinterpret_cast<float *>(metal::threadgroup_memory)"
    assert f"msl_f({memory}, metal::threadgroup_position(), metal::thread_index());" in entry


def test_arguments_keep_their_order(translator: ModuleType) -> None:
    text = translator.translate_cuda(
        "constant int k [[function_constant(0)]];\n"
        "kernel void f(constant P &p [[buffer(0)]], device half4 *v [[buffer(1)]],\n"
        "texture2d<float, access::read> t [[texture(0)]], uint i [[thread_position_in_grid]]) {}"
    )
    assert "__constant__ int k" in text
    entry = text[text.index("__global__") :]
    assert "const P * __restrict__ p, half4 *v, const msl::GpuTexture t)" in entry
    assert "msl_f(*p, v, texture2d < float , access :: read >(t), position_in_grid);" in entry
