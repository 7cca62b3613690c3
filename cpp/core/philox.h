#pragma once

#include <cstdint>

namespace mpscnn {

// The random number generator Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy
// as 1, 2, 3", 2011): four random words for each counter. It uses integers only and has no state. So any
// engine can compute any part of the stream, in any order, with the same bits. The functions have internal
// linkage, because kernels of different instruction sets must not share functions.

constexpr int philox_rounds = 10;

struct PhiloxWords {
    std::uint32_t words[4];
};

struct PhiloxKey {
    std::uint32_t low, high;

    [[gnu::always_inline]] explicit PhiloxKey(std::uint64_t key)
        : low(static_cast<std::uint32_t>(key)), high(static_cast<std::uint32_t>(key >> 32)) {}
    /// Compute the key of the next round. The constants are the golden ratio and the square root of 3.
    [[gnu::always_inline]] void advance() {
        low += 0x9E3779B9;
        high += 0xBB67AE85;
    }
};

/// Return the words before the first round; the upper 64 bits of the counter are 0.
[[gnu::always_inline]] static inline PhiloxWords philox_counter(std::uint64_t counter) {
    return {{static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32), 0, 0}};
}

[[gnu::always_inline]] static inline PhiloxWords philox_round(const PhiloxWords &x, const PhiloxKey &key) {
    const std::uint64_t first = std::uint64_t{0xD2511F53} * x.words[0];
    const std::uint64_t second = std::uint64_t{0xCD9E8D57} * x.words[2];
    return {
        {static_cast<std::uint32_t>(second >> 32) ^ x.words[1] ^ key.low, static_cast<std::uint32_t>(second),
         static_cast<std::uint32_t>(first >> 32) ^ x.words[3] ^ key.high, static_cast<std::uint32_t>(first)}};
}

[[gnu::always_inline]] static inline PhiloxWords philox(std::uint64_t counter, std::uint64_t key) {
    PhiloxWords x = philox_counter(counter);
    PhiloxKey round_key(key);
    for (int round = 0; round < philox_rounds; ++round, round_key.advance()) x = philox_round(x, round_key);
    return x;
}

} // namespace mpscnn
