#pragma once

#include <metal_stdlib>

using namespace metal;

// The random numbers of core/philox.h: Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel Random
// Numbers: As Easy as 1, 2, 3" (2011). It uses integers only, so that all engines drop the same elements.

inline uint4 philox(uint2 counter, uint2 key) {
    uint4 x = uint4(counter.x, counter.y, 0u, 0u);
    for (int round = 0; round < 10; ++round) {
        const uint first = 0xD2511F53u, second = 0xCD9E8D57u;
        x = uint4(mulhi(second, x.z) ^ x.y ^ key.x, second * x.z, mulhi(first, x.x) ^ x.w ^ key.y,
                  first * x.x);
        key += uint2(0x9E3779B9u, 0xBB67AE85u); // the golden ratio and the square root of 3
    }
    return x;
}

/// Return the random word of an element for a key. The element's number is given as its lower and upper half.
inline uint random_word(uint low, uint high, uint2 key) {
    const uint4 words = philox(uint2(low >> 2 | high << 30, high >> 2), key);
    return words[low & 3u];
}
