#include "cpu/plan/step_builder.h"

#include <utility>

namespace mpscnn::cpu {

WindowAxis kernel_axis(const ops::WindowAxis &axis) {
    return {axis.kernel, axis.stride, axis.dilation, axis.before};
}

Epilogue epilogue_of(const FusedOperation &fused) {
    Epilogue epilogue;
    epilogue.activation = fused.activation.activation;
    epilogue.rounds = fused.rounds;
    epilogue.residual_activation = fused.residual_activation.activation;
    epilogue.residual_rounds = fused.residual_rounds;
    return epilogue;
}

Step &StepBuilder::begin(const FusedOperation &fused, Task task) {
    Step step;
    step.layers = fused.layers;
    step.task = std::move(task);
    step.source = placement_.region(fused.inputs[0]);
    step.destination = placement_.region(fused.result);
    if (fused.residual) step.others = {placement_.region(*fused.residual)};
    steps.push_back(std::move(step));
    return steps.back();
}

Step &StepBuilder::begin_with_inputs(const FusedOperation &fused, Task task, std::size_t source) {
    Step &step = begin(fused, std::move(task));
    step.source = input(fused, source);
    for (std::size_t i = 0; i < fused.inputs.size(); ++i)
        if (i != source) step.others.push_back(input(fused, i));
    return step;
}

bool StepBuilder::add_variable(const FusedOperation &fused, const std::string &role,
                               std::vector<Region> &others) const {
    const auto found = fused.variables.find(role);
    if (found == fused.variables.end()) return false;
    others.push_back(placement_.region(found->second));
    return true;
}

void StepBuilder::add_copy(std::vector<std::string> layers, const Region &source, const Region &destination) {
    Step step;
    step.layers = std::move(layers);
    step.task = PaddingTask{};
    step.source = source;
    step.destination = destination;
    steps.push_back(std::move(step));
}

Region StepBuilder::add_workspace(const Extents &extents, Element element, bool contiguous) {
    return placement_.add_storage(extents, Storage::Home::arena, 0, contiguous, vector_width_, element);
}

} // namespace mpscnn::cpu
