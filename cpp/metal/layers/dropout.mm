#include "metal/layers/steps.h"
#include "shaders/dropout_params.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(DropoutParams) == 14 * sizeof(int));

unsigned int low(std::uint64_t value) { return static_cast<unsigned int>(value); }
unsigned int high(std::uint64_t value) { return static_cast<unsigned int>(value >> 32); }

/// An own shader: MPSCNNDropout does not say which random numbers it takes.
class Dropout : public Layer {
public:
    Dropout(const ops::Dropout &operation, const LayerSource &source, Device &device)
        : operation_(operation), shaders_(source, device) {}

    std::unique_ptr<Step> bind(Operands operands) const override {
        const DropoutParams params = params_for(operands.destination.layout);
        const ShaderCall call = shaders_.call("dropout", operands, ShaderArguments(params));
        const ImageLayout result = operands.destination.layout;
        // The mask goes on from one pass through a large batch to the next.
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
        DropoutParams params{};
        params.image = image.params();
        params.mask_width = operation_.mask_stride_x == 1 ? params.image.width : 1;
        params.mask_height = operation_.mask_stride_y == 1 ? params.image.height : 1;
        params.mask_channels = operation_.mask_stride_channels == 1 ? params.image.channels : 1;
        params.seed_low = low(static_cast<std::uint64_t>(operation_.seed));
        params.seed_high = high(static_cast<std::uint64_t>(operation_.seed));
        params.last_kept = operation_.training ? operation_.last_kept() : low(~std::uint64_t{0});
        params.factor = operation_.training
                            ? static_cast<float>(1.0 / static_cast<double>(operation_.keep_probability))
                            : 1.0f;
        return params;
    }

    ops::Dropout operation_;
    ShaderMaker shaders_;
};

} // namespace

std::unique_ptr<Layer> make_layer(const ops::Dropout &operation, const LayerSource &source, Device &device) {
    return std::make_unique<Dropout>(operation, source, device);
}

} // namespace mpscnn::metal
