#include "metal/layers/dropout.h"

#include "metal/layers/steps.h"
#include "shaders/dropout_params.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(DropoutParams) == 14 * sizeof(int));

unsigned int low(std::uint64_t value) { return static_cast<unsigned int>(value); }
unsigned int high(std::uint64_t value) { return static_cast<unsigned int>(value >> 32); }

/// A dropout layer. It uses a shader, because MPSCNNDropout does not document its random numbers.
class Dropout : public Layer {
public:
    Dropout(const ops::Dropout &operation, const LayerSource &source, Device &device)
        : operation_(operation), shaders_(source, device) {}

    std::unique_ptr<Step> bind(Operands operands) const override {
        const DropoutParams params = params_for(operands.destination.layout);
        const ShaderCall call = shaders_.call("dropout", operands, ShaderArguments(params));
        const ImageLayout result = operands.destination.layout;
        // In a batch of several passes, the mask of a pass continues the mask of the pass before it.
        const auto encode = [call, params, result](Encoding &encoding, std::span<MPSImage *const> images) {
            DropoutParams of_pass = params;
            const std::uint64_t mask =
                std::uint64_t{params.mask_width} * params.mask_height * params.mask_channels;
            const std::uint64_t first = mask * static_cast<std::uint64_t>(encoding.first_image());
            of_pass.first_element_low = low(first);
            of_pass.first_element_high = high(first);
            ShaderCall shader = call;
            shader.arguments = ShaderArguments(of_pass);
            shader.encode(encoding.command_buffer(), images, result);
        };
        return staged_step({Stage{encode, false, {0}, result, call.shader}}, std::move(operands));
    }

private:
    DropoutParams params_for(const ImageLayout &image) const {
        const ImageParams of = image.params();
        const DropoutMask mask(operation_, of.width, of.height, of.channels);
        return {of, mask.width,    mask.height,    mask.channels,  0,
                0,  mask.seed_low, mask.seed_high, mask.last_kept, mask.factor};
    }

    ops::Dropout operation_;
    ShaderMaker shaders_;
};

} // namespace

DropoutMask::DropoutMask(const ops::Dropout &operation, unsigned int image_width, unsigned int image_height,
                         unsigned int image_channels)
    : width(operation.mask_stride_x == 1 ? image_width : 1),
      height(operation.mask_stride_y == 1 ? image_height : 1),
      channels(operation.mask_stride_channels == 1 ? image_channels : 1),
      seed_low(low(static_cast<std::uint64_t>(operation.seed))),
      seed_high(high(static_cast<std::uint64_t>(operation.seed))),
      last_kept(operation.training ? operation.last_kept() : low(~std::uint64_t{0})),
      factor(operation.training ? static_cast<float>(1.0 / static_cast<double>(operation.keep_probability))
                                : 1.0f) {}

std::unique_ptr<Layer> make_layer(const ops::Dropout &operation, const LayerSource &source, Device &device) {
    return std::make_unique<Dropout>(operation, source, device);
}

} // namespace mpscnn::metal
