#include "cpu/step.h"

#include <utility>

namespace mpscnn::cpu {

using engine::ValueId;

namespace {

WindowAxis kernel_axis(const ops::WindowAxis &axis) {
    return {axis.kernel, axis.stride, axis.dilation, axis.before};
}

Epilogue epilogue_of(const FusedOperation &fused) {
    Epilogue epilogue;
    epilogue.activation = fused.activation.activation;
    epilogue.round_to_half = fused.rounds;
    epilogue.residual_activation = fused.residual_activation.activation;
    epilogue.residual_round_to_half = fused.residual_rounds;
    return epilogue;
}

/// Turns operations into steps, by kind.
class StepMaker {
public:
    StepMaker(const Placement &placement, const std::vector<Shape> &shapes)
        : placement_(placement), shapes_(shapes) {}

    void add(const FusedOperation &fused) {
        std::visit([&](const auto &operation) { make(fused, operation); }, fused.operation);
    }

    void add_output_copies() {
        for (const OutputCopy &copy : placement_.output_copies)
            add_copy({}, placement_.region(copy.value), copy.destination);
    }

    std::vector<Step> steps;

private:
    Step &begin(const FusedOperation &fused, Task task) {
        Step step;
        step.layers = fused.layers;
        step.task = std::move(task);
        step.source = placement_.region(fused.inputs[0]);
        step.destination = placement_.region(fused.result);
        if (fused.residual) step.second = placement_.region(*fused.residual);
        steps.push_back(std::move(step));
        return steps.back();
    }

    void add_copy(std::vector<std::string> layers, const Region &source, const Region &destination) {
        Step step;
        step.layers = std::move(layers);
        step.task = PaddingTask{};
        step.source = source;
        step.destination = destination;
        steps.push_back(std::move(step));
    }

    const Shape &input_shape(const FusedOperation &fused) const {
        return shapes_[static_cast<std::size_t>(fused.inputs[0])];
    }

    void make(const FusedOperation &fused, const ops::Convolution &convolution) {
        const Shape &input = input_shape(fused);
        const ops::Padding border = fused.border.value_or(ops::Padding{});
        const ops::CanonicalWindow window =
            convolution.window.canonical(ops::Convolution::info, input[1] + border.top + border.bottom,
                                         input[2] + border.left + border.right);
        ConvolutionTask task;
        task.vertical = kernel_axis(window.vertical);
        task.horizontal = kernel_axis(window.horizontal);
        task.vertical.before += border.top;
        task.horizontal.before += border.left;
        task.packed = &fused.packed;
        task.epilogue = epilogue_of(fused);
        begin(fused, task);
    }

    void make(const FusedOperation &fused, const ops::FullyConnected &) {
        ConvolutionTask task;
        task.packed = &fused.packed;
        task.epilogue = epilogue_of(fused);
        Region &source = begin(fused, task).source;
        source.extents = source.whole = {source.extents.batch, 1, 1, fused.packed.inputs_per_group};
    }

    void make(const FusedOperation &fused, const ops::Pooling &pooling) {
        const Shape &input = input_shape(fused);
        const ops::CanonicalWindow window = pooling.canonical(input[1], input[2]);
        PoolingTask task;
        task.kind = pooling.kind == ops::PoolingKind::max ? PoolingKind::max : PoolingKind::average;
        task.vertical = kernel_axis(window.vertical);
        task.horizontal = kernel_axis(window.horizontal);
        if (pooling.count_padding) {
            task.counted_before_y = window.vertical.before;
            task.counted_after_y = window.vertical.padding_after;
            task.counted_before_x = window.horizontal.before;
            task.counted_after_x = window.horizontal.padding_after;
        }
        task.epilogue = epilogue_of(fused);
        begin(fused, task);
    }

    void make(const FusedOperation &fused, const ops::Addition &) {
        AdditionTask task;
        task.epilogue = epilogue_of(fused);
        begin(fused, task).second = placement_.region(fused.inputs[1]);
    }

    void make(const FusedOperation &fused, const ops::BatchNormalization &) {
        AffineTask task;
        task.scale = fused.scale.data();
        task.shift = fused.shift.data();
        task.epilogue = epilogue_of(fused);
        begin(fused, task);
    }

    void make(const FusedOperation &fused, const ops::Neuron &) {
        AffineTask task;
        task.epilogue = epilogue_of(fused);
        begin(fused, task);
    }

    void make(const FusedOperation &fused, const ops::Softmax &) {
        SoftmaxTask task;
        task.round_to_half = fused.rounds;
        begin(fused, task);
    }

    void make(const FusedOperation &fused, const ops::Resize &resize) {
        const Shape &input = input_shape(fused), &output = shapes_[static_cast<std::size_t>(fused.result)];
        const ops::ResizeAxis vertical = resize.axis(input[1], output[1]);
        const ops::ResizeAxis horizontal = resize.axis(input[2], output[2]);
        ResizeTask task;
        task.kind = resize.kind == ops::ResizeKind::nearest ? ResizeKind::nearest : ResizeKind::bilinear;
        task.scale_y = vertical.scale;
        task.offset_y = vertical.offset;
        task.scale_x = horizontal.scale;
        task.offset_x = horizontal.offset;
        task.nearest_bias = resize.nearest_bias();
        task.round_to_half = fused.rounds;
        begin(fused, task);
    }

    void make(const FusedOperation &fused, const ops::Padding &padding) {
        PaddingTask task;
        task.top = padding.top;
        task.left = padding.left;
        task.front = padding.front;
        task.value = padding.value;
        begin(fused, task);
    }

    void make(const FusedOperation &fused, const ops::Concatenation &) {
        for (const ConcatenationPart &part : parts_to_copy(fused, placement_, shapes_))
            add_copy(fused.layers, part.source, part.destination);
    }

    void make(const FusedOperation &, const ops::Reshape &) {} // another view of the same memory

    const Placement &placement_;
    const std::vector<Shape> &shapes_;
};

const char *name_of_kernel(const ConvolutionTask &task) {
    return task.packed->depthwise ? "depthwise" : "convolution";
}
const char *name_of_kernel(const PoolingTask &) { return "pooling"; }
const char *name_of_kernel(const AdditionTask &) { return "addition"; }
const char *name_of_kernel(const AffineTask &) { return "affine"; }
const char *name_of_kernel(const SoftmaxTask &) { return "softmax"; }
const char *name_of_kernel(const ResizeTask &) { return "resize"; }
const char *name_of_kernel(const PaddingTask &) { return "copy"; }

} // namespace

const char *Step::kernel() const {
    return std::visit([](const auto &bound) { return name_of_kernel(bound); }, task);
}

std::vector<Step> make_steps(const LoweredNetwork &network, const Placement &placement,
                             const std::vector<Shape> &shapes) {
    StepMaker maker(placement, shapes);
    for (const FusedOperation &fused : network.operations) maker.add(fused);
    maker.add_output_copies();
    return std::move(maker.steps);
}

} // namespace mpscnn::cpu
