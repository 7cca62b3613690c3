#pragma once

#include <metal_stdlib>

using namespace metal;

// The random number generator of core/philox.h: Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel
// Random Numbers: As Easy as 1, 2, 3" (2011). It uses integers only, so that all engines drop the same
// elements.

inline uint4 philox(uint2 counter, uint2 key) {
    uint4 x = uint4(counter.x, counter.y, 0u, 0u);
    for (int round = 0; round < 10; ++round) {
        const uint first = 0xD2511F53u, second = 0xCD9E8D57u;
        x = uint4(mulhi(second, x.z) ^ x.y ^ key.x, second * x.z, mulhi(first, x.x) ^ x.w ^ key.y,
                  first * x.x);
        // Fractional parts of the golden ratio and of the square root of 3, as in the paper.
        key += uint2(0x9E3779B9u, 0xBB67AE85u);
    }
    return x;
}

/// Return the four random words of the block that contains an element (elements 4 k to 4 k + 3). The
/// element's number is given as its lower and upper 32 bits.
inline uint4 random_block(uint low, uint high, uint2 key) {
    return philox(uint2(low >> 2 | high << 30, high >> 2), key);
}

/// Return the random word of one element.
inline uint random_word(uint low, uint high, uint2 key) {
    const uint4 words = random_block(low, high, key);
    const uint2 pair = (low & 2u) == 0u ? words.xy : uint2(words.z, words.w);
    return (low & 1u) == 0u ? pair.x : pair.y;
}

/// Return the random words of four adjacent elements, beginning with the element of this number.
inline uint4 random_words(uint low, uint high, uint2 key) {
    const uint4 words = random_block(low, high, key);
    const uint skipped = low & 3u;
    if (skipped == 0u) return words;
    const uint next = (low | 3u) + 1u;
    const uint4 more = random_block(next, next == 0u ? high + 1u : high, key);
    if (skipped == 1u) return uint4(words.y, words.z, words.w, more.x);
    return skipped == 2u ? uint4(words.z, words.w, more.x, more.y) : uint4(words.w, more.x, more.y, more.z);
}
