"""Each file of cpp/ includes the standard headers that it uses, directly or through headers of the project.

Other standard headers may include them as well, but that differs between C++ libraries and their versions.

misc-include-cleaner of clang-tidy (17 and later) cannot replace this test. It does not count headers that a file's own
header includes, and reports 5 to 35 findings in each file of cpp/. It also reads no file of the Metal engine.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

CPP = Path(__file__).resolve().parent.parent / "cpp"
SOURCES = sorted(path for path in CPP.rglob("*") if path.suffix in {".h", ".hpp", ".cpp", ".mm"})

# The names of std that cpp/ uses, by header. The names of <algorithm> are common words, so [(<] must follow them.
NAMES = {
    "algorithm": r"(?:all_of|any_of|clamp|copy|copy_n|count|count_if|equal|fill|fill_n|find|find_if|lower_bound|max"
    r"|max_element|min|min_element|minmax_element|none_of|nth_element|partial_sort|partition|ranges::\w+|remove_if"
    r"|replace|reverse|rotate|sort|stable_sort|swap_ranges|transform|unique|upper_bound)(?=\s*[(<])",
    "array": r"(?:array|to_array)",
    "atomic": r"(?:atomic|memory_order)\w*",
    "bit": r"(?:bit_cast|bit_ceil|bit_width|countl_zero|countr_zero|endian|has_single_bit|popcount)",
    "charconv": r"(?:from_chars|to_chars)",
    "chrono": r"chrono",
    "cmath": r"(?:ceil|copysign|exp|expm1|floor|fma|fmod|frexp|isfinite|isinf|isnan|ldexp|log|log1p|lround|nearbyint"
    r"|pow|rint|round|sqrt|tanh|trunc)(?=\()",
    "concepts": r"(?:convertible_to|derived_from|floating_point|integral|invocable|same_as)",
    "condition_variable": r"condition_variable",
    "cstddef": r"(?:byte|max_align_t|nullptr_t|ptrdiff_t|size_t)",
    "cstdint": r"u?int(?:8|16|32|64|ptr)_t",
    "cstdio": r"(?:FILE|fclose|fopen|fprintf|fread|snprintf)",
    "cstdlib": r"(?:abort|abs|aligned_alloc|exit|free|getenv|malloc|strtod|strtol)(?=\()",
    "cstring": r"(?:memcmp|memcpy|memmove|memset|strcmp|strlen)",
    "deque": r"deque",
    "exception": r"(?:current_exception|exception|exception_ptr|rethrow_exception|terminate)",
    "filesystem": r"filesystem",
    "functional": r"(?:function|greater|hash|less|plus)",
    "initializer_list": r"initializer_list",
    "limits": r"numeric_limits",
    "list": r"list",
    "map": r"map",
    "memory": r"(?:enable_shared_from_this|make_shared|make_unique|shared_ptr|unique_ptr|weak_ptr)",
    "mutex": r"(?:call_once|lock_guard|mutex|once_flag|scoped_lock|unique_lock)",
    "new": r"(?:align_val_t|bad_alloc|launder|nothrow)",
    "numeric": r"(?:accumulate|gcd|inner_product|iota|lcm|reduce)(?=[(<])",
    "optional": r"(?:nullopt|optional)",
    "set": r"set",
    "span": r"span",
    "stdexcept": r"(?:invalid_argument|logic_error|out_of_range|runtime_error)",
    "string": r"(?:string|to_string)",
    "string_view": r"string_view",
    "system_error": r"(?:errc|error_code|system_error)",
    "thread": r"(?:this_thread|thread)",
    "tuple": r"(?:apply|make_tuple|tie|tuple)",
    "type_traits": r"(?:bool_constant|conditional_t|decay_t|false_type|integral_constant|is_\w+_v|remove_cvref_t"
    r"|true_type|type_identity|underlying_type_t)",
    "unordered_map": r"unordered_map",
    "utility": r"(?:exchange|forward|in_place|index_sequence|make_index_sequence|move|pair|swap)",
    "variant": r"(?:get_if|holds_alternative|monostate|variant|visit)",
    "vector": r"vector",
}
# By the C++ standard, each header includes these other headers or declares their names.
BESIDES = {
    "condition_variable": {"chrono", "mutex"},
    "memory": {"exception"},
    "mutex": {"chrono"},
    "string": {"initializer_list", "string_view"},
    "thread": {"chrono"},
    "vector": {"initializer_list"},
}
USES = {header: re.compile(rf"\bstd::{names}\b") for header, names in NAMES.items()}


@cache
def standard_headers(path: Path) -> frozenset[str]:
    """Return the standard headers that a file includes, directly or through headers of the project."""
    found: set[str] = set()
    waiting, seen = [path], {path}
    while waiting:
        current = waiting.pop()
        text = current.read_text("utf-8")
        found.update(re.findall(r"^\s*#\s*include <([a-z_]+)>", text, re.MULTILINE))
        for name in re.findall(r'^\s*#\s*(?:include|import) ["<]([\w/.+]+\.hp*)[">]', text, re.MULTILINE):
            for folder in (CPP, current.parent, CPP / "include"):
                if (folder / name).is_file() and folder / name not in seen:
                    seen.add(folder / name)
                    waiting.append(folder / name)
    return frozenset(found.union(*(BESIDES.get(header, set()) for header in found)))


def missing_headers(path: Path) -> list[str]:
    code = re.sub(r'//.*|"(?:\\.|[^"\\\n])*"', "", path.read_text("utf-8"))
    return [
        header for header, use in USES.items() if use.search(code) and header not in standard_headers(path)
    ]


def test_sources_include_what_they_use_of_the_standard_library() -> None:
    wrong = {str(path.relative_to(CPP)): missing for path in SOURCES if (missing := missing_headers(path))}
    assert not wrong


def test_a_missing_header_is_found(tmp_path: Path) -> None:
    source = tmp_path / "source.cpp"
    source.write_text(
        '#include <string>\n// std::vector\nstd::string text = "std::map"; std::int64_t count;\n'
    )
    assert missing_headers(source) == ["cstdint"]
