#include <algorithm>

#include "metal/layers/steps.h"
#include "shaders/transpose_params.h"

namespace mpscnn::metal {

static_assert(sizeof(TransposeParams) == 20 * sizeof(int) &&
              sizeof(ChannelShuffleParams) == 11 * sizeof(int));
static_assert(Shape::max_rank == 6);

std::unique_ptr<Layer> make_layer(const ops::Transpose &transpose, const LayerSource &source,
                                  Device &device) {
    const auto bind = [transpose](const Operands &operands) {
        TransposeParams params{
            operands.source().layout.params(), operands.destination.layout.params(), {}, {}};
        std::fill(params.extents, params.extents + 5, 1u);
        const Shape &input = operands.source().shape;
        const int rank = input.rank();
        std::vector<unsigned int> steps(static_cast<std::size_t>(rank), 1u); // strides of the source's axes
        for (int axis = rank - 2; axis > 0; --axis)
            steps[static_cast<std::size_t>(axis)] =
                steps[static_cast<std::size_t>(axis) + 1] * static_cast<unsigned int>(input[axis + 1]);
        for (int axis = 1; axis < rank; ++axis) {
            const auto from = transpose.axes[static_cast<std::size_t>(axis) - 1];
            params.extents[5 - rank + axis] = static_cast<unsigned int>(input[static_cast<int>(from)]);
            params.steps[5 - rank + axis] = steps[static_cast<std::size_t>(from)];
        }
        return ShaderArguments(params);
    };
    return shader_layer(source, device, "transpose", bind);
}

std::unique_ptr<Layer> make_layer(const ops::ChannelShuffle &shuffle, const LayerSource &source,
                                  Device &device) {
    const auto bind = [groups = static_cast<unsigned int>(shuffle.groups)](const Operands &operands) {
        return ShaderArguments(ChannelShuffleParams{operands.source().layout.params(),
                                                    operands.destination.layout.params(), groups});
    };
    return shader_layer(source, device, "channel_shuffle", bind);
}

} // namespace mpscnn::metal
