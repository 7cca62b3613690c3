// Elementwise operations of two images. The activation is applied before the result is rounded, so there is
// only one rounding.

#include <metal_stdlib>

#include "activation.h"
#include "arithmetic_params.h"
#include "image_access.h"

using namespace metal;

template <typename Image>
inline float4 read_operand(Image image, constant ArithmeticOperand &operand, uint2 position,
                           SliceOfImage place) {
    const uint2 pixel = position * uint2(operand.step_x, operand.step_y);
    const uint first = place.image * operand.image.slices;
    if (operand.step_channels != 0) return operand.scale * fetch(image, pixel, first + place.slice);
    return float4(operand.scale * fetch(image, pixel, first)[0]);
}

/// Return x^y like C's pow, except that the result is NaN if either operand is NaN.
inline float4 power_of(float4 x, float4 y) {
    const float4 magnitude = pow(fabs(x), y), zero = float4(0.0f), half_y = 0.5f * y;
    const float4 odd = select(magnitude, -magnitude, y == trunc(y) && half_y != trunc(half_y));
    const float4 whole = select(magnitude, odd, x < zero || (x == zero && 1.0f / x < zero));
    const float4 valid = select(whole, float4(NAN), x < zero && x > float4(-INFINITY) && y != trunc(y));
    return select(valid, x + y, x != x || y != y);
}

inline float4 combine(float4 x, float4 y, ArithmeticKind kind) {
    const float4 zero = float4(0.0f), one = float4(1.0f);
    switch (kind) {
    case ArithmeticKind::add:
        return x + y;
    case ArithmeticKind::subtract:
        return x - y;
    case ArithmeticKind::multiply:
        return x * y;
    case ArithmeticKind::divide:
        return x / y;
    case ArithmeticKind::maximum:
        return select(y, x, x > y || x != x);
    case ArithmeticKind::minimum:
        return select(y, x, x < y || x != x);
    case ArithmeticKind::power:
        return power_of(x, y);
    case ArithmeticKind::greater:
        return select(zero, one, x > y);
    case ArithmeticKind::greater_equal:
        return select(zero, one, x >= y);
    case ArithmeticKind::equal:
        return select(zero, one, x == y);
    case ArithmeticKind::not_equal:
        return select(zero, one, x != y);
    case ArithmeticKind::mask:
        return select(y, zero, x == zero);
    case ArithmeticKind::mask_out:
        return select(zero, y, x == zero);
    }
}

template <typename First, typename Second, typename Destination>
inline void arithmetic(First first, Second second, Destination destination, constant ArithmeticParams &params,
                       const device float4 *slopes, uint3 position) {
    if (outside(position, params.destination)) return;
    const SliceOfImage place = slice_of_image(position, params.destination);
    const float4 x = read_operand(first, params.first, position.xy, place);
    const float4 y = read_operand(second, params.second, position.xy, place);
    const float4 combined = combine(x, y, params.kind) + params.bias;
    const float4 within = min_or_nan(max_or_nan(combined, params.minimum), params.maximum);
    const float4 result = activate(within, params.activation, slopes_of(slopes, 0, place.slice, 0));
    store(destination, without_unused_lanes(result, place.slice, params.destination), position.xy,
          position.z);
}

#define ARITHMETIC(TYPE, FIRST, SECOND, DESTINATION)                                                         \
    IMAGES_KERNEL_WITH_TERMS(arithmetic, arithmetic, ArithmeticParams, TYPE, FIRST, SECOND, DESTINATION)

FOR_EACH_IMAGE_TRIPLE(ARITHMETIC)
