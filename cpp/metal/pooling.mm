#include "metal/steps.h"
#include "metal/text.h"
#include "metal/window.h"
#include "shaders/pooling_params.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(PoolingParams) == 20 * sizeof(int));

using ops::CanonicalWindow;
using ops::Pooling;
using ops::PoolingKind;

bool overhangs(const ops::WindowAxis &axis) { return axis.after > axis.padding_after; }

/// The edge mode with which MPS computes this pooling, if there is one. Clamp means "the window ends at the
/// image" where every window touches it, but only without dilation; Zero divides by all taps of the window,
/// which is right unless some lie in neither image nor padding.
std::optional<MPSImageEdgeMode> edge_mode(const Pooling &operation, const CanonicalWindow &window,
                                          const ImageLayout &source) {
    const ops::WindowAxis &vertical = window.vertical, &horizontal = window.horizontal;
    if (vertical.dilation > 1 || horizontal.dilation > 1) return std::nullopt;
    if (vertical.kernel > source.height || horizontal.kernel > source.width) return std::nullopt;
    if (operation.kind == PoolingKind::max || !operation.count_padding) return MPSImageEdgeModeClamp;
    if (overhangs(vertical) || overhangs(horizontal)) return std::nullopt;
    return MPSImageEdgeModeZero;
}

/// See PoolingParams.
int counted(const Pooling &operation, const ops::WindowAxis &axis, std::int64_t size) {
    return operation.count_padding ? static_cast<int>(size + axis.padding_after) : 0;
}

class PoolingLayer : public Layer {
public:
    PoolingLayer(const Pooling &operation, const LayerSource &source, Device &device)
        : operation_(operation), name_(source.name()), precision_(source.precision), device_(device) {}

    std::unique_ptr<Step> bind(Operands operands) const override {
        const ImageLayout &source = operands.source().layout;
        const CanonicalWindow window = operation_.canonical(source.height, source.width);
        if (const auto mode = edge_mode(operation_, window, source))
            return mps_step(make_kernel(window, *mode).get(), std::move(operands), mps_offset(window));
        return bind_shader(window, std::move(operands));
    }

private:
    objc_ptr<MPSCNNPooling *> make_kernel(const CanonicalWindow &window, MPSImageEdgeMode mode) const {
        const ops::WindowAxis &vertical = window.vertical, &horizontal = window.horizontal;
        MPSCNNPooling *made =
            operation_.kind == PoolingKind::max ? [MPSCNNPoolingMax alloc] : [MPSCNNPoolingAverage alloc];
        auto kernel = adopt([made initWithDevice:device_.get()
                                     kernelWidth:static_cast<NSUInteger>(horizontal.kernel)
                                    kernelHeight:static_cast<NSUInteger>(vertical.kernel)
                                 strideInPixelsX:static_cast<NSUInteger>(horizontal.stride)
                                 strideInPixelsY:static_cast<NSUInteger>(vertical.stride)]);
        if (!kernel) fail(ErrorKind::device, "MPS cannot make the pooling of layer " + quoted(name_));
        [kernel.get() setLabel:string_of(name_)];
        [kernel.get() setEdgeMode:mode];
        return kernel;
    }

    std::unique_ptr<Step> bind_shader(const CanonicalWindow &window, Operands operands) const {
        const ImageLayout &source = operands.source().layout, &destination = operands.destination.layout;
        const char *shader = operation_.kind == PoolingKind::max ? "pooling_max" : "pooling_average";
        ShaderCall call{
            name_, device_.shaders().pipeline(shader_name(shader, precision_, source, destination)), {}, {}};
        call.set_params(PoolingParams{source.params(), destination.params(), window_params(window),
                                      counted(operation_, window.horizontal, source.width),
                                      counted(operation_, window.vertical, source.height)});
        return shader_step(std::move(call), std::move(operands));
    }

    Pooling operation_;
    std::string name_;
    engine::Precision precision_;
    Device &device_;
};

} // namespace

std::unique_ptr<Layer> make_layer(const Pooling &operation, const LayerSource &source, Device &device) {
    return std::make_unique<PoolingLayer>(operation, source, device);
}

} // namespace mpscnn::metal
