#include "metal/layers/steps.h"
#include "shaders/slice_params.h"

namespace mpscnn::metal {

static_assert(sizeof(SliceParams) == 15 * sizeof(int));

/// An own shader: MPSNNSlice begins at every fourth channel and has no strides.
std::unique_ptr<Layer> make_layer(const ops::Slice &slice, const LayerSource &source, Device &device) {
    const auto bind = [slice](const Operands &operands) {
        const ImageLayout &image = operands.source().layout;
        const ops::Slice::Origin origin = slice.origin(operands.source().shape);
        return ShaderArguments(SliceParams{
            image.params(), operands.destination.layout.params(), static_cast<unsigned int>(origin.column),
            static_cast<unsigned int>(origin.row), static_cast<unsigned int>(origin.channel),
            static_cast<unsigned int>(slice.stride_x), static_cast<unsigned int>(slice.stride_y)});
    };
    return shader_layer(source, device, "slice", bind);
}

} // namespace mpscnn::metal
