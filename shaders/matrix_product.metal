// Matrix products of two images, in which each row of pixels is a matrix [pixels][feature channels].
// MPSMatrixMultiplication is not used, because it takes buffers and not images.

#include <metal_stdlib>

#include "image_access.h"
#include "matrix_product_params.h"

using namespace metal;

/// Return four adjacent values in a row of the first factor, from column 4 * block on. Columns after the last
/// one give zeros, because the image's lanes without a feature channel may hold any value.
template <typename First>
inline float4 fetch_first(First first, constant MatrixProductParams &params, uint row, uint y, uint block,
                          uint image) {
    if (params.transpose_first == 0)
        return without_unused_lanes(fetch(first, uint2(row, y), image * params.first.slices + block), block,
                                    params.first);
    float4 result = float4(0.0f);
    for (uint lane = 0; lane < min(4u, params.depth - 4 * block); ++lane)
        result[lane] = fetch_channel(first, uint2(4 * block + lane, y), image, row, params.first);
    return result;
}

/// Multiply. A thread computes four columns of one row of the result.
template <typename First, typename Second, typename Destination>
inline void multiply_matrices(First first, Second second, Destination destination,
                              constant MatrixProductParams &params, uint3 position) {
    if (outside(position, params.destination)) return;
    const SliceOfImage place = slice_of_image(position, params.destination);
    const uint y = position.y, blocks = (params.depth + 3) / 4;
    const uint columns = used_lanes(place.slice, params.destination);
    float4 sum = float4(0.0f);
    for (uint block = 0; block < blocks; ++block) {
        const float4 x = fetch_first(first, params, position.x, y, block, place.image);
        const uint inputs = min(4u, params.depth - 4 * block);
        if (params.transpose_second != 0) {
            for (uint lane = 0; lane < columns; ++lane) {
                const float4 w = fetch(second, uint2(4 * place.slice + lane, y),
                                       place.image * params.second.slices + block);
                for (uint i = 0; i < inputs; ++i) sum[lane] = fma(x[i], w[i], sum[lane]);
            }
        } else {
            for (uint i = 0; i < inputs; ++i)
                sum = fma(
                    float4(x[i]),
                    fetch(second, uint2(4 * block + i, y), place.image * params.second.slices + place.slice),
                    sum);
        }
    }
    const float4 result = params.scale * sum;
    store(destination, without_unused_lanes(result, place.slice, params.destination), position.xy,
          position.z);
}

#define MULTIPLY_MATRICES(TYPE, FIRST, SECOND, DESTINATION)                                                  \
    kernel void matrix_product_##TYPE##_##FIRST##_##SECOND##_##DESTINATION(                                  \
        FIRST<float, access::read> first [[texture(0)]], SECOND<float, access::read> second [[texture(1)]],  \
        DESTINATION<TYPE, access::write> destination [[texture(2)]],                                         \
        constant MatrixProductParams &params [[buffer(0)]], uint3 position [[thread_position_in_grid]]) {    \
        multiply_matrices(first, second, destination, params, position);                                     \
    }

FOR_EACH_IMAGE_TRIPLE(MULTIPLY_MATRICES)
