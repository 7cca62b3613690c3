// Borders around images and channels.

#include <metal_stdlib>

#include "image_access.h"
#include "padding_params.h"

using namespace metal;

/// Return the non-negative remainder of i divided by the period.
inline int padding_modulo(int i, int period) {
    const int remainder = i % period;
    return remainder < 0 ? remainder + period : remainder;
}

/// Return the position in [0, size) whose value position i gets, or -1 for the constant. Reflections repeat.
inline int padding_position(int i, int size, PaddingMode mode) {
    if (i >= 0 && i < size) return i;
    if (mode == PaddingMode::constant_) return -1;
    if (mode == PaddingMode::clamp) return i < 0 ? 0 : size - 1;
    if (mode == PaddingMode::mirror_with_edge) {
        const int within = padding_modulo(i, 2 * size);
        return min(within, 2 * size - 1 - within);
    }
    if (size == 1) return 0;
    const int within = padding_modulo(i, 2 * (size - 1));
    return min(within, 2 * (size - 1) - within);
}

/// Pad. `values` are the constants of all slices.
template <typename Source, typename Destination>
inline void pad(Source source, Destination destination, constant PaddingParams &params,
                const device float4 *values, uint3 position) {
    if (outside(position, params.destination)) return;
    const SliceOfImage place = slice_of_image(position, params.destination);
    const int x = padding_position(int(position.x) - params.left, int(params.source.width), params.mode);
    const int y = padding_position(int(position.y) - params.top, int(params.source.height), params.mode);
    float4 result = without_unused_lanes(values[place.slice], place.slice, params.destination);
    for (uint lane = 0; lane < used_lanes(place.slice, params.destination); ++lane) {
        const int channel = padding_position(int(4 * place.slice + lane) - params.front,
                                             int(params.source.channels), params.mode);
        if (x < 0 || y < 0 || channel < 0) continue;
        result[lane] =
            fetch_channel(source, uint2(uint(x), uint(y)), place.image, uint(channel), params.source);
    }
    store(destination, result, position.xy, position.z);
}

#define PAD(TYPE, SOURCE, DESTINATION)                                                                       \
    IMAGE_KERNEL_WITH_TERMS(padding, pad, PaddingParams, TYPE, SOURCE, DESTINATION)

FOR_EACH_IMAGE_PAIR(PAD)
