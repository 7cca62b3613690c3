// Conversion between blocks of floats and halves with the processor's instructions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mpscnn {

/// One implementation of the conversions. All of them give the same bits as core/half.h if the processor has
/// IEEE 754's default settings.
struct HalfBlocks {
    /// The number of elements of a block.
    static constexpr std::size_t size = 16;

    const char *name; ///< "avx512", "f16c", "neon", "portable"
    /// Convert floats to halves. Return true if any float is infinite, NaN or too large for a half. `stream`
    /// selects non-temporal stores; the results must then be aligned to a block's bytes.
    bool (*to_halves)(const float *floats, std::uint16_t *halves, std::size_t blocks, bool stream);
    void (*to_floats)(const std::uint16_t *halves, float *floats, std::size_t blocks, bool stream);
};

/// Return all variants that this processor supports, the fastest first, the portable one last.
std::span<const HalfBlocks> half_blocks();

} // namespace mpscnn
