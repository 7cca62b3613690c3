#include "cpu/plan/integer_steps.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <map>
#include <utility>

#include "cpu/plan/lowering.h"
#include "cpu/plan/operation.h"
#include "cpu/plan/placement.h"
#include "cpu/plan/step_builder.h"

namespace mpscnn::cpu {

using engine::Quantization;
using engine::ValueId;

namespace {

void set_window(const ops::CanonicalWindow &window, WindowAxis &vertical, WindowAxis &horizontal) {
    vertical = kernel_axis(window.vertical);
    horizontal = kernel_axis(window.horizontal);
}

} // namespace

class IntegerSteps::Impl {
public:
    Impl(StepBuilder &builder, const LoweredNetwork &network) : builder_(builder), network_(network) {
        const std::vector<Region> &regions = builder.placement().regions;
        for (std::size_t value = 0; value < regions.size(); ++value)
            if (const auto &own = network.graph.quantization(static_cast<ValueId>(value)))
                if (is_of_integers(regions[value])) stored_.emplace(regions[value].storage, *own);
    }

    void add(const FusedOperation &fused) {
        fused.operation.visit([&](const auto &operation) { add_layer(fused, operation); });
    }

    void add(const OutputCopy &copy) {
        const Region &source = builder_.placement().region(copy.value);
        if (!is_of_integers(source)) return builder_.add_copy({}, source, copy.destination);
        add_numbers({}, source, copy.destination);
    }

    void convert(std::size_t first) {
        const auto begin = builder_.steps.begin() + static_cast<std::ptrdiff_t>(first);
        std::vector<Step> steps(std::make_move_iterator(begin),
                                std::make_move_iterator(builder_.steps.end()));
        builder_.steps.erase(begin, builder_.steps.end());
        for (Step &step : steps) {
            const auto as_numbers = [&](Region &region) {
                if (!is_of_integers(region)) return;
                const Region result = builder_.add_workspace(region.extents);
                add_numbers(step.layers, region, result);
                region = result;
            };
            as_numbers(step.source);
            std::for_each(step.others.begin(), step.others.end(), as_numbers);
            builder_.steps.push_back(std::move(step));
        }
    }

private:
    bool is_of_integers(const Region &region) const {
        return region.storage >= 0 && element(region) == Element::uint8;
    }

    void add_numbers(std::vector<std::string> layers, const Region &source, const Region &destination) {
        const Quantization &own = stored_.at(source.storage);
        append(std::move(layers),
               DequantizationTask{.source = {},
                                  .destination = {},
                                  .scale = own.scale,
                                  .zero_point = stored(own, own.zero_point)},
               source, destination);
    }

    const Quantization &quantization(ValueId value) const { return *network_.graph.quantization(value); }
    Element element(const Region &region) const {
        return builder_.placement().storages[static_cast<std::size_t>(region.storage)].element;
    }

    Step &append(std::vector<std::string> layers, Task task, const Region &source,
                 const Region &destination) {
        Step step;
        step.layers = std::move(layers);
        step.task = std::move(task);
        step.source = source;
        step.destination = destination;
        builder_.steps.push_back(std::move(step));
        return builder_.steps.back();
    }
    Step &append(const FusedOperation &fused, Task task) {
        const Region source = integers(fused, 0);
        return append(fused.layers, std::move(task), source, builder_.placement().region(fused.result));
    }

    /// Return the region of an operand's integers. An input of the network, the result of a layer in float32,
    /// or a view of one of them has float32 numbers; it is quantized by an additional step at its first use.
    Region integers(const FusedOperation &fused, std::size_t operand) {
        const ValueId value = fused.inputs[operand];
        const Region region = builder_.placement().region(value);
        if (element(region) == Element::uint8) return region;
        if (const auto found = quantized_.find(value); found != quantized_.end()) return found->second;
        const Quantization &own = quantization(value);
        const Region result = builder_.add_workspace(region.extents, Element::uint8, true);
        append(fused.layers,
               QuantizationTask{.source = {},
                                .destination = {},
                                .scale = own.scale,
                                .zero_point = stored(own, own.zero_point)},
               region, result);
        return quantized_.emplace(value, result).first->second;
    }

    IntegerConvolutionTask product_task(const FusedOperation &fused) const {
        const Quantization &source = quantization(fused.inputs[0]);
        IntegerConvolutionTask task;
        task.weights = fused.integers->weights;
        task.source_zero = stored(source, source.zero_point);
        task.requantization = fused.integers->requantization;
        return task;
    }

