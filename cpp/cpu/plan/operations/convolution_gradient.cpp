#include <algorithm>

#include "cpu/plan/algorithm.h"
#include "cpu/plan/bfloat16.h"
#include "cpu/plan/operation.h"
#include "cpu/plan/transposed_axis.h"

namespace mpscnn::cpu {

namespace {

ops::CanonicalWindow window_of(const ops::Convolution &convolution, const Shape &input) {
    return convolution.window.canonical(ops::Convolution::info, input[1], input[2]);
}

TapSelection selection(const AxisPart &part) {
    const auto count = static_cast<std::int64_t>(part.taps.size());
    return {part.taps[0], count > 1 ? part.taps[1] - part.taps[0] : 1, count};
}

/// One of the convolutions with stride 1 that together compute a data gradient. It computes the rows and
/// columns of the result whose indices have the same remainder modulo the stride (see AxisPart).
struct DataGradientPart {
    const AxisPart &rows, &columns;
    const PackedConvolution &packed;
};

void add_part(StepBuilder &builder, const FusedOperation &fused, const ops::Convolution &convolution,
              const DataGradientPart &part) {
    const PackedConvolution &packed = part.packed;
    PackTask pack;
    pack.is_adjoint = true;
    pack.groups = convolution.groups;
    pack.rows = selection(part.rows);
    pack.columns = selection(part.columns);
    Step &first = begin_packing(builder, fused, pack, packed);
    first.source = builder.input(fused, 1);
    const Region ready = first.destination;

    const ops::Window &window = convolution.window;
    Region result = builder.placement().region(fused.result);
    result.y += part.rows.position * result.row_step;
    result.x += part.columns.position * result.column_step;
    result.row_step *= window.stride_y;
    result.column_step *= window.stride_x;
    const auto count = [](std::int64_t extent, std::int64_t position, std::int64_t stride) {
        return std::max<std::int64_t>(0, (extent - position + stride - 1) / stride);
    };
    result.extents.height = count(result.extents.height, part.rows.position, window.stride_y);
    result.extents.width = count(result.extents.width, part.columns.position, window.stride_x);
    if (result.extents.pixels() == 0) return;

    ConvolutionTask task;
    task.vertical = {packed.kernel_height, 1, part_dilation(window.stride_y, window.dilation_y),
                     part.rows.before};
    task.horizontal = {packed.kernel_width, 1, part_dilation(window.stride_x, window.dilation_x),
                       part.columns.before};
    task.packed = &packed;
    task.reads_variables = true;
    Step &second = builder.begin(fused, task);
    second.destination = result;
    second.others = {ready};
}

/// Return the number of parts into which the pixels of a weight gradient's sums are divided. With few
/// weights, only these parts give work to all threads. The number depends on shapes alone, so the bits of
/// results do not depend on the number of threads.
std::int64_t gradient_parts(std::int64_t pixels, std::int64_t weights) {
    constexpr std::int64_t min_pixels = 4096, pixels_of_part = 1024, max_parts = 16, max_floats = 4 << 20;
    if (pixels < min_pixels) return 1;
    const std::int64_t affordable = std::max<std::int64_t>(1, max_floats / weights);
    return std::clamp<std::int64_t>(pixels / pixels_of_part, 1, std::min(max_parts, affordable));
}

/// Return true if Winograd's algorithm computes a weight gradient faster: if it needs at most half of the
/// products, and its transforms take little time compared with the products.
bool gradient_gains_by_winograd(const WeightGradientTask &task, const Extents &gradient,
                                const Shape &weights) {
    constexpr std::int64_t points = 6, min_channels = 16, min_tiles = 32;
    const std::int64_t kernel = task.vertical.kernel;
    const auto is_dense = [](const WindowAxis &axis) { return axis.stride == 1 && axis.dilation == 1; };
    if ((kernel != 3 && kernel != 5) || task.horizontal.kernel != kernel || task.groups != 1 ||
        !is_dense(task.vertical) || !is_dense(task.horizontal) ||
        std::min(weights[0], weights[3]) < min_channels)
        return false;
    const auto tiles_of = [&](std::int64_t extent) {
        return (extent + points - kernel) / (points + 1 - kernel);
    };
    const std::int64_t tiles = gradient.batch * tiles_of(gradient.height) * tiles_of(gradient.width);
    return tiles >= min_tiles &&
           2 * tiles * points * points <= gradient.batch * gradient.pixels() * kernel * kernel;
}

/// Return the index of the entry of `classes` with the same taps as `part`. `classes` are the phases of a
/// convolution without padding. The padding of `part` depends on the size of the input, but its taps do not,
/// so lower() can prepare the weights before that size is known.
std::size_t class_of(const AxisPart &part, const std::vector<AxisPart> &classes) {
    const auto same = [&](const AxisPart &entry) { return entry.taps == part.taps; };
    return static_cast<std::size_t>(std::find_if(classes.begin(), classes.end(), same) - classes.begin());
}

std::vector<AxisPart> row_classes(const ops::Window &window) {
    return split_axis(window.kernel_height, window.stride_y, window.dilation_y, 0);
}
std::vector<AxisPart> column_classes(const ops::Window &window) {
    return split_axis(window.kernel_width, window.stride_x, window.dilation_x, 0);
}

} // namespace

void lower(const OperationLowering &lowering, const ops::ConvolutionDataGradient &gradient) {
    const ops::Convolution &convolution = gradient.convolution;
    const Shape &weight = lowering.graph.shape(lowering.node.inputs[1]);
    const Element operands = product_element(lowering.precision, weight, convolution.groups);
    for (const AxisPart &rows : row_classes(convolution.window))
        for (const AxisPart &columns : column_classes(convolution.window)) {
            ConvolutionPart part;
            const Shape adjoint{weight[3] * convolution.groups, static_cast<std::int64_t>(rows.taps.size()),
                                static_cast<std::int64_t>(columns.taps.size()),
                                weight[0] / convolution.groups};
            part.packed = lowering.kernels.packed_later(lowering.fastest(convolution, adjoint, operands));
            lowering.fused.parts.push_back(std::move(part));
        }
}

void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::ConvolutionDataGradient &gradient) {
    const ops::Convolution &convolution = gradient.convolution;
    const ops::Window &window = convolution.window;
    const ops::CanonicalWindow canonical = window_of(convolution, builder.result_shape(fused));
    const auto split = [](const ops::WindowAxis &axis) {
        return split_axis(axis.kernel, axis.stride, axis.dilation, axis.before);
    };
    const std::vector<AxisPart> rows = split(canonical.vertical), columns = split(canonical.horizontal);
    if (static_cast<std::int64_t>(rows.size()) < window.stride_y ||
        static_cast<std::int64_t>(columns.size()) < window.stride_x) {
        PaddingTask zeros; // for pixels that no window reads
        zeros.top = builder.result_shape(fused)[1];
        builder.begin(fused, zeros);
    }
    const std::vector<AxisPart> of_rows = row_classes(window), of_columns = column_classes(window);
    for (const AxisPart &row : rows)
        for (const AxisPart &column : columns) {
            const std::size_t index =
                class_of(row, of_rows) * of_columns.size() + class_of(column, of_columns);
            add_part(builder, fused, convolution, {row, column, fused.parts[index].packed});
        }
}

