// Copies between images of the caller and images of a network. Formats, texture types and numbers of images
// may differ.

#include <metal_stdlib>

#include "copy_params.h"
#include "image_access.h"

using namespace metal;

template <typename Source, typename Destination>
inline void copy(Source source, Destination destination, constant CopyParams &params, uint3 position) {
    if (outside(position, params.image)) return;
    const float4 value = fetch(source, position.xy, params.source_slice + position.z);
    store(destination, without_unused_lanes(value, position.z % params.image.slices, params.image), position.xy,
          params.destination_slice + position.z);
}

#define COPY(TYPE, SOURCE, DESTINATION) IMAGE_KERNEL(copy, copy, CopyParams, TYPE, SOURCE, DESTINATION)

FOR_EACH_IMAGE_PAIR(COPY)
