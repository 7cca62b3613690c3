// Matrices of simdgroups, as two elements in each thread of a warp. The warp exchanges them by shuffles.
// msl_cuda.h includes this file.
#pragma once

namespace metal {

template <class T, int Columns, int Rows> struct simdgroup_matrix {
    static_assert(Columns == 8 && Rows == 8);
    T elements[2];
    MSL_FUNCTION T *thread_elements() { return elements; }
};
using simdgroup_float8x8 = simdgroup_matrix<float, 8, 8>;
using simdgroup_half8x8 = simdgroup_matrix<half, 8, 8>;

template <class T, int Columns, int Rows>
MSL_FUNCTION simdgroup_matrix<T, Columns, Rows> make_filled_simdgroup_matrix(T value) {
    return {{value, value}};
}

/// Return the row, or the first of two columns, that this thread holds.
MSL_FUNCTION uint lane_row() { return thread_index() % 32u / 4u; }
MSL_FUNCTION uint lane_column() { return thread_index() % 4u * 2u; }

MSL_FUNCTION size_t element_index(uint element, size_t pitch, vec<unsigned long, 2> origin, bool transpose) {
    const uint row = lane_row(), column = lane_column() + element;
    return (origin.y + (transpose ? column : row)) * pitch + origin.x + (transpose ? row : column);
}

template <class T>
MSL_FUNCTION void simdgroup_load(simdgroup_matrix<T, 8, 8> &matrix, const T *source, size_t pitch = 8,
                                 vec<unsigned long, 2> origin = vec<unsigned long, 2>(0ul),
                                 bool transpose = false) {
    for (uint i = 0; i < 2; ++i) matrix.elements[i] = source[element_index(i, pitch, origin, transpose)];
}

template <class T>
MSL_FUNCTION void simdgroup_store(simdgroup_matrix<T, 8, 8> matrix, T *to, size_t pitch = 8,
                                  vec<unsigned long, 2> origin = vec<unsigned long, 2>(0ul),
                                  bool transpose = false) {
    for (uint i = 0; i < 2; ++i) to[element_index(i, pitch, origin, transpose)] = matrix.elements[i];
}

template <class Result, class Left, class Right, class Addend>
MSL_FUNCTION void
simdgroup_multiply_accumulate(simdgroup_matrix<Result, 8, 8> &result, simdgroup_matrix<Left, 8, 8> &left,
                              simdgroup_matrix<Right, 8, 8> &right, simdgroup_matrix<Addend, 8, 8> &addend) {
    float sums[2] = {float(addend.elements[0]), float(addend.elements[1])};
#pragma unroll
    for (uint k = 0; k < 8; ++k) {
        const float a = __shfl_sync(~0u, float(left.elements[k % 2]), lane_row() * 4 + k / 2);
        for (uint i = 0; i < 2; ++i)
            sums[i] =
                ::fmaf(a, __shfl_sync(~0u, float(right.elements[i]), k * 4 + lane_column() / 2), sums[i]);
    }
    for (uint i = 0; i < 2; ++i) result.elements[i] = Result(sums[i]);
}

} // namespace metal
