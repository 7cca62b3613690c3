#include <algorithm>

#include "cpu/plan/algorithm.h"
#include "cpu/plan/operation.h"
#include "cpu/plan/transposed_axis.h"

namespace mpscnn::cpu {

namespace {

/// Return the weights [outputs][rows][columns][inputs] of some taps only: the kernel rows `rows` and columns
/// `columns`. These are the taps of one of the convolutions into which a transposed convolution is divided.
/// `rotated`: the taps count from the end of the kernel.
std::vector<float> part_weights(std::span<const float> weights, const Shape &shape,
                                const std::vector<std::int64_t> &rows,
                                const std::vector<std::int64_t> &columns, bool rotated) {
    std::vector<float> result;
    result.reserve(static_cast<std::size_t>(shape[0] * shape[3]) * rows.size() * columns.size());
    for (std::int64_t output = 0; output < shape[0]; ++output)
        for (const std::int64_t row : rows)
            for (const std::int64_t column : columns) {
                const std::int64_t y = rotated ? shape[1] - 1 - row : row;
                const std::int64_t x = rotated ? shape[2] - 1 - column : column;
                const auto from = weights.begin() + ((output * shape[1] + y) * shape[2] + x) * shape[3];
                result.insert(result.end(), from, from + shape[3]);
            }
    return result;
}

} // namespace

void lower(const OperationLowering &lowering, const ops::TransposedConvolution &convolution) {
    const ops::TransposedWindow &window = convolution.window;
    const Shape &shape = lowering.node.weights.at("weight").shape();
    const std::span<const float> weights = lowering.weights();
    const std::vector<float> bias = lowering.bias(shape[0]);
    const auto rows =
        split_axis(window.kernel_height, window.stride_y, window.dilation_y, window.rows_before());
    const auto columns =
        split_axis(window.kernel_width, window.stride_x, window.dilation_x, window.columns_before());
    const bool rotated = convolution.kernel_use == ops::KernelUse::gather;
    for (const AxisPart &row : rows)
        for (const AxisPart &column : columns) {
            ConvolutionPart part;
            part.y = row.position;
            part.x = column.position;
            part.before_y = row.before;
            part.before_x = column.before;
            const Shape part_shape{shape[0], static_cast<std::int64_t>(row.taps.size()),
                                   static_cast<std::int64_t>(column.taps.size()), shape[3]};
            part.packed = lowering.kernels.pack_convolution(
                lowering.memory.packed, part_weights(weights, shape, row.taps, column.taps, rotated).data(),
                bias.data(), plain_convolution(lowering.kernels, part_shape, convolution.groups));
            lowering.fused.parts.push_back(std::move(part));
        }
    if (static_cast<std::int64_t>(rows.size()) < window.stride_y ||
        static_cast<std::int64_t>(columns.size()) < window.stride_x)
        lowering.fused.shift = padded_to_vectors(bias);
}

void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::TransposedConvolution &convolution) {
    const ops::TransposedWindow &window = convolution.window;
    InterleavedConvolutionTask task;
    task.vertical.dilation = part_dilation(window.stride_y, window.dilation_y);
    task.horizontal.dilation = part_dilation(window.stride_x, window.dilation_x);
    task.step_y = window.stride_y;
    task.step_x = window.stride_x;
    task.parts = fused.parts.data();
    task.part_count = static_cast<std::int64_t>(fused.parts.size());
    task.background = fused.shift.size() > 0 ? fused.shift.data() : nullptr;
    task.epilogue = epilogue_of(fused);
    builder.begin(fused, task);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::DepthToSpace &operation) {
    DepthToSpaceTask task;
    task.scale = operation.scale;
    task.channel_major = operation.order == ops::SubpixelOrder::channel_major;
    builder.begin(fused, task);
}

void lower(const OperationLowering &lowering, const ops::SubpixelConvolution &convolution) {
    FusedOperation &fused = lowering.fused;
    fused.packed = lowering.pack(lowering.node.weights.at("weight").shape(), convolution.groups);
    // The kernel applies the activation before it rearranges channels into pixels. So each channel of the
    // convolution gets the slope of the result's channel to which it is moved.
    if (fused.activation.slopes.size() == 0) return;
    const std::vector<float> slopes = lowering.node.weights.at("slope").values();
    const auto positions = static_cast<std::size_t>(convolution.scale * convolution.scale);
    const bool channel_major = convolution.order == ops::SubpixelOrder::channel_major;
    std::vector<float> expanded(slopes.size() * positions);
    for (std::size_t i = 0; i < expanded.size(); ++i)
        expanded[i] = slopes[channel_major ? i / positions : i % slopes.size()];
    fused.activation.slopes = padded_to_vectors(expanded);
    fused.activation.activation.slopes = fused.activation.slopes.data();
}

void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::SubpixelConvolution &convolution) {
    const Shape &input = builder.input_shape(fused);
    const ops::CanonicalWindow window =
        convolution.window.canonical(ops::SubpixelConvolution::info, input[1], input[2]);
    SubpixelConvolutionTask task;
    task.vertical = kernel_axis(window.vertical);
    task.horizontal = kernel_axis(window.horizontal);
    task.packed = &fused.packed;
    task.scale = convolution.scale;
    task.channel_major = convolution.order == ops::SubpixelOrder::channel_major;
    task.epilogue = epilogue_of(fused);
    builder.begin(fused, task);
}

} // namespace mpscnn::cpu
