// libFuzzer target for the model file reader. README.md in this folder describes how to run it.
#include <cstdint>
#include <cstdlib>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "core/error.h"
#include "engine/file/safetensors.h"
#include "tests/fuzz/choices.h"
#include "tests/fuzz/time_budget.h"

using mpscnn::engine::SafetensorsFile;
using mpscnn::engine::StoredTensor;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

/// Check that the tensors of an accepted file are consistent and lie in the file.
void check_promises(const SafetensorsFile &file, std::size_t file_size) {
    std::set<std::string> names;
    std::size_t covered = 0;
    unsigned sum = 0;
    for (const StoredTensor &tensor : file.tensors()) {
        require(names.insert(tensor.name).second && &file.at(tensor.name) == &tensor);
        require(static_cast<std::size_t>(tensor.shape.elements()) * size_of(tensor.type) == tensor.size);
        covered += tensor.size;
        const std::shared_ptr<const std::byte> bytes = file.share(tensor);
        for (const std::byte byte : std::span(bytes.get(), tensor.size))
            sum += std::to_integer<unsigned>(byte);
    }
    require(covered <= file_size && sum <= covered * 255);
}

void parse(std::span<const std::byte> bytes) {
    try {
        check_promises(SafetensorsFile::parse(bytes, "input"), bytes.size());
    } catch (const mpscnn::Error &error) {
        require(error.kind() == mpscnn::ErrorKind::weights);
        require(std::string_view(error.what()).starts_with("input"));
    }
}

/// Return the input with a length before it, according to which the header ends at the last '}'. Mutations
/// seldom produce a right length.
std::string with_length(std::string_view input) {
    const std::size_t brace = input.rfind('}');
    const std::uint64_t length = brace == input.npos ? 0 : brace + 1;
    std::string result;
    for (unsigned shift = 0; shift < 64; shift += 8) result += static_cast<char>(length >> shift & 255);
    return result.append(input);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    Choices choices(data, size);
    const std::string input = choices.yes() ? choices.long_text() : std::string(choices.rest());
    const TimeBudget budget(input.size());
    parse(std::as_bytes(std::span(input)));
    const std::string with_header = with_length(input);
    parse(std::as_bytes(std::span(with_header)));
    return 0;
}
