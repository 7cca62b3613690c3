"""`.ci/check_wheel.py` finds what would fail on another machine."""

from __future__ import annotations

import importlib.util
import re
import struct
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[3] / ".ci" / "check_wheel.py"
FRAMEWORKS = [
    f"/System/Library/Frameworks/{name}.framework/Versions/A/{name}"
    for name in ("Foundation", "Metal", "MetalPerformanceShaders")
]


@pytest.fixture(scope="module")
def checker() -> ModuleType:
    if not SCRIPT.exists():
        pytest.skip("source distributions do not hold .ci")
    spec = importlib.util.spec_from_file_location("check_wheel", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def with_text(command: int, text: str, offset: int) -> bytes:
    """Return a load command of a Mach-O file that ends with a string. The string begins at byte `offset`."""
    body = text.encode() + b"\0"
    body += b"\0" * (-len(body) % 8)
    return struct.pack("<3I", command, offset + len(body), offset).ljust(offset, b"\0") + body


def macho(
    *,
    kind: int = 0x0100000C,
    macos: tuple[int, int] = (11, 0),
    name: str = "@rpath/libmpscnn.1.dylib",
    libraries: list[str] = FRAMEWORKS,
    search_paths: tuple[str, ...] = ("@loader_path/lib",),
) -> bytes:
    """Return the header of a macOS library."""
    commands = [
        struct.pack("<6I", 0x32, 24, 1, macos[0] << 16 | macos[1] << 8, 0, 0),
        with_text(0xD, name, 24),
    ]
    commands += [with_text(0xC, library, 24) for library in libraries]
    commands += [with_text(0x8000001C, path, 12 + 4) for path in search_paths]
    body = b"".join(commands)
    return struct.pack("<8I", 0xFEEDFACF, kind, 0, 6, len(commands), len(body), 0, 0) + body


def elf(*section_kinds: int) -> bytes:
    """Return the headers of a Linux library with sections of these kinds."""
    header = struct.pack(
        "<16s2HI3QI6H", b"\x7fELF\x02", 3, 62, 1, 0, 0, 64, 0, 64, 56, 0, 64, len(section_kinds), 0
    )
    return header + b"".join(struct.pack("<2I", 0, kind).ljust(64, b"\0") for kind in section_kinds)


def write_wheel(
    folder: Path,
    checker: ModuleType,
    library: bytes,
    *,
    platform: str = "macosx_11_0_arm64",
    shaders: str = "compiled, source",
    leave_out: str = "",
    more: dict[str, bytes] | None = None,
    program_mode: int = 0o755,
) -> Path:
    wheel = folder / f"mpscnn-1.0-cp312-cp312-{platform}.whl"
    files = dict.fromkeys(checker.NEEDED, b"") | {
        "mpscnn/_core.cpython-312.so": library,
        "mpscnn/lib/libmpscnn.so.1": library
        + (checker.COMPILED_SHADERS if "compiled" in shaders else b"")
        + (checker.SHADER_SOURCE if "source" in shaders else b""),
        "mpscnn-1.0.dist-info/licenses/LICENSE": b"",
    }
    if not platform.startswith("macosx"):
        files[checker.LINKER_SCRIPT] = b"INPUT(libmpscnn.so.1)\n"
    else:
        files[checker.CHECK_PROGRAM] = macho(libraries=["@rpath/libmpscnn.1.dylib"], search_paths=())
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, data in (files | (more or {})).items():
            entry = zipfile.ZipInfo(path)
            entry.external_attr = (program_mode if path == checker.CHECK_PROGRAM else 0o644) << 16
            if path != leave_out:
                archive.writestr(entry, data)
    return wheel


def test_a_mac_wheel_holds_the_check_program(tmp_path: Path, checker: ModuleType) -> None:
    lacking = write_wheel(tmp_path, checker, macho(), leave_out=checker.CHECK_PROGRAM)
    assert list(checker.check_wheel(lacking)) == [
        'lacks mpscnn/bin/mpscnn-check, without which device="auto" is always the CPU'
    ]
    plain = write_wheel(tmp_path, checker, macho(), program_mode=0o644)
    assert list(checker.check_wheel(plain)) == ["mpscnn/bin/mpscnn-check: cannot be executed"]
    other = write_wheel(tmp_path, checker, macho(), more={checker.CHECK_PROGRAM: macho(kind=0x01000007)})
    assert list(checker.check_wheel(other)) == [
        "mpscnn/bin/mpscnn-check: built for x86_64 in a wheel for macosx_11_0_arm64"
    ]


def test_a_good_wheel_passes(tmp_path: Path, checker: ModuleType) -> None:
    assert list(checker.check_wheel(write_wheel(tmp_path, checker, macho()))) == []


@pytest.mark.parametrize(
    ("library", "fault"),
    [
        (macho(kind=0x01000007), "built for x86_64"),
        (macho(macos=(14, 2)), r"needs macOS \(14, 2\)"),
        (macho(name="/Users/me/libmpscnn.1.dylib"), "is named /Users/me"),
        (macho(libraries=[*FRAMEWORKS, "/opt/homebrew/lib/libomp.dylib"]), "needs /opt/homebrew"),
        (macho(libraries=FRAMEWORKS[:2]), "not linked with MetalPerformanceShaders"),
        (macho(search_paths=("/Users/me/build",)), "looks for libraries in /Users/me/build"),
        (b"\x7fELF" + bytes(60), "no 64-bit Mach-O"),
        (macho()[:100], "reaches beyond the file|end too early"),
        (b"", "no 64-bit Mach-O"),
    ],
)
def test_binaries_that_would_fail_elsewhere(
    tmp_path: Path, checker: ModuleType, library: bytes, fault: str
) -> None:
    faults = "\n".join(checker.check_wheel(write_wheel(tmp_path, checker, library)))
    assert re.search(fault, faults), faults


@pytest.mark.parametrize(
    ("library", "fault"),
    [
        (elf(1, 11, 3), None),
        (elf(1, 11, 2), "is not stripped"),
        (elf(1, 11)[:-64], "end too early"),
        (macho(), "no 64-bit ELF"),
    ],
)
def test_linux_binaries(tmp_path: Path, checker: ModuleType, library: bytes, fault: str | None) -> None:
    platform = "manylinux_2_28_x86_64"
    wheel = write_wheel(tmp_path, checker, library, platform=platform, shaders="")
    faults = list(checker.check_wheel(wheel))
    assert [fault is not None and fault in found for found in faults] == [True, True] * (fault is not None)


@pytest.mark.parametrize("script", [b"", b"INPUT(libmpscnn.so.2)\n", elf(1)])
def test_a_linux_wheel_has_a_linker_script(tmp_path: Path, checker: ModuleType, script: bytes) -> None:
    options = {"platform": "manylinux_2_28_x86_64", "shaders": ""}
    wheel = write_wheel(tmp_path, checker, elf(1), more={checker.LINKER_SCRIPT: script}, **options)
    (fault,) = checker.check_wheel(wheel)
    assert "should be a linker script with INPUT(libmpscnn.so.1)" in fault


def test_contents_and_size(tmp_path: Path, checker: ModuleType) -> None:
    more = {"mpscnn/tests/test_it.py": b"", "mpscnn/models/data/large.safetensors": bytes(9_000_000)}
    more["mpscnn/samples/photos/large.jpg"] = bytes(9_000_000)
    wheel = write_wheel(tmp_path, checker, macho(), leave_out="mpscnn/py.typed", more=more)
    faults = list(checker.check_wheel(wheel))
    assert faults == ["lacks mpscnn/py.typed", "holds mpscnn/tests/test_it.py"]
    for platform, maximum in (
        ("macosx_11_0_arm64", checker.MAX_BYTES + checker.METAL_BYTES),
        ("manylinux_2_28_x86_64", checker.MAX_BYTES),
    ):
        fill = {"mpscnn/lib/large.bin": bytes(maximum)}
        library = macho() if platform.startswith("macosx") else elf(1)
        large = write_wheel(tmp_path, checker, library, platform=platform, more=fill)
        (fault,) = checker.check_wheel(large)
        assert re.fullmatch(rf"has \d+ bytes without models, {maximum} are allowed", fault)


def test_the_limit_is_the_one_that_contributors_are_told(checker: ModuleType) -> None:
    told = (SCRIPT.parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    ((maximum, metal),) = re.findall(
        r"at most ([\d.]+) MB without the bundled models and photos, and on macOS ([\d.]+) MB more", told
    )
    assert (float(maximum) * 1e6, float(metal) * 1e6) == (checker.MAX_BYTES, checker.METAL_BYTES)
    (more,) = re.findall(r"With `--not-optimised`, ([\d.]+) MB more are allowed", told)
    assert float(more) * 1e6 == checker.NOT_OPTIMISED_BYTES


def test_where_the_shaders_are(tmp_path: Path, checker: ModuleType) -> None:
    both = write_wheel(tmp_path, checker, macho())
    assert checker.describe(both).endswith("shaders: compiled, source")
    source = write_wheel(tmp_path, checker, macho(), shaders="source")
    assert checker.describe(source).endswith("shaders: source")
    (fault,) = checker.check_wheel(source)
    assert "lacks compiled shaders" in fault
    assert list(checker.check_wheel(source, compiled_shaders=False)) == []
    compiled = write_wheel(tmp_path, checker, macho(), shaders="compiled")
    (fault,) = checker.check_wheel(compiled)
    assert "lacks the shaders' source" in fault
    none = write_wheel(tmp_path, checker, macho(), shaders="")
    assert checker.describe(none).endswith("shaders: none")
    assert len(list(checker.check_wheel(none))) == 2


def test_the_command_ends_with_1_where_anything_is_wrong(
    tmp_path: Path, checker: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write_wheel(tmp_path, checker, macho())
    monkeypatch.setattr(sys, "argv", ["check_wheel.py", str(good)])
    assert checker.main() == 0
    assert capsys.readouterr().out.endswith("shaders: compiled, source\n1 wheel(s) in order\n")
    write_wheel(tmp_path, checker, macho(macos=(13, 0)))
    assert checker.main() == 1
    assert "needs macOS (13, 0)" in capsys.readouterr().out


def test_a_wheel_without_compiled_shaders_needs_an_option(
    tmp_path: Path, checker: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(write_wheel(tmp_path, checker, macho(), shaders="source"))
    monkeypatch.setattr(sys, "argv", ["check_wheel.py", source])
    assert checker.main() == 1
    assert "lacks compiled shaders: it was built where `xcrun metal` is missing" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["check_wheel.py", "--without-compiled-shaders", source])
    assert checker.main() == 0


def test_a_wheel_that_is_not_optimised_may_be_larger(
    tmp_path: Path, checker: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for size, ends in ((checker.MAX_BYTES, 0), (checker.MAX_BYTES + checker.NOT_OPTIMISED_BYTES, 1)):
        more = {"mpscnn/lib/large.bin": bytes(size)}
        wheel = str(write_wheel(tmp_path, checker, elf(1), platform="manylinux_2_28_x86_64", more=more))
        monkeypatch.setattr(sys, "argv", ["check_wheel.py", wheel])
        assert checker.main() == 1
        monkeypatch.setattr(sys, "argv", ["check_wheel.py", "--not-optimised", wheel])
        assert checker.main() == ends
    capsys.readouterr()