    void add_layer(const FusedOperation &fused, const ops::Convolution &convolution) {
        IntegerConvolutionTask task = product_task(fused);
        const Shape &input = builder_.input_shape(fused);
        set_window(convolution.window.canonical(ops::Convolution::info, input[1], input[2]), task.vertical,
                   task.horizontal);
        append(fused, task);
    }

    void add_layer(const FusedOperation &fused, const ops::FullyConnected &) {
        Region &source = append(fused, product_task(fused)).source;
        const Extents &image = source.extents;
        source.extents = source.whole = {image.batch, 1, 1, image.pixels() * image.channels};
    }

    void add_layer(const FusedOperation &fused, const ops::Pooling &pooling) {
        if (is_mean_of_image(pooling) && !(quantization(fused.inputs[0]) == quantization(fused.result)))
            return add_mean(fused);
        IntegerPoolingTask task;
        task.centre = stored(quantization(fused.result), 0);
        if (pooling.kind == ops::PoolingKind::max)
            add_pooling(fused, pooling, IntegerMaximumTask{});
        else
            add_pooling(fused, pooling, task);
    }
    template <class TaskType>
    void add_pooling(const FusedOperation &fused, const ops::Pooling &pooling, TaskType task) {
        const Shape &input = builder_.input_shape(fused);
        set_window(pooling.canonical(input[1], input[2]), task.vertical, task.horizontal);
        task.low = fused.integers->requantization.low;
        task.high = fused.integers->requantization.high;
        append(fused, task);
    }

    void add_layer(const FusedOperation &fused, const ops::Addition &) { add_sum(fused, false); }
    void add_layer(const FusedOperation &fused, const ops::Subtraction &) { add_sum(fused, true); }
    void add_sum(const FusedOperation &fused, bool subtracts) {
        const IntegerLayer &layer = *fused.integers;
        IntegerSumTask task;
        task.source_terms = layer.terms[0];
        task.second_terms = layer.terms[1];
        task.subtracts = subtracts;
        task.requantization = layer.requantization;
        const Region second = integers(fused, 1);
        append(fused, task).others = {second};
    }

    void add_layer(const FusedOperation &fused, const ops::Multiplication &) {
        const Quantization &first = quantization(fused.inputs[0]), &other = quantization(fused.inputs[1]);
        IntegerProductTask task;
        task.source_zero = stored(first, first.zero_point);
        task.second_zero = stored(other, other.zero_point);
        task.requantization = fused.integers->requantization;
        const Region second = integers(fused, 1);
        append(fused, task).others = {second};
    }

    void add_layer(const FusedOperation &fused, const ops::MatrixProduct &product) {
        const Quantization &first = quantization(fused.inputs[0]), &other = quantization(fused.inputs[1]);
        IntegerMatrixProductTask task;
        task.transpose_source = product.transpose_first;
        task.transpose_second = product.transpose_second;
        task.source_zero = stored(first, first.zero_point);
        task.second_zero = stored(other, other.zero_point);
        task.requantization = fused.integers->requantization;
        const Region second = integers(fused, 1);
        append(fused, task).others = {second};
    }

    void add_layer(const FusedOperation &fused, const ops::Reduction &reduction) {
        if (reduction.kind == ops::ReductionKind::mean) return add_mean(fused);
        add_total(fused, factor_between(quantization(fused.inputs[0]), quantization(fused.result)));
    }
    void add_mean(const FusedOperation &fused) {
        const std::int64_t count =
            builder_.input_shape(fused).elements() / builder_.result_shape(fused).elements();
        add_total(fused, factor_of_mean(quantization(fused.inputs[0]), quantization(fused.result), count));
    }
    void add_total(const FusedOperation &fused, const FixedPoint &factor) {
        const Quantization &source = quantization(fused.inputs[0]);
        const Requantization &limits = fused.integers->requantization;
        append(fused, IntegerMeanTask{.source = {},
                                      .destination = {},
                                      .source_zero = stored(source, source.zero_point),
                                      .multiplier = factor.multiplier,
                                      .shift = factor.shift,
                                      .zero_point = limits.zero_point,
                                      .low = limits.low,
                                      .high = limits.high});
    }

    void add_layer(const FusedOperation &fused, const ops::Padding &padding) {
        const Quantization &own = quantization(fused.result);
        const float border = std::round(padding.value / own.scale);
        IntegerBorderTask task;
        task.top = padding.top;
        task.left = padding.left;
        task.front = padding.front;
        task.value = static_cast<std::uint8_t>(
            std::clamp<double>(static_cast<double>(border) + stored(own, own.zero_point), 0.0, 255.0));
        append(fused, task);
    }

    void add_layer(const FusedOperation &fused, const ops::Neuron &) {
        IntegerTableTask task;
        task.table = fused.integers->moved.data();
        append(fused, task);
    }

