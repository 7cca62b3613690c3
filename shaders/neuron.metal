// Activations as separate layers, activations after layers to which MPS does not apply them, and a scale and
// shift for each feature channel.

#include <metal_stdlib>

#include "activation.h"
#include "image_access.h"
#include "neuron_params.h"

using namespace metal;

template <typename Source, typename Destination>
inline void neuron(Source source, Destination destination, constant NeuronParams &params,
                   const device float4 *slopes, uint3 position) {
    if (outside(position, params.image)) return;
    const uint slice = position.z % params.image.slices;
    const float4 result =
        activate(fetch(source, position.xy, position.z), params.activation, slopes_of(slopes, 0, slice, 0));
    store(destination, without_unused_lanes(result, slice, params.image), position.xy, position.z);
}

/// Multiply, add and apply the activation. `terms` are the factors of all slices, then the summands, then the
/// slopes of a PReLU.
template <typename Source, typename Destination>
inline void scale_shift(Source source, Destination destination, constant NeuronParams &params,
                        const device float4 *terms, uint3 position) {
    if (outside(position, params.image)) return;
    const uint slices = params.image.slices, slice = position.z % slices;
    const float4 scaled = fma(fetch(source, position.xy, position.z), terms[slice], terms[slices + slice]);
    const float4 result = activate(scaled, params.activation, slopes_of(terms, 2, slice, slices));
    store(destination, without_unused_lanes(result, slice, params.image), position.xy, position.z);
}

#define NEURON(TYPE, TEXTURE)                                                                                \
    IMAGE_KERNEL_WITH_TERMS(neuron, neuron, NeuronParams, TYPE, TEXTURE, TEXTURE)                            \
    IMAGE_KERNEL_WITH_TERMS(scale_shift, scale_shift, NeuronParams, TYPE, TEXTURE, TEXTURE)

FOR_EACH_IMAGE_TYPE(NEURON)
