#include "kernels/pooling.h"

#include <algorithm>

#include "kernels/filter.h"

namespace mpscnn::kernels {

ops::Window Pooling::taps() const { return taps_of(*this); }

void Pooling::check(const std::string &kernel) const {
    require_range(kernel, "kernel_width", kernel_width, 1);
    require_range(kernel, "kernel_height", kernel_height, 1);
    require_range(kernel, "stride_x", stride_x, 1);
    require_range(kernel, "stride_y", stride_y, 1);
    require_range(kernel, "dilation_rate_x", dilation_rate_x, 1);
    require_range(kernel, "dilation_rate_y", dilation_rate_y, 1);
    require_range(kernel, "zero_pad_size_x", zero_pad_size_x, 0);
    require_range(kernel, "zero_pad_size_y", zero_pad_size_y, 0);
}

/// PaddingMethod::exclude_edges averages as in Caffe: windows are cut off at the end of the padding, which is
/// as large after the image as before it.
void Pooling::policy_applied(KernelProperties &properties, ImageDescriptor &) {
    if (!properties.padding.exclude_edges || kind != ops::PoolingKind::average) return;
    SourceProperties &source = properties.sources[0];
    source.edge_mode = EdgeMode::clamp;
    zero_pad_size_x = std::max<std::int64_t>(0, kernel_width / 2 - source.offset.x);
    zero_pad_size_y = std::max<std::int64_t>(0, kernel_height / 2 - source.offset.y);
}

int Pooling::build(EncodingBuilder &builder) const {
    ops::Pooling pooling;
    pooling.kind = kind;
    pooling.window = builder.place(taps());
    const bool clamped = builder.properties().sources[0].edge_mode == EdgeMode::clamp;
    pooling.edge = clamped ? ops::EdgeRule::clamp : ops::EdgeRule::zero;
    if (clamped) { // with edge mode zero all zeros count in any case
        pooling.zero_pad_y = zero_pad_size_y;
        pooling.zero_pad_x = zero_pad_size_x;
    }
    const int source = builder.whole();
    return builder.add(pooling, {source});
}

} // namespace mpscnn::kernels