    /// Add copies for operands that are not computed directly in the result's memory. Operands with another
    /// quantization than the result are converted by a table.
    void add_layer(const FusedOperation &fused, const ops::Concatenation &) {
        for (const ConcatenationPart &part : parts_to_copy(fused, builder_.placement(), builder_.shapes())) {
            const auto operand = static_cast<std::size_t>(
                std::find(fused.inputs.begin(), fused.inputs.end(), part.operand) - fused.inputs.begin());
            IntegerTableTask task;
            if (!(quantization(part.operand) == quantization(fused.result)))
                task.table = fused.integers->moved.data() + 256 * operand;
            const bool converts = element(part.source) != Element::uint8;
            append(fused.layers, task, converts ? integers(fused, operand) : part.source, part.destination);
        }
    }

    void add_layer(const FusedOperation &fused, const ops::Resize &resize) {
        IntegerResizeTask task;
        task.is_signed = quantization(fused.result).is_signed;
        if (resize.kind == ops::ResizeKind::nearest)
            add_resize(fused, resize, IntegerNearestTask{});
        else
            add_resize(fused, resize, task);
    }
    template <class TaskType>
    void add_resize(const FusedOperation &fused, const ops::Resize &resize, TaskType task) {
        task.corners = resize.alignment == ops::ResizeAlignment::corners;
        task.half_pixels = resize.alignment == ops::ResizeAlignment::half_pixel;
        append(fused, task);
    }

    void add_layer(const FusedOperation &fused, const ops::Softmax &) {
        IntegerSoftmaxTask task;
        task.exponentials = fused.integers->table.data();
        append(fused, task);
    }

    void add_layer(const FusedOperation &fused, const ops::LogSoftmax &) {
        const IntegerLayer &layer = *fused.integers;
        IntegerLogSoftmaxTask task;
        task.exponentials = layer.table.data();
        task.differences = layer.table.data() + 256;
        task.multiplier = layer.multipliers[0];
        task.shift = layer.shifts[0];
        append(fused, task);
    }

    /// Add a unit norm, the only layer normalization that the table of unsupported features allows.
    void add_layer(const FusedOperation &fused, const ops::LayerNormalization &) {
        const Quantization &source = quantization(fused.inputs[0]);
        IntegerUnitNormTask task;
        task.source_zero = stored(source, source.zero_point);
        task.is_signed = source.is_signed;
        append(fused, task);
    }

    // ---- Moves of elements: kernels that move floats also move bytes ----

    void add_layer(const FusedOperation &fused, const ops::Transpose &move) { add_move(fused, move); }
    void add_layer(const FusedOperation &fused, const ops::ChannelShuffle &move) { add_move(fused, move); }
    void add_layer(const FusedOperation &fused, const ops::Gather &move) { add_move(fused, move); }
    void add_layer(const FusedOperation &fused, const ops::Tile &move) { add_move(fused, move); }
    template <class Op> void add_move(const FusedOperation &fused, const Op &operation) {
        const Region source = integers(fused, 0);
        make_step(builder_, fused, operation);
        builder_.steps.back().source = source;
    }

    void add_layer(const FusedOperation &fused, const ops::Slice &slice) {
        if (!slice.is_view()) return add_move(fused, slice);
        const Region source = integers(fused, 0), result = builder_.placement().region(fused.result);
        const Region part = sliced(slice, source, builder_.input_shape(fused), builder_.result_shape(fused));
        if (!(part == result)) append(fused.layers, IntegerTableTask{}, part, result);
    }

    void add_layer(const FusedOperation &fused, const ops::Constant &) {
        ConstantTask task;
        task.values = fused.integers->constant.data();
        append(fused.layers, task, builder_.input(fused, 0), builder_.placement().region(fused.result));
    }

    /// Add no step. Reshapes are views of the same memory, and the table of unsupported features refuses all
    /// other operations.
    template <class Op> void add_layer(const FusedOperation &, const Op &) {}

    StepBuilder &builder_;
    const LoweredNetwork &network_;
    std::map<ValueId, Region> quantized_;
    /// The quantization of each storage. The operands of a concatenation share one storage, and so do a value
    /// and its views.
    std::map<int, Quantization> stored_;
};

IntegerSteps::IntegerSteps(StepBuilder &builder, const LoweredNetwork &network)
    : impl_(std::make_unique<Impl>(builder, network)) {}
IntegerSteps::~IntegerSteps() = default;
void IntegerSteps::add(const FusedOperation &fused) { impl_->add(fused); }
void IntegerSteps::add(const OutputCopy &copy) { impl_->add(copy); }
void IntegerSteps::convert(std::size_t first) { impl_->convert(first); }

} // namespace mpscnn::cpu
