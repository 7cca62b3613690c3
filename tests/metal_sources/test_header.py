"""Test that mpscnn/metal.h compiles in Objective-C and Objective-C++, with and without ARC."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from metal_sources import apple_api
from tiers import combinations

WARNINGS = ("-fsyntax-only", "-Wall", "-Wextra", "-Werror")

OBJECTIVE_C = """
#import <mpscnn/metal.h>

mpscnn_status encode(mpscnn_session *session, id<MTLCommandBuffer> commands, MPSImage *input, id<MTLTexture> output) {
    NSArray *inputs = [NSArray arrayWithObject:input], *outputs = [NSArray arrayWithObject:output];
    return mpscnn_metal_session_encode(session, commands, inputs, outputs);
}

MPSImage *image_of(const mpscnn_image_descriptor *image, id<MTLDevice> device) {
    MPSImageDescriptor *descriptor = mpscnn_metal_image_descriptor(image);
    return [[MPSImage alloc] initWithDevice:device imageDescriptor:descriptor];
}
"""


@pytest.fixture(scope="module")
def example(project: Path) -> str:
    """Return the example of docs/metal.md."""
    page = (project / "docs" / "metal.md").read_text("utf-8")
    return page.split("```objc\n")[1].split("```")[0]


def headers_for_arc(folder: Path, arguments: list[str]) -> list[str]:
    """Return arguments for ARC. `folder` gets a copy of the GNU runtime's header without code that ARC forbids."""
    original = Path(arguments[-1]) / "objc" / "runtime.h"
    text = original.read_text("utf-8").replace('#include "', '#include "objc/')
    assert "object->class_pointer" in text
    (folder / "objc").mkdir()
    (folder / "objc" / "runtime.h").write_text(text.replace("object->class_pointer", "(Class)0"), "utf-8")
    # Clang has no ARC for the emulation's runtime, so another runtime is named. Nothing is linked.
    modern = [
        "-fobjc-runtime=gnustep-2.0" if flag.startswith("-fobjc-runtime") else flag for flag in arguments
    ]
    return ["-fobjc-arc", f"-I{folder}", *modern]


@pytest.mark.parametrize(
    ("language", "arc"), combinations(["objective-c", "objective-c++"], [False, True], every=2)
)
def test_it_compiles(language: str, arc: bool, example: str, project: Path, tmp_path: Path) -> None:
    compiler = shutil.which("clang++-16") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("clang is not installed")
    arguments = apple_api.compiler_arguments(apple_api.HEADERS, project / "cpp" / "include")
    if arguments is None:
        pytest.skip("GNUstep is not installed (libgnustep-base-dev)")
    if arc:
        arguments = headers_for_arc(tmp_path, arguments)
    if language == "objective-c":
        arguments = ["-std=c11" if flag == "-std=c++20" else flag for flag in arguments]
    source = tmp_path / "program"
    source.write_text(OBJECTIVE_C + (example if language == "objective-c++" else ""), "utf-8")
    command = [compiler, *WARNINGS, "-x", language, *arguments, str(source)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
