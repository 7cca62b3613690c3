#include "metal/layers/pooling.h"

#include "metal/device/text.h"
#include "metal/layers/steps.h"
#include "metal/layers/window.h"
#include "shaders/pooling_params.h"

namespace mpscnn::metal {

Counted counted(const ops::Pooling &operation, const ops::WindowAxis &axis, std::int64_t zero_pad,
                std::int64_t size) {
    constexpr int everything = 1 << 30;
    if (operation.edge == ops::EdgeRule::zero) return {-everything, everything};
    if (operation.count_padding) return {-everything, static_cast<int>(size + axis.padding_after)};
    return {static_cast<int>(-zero_pad), static_cast<int>(size + zero_pad)};
}

namespace {

static_assert(sizeof(PoolingParams) == 23 * sizeof(int));

using ops::CanonicalWindow;
using ops::EdgeRule;
using ops::Pooling;
using ops::PoolingKind;

bool overhangs(const ops::WindowAxis &axis) { return axis.after > axis.padding_after; }

/// Return MPS's edge mode for a maximum. Clamp gives the same maximum as ignoring taps outside the image,
/// because every window touches the image.
MPSImageEdgeMode maximum_edge(const Pooling &operation) {
    return operation.edge == EdgeRule::zero ? MPSImageEdgeModeZero : MPSImageEdgeModeClamp;
}

/// Return MPS's edge mode for an average. Edge mode Zero divides by the number of taps in the window. That is
/// wrong if some taps lie in neither image nor padding, so nothing is returned then.
std::optional<MPSImageEdgeMode> average_edge(const Pooling &operation, const CanonicalWindow &window) {
    if (operation.edge == EdgeRule::zero) return MPSImageEdgeModeZero;
    if (!operation.count_padding) return MPSImageEdgeModeClamp;
    if (overhangs(window.vertical) || overhangs(window.horizontal)) return std::nullopt;
    return MPSImageEdgeModeZero;
}

} // namespace

std::optional<MPSImageEdgeMode> mps_edge_mode(const Pooling &operation, const CanonicalWindow &window,
                                              const ImageLayout &source) {
    const ops::WindowAxis &vertical = window.vertical, &horizontal = window.horizontal;
    if (vertical.dilation > 1 || horizontal.dilation > 1) return std::nullopt;
    if (vertical.kernel > source.height || horizontal.kernel > source.width) return std::nullopt;
    if (operation.kind == PoolingKind::max) return maximum_edge(operation);
    if (operation.kind == PoolingKind::average) return average_edge(operation, window);
    if (operation.edge == EdgeRule::clamp) return std::nullopt;
    return MPSImageEdgeModeZero;
}

namespace {

PoolingParams pooling_params(const Pooling &operation, const CanonicalWindow &window,
                             const Operands &operands) {
    const ImageLayout &source = operands.source().layout;
    const Counted columns = counted(operation, window.horizontal, operation.zero_pad_x, source.width),
                  rows = counted(operation, window.vertical, operation.zero_pad_y, source.height);
    const EdgeRule edge = operation.kind == PoolingKind::average ? EdgeRule::exclude : operation.edge;
    return {source.params(),       operands.destination.layout.params(),
            window_params(window), edge,
            columns.first,         rows.first,
            columns.behind,        rows.behind};
}

const char *shader_of(PoolingKind kind) {
    switch (kind) {
#define MPSCNN_ENTRY(ENUMERATOR, NAME)                                                                       \
    case PoolingKind::ENUMERATOR:                                                                            \
        return "pooling_" NAME;
        FOR_EACH_POOLING_KIND(MPSCNN_ENTRY)
#undef MPSCNN_ENTRY
    }
    return nullptr;
}

const char *class_of(PoolingKind kind) {
    switch (kind) {
    case PoolingKind::max:
        return "MPSCNNPoolingMax";
    case PoolingKind::average:
        return "MPSCNNPoolingAverage";
    case PoolingKind::l2_norm:
        break;
    }
    return "MPSCNNPoolingL2Norm";
}

MPSCNNPooling *allocate(PoolingKind kind) {
    switch (kind) {
    case PoolingKind::max:
        return [MPSCNNPoolingMax alloc];
    case PoolingKind::average:
        return [MPSCNNPoolingAverage alloc];
    case PoolingKind::l2_norm:
        break;
    }
    return [MPSCNNPoolingL2Norm alloc];
}

class PoolingLayer : public Layer {
public:
    PoolingLayer(const Pooling &operation, const LayerSource &source, Device &device)
        : operation_(operation), shaders_(source, device),
          may_overflow_(operation.kind == PoolingKind::l2_norm &&
                        source.precision != engine::Precision::float16) {}

    std::unique_ptr<Step> bind(Operands operands) const override {
        const ImageLayout &source = operands.source().layout;
        const CanonicalWindow window = operation_.canonical(source.height, source.width);
        const auto mode = mps_edge_mode(operation_, window, source);
        if (mode && !may_overflow_ && shaders_.choice().may_take(class_of(operation_.kind)))
            return mps_step(make_kernel(window, *mode).get(), std::move(operands), mps_offset(window));
        const ShaderArguments arguments(pooling_params(operation_, window, operands));
        ShaderCall call = shaders_.call(shader_of(operation_.kind), operands, arguments);
        return shader_step(std::move(call), std::move(operands));
    }

private:
    objc_ptr<MPSCNNPooling *> make_kernel(const CanonicalWindow &window, MPSImageEdgeMode mode) const {
        const ops::WindowAxis &vertical = window.vertical, &horizontal = window.horizontal;
        shaders_.choice().take(class_of(operation_.kind));
        MPSCNNPooling *made = allocate(operation_.kind);
        auto kernel = adopt([made initWithDevice:shaders_.device().get()
                                     kernelWidth:static_cast<NSUInteger>(horizontal.kernel)
                                    kernelHeight:static_cast<NSUInteger>(vertical.kernel)
                                 strideInPixelsX:static_cast<NSUInteger>(horizontal.stride)
                                 strideInPixelsY:static_cast<NSUInteger>(vertical.stride)]);
        if (!kernel)
            fail(ErrorKind::device, {"MPS cannot make the pooling of layer ", quoted(shaders_.name())});
        [kernel.get() setLabel:string_of(shaders_.name())];
        [kernel.get() setEdgeMode:mode];
        if (operation_.kind == PoolingKind::average) {
            MPSCNNPoolingAverage *average = static_cast<MPSCNNPoolingAverage *>(kernel.get());
            [average setZeroPadSizeX:static_cast<NSUInteger>(operation_.zero_pad_x)];
            [average setZeroPadSizeY:static_cast<NSUInteger>(operation_.zero_pad_y)];
        }
        return kernel;
    }

    Pooling operation_;
    ShaderMaker shaders_;
    /// True if squares may be beyond float32. The shader scales them; Apple does not document what MPS does.
    bool may_overflow_;
};

} // namespace

std::unique_ptr<Layer> make_layer(const Pooling &operation, const LayerSource &source, Device &device) {
    return std::make_unique<PoolingLayer>(operation, source, device);
}

} // namespace mpscnn::metal
