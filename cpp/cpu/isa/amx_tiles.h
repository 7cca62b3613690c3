#pragma once

// The tile instructions of Intel's AMX for products of bfloat16 numbers and of bytes. There are eight tile
// registers of up to 16 rows of 64 bytes each, which must be configured before use.

#include <cstddef>
#include <cstdint>

#include "cpu/isa/simd.h"

namespace mpscnn::cpu {
namespace {

/// The sizes of the tile registers, in the format of the instruction LDTILECFG.
struct alignas(64) TileConfiguration {
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t row_bytes[16] = {};
    std::uint8_t rows[16] = {};

    void set(int tile, std::int64_t tile_rows, std::int64_t bytes) {
        rows[tile] = static_cast<std::uint8_t>(tile_rows);
        row_bytes[tile] = static_cast<std::uint16_t>(bytes);
    }
    bool operator==(const TileConfiguration &other) const {
        return __builtin_memcmp(this, &other, sizeof(other)) == 0;
    }
};
static_assert(sizeof(TileConfiguration) == 64);

/// The processor's tile registers, of which each thread has a set. They are accessed by inline assembly,
/// because the compilers' intrinsics do not state which memory they read.
struct HardwareTiles {
    static MPSCNN_INLINE void configure(const TileConfiguration &configuration) {
        asm volatile("ldtilecfg %0" : : "m"(configuration));
    }
    /// Load rows that are `stride` bytes apart. With a stride of 0 all rows are equal.
    template <int Tile> static MPSCNN_INLINE void load(const void *from, std::ptrdiff_t stride) {
        asm volatile("tileloadd (%1,%2,1), %%tmm%c0" : : "i"(Tile), "r"(from), "r"(stride) : "memory");
    }
    /// Load rows of memory that is read only once, without displacing other data from L1.
    template <int Tile> static MPSCNN_INLINE void load_stream(const void *from, std::ptrdiff_t stride) {
        asm volatile("tileloaddt1 (%1,%2,1), %%tmm%c0" : : "i"(Tile), "r"(from), "r"(stride) : "memory");
    }
    template <int Tile> static MPSCNN_INLINE void store(void *to, std::ptrdiff_t stride) {
        asm volatile("tilestored %%tmm%c0, (%1,%2,1)" : : "i"(Tile), "r"(to), "r"(stride) : "memory");
    }
    /// sums += a * b for pairs of bfloat16 numbers (TDPBF16PS).
    template <int Sums, int A, int B> static MPSCNN_INLINE void multiply() {
        asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(Sums), "i"(A), "i"(B));
    }
    /// sums += a * b for unsigned times signed bytes (TDPBUSD).
    template <int Sums, int A, int B> static MPSCNN_INLINE void multiply_bytes() {
        asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(Sums), "i"(A), "i"(B));
    }
    static MPSCNN_INLINE void release() { asm volatile("tilerelease"); }
};

} // namespace
} // namespace mpscnn::cpu
