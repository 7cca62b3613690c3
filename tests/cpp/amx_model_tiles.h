#pragma once

// A software model of AMX's tiles, to test kernels for them on other processors.

#include <cstddef>
#include <cstdint>

#include "cpu/isa/amx_tiles.h"

namespace mpscnn::cpu {
namespace {

/// The functions of HardwareTiles in software. Results have the same bits, except that NaNs may differ. A
/// misuse that would raise an invalid-opcode exception is a trap here.
struct ModelTiles {
    struct State {
        TileConfiguration configuration;
        bool configured = false;
        std::uint8_t bytes[8][16 * 64];
    };
    static State &state() {
        static thread_local State own;
        return own;
    }
    static void require(bool right) {
        if (!right) __builtin_trap();
    }

    static void configure(const TileConfiguration &configuration) {
        require(configuration.palette == 1);
        for (int tile = 0; tile < 8; ++tile)
            require(configuration.rows[tile] <= 16 && configuration.row_bytes[tile] <= 64);
        state().configuration = configuration;
        state().configured = true;
        __builtin_memset(state().bytes, 0, sizeof(state().bytes));
    }
    template <int Tile> static void load(const void *from, std::ptrdiff_t stride) {
        State &own = state();
        require(own.configured && own.configuration.rows[Tile] > 0);
        __builtin_memset(own.bytes[Tile], 0, sizeof(own.bytes[Tile]));
        for (int row = 0; row < own.configuration.rows[Tile]; ++row)
            __builtin_memcpy(own.bytes[Tile] + 64 * row, static_cast<const char *>(from) + row * stride,
                             own.configuration.row_bytes[Tile]);
    }
    template <int Tile> static void load_stream(const void *from, std::ptrdiff_t stride) {
        load<Tile>(from, stride);
    }
    template <int Tile> static void store(void *to, std::ptrdiff_t stride) {
        State &own = state();
        require(own.configured && own.configuration.rows[Tile] > 0);
        for (int row = 0; row < own.configuration.rows[Tile]; ++row)
            __builtin_memcpy(static_cast<char *>(to) + row * stride, own.bytes[Tile] + 64 * row,
                             own.configuration.row_bytes[Tile]);
    }
    template <int Sums, int A, int B> static void multiply() {
        each_sum<Sums, A, B>([](std::uint8_t *sum, const std::uint8_t *a, const std::uint8_t *b, int pairs) {
            float even = 0, odd = 0, before;
            for (int k = 0; k < pairs; ++k, a += 4, b += 64) {
                even = multiply_add(number(a), number(b), even);
                odd = multiply_add(number(a + 2), number(b + 2), odd);
            }
            __builtin_memcpy(&before, sum, sizeof(before));
            const float result = multiply_add(multiply_add(even, 1, odd), 1, before);
            __builtin_memcpy(sum, &result, sizeof(result));
        });
    }
    /// Add products of bytes to 32-bit sums, which wrap around.
    template <int Sums, int A, int B> static void multiply_bytes() {
        each_sum<Sums, A, B>([](std::uint8_t *sum, const std::uint8_t *a, const std::uint8_t *b, int quads) {
            std::uint32_t total;
            __builtin_memcpy(&total, sum, sizeof(total));
            for (int k = 0; k < quads; ++k, a += 4, b += 64)
                for (int i = 0; i < 4; ++i)
                    total += static_cast<std::uint32_t>(a[i] * static_cast<std::int8_t>(b[i]));
            __builtin_memcpy(sum, &total, sizeof(total));
        });
    }
    static void release() { state().configured = false; }

private:
    /// Call add(sum, row of a, column of b, number of rows of b) for each 32-bit sum.
    template <int Sums, int A, int B, class Add> static void each_sum(Add add) {
        State &own = state();
        const TileConfiguration &tiles = own.configuration;
        const int rows = tiles.rows[Sums], columns = tiles.row_bytes[Sums] / 4, depth = tiles.rows[B];
        require(own.configured && rows == tiles.rows[A] && 4 * depth == tiles.row_bytes[A] &&
                tiles.row_bytes[B] == tiles.row_bytes[Sums]);
        for (int row = 0; row < rows; ++row)
            for (int column = 0; column < columns; ++column)
                add(own.bytes[Sums] + 64 * row + 4 * column, own.bytes[A] + 64 * row,
                    own.bytes[B] + 4 * column, depth);
    }

    static float number(const std::uint8_t *bfloat16) {
        std::uint16_t upper;
        __builtin_memcpy(&upper, bfloat16, sizeof(upper));
        const std::uint32_t bits = static_cast<std::uint32_t>(upper) << 16;
        float value;
        __builtin_memcpy(&value, &bits, sizeof(value));
        return value;
    }
    static constexpr float smallest_normal = 0x1p-126f;
    static float flushed(float x) {
        return __builtin_fabsf(x) < smallest_normal ? __builtin_copysignf(0, x) : x;
    }
    /// Return a * b + c, rounded once. A result that is subnormal after rounding to 24 bits is zero.
    static float multiply_add(float a, float b, float c) {
        a = flushed(a), b = flushed(b), c = flushed(c);
        const float result = __builtin_fmaf(a, b, c);
        if (__builtin_fabsf(result) > smallest_normal) return result;
        const double exact = static_cast<double>(a) * b + c;
        return __builtin_fabs(exact) < 0x1p-126 * (1 - 0x1p-25) ? __builtin_copysignf(0, result) : result;
    }
};

} // namespace
} // namespace mpscnn::cpu
