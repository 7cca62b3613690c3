#include <algorithm>

#include "metal/layers/steps.h"
#include "shaders/take_along_axis_params.h"
#include "shaders/take_params.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(TakeAlongAxisParams) == 16 * sizeof(int));
static_assert(sizeof(TakenAxis) == 4 * sizeof(int) && sizeof(TakeParams) == 22 * sizeof(int));

TakenAxis taken_axis(std::int64_t first, std::int64_t step) {
    return {static_cast<int>(first), static_cast<int>(step), 0, 0};
}

TakenAxis repeated_axis(std::int64_t extent) { return {0, 1, static_cast<unsigned int>(extent), 0}; }

TakeParams take_all(const Operands &operands) {
    const TakenAxis every = taken_axis(0, 1);
    return {operands.source().layout.params(), operands.destination.layout.params(), every, every, every};
}

objc_ptr<id<MTLBuffer>> index_buffer(Device &device, const std::vector<std::int64_t> &indices) {
    std::vector<int> numbers(indices.begin(), indices.end());
    numbers.resize(
        // The buffer has at least one element, because a shader's argument may not be empty.
        std::max<std::size_t>(numbers.size(), 1));
    return device.make_constants(numbers.data(), numbers.size() * sizeof(int));
}

} // namespace

/// Make a slice layer. It uses a shader, because MPSNNSlice only begins at every fourth channel and has no
/// strides.
std::unique_ptr<Layer> make_layer(const ops::Slice &slice, const LayerSource &source, Device &device) {
    const auto bind = [slice, indices = index_buffer(device, {})](const Operands &operands) {
        const ops::Slice::Origin origin = slice.origin(operands.source().shape);
        TakeParams params = take_all(operands);
        params.rows = taken_axis(origin.row, slice.stride_y);
        params.columns = taken_axis(origin.column, slice.stride_x);
        params.channels = taken_axis(origin.channel, slice.stride_channels);
        return ShaderArguments(params, {indices});
    };
    return shader_layer(source, device, "take", bind);
}

std::unique_ptr<Layer> make_layer(const ops::Gather &gather, const LayerSource &source, Device &device) {
    const auto bind = [gather, indices = index_buffer(device, gather.indices)](const Operands &operands) {
        const Shape &input = operands.source().shape;
        const int from_end = input.rank() - gather.positive_axis(input);
        TakeParams params = take_all(operands);
        (from_end == 1 ? params.channels : from_end == 2 ? params.columns : params.rows).has_indices = 1;
        return ShaderArguments(params, {indices});
    };
    return shader_layer(source, device, "take", bind);
}

std::unique_ptr<Layer> make_layer(const ops::TakeAlongAxis &taken, const LayerSource &source,
                                  Device &device) {
    const auto bind = [taken](const Operands &operands) {
        const Shape &input = operands.sources[0].shape;
        return ShaderArguments(TakeAlongAxisParams{
            operands.sources[0].layout.params(), operands.sources[1].layout.params(),
            operands.destination.layout.params(), 3 - (input.rank() - taken.positive_axis(input))});
    };
    return shader_layer(source, device, "take_along_axis", bind);
}

std::unique_ptr<Layer> make_layer(const ops::Tile &, const LayerSource &source, Device &device) {
    const auto bind = [indices = index_buffer(device, {})](const Operands &operands) {
        const ImageLayout &image = operands.source().layout;
        TakeParams params = take_all(operands);
        params.rows = repeated_axis(image.height);
        params.columns = repeated_axis(image.width);
        params.channels = repeated_axis(image.channels);
        return ShaderArguments(params, {indices});
    };
    return shader_layer(source, device, "take", bind);
}

} // namespace mpscnn::metal
