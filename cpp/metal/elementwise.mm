#include "metal/elementwise.h"

#include "metal/neuron.h"
#include "metal/steps.h"
#include "shaders/arithmetic_params.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(ArithmeticParams) == 8 * sizeof(int));

class Elementwise : public Layer {
public:
    Elementwise(const char *operation, const ActivationParams &activation, const LayerSource &source,
                Device &device)
        : name_(source.name()), operation_(operation), activation_(activation), precision_(source.precision),
          device_(device) {
        const std::vector<float> slopes = slopes_in_slices(source);
        slopes_ = device.make_buffer(slopes.data(), slopes.size() * sizeof(float));
    }

    std::unique_ptr<Step> bind(Operands operands) const override {
        const ImageLayout &layout = operands.destination.layout;
        ShaderCall call{name_,
                        device_.shaders().pipeline(shader_name(operation_, precision_, layout, layout)),
                        {},
                        {slopes_}};
        call.set_params(ArithmeticParams{layout.params(), activation_});
        return shader_step(std::move(call), std::move(operands));
    }

private:
    std::string name_;
    const char *operation_;
    ActivationParams activation_;
    engine::Precision precision_;
    Device &device_;
    objc_ptr<id<MTLBuffer>> slopes_;
};

} // namespace

std::unique_ptr<Layer> make_elementwise(const char *operation, const ActivationParams &activation,
                                        const LayerSource &source, Device &device) {
    return std::make_unique<Elementwise>(operation, activation, source, device);
}

} // namespace mpscnn::metal
