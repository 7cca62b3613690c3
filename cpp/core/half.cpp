#include "core/half.h"

#include <algorithm>
#include <array>
#include <string>

#include "core/error.h"
#include "core/half_blocks.h"

namespace mpscnn {

namespace {

constexpr std::size_t block = HalfBlocks::size;
/// The number of blocks that are converted at a time. After this many blocks, their results are searched for
/// overflows if there may be any.
constexpr std::size_t chunk = 4096;
/// Results of this many bytes or more bypass the caches: they do not fit, and would evict data that is still
/// needed.
constexpr std::size_t streamed_bytes = std::size_t{8} << 20;

void check_lengths(std::size_t given, std::size_t room) {
    if (given != room)
        fail(ErrorKind::shape, {"half conversion: ", given, " values do not fit an array of ", room,
                                ", both need the same length"});
}

/// Return the fastest variant that is correct with the thread's floating-point settings. F16C instructions
/// contain the rounding mode, while NEON instructions follow the settings.
const HalfBlocks &blocks_for_this_thread() {
#if defined(__aarch64__)
    std::uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    if (control != 0) return half_blocks().back();
#endif
    return half_blocks().front();
}

std::size_t count_overflows(const float *floats, std::size_t count) {
    return static_cast<std::size_t>(std::count_if(floats, floats + count, [](float value) {
        const std::uint32_t magnitude = std::bit_cast<std::uint32_t>(value) & 0x7fffffff;
        return magnitude >= half_detail::overflow_threshold && magnitude < half_detail::float_infinity;
    }));
}

/// Convert less than a block of numbers by padding them to a whole block.
template <class From, class To, class Convert>
void convert_padded(const From *from, To *to, std::size_t count, Convert &convert) {
    std::array<From, block> given{};
    std::array<To, block> result;
    std::copy_n(from, count, given.begin());
    convert(given.data(), result.data(), std::size_t{1}, false);
    std::copy_n(result.begin(), count, to);
}

/// Call convert(from, to, blocks, stream) until all numbers are converted.
template <class From, class To, class Convert>
void convert_array(const From *from, To *to, std::size_t count, Convert convert) {
    const auto address = reinterpret_cast<std::uintptr_t>(to);
    const bool stream = count * sizeof(To) >= streamed_bytes && address % sizeof(To) == 0;
    const std::size_t misplaced = address / sizeof(To) % block;
    if (stream && misplaced > 0) {
        const std::size_t head = block - misplaced;
        convert_padded(from, to, head, convert);
        from += head;
        to += head;
        count -= head;
    }
    while (count >= block) {
        const std::size_t blocks = std::min(chunk, count / block);
        convert(from, to, blocks, stream);
        from += blocks * block;
        to += blocks * block;
        count -= blocks * block;
    }
    if (count > 0) convert_padded(from, to, count, convert);
}

} // namespace

std::size_t halves_from_floats(std::span<const float> floats, std::span<std::uint16_t> halves) {
    check_lengths(floats.size(), halves.size());
    const HalfBlocks &variant = blocks_for_this_thread();
    std::size_t overflows = 0;
    convert_array(floats.data(), halves.data(), floats.size(),
                  [&](const float *from, std::uint16_t *to, std::size_t blocks, bool stream) {
                      if (variant.to_halves(from, to, blocks, stream))
                          overflows += count_overflows(from, blocks * block);
                  });
    return overflows;
}

void floats_from_halves(std::span<const std::uint16_t> halves, std::span<float> floats) {
    check_lengths(halves.size(), floats.size());
    convert_array(halves.data(), floats.data(), halves.size(), blocks_for_this_thread().to_floats);
}

} // namespace mpscnn
