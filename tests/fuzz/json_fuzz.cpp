// libFuzzer target for the JSON reader and writer. README.md in this folder describes how to run it.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/error.h"
#include "core/json.h"
#include "tests/fuzz/choices.h"
#include "tests/fuzz/time_budget.h"

using mpscnn::Json;
using mpscnn::parse_json;
using mpscnn::to_text;

namespace {

Json parse_or_null(std::string_view text) {
    try {
        return parse_json(text);
    } catch (const mpscnn::Error &error) {
        if (error.kind() != mpscnn::ErrorKind::parameter) std::abort();
        return nullptr;
    }
}

} // namespace

/// Check that a value that was read is written as a text that gives the same value, and then the same text.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    Choices choices(data, size);
    const std::string given = choices.yes() ? choices.long_text() : std::string(choices.rest());
    const TimeBudget budget(given.size());
    const Json json = parse_or_null(given);
    const std::string text = to_text(json);
    const Json again = parse_json(text);
    if (again != json || to_text(again) != text) std::abort();
    return 0;
}
