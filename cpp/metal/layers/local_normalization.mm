#include "metal/device/text.h"
#include "metal/layers/steps.h"
#include "metal/layers/window.h"
#include "shaders/local_normalization_params.h"

#include <algorithm>

namespace mpscnn::metal {

namespace {

static_assert(sizeof(WindowNormalizationParams) == 27 * sizeof(int));
static_assert(sizeof(CrossChannelParams) == 15 * sizeof(int));

/// Set the properties that MPSCNNSpatialNormalization, MPSCNNLocalContrastNormalization and
/// MPSCNNCrossChannelNormalization share. No base class declares them.
template <class Kernel>
objc_ptr<Kernel *> configured(Kernel *allocated, const PowerParams &power, const LayerSource &source) {
    auto kernel = adopt(allocated);
    if (!kernel)
        fail(ErrorKind::device, {"MPS cannot make the normalization of layer ", quoted(source.name())});
    [kernel.get() setLabel:string_of(source.name())];
    [kernel.get() setAlpha:power.alpha];
    [kernel.get() setBeta:power.beta];
    [kernel.get() setDelta:power.delta];
    return kernel;
}

/// A layer of one MPS kernel, which serves all extents.
class KernelLayer : public Layer {
public:
    KernelLayer(MPSCNNKernel *kernel, const MPSOffset &offset) : kernel_(share(kernel)), offset_(offset) {}

    std::unique_ptr<Step> bind(Operands operands) const override {
        return mps_step(kernel_.get(), std::move(operands), offset_);
    }

private:
    objc_ptr<MPSCNNKernel *> kernel_;
    MPSOffset offset_;
};

/// Return true if a kernel of MPS may compute the layer. Such kernels are used in float16 only: the square of
/// a half always fits a float, but the square of a float may overflow, and Apple does not document what MPS
/// computes then.
bool may_use(const char *kernel, const LayerSource &source) {
    return source.precision == engine::Precision::float16 && source.choice.may_take(kernel);
}

/// True if MPS can compute a window. It only has square windows. Its behaviour at edges is not documented for
/// windows of even size and for clamped edges.
bool is_window_of_mps(const ops::CentredWindow &window) {
    return window.kernel_height == window.kernel_width && window.kernel_width % 2 == 1 &&
           window.edge == ops::EdgeRule::zero;
}

MPSOffset offset_of(const ops::CentredWindow &window) {
    return {static_cast<NSInteger>(window.offset_x), static_cast<NSInteger>(window.offset_y), 0};
}

template <class Op> PowerParams power_of(const Op &operation) {
    return {operation.alpha, operation.beta, operation.delta};
}

/// Return an axis of a centred window as the WindowAxis that other operations use. The window begins
/// floor(size / 2) positions before its centre.
ops::WindowAxis centred_axis(std::int64_t kernel, std::int64_t offset) {
    ops::WindowAxis axis;
    axis.kernel = kernel;
    axis.before = kernel / 2 - offset;
    return axis;
}

WindowNormalizationParams window_normalization(const ops::CentredWindow &window, const PowerParams &power,
                                               const Operands &operands) {
    const ops::CanonicalWindow canonical{centred_axis(window.kernel_height, window.offset_y),
                                         centred_axis(window.kernel_width, window.offset_x)};
    WindowNormalizationParams params{};
    params.source = operands.source().layout.params();
    params.destination = operands.destination.layout.params();
    params.window = window_params(canonical);
    params.offset_x = static_cast<int>(window.offset_x);
    params.offset_y = static_cast<int>(window.offset_y);
    params.edge = window.edge;
    params.power = power;
    return params;
}

} // namespace

std::unique_ptr<Layer> make_layer(const ops::CrossChannelNormalization &operation, const LayerSource &source,
                                  Device &device) {
    if (may_use("MPSCNNCrossChannelNormalization", source)) {
        source.choice.take("MPSCNNCrossChannelNormalization");
        const auto kernel = configured([[MPSCNNCrossChannelNormalization alloc]
                                           initWithDevice:device.get()
                                               kernelSize:static_cast<NSUInteger>(operation.kernel_size)],
                                       power_of(operation), source);
        return std::make_unique<KernelLayer>(kernel.get(), MPSOffset{0, 0, 0});
    }
    const auto bind = [operation](const Operands &operands) {
        const ImageLayout &layout = operands.source().layout;
        const std::int64_t last = operands.source().shape.back() - 1, size = operation.kernel_size;
        CrossChannelParams params{};
        params.source = layout.params();
        params.destination = operands.destination.layout.params();
        params.before = static_cast<int>(std::min(size / 2, last));
        params.after = static_cast<int>(std::min((size - 1) / 2, last));
        params.power = power_of(operation);
        params.power.alpha /= static_cast<float>(size);
        return ShaderArguments(params);
    };
    return shader_layer(source, device, "cross_channel_normalization", bind);
}

std::unique_ptr<Layer> make_layer(const ops::SpatialNormalization &operation, const LayerSource &source,
                                  Device &device) {
    const ops::CentredWindow &window = operation.window;
    if (is_window_of_mps(window) && may_use("MPSCNNSpatialNormalization", source)) {
        source.choice.take("MPSCNNSpatialNormalization");
        const auto kernel = configured([[MPSCNNSpatialNormalization alloc]
                                           initWithDevice:device.get()
                                              kernelWidth:static_cast<NSUInteger>(window.kernel_width)
                                             kernelHeight:static_cast<NSUInteger>(window.kernel_height)],
                                       power_of(operation), source);
        return std::make_unique<KernelLayer>(kernel.get(), offset_of(window));
    }
    const auto bind = [operation](const Operands &operands) {
        return ShaderArguments(window_normalization(operation.window, power_of(operation), operands));
    };
    return shader_layer(source, device, "spatial_normalization", bind);
}

std::unique_ptr<Layer> make_layer(const ops::LocalContrastNormalization &operation, const LayerSource &source,
                                  Device &device) {
    const ops::CentredWindow &window = operation.window;
    if (is_window_of_mps(window) && may_use("MPSCNNLocalContrastNormalization", source)) {
        source.choice.take("MPSCNNLocalContrastNormalization");
        const auto kernel = configured([[MPSCNNLocalContrastNormalization alloc]
                                           initWithDevice:device.get()
                                              kernelWidth:static_cast<NSUInteger>(window.kernel_width)
                                             kernelHeight:static_cast<NSUInteger>(window.kernel_height)],
                                       power_of(operation), source);
        [kernel.get() setP0:operation.p0];
        [kernel.get() setPm:operation.pm];
        [kernel.get() setPs:operation.ps];
        return std::make_unique<KernelLayer>(kernel.get(), offset_of(window));
    }
    const auto bind = [operation](const Operands &operands) {
        WindowNormalizationParams params =
            window_normalization(operation.window, power_of(operation), operands);
        params.p0 = operation.p0;
        params.pm = operation.pm;
        params.ps = operation.ps;
        return ShaderArguments(params);
    };
    return shader_layer(source, device, "local_contrast_normalization", bind);
}

} // namespace mpscnn::metal
