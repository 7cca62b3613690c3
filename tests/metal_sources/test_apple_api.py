"""Test that Apple declares what the Metal engine uses in the same way, since macOS 11 or inside of @available."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from metal_sources import apple_api
from metal_sources.apple_api import Entry, Use, problems


@pytest.fixture(scope="module")
def table() -> dict[str, Entry]:
    return apple_api.read_table(apple_api.TABLE.read_text("utf-8"))


def require_clang() -> None:
    pytest.importorskip("clang.cindex", reason="libclang is not installed (pip install libclang==16.0.6)")
    if apple_api.compiler_arguments() is None:
        pytest.skip("GNUstep is not installed (libgnustep-base-dev)")


# ---- The engine ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def uses(tmp_path_factory: pytest.TempPathFactory) -> list[Use]:
    require_clang()
    return apple_api.uses_of_engine(tmp_path_factory.mktemp("headers"))


def test_the_engine_uses_what_apple_has(uses: list[Use], table: dict[str, Entry]) -> None:
    assert not problems(uses, table), (
        "python tests/metal_sources/apple_api.py FOLDER brings the table up to date"
    )
    assert set(table) == {use.name for use in uses}, "lines that nothing needs"


def test_the_table_is_apples(uses: list[Use], table: dict[str, Entry], shared: Path) -> None:
    assert apple_api.TABLE.read_text("utf-8") == apple_api.table_of(uses, table, shared / "mps")


def test_every_name_of_metal_in_the_sources_is_in_the_table(project: Path, table: dict[str, Entry]) -> None:
    """The names are found in the text, without a compiler. Selectors are not checked."""
    known = {word for name in table for word in re.findall(r"\w+", name)}
    # Prefixes, which may stand alone.
    known |= {"MPSCNN", "MPSNN", "MPS"}
    for source in [*sorted((project / "cpp" / "metal").rglob("*.mm")), apple_api.PUBLIC_HEADER]:
        text = re.sub(r'//.*|/\*(.|\n)*?\*/|"(\\.|[^"\\])*"', "", source.read_text("utf-8"))
        unknown = set(re.findall(r"\b(?:MTL|MPS(?!CNN_))[A-Z]\w*", text)) - known
        assert not unknown, (
            f"{source.name}: python tests/metal_sources/apple_api.py FOLDER adds them, if Apple has them"
        )


# ---- Each kind of problem is found --------------------------------------------------------------------------------

SNIPPET = """
#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

void too_new(MTLCompileOptions *options) { [options setLanguageVersion:MTLLanguageVersion3_0]; }
void guarded(MTLCompileOptions *options) {
    if (@available(macOS 13.0, *)) {
        [options setLanguageVersion:MTLLanguageVersion3_0];
    } else {
        [options setLanguageVersion:MTLLanguageVersion3_0];
    }
}
void unknown(id<MTLDevice> device) { [[device newTextureWithDescriptor:nil] release]; }
template <class Kernel> void in_a_template(Kernel *kernel, float x) { [kernel setDelta:(x > 0 ? x : 1)]; }

@interface Weights : NSObject <MPSCNNConvolutionDataSource>
@end
@implementation Weights
- (NSUInteger)purge {
    return 0;
}
@end
"""


@pytest.fixture(scope="module")
def snippet(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Use]:
    """Return the uses in SNIPPET by name and line."""
    require_clang()
    source = tmp_path_factory.mktemp("snippet") / "snippet.mm"
    source.write_text(SNIPPET.lstrip("\n"), "utf-8")
    found = apple_api.uses_in(source, (source,))
    return {(use.name, int(use.place.split(":")[1])): use for use in found}


def line(text: str) -> int:
    return SNIPPET.lstrip("\n")[: SNIPPET.index(text)].count("\n") + 1


def test_what_is_too_new_is_noticed_unless_guarded(snippet: dict[tuple[str, int], Use]) -> None:
    name = "MTLLanguageVersion3_0"
    known = {name: Entry("196608", (13, 0))}
    first = line("void too_new")
    lines = [number for found, number in snippet if found == name]
    assert sorted(lines) == [first, first + 3, first + 5]
    guarded = snippet[name, first + 3]
    assert not problems([guarded], known)
    assert problems([guarded], {name: Entry("196608", (14, 0))})
    for number in (first, first + 5):
        (problem,) = problems([snippet[name, number]], known)
        assert problem == f"snippet.mm:{number}: {name} needs macOS 13.0 and is not behind @available"


def test_what_apple_does_not_have_is_noticed(
    snippet: dict[tuple[str, int], Use], table: dict[str, Entry]
) -> None:
    unknown = snippet["-[MTLDevice newTextureWithDescriptor:]", line("void unknown")]
    assert unknown.declaration == "id<MTLTexture>(MTLTextureDescriptor*)"
    less = {name: entry for name, entry in table.items() if name != unknown.name}
    (problem,) = problems([unknown], less)
    assert problem.endswith("-[MTLDevice newTextureWithDescriptor:] is not in apple_api.tsv")


def test_selectors_in_templates_are_those_of_every_class(snippet: dict[tuple[str, int], Use]) -> None:
    number = line("template <class Kernel>")
    owners = {name for name, found in snippet if found == number and "setDelta:" in name}
    assert "-[MPSCNNSpatialNormalization setDelta:]" in owners
    assert "-[MPSCNNCrossChannelNormalization setDelta:]" in owners


def test_other_types_than_apples_are_noticed(
    snippet: dict[tuple[str, int], Use], table: dict[str, Entry]
) -> None:
    purge = snippet["-[MPSCNNConvolutionDataSource purge]", line("- (NSUInteger)purge")]
    (problem,) = problems([purge], table)
    assert "is 'void()', not 'NSUInteger()'" in problem


def test_what_is_deprecated_is_noticed() -> None:
    use = Use("f()", "void()", "a.mm:1")
    entry = Entry("void()", (10, 11), (11, 0))
    (problem,) = problems([use], {"f()": entry})
    assert "deprecated" in problem
    assert not problems([use], {"f()": replace(entry, deprecated=(15, 0))})
