#include "cpu/step.h"

#include <utility>

#include "cpu/operation.h"

namespace mpscnn::cpu {

const char *Step::kernel() const {
    return std::visit([](const auto &bound) { return bound.kernel_name(); }, task);
}

std::vector<Step> make_steps(const LoweredNetwork &network, Placement &placement,
                             const std::vector<Shape> &shapes) {
    StepBuilder builder(placement, shapes, network.kernels->vector_width);
    for (const FusedOperation &fused : network.operations)
        std::visit([&](const auto &operation) { make_step(builder, fused, operation); }, fused.operation);
    for (const OutputCopy &copy : placement.output_copies)
        builder.add_copy({}, placement.region(copy.value), copy.destination);
    return std::move(builder.steps);
}

} // namespace mpscnn::cpu
