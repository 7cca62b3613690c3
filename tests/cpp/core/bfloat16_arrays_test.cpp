// Compares the rounding of arrays with that of single numbers, for floats with every sign, exponent and
// mantissa.

#include <bit>
#include <cstdint>
#include <vector>

#include "core/bfloat16.h"
#include "core/bfloat16_arrays.h"
#include "tests/cpp/check.h"

namespace {

/// Return floats with every upper half, and lower halves on both sides of a tie.
std::vector<float> floats() {
    std::vector<float> result;
    for (std::uint32_t upper = 0; upper < 1u << 16; ++upper)
        for (const std::uint32_t lower : {0x0000u, 0x0001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu})
            result.push_back(std::bit_cast<float>(upper << 16 | lower));
    return result;
}

} // namespace

TEST(arrays_are_converted_like_single_numbers) {
    const std::vector<float> given = floats();
    std::vector<std::uint16_t> found(given.size());
    mpscnn::bfloat16s_from_floats(given, found);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < given.size(); ++i) wrong += found[i] != mpscnn::bfloat16_from_float(given[i]);
    CHECK(wrong == 0);
}

TEST(arrays_are_rounded_like_single_numbers) {
    const std::vector<float> given = floats();
    std::vector<float> found = given;
    CHECK(mpscnn::round_to_bfloat16s(found));
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < given.size(); ++i)
        wrong += std::bit_cast<std::uint32_t>(found[i]) !=
                 std::bit_cast<std::uint32_t>(mpscnn::round_to_bfloat16(given[i]));
    CHECK(wrong == 0);
}

/// The largest bfloat16 is 2^128 - 2^120. Floats from 2^128 - 2^119 on are nearer to infinity.
TEST(infinite_results_are_reported) {
    for (const float sign : {1.0f, -1.0f})
        for (std::size_t place = 0; place < 9; ++place) {
            std::vector<float> values(9, 1.0f);
            values[place] = sign * 0x1.fefffep127f;
            CHECK(!mpscnn::round_to_bfloat16s(values));
            CHECK(values[place] == sign * 0x1.fep127f);
            values[place] = sign * 0x1.ffp127f;
            CHECK(mpscnn::round_to_bfloat16s(values));
        }
}
