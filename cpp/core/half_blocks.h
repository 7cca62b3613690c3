// What array conversions are made of: blocks of halves in the processor's own instructions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mpscnn {

/// One variant of the conversions; all give the bits of core/half.h, if the processor computes by IEEE 754's
/// defaults.
struct HalfBlocks {
    /// Elements of a block.
    static constexpr std::size_t size = 16;

    const char *name; ///< "avx512", "f16c", "neon", "portable"
    /// With `stream` the results, which must lie on a multiple of a block's bytes then, use non-temporal
    /// stores. Returns whether any float is beyond the halves, infinite or NaN.
    bool (*to_halves)(const float *floats, std::uint16_t *halves, std::size_t blocks, bool stream);
    void (*to_floats)(const std::uint16_t *halves, float *floats, std::size_t blocks, bool stream);
};

/// All that this processor can do, the fastest first, the portable one last.
std::span<const HalfBlocks> half_blocks();

} // namespace mpscnn
