"""Use a copy of tests/metal_emulation as a project of its own, away from mpscnn, by the commands of its README."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "metal_emulation"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
#: The emulation's own test that is built and run: shaders of its folder, from their source and from a library.
OWN_TEST = "emulation_shader_test"
#: Its files compile as one for each folder, and ccache keeps the objects for the next run.
SHORT = ("-DCMAKE_UNITY_BUILD=ON",)

#: A shader and a program of another project. Their names are those of the README's example.
SHADER = """#include <metal_stdlib>
#include "blur_params.h"
using namespace metal;
kernel void blur(const device float *source [[buffer(0)]], device float *result [[buffer(1)]],
                 constant BlurParams &params [[buffer(2)]], uint id [[thread_position_in_grid]]) {
    if (id >= params.count) return;
    float before = source[id > 0u ? id - 1u : 0u], after = source[min(id + 1u, params.count - 1u)];
    result[id] = 0.25f * before + 0.5f * source[id] + 0.25f * after;
}
"""
PARAMS = "struct BlurParams { unsigned int count; };\n"
PROGRAM = """#import <Metal/Metal.h>
#include "metal/metal_emulation.h"
#include "shaders/blur_params.h"
#include <cstdio>

int main() {
    NSAutoreleasePool *pool = [[NSAutoreleasePool alloc] init];
    id<MTLDevice> device = MTLCreateSystemDefaultDevice();
    NSError *error = nil;
    id<MTLLibrary> library = [device newLibraryWithFile:@"app.metallib" error:&error];
    id<MTLFunction> function = [library newFunctionWithName:@"blur"];
    id<MTLComputePipelineState> state = [device newComputePipelineStateWithFunction:function error:&error];
    id<MTLCommandQueue> queue = [device newCommandQueue];
    const float pixels[4] = {0, 4, 8, 0};
    const BlurParams params{4};
    id<MTLBuffer> source = [device newBufferWithBytes:pixels length:16 options:MTLResourceStorageModeShared];
    id<MTLBuffer> result = [device newBufferWithLength:16 options:MTLResourceStorageModeShared];
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    [encoder setComputePipelineState:state];
    [encoder setBuffer:source offset:0 atIndex:0];
    [encoder setBuffer:result offset:0 atIndex:1];
    [encoder setBytes:&params length:sizeof params atIndex:2];
    [encoder dispatchThreadgroups:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(32, 1, 1)];
    [encoder endEncoding];
    [commands commit];
    [commands waitUntilCompleted];
    const float *blurred = static_cast<const float *>([result contents]);
    std::printf("%g %g %g %g\\n", blurred[0], blurred[1], blurred[2], blurred[3]);
    for (id object in @[ source, result, queue, state, function, library ]) [object release];
    [pool drain];
    metal_emulation_wait_idle();
    for (int i = 0; i < metal_emulation_violation_count(); ++i) std::puts(metal_emulation_violation(i));
    return metal_emulation_violation_count() + metal_emulation_live_objects();
}
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment without this project's compilers and paths."""
    for program in ("cmake", "ninja", "clang++-16", "gnustep-config"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    own = ("CC", "CXX", "OBJCXX", "PYTHONPATH", "CXXFLAGS")
    made = {name: value for name, value in os.environ.items() if name not in own}
    made["CMAKE_GENERATOR"] = "Ninja"
    if shutil.which("ccache") is not None:
        made |= {f"CMAKE_{language}_COMPILER_LAUNCHER": "ccache" for language in ("C", "CXX", "OBJCXX")}
        made |= {"CCACHE_BASEDIR": str(tmp_path_factory.getbasetemp()), "CCACHE_NOHASHDIR": "1"}
    return made


def _run(command: str, folder: Path, environment: dict[str, str], *more: str) -> str:
    made = subprocess.run(
        [*shlex.split(command), *more],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return made.stdout


def write_shader(folder: Path) -> None:
    """Write the shader of the README's example, and the header that it shares with the program."""
    (folder / "shaders").mkdir()
    (folder / "blur.metal").write_text(SHADER, encoding="utf-8")
    (folder / "shaders" / "blur_params.h").write_text(PARAMS, encoding="utf-8")


def _commands(start: str) -> Iterator[str]:
    """Yield the commands of the README's first block of commands that begin with this text."""
    for line in re.findall(rf"^{re.escape(start)}.*$", README, re.MULTILINE)[:1]:
        yield from line.split(" && ")


def test_the_commands_of_the_readme_build_and_test_a_copy_of_the_folder(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """It compiles the emulation and one of its tests, which takes a minute of processor time without a cache."""
    shutil.copytree(FOLDER, tmp_path / "tests" / "metal_emulation")
    (configure,) = _commands("cmake -S tests/metal_emulation ")
    build, test = _commands("cmake --build build/emulation ")
    _run(configure, tmp_path, environment, *SHORT)
    _run(build, tmp_path, environment, "--target", OWN_TEST)
    assert "100% tests passed" in _run(test, tmp_path, environment, "--tests-regex", f"^{OWN_TEST}$")


def test_another_project_builds_its_program_and_shaders(tmp_path: Path, environment: dict[str, str]) -> None:
    """The build is the README's example. It takes half a minute of processor time without a cache."""
    (lists,) = re.findall(r"```cmake\n(.*?)```", README, re.DOTALL)
    (configure,) = _commands("cmake -S . -B build ")
    shutil.copytree(FOLDER, tmp_path / "metal_emulation", ignore=shutil.ignore_patterns("tests"))
    write_shader(tmp_path)
    (tmp_path / "CMakeLists.txt").write_text(lists, encoding="utf-8")
    (tmp_path / "app.mm").write_text(PROGRAM, encoding="utf-8")
    _run(configure, tmp_path, environment, *SHORT)
    _run("cmake --build build", tmp_path, environment)
    assert _run("./app", tmp_path / "build", environment) == "1 4 5 2\n"


def test_shaders_compile_for_cuda_in_a_copy_of_the_folder(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """The CUDA part lies beside the rest: it needs no file of mpscnn, either. nvcc takes some ten seconds."""
    compiler = shutil.which("nvcc")
    if compiler is None:
        pytest.skip("nvcc is not installed")
    shutil.copytree(FOLDER, tmp_path / "metal_emulation", ignore=shutil.ignore_patterns("tests"))
    write_shader(tmp_path)
    command = f"{sys.executable} metal_emulation/shading_language/compile_metal.py --include=shaders --lint"
    gpu = f"--cuda={compiler} --cuda-architecture=sm_90 --flag=-mf16c --flag=-mfma"
    _run(f"{command} {gpu} --output=app.metallib blur.metal", tmp_path, environment)
    assert b".nv.info.blur" in (tmp_path / "app.metallib").read_bytes()