void lower(const OperationLowering &lowering, const ops::ConvolutionWeightGradient &gradient) {
    lowering.fused.operands =
        product_element(lowering.precision, lowering.result, gradient.convolution.groups);
    lowering.fused.may_use_winograd =
        lowering.winograd && lowering.kernels.has_fma && lowering.fused.operands == Element::float32;
}

void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::ConvolutionWeightGradient &gradient) {
    const ops::CanonicalWindow window = window_of(gradient.convolution, builder.input_shape(fused));
    WeightGradientTask task;
    task.vertical = kernel_axis(window.vertical);
    task.horizontal = kernel_axis(window.horizontal);
    task.groups = gradient.convolution.groups;
    task.operands = fused.operands;
    const Extents pixels = extents_of(builder.input_shape(fused, 1));
    const Shape &result = builder.result_shape(fused);
    const std::int64_t weights = result.elements();
    task.parts = gradient_parts(pixels.batch * pixels.pixels(), weights);
    task.winograd = fused.may_use_winograd && gradient_gains_by_winograd(task, pixels, result);
    const bool divided = task.parts > 1;
    const Region sums = divided ? builder.add_workspace({task.parts, 1, 1, weights})
                                : builder.placement().region(fused.result);
    if (fused.normalization) task.epsilon = fused.normalization->epsilon;
    Step &step = builder.begin_with_inputs(fused, task);
    step.destination = sums;
    if (fused.normalization)
        add_recomputed_normalization(builder, fused, step, step.task.as<WeightGradientTask>().normalization);
    if (divided) builder.begin(fused, PartSumTask{}).source = sums;
}

} // namespace mpscnn::cpu
