// Matrices that the 32 threads of a simdgroup hold together, two elements in each thread. Metal does not
// define which elements a thread holds, so shaders that depend on this order are wrong.
#pragma once

#include "msl/fiber.h"
#include "msl/vector.h"

#include <array>
#include <limits>

namespace msl {

constexpr unsigned lanes_of_matrix = 32;

/// Return the row and the first of two columns that a lane of a simdgroup holds.
inline unsigned lane_row(unsigned lane) { return lane / 4; }
inline unsigned lane_column(unsigned lane) { return lane % 4 * 2; }

} // namespace msl

namespace metal {

// The functions are static, because each file of shaders has its own group of fibers.

template <class T, int Columns, int Rows> class simdgroup_matrix {
    static_assert(Columns == 8 && Rows == 8, "a simdgroup's matrix has 8 x 8 elements");
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, half>,
                  "a simdgroup's matrix holds floats or halves");

public:
    /// The elements are undefined in Metal, and NaN here to reveal kernels that read them.
    simdgroup_matrix() : elements_(static_cast<T>(std::numeric_limits<float>::quiet_NaN())) {}
    vec<T, 2> &thread_elements() { return elements_; }
    const vec<T, 2> &thread_elements() const { return elements_; }

private:
    vec<T, 2> elements_;
};

using simdgroup_float8x8 = simdgroup_matrix<float, 8, 8>;
using simdgroup_half8x8 = simdgroup_matrix<half, 8, 8>;

template <class T, int Columns, int Rows>
static simdgroup_matrix<T, Columns, Rows> make_filled_simdgroup_matrix(T value) {
    msl::FiberGroup::of_this_thread().lane();
    simdgroup_matrix<T, Columns, Rows> matrix;
    matrix.thread_elements() = vec<T, 2>(value);
    return matrix;
}

namespace {

/// Return the index in memory of a lane's element.
[[maybe_unused]] std::size_t element_index(int element, unsigned long elements_per_row, ulong2 origin,
                                           bool transpose) {
    const unsigned lane = msl::FiberGroup::of_this_thread().lane();
    const unsigned long row = msl::lane_row(lane);
    const unsigned long column = msl::lane_column(lane) + static_cast<unsigned long>(element);
    return (origin.y + (transpose ? column : row)) * elements_per_row + origin.x + (transpose ? row : column);
}

} // namespace

template <class T>
static void simdgroup_load(simdgroup_matrix<T, 8, 8> &matrix, const T *source,
                           unsigned long elements_per_row = 8, ulong2 origin = 0, bool transpose = false) {
    for (int i = 0; i < 2; ++i)
        matrix.thread_elements()[i] = source[element_index(i, elements_per_row, origin, transpose)];
}

template <class T>
static void simdgroup_store(const simdgroup_matrix<T, 8, 8> &matrix, T *to,
                            unsigned long elements_per_row = 8, ulong2 origin = 0, bool transpose = false) {
    for (int i = 0; i < 2; ++i)
        to[element_index(i, elements_per_row, origin, transpose)] = matrix.thread_elements()[i];
}

/// Store left * right + addend in `result`, which may be one of the operands. All threads of the simdgroup
/// must come here together.
template <class Result, class Left, class Right, class Addend>
static void
simdgroup_multiply_accumulate(simdgroup_matrix<Result, 8, 8> &result, simdgroup_matrix<Left, 8, 8> &left,
                              simdgroup_matrix<Right, 8, 8> &right, simdgroup_matrix<Addend, 8, 8> &addend,
                              int line = __builtin_LINE()) {
    struct Operands {
        simdgroup_matrix<Result, 8, 8> *result;
        const simdgroup_matrix<Left, 8, 8> *left;
        const simdgroup_matrix<Right, 8, 8> *right;
        const simdgroup_matrix<Addend, 8, 8> *addend;
    };
    Operands own{&result, &left, &right, &addend};
    msl::FiberGroup::of_this_thread().together(&own, line, [](void *const *lanes) {
        using Matrix = std::array<std::array<float, 8>, 8>;
        Matrix a, b, sums;
        for (unsigned lane = 0; lane < msl::lanes_of_matrix; ++lane)
            for (unsigned i = 0; i < 2; ++i) {
                const Operands &operands = *static_cast<const Operands *>(lanes[lane]);
                const unsigned row = msl::lane_row(lane), column = msl::lane_column(lane) + i;
                a[row][column] = static_cast<float>(operands.left->thread_elements()[i]);
                b[row][column] = static_cast<float>(operands.right->thread_elements()[i]);
                sums[row][column] = static_cast<float>(operands.addend->thread_elements()[i]);
            }
        for (unsigned row = 0; row < 8; ++row)
            for (unsigned k = 0; k < 8; ++k)
                for (unsigned column = 0; column < 8; ++column) sums[row][column] += a[row][k] * b[k][column];
        for (unsigned lane = 0; lane < msl::lanes_of_matrix; ++lane)
            for (unsigned i = 0; i < 2; ++i)
                static_cast<const Operands *>(lanes[lane])->result->thread_elements()[i] =
                    static_cast<Result>(sums[msl::lane_row(lane)][msl::lane_column(lane) + i]);
    });
}

} // namespace metal
