#include "core/json.h"
#include "metal/device/text.h"
#include "metal/gradients/gradient_step.h"
#include "metal/layers/pooling.h"
#include "metal/layers/resize.h"
#include "metal/layers/window.h"

namespace mpscnn::metal {

namespace {

struct GradientSource {
    const Shape &gradient;
    const Shape &source;
    const std::string &name;
    const Choice &choice;
    Device &device;

    /// Return whether the device may use MPS's gradient kernel. If it may, record that the layer uses it.
    bool takes(const char *gradient) const {
        if (!choice.may_take(gradient)) return false;
        choice.take(gradient);
        return true;
    }
};

template <class Forward, class Gradient>
GradientKernels made(const objc_ptr<Forward> &forward, const objc_ptr<Gradient> &gradient,
                     const GradientSource &source) {
    GradientKernels kernels{share<MPSCNNKernel *>(forward.get()),
                            share<MPSCNNGradientKernel *>(gradient.get())};
    if (!kernels.forward || !kernels.gradient)
        fail(ErrorKind::device, {"MPS cannot make the gradient of layer ", quoted(source.name)});
    [kernels.gradient.get() setLabel:string_of(source.name)];
    return kernels;
}

/// Return nothing. For operations without an overload, MPS has no gradient kernel with the same meaning.
template <class Op> std::optional<GradientKernels> kernels_of(const Op &, const GradientSource &) {
    return std::nullopt;
}

std::optional<GradientKernels> kernels_of(const ops::SoftmaxGradient &operation,
                                          const GradientSource &source) {
    id<MTLDevice> device = source.device.get();
    if (!source.takes(operation.logarithm ? "MPSCNNLogSoftMaxGradient" : "MPSCNNSoftMaxGradient"))
        return std::nullopt;
    if (operation.logarithm)
        return made(adopt([[MPSCNNLogSoftMax alloc] initWithDevice:device]),
                    adopt([[MPSCNNLogSoftMaxGradient alloc] initWithDevice:device]), source);
    return made(adopt([[MPSCNNSoftMax alloc] initWithDevice:device]),
                adopt([[MPSCNNSoftMaxGradient alloc] initWithDevice:device]), source);
}

/// Return the kernels for the gradient of an average pooling. Other poolings have none: MPS does not specify
/// which of equal maxima gets the gradient, nor what the gradient of a norm of 0 is. MPS's gradient begins at
/// the first pixel that a window reads, which must be the image's first pixel.
std::optional<GradientKernels> kernels_of(const ops::PoolingGradient &operation,
                                          const GradientSource &source) {
    const ops::Pooling &pooling = operation.pooling;
    if (pooling.kind != ops::PoolingKind::average) return std::nullopt;
    const ops::CanonicalWindow window = pooling.canonical(source.source[1], source.source[2]);
    const ops::WindowAxis &vertical = window.vertical, &horizontal = window.horizontal;
    const auto mode = mps_edge_mode(pooling, window, image_layout(source.source, engine::Precision::float32));
    if (!mode || vertical.before < 0 || horizontal.before < 0) return std::nullopt;
    if (!source.takes("MPSCNNPoolingAverageGradient")) return std::nullopt;
    const auto width = static_cast<NSUInteger>(horizontal.kernel),
               height = static_cast<NSUInteger>(vertical.kernel),
               stride_x = static_cast<NSUInteger>(horizontal.stride),
               stride_y = static_cast<NSUInteger>(vertical.stride);
    const auto forward = adopt([[MPSCNNPoolingAverage alloc] initWithDevice:source.device.get()
                                                                kernelWidth:width
                                                               kernelHeight:height
                                                            strideInPixelsX:stride_x
                                                            strideInPixelsY:stride_y]);
    const auto gradient = adopt([[MPSCNNPoolingAverageGradient alloc] initWithDevice:source.device.get()
                                                                         kernelWidth:width
                                                                        kernelHeight:height
                                                                     strideInPixelsX:stride_x
                                                                     strideInPixelsY:stride_y]);
    GradientKernels kernels = made(forward, gradient, source);
    const auto pad_x = static_cast<NSUInteger>(pooling.zero_pad_x),
               pad_y = static_cast<NSUInteger>(pooling.zero_pad_y);
    [forward.get() setEdgeMode:*mode];
    [forward.get() setOffset:mps_offset(window)];
    [forward.get() setZeroPadSizeX:pad_x];
    [forward.get() setZeroPadSizeY:pad_y];
    [gradient.get() setSecondaryEdgeMode:*mode];
    [gradient.get() setSecondaryOffset:mps_offset(window)];
    [gradient.get() setZeroPadSizeX:pad_x];
    [gradient.get() setZeroPadSizeY:pad_y];
    [gradient.get() setSourceSize:MTLSizeMake(static_cast<NSUInteger>(source.gradient[2]),
                                              static_cast<NSUInteger>(source.gradient[1]), 1)];
    kernels.reads_source = false;
    return kernels;
}

/// Return the integer factor by which a resize repeats each position of an axis. Return nothing if it does
/// anything else.
std::optional<NSUInteger> repeats(const ops::Resize &resize, const ops::ResizeAxis &axis,
                                  std::int64_t outputs, std::int64_t size) {
    if (outputs % size != 0) return std::nullopt;
    const std::int64_t factor = outputs / size;
    const std::vector<ResizeTap> taps = resize_taps(resize, axis, outputs, size);
    for (std::int64_t i = 0; i < outputs; ++i)
        if (taps[static_cast<std::size_t>(i)].first != i / factor) return std::nullopt;
    return static_cast<NSUInteger>(factor);
}

/// Return the kernels for the gradient of a resize that repeats pixels. Other resizes have none, because
/// MPS's sampling positions differ between systems.
std::optional<GradientKernels> kernels_of(const ops::ResizeGradient &operation,
                                          const GradientSource &source) {
    const ops::Resize &resize = operation.resize;
    if (resize.kind != ops::ResizeKind::nearest) return std::nullopt;
    const std::int64_t width = source.source[2], height = source.source[1], wide = source.gradient[2],
                       high = source.gradient[1];
    const auto factor_x = repeats(resize, resize.horizontal(width, wide), wide, width),
               factor_y = repeats(resize, resize.vertical(height, high), high, height);
    if (!factor_x || !factor_y || !source.takes("MPSCNNUpsamplingNearestGradient")) return std::nullopt;
    GradientKernels kernels =
        made(adopt([[MPSCNNUpsamplingNearest alloc] initWithDevice:source.device.get()
                                               integerScaleFactorX:*factor_x
                                               integerScaleFactorY:*factor_y]),
             adopt([[MPSCNNUpsamplingNearestGradient alloc] initWithDevice:source.device.get()
                                                       integerScaleFactorX:*factor_x
                                                       integerScaleFactorY:*factor_y]),
             source);
    kernels.reads_source = false;
    return kernels;
}

} // namespace

std::optional<GradientKernels> gradient_kernels(const ops::Operation &operation, const Shape &gradient,
                                                const Shape &source, const std::string &name,
                                                const Choice &choice, Device &device) {
    const GradientSource given{gradient, source, name, choice, device};
    if (!ImageBatch::can_hold(gradient) || !ImageBatch::can_hold(source)) return std::nullopt;
    return operation.visit([&](const auto &op) { return kernels_of(op, given); });
}

} // namespace mpscnn::metal
