// Convolutions with weights of one bit. MPSCNNBinaryConvolution is not used, because it does not document its
// treatment of padding channels after the last one and of pixels outside the image.

#include <metal_stdlib>

#include "activation.h"
#include "binary_convolution_params.h"
#include "image_access.h"

using namespace metal;

/// The sums over the taps of a window, for four output channels.
struct BinarySums {
    uint4 counts;     ///< number of bits that differ (xnor), or that are set in both (and)
    float4 products;  ///< sums of real inputs times signs
    float magnitudes; ///< sum of |x|
    bool nan;
};

/// Add the products of 32 input channels (one word) at one tap. `inputs` are the biases of all slices and
/// then their factors. A pixel outside the image (x or y is negative) counts as zeros.
template <typename Source>
inline BinarySums add_word(BinarySums sums, Source source, int2 pixel, uint word, uint4 weights,
                           const device float4 *inputs, SliceOfImage place,
                           constant BinaryConvolutionParams &params) {
    uint bits = 0;
    const uint end = min(params.source.slices, 8 * word + 8);
    for (uint slice = 8 * word; slice < end; ++slice) {
        const float4 given =
            fetch_or_zero(source, pixel.x, pixel.y, place.image * params.source.slices + slice);
        const float4 x = without_unused_lanes(given, slice, params.source);
        const float4 value = (x + inputs[slice]) * inputs[params.source.slices + slice];
        for (uint lane = 0; lane < used_lanes(slice, params.source); ++lane) {
            const uint bit = 4 * (slice - 8 * word) + lane;
            const uint4 signs = (weights >> uint4(bit)) & uint4(1u);
            sums.products += select(float4(-value[lane]), float4(value[lane]), signs != uint4(0u));
            sums.magnitudes += fabs(x[lane]);
            sums.nan = sums.nan || value[lane] != value[lane];
            if (value[lane] >= 0.0f) bits |= 1u << bit;
        }
    }
    sums.counts += popcount(params.kind == BinaryKind::and_ ? weights & uint4(bits) : weights ^ uint4(bits));
    return sums;
}

template <typename Source>
inline BinarySums add_binary_window(Source source, const device uint4 *weights, const device float4 *inputs,
                                    SliceOfImage place, uint2 position,
                                    constant BinaryConvolutionParams &params) {
    BinarySums sums;
    sums.counts = uint4(0u);
    sums.products = float4(0.0f);
    sums.magnitudes = 0.0f;
    sums.nan = false;
    uint weight =
        place.slice * uint(params.window.kernel_height) * uint(params.window.kernel_width) * params.words;
    for (int i = 0; i < params.window.kernel_height; ++i)
        for (int j = 0; j < params.window.kernel_width; ++j) {
            int2 pixel = int2(int(position.x) * params.window.stride_x - params.window.pad_left +
                                  j * params.window.dilation_x,
                              int(position.y) * params.window.stride_y - params.window.pad_top +
                                  i * params.window.dilation_y);
            if (pixel.x >= int(params.source.width) || pixel.y >= int(params.source.height)) pixel.x = -1;
            for (uint word = 0; word < params.words; ++word, ++weight)
                sums = add_word(sums, source, pixel, word, weights[weight], inputs, place, params);
        }
    return sums;
}

/// Convolve. `weights` are [slice][kernel height][kernel width][word], with a component for each output
/// channel of the slice. `terms` are the biases of all slices, then the factors, then the slopes of a PReLU.
template <typename Source, typename Destination>
inline void convolve_bits(Source source, Destination destination, constant BinaryConvolutionParams &params,
                          const device uint4 *weights, const device float4 *inputs,
                          const device float4 *terms, uint3 position) {
    if (outside(position, params.destination)) return;
    const SliceOfImage place = slice_of_image(position, params.destination);
    const BinarySums sums = add_binary_window(source, weights, inputs, place, position.xy, params);
    const float count = float(params.window.kernel_height) * float(params.window.kernel_width) *
                        float(params.source.channels);
    float4 sum = sums.products;
    if (params.kind == BinaryKind::xnor) sum = count - 2.0f * float4(sums.counts);
    if (params.kind == BinaryKind::and_) sum = float4(sums.counts);
    if (sums.nan) sum = float4(NAN);
    const uint slices = params.destination.slices;
    float4 scale = terms[slices + place.slice];
    if (params.beta_scaling != 0) scale *= sums.magnitudes / count;
    const float4 result = activate(fma(sum, scale, terms[place.slice]), params.activation,
                                   slopes_of(terms, 2, place.slice, slices));
    store(destination, without_unused_lanes(result, place.slice, params.destination), position.xy,
          position.z);
}

#define CONVOLVE_BITS(TYPE, SOURCE, DESTINATION)                                                             \
    kernel void binary_convolution_##TYPE##_##SOURCE##_##DESTINATION(                                        \
        SOURCE<float, access::read> source [[texture(0)]],                                                   \
        DESTINATION<TYPE, access::write> destination [[texture(1)]],                                         \
        constant BinaryConvolutionParams &params [[buffer(0)]], const device uint4 *weights [[buffer(1)]],   \
        const device float4 *inputs [[buffer(2)]], const device float4 *terms [[buffer(3)]],                 \
        uint3 position [[thread_position_in_grid]]) {                                                        \
        convolve_bits(source, destination, params, weights, inputs, terms, position);                        \
    }

FOR_EACH_IMAGE_PAIR(CONVOLVE_BITS)
