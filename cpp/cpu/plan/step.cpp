#include "cpu/plan/step.h"

#include <type_traits>
#include <utility>

#include "cpu/plan/bfloat16.h"
#include "cpu/plan/integer_steps.h"
#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

namespace {

/// Return the bytes of an operation's weights, or of all operations in its chain.
std::size_t weight_bytes(const LoweredNetwork &network, std::size_t operation, const Chain *chain) {
    if (!chain) return network.operations[operation].weight_bytes;
    std::size_t bytes = 0;
    for (std::size_t part : chain->operations) bytes += network.operations[part].weight_bytes;
    return bytes;
}

void make_steps_of(StepBuilder &builder, const FusedOperation &fused) {
    fused.operation.visit([&]<class Op>(const Op &operation) {
        if constexpr (std::is_same_v<Op, ops::Custom>)
            fail(ErrorKind::state,
                 "a custom layer is a function of the program, which the CPU engine cannot run");
        else
            make_step(builder, fused, operation);
    });
}

} // namespace

std::vector<Step> make_steps(const LoweredNetwork &network, Placement &placement,
                             const std::vector<Shape> &shapes, std::span<const Chain> chains) {
    StepBuilder builder(placement, shapes, network.kernels->vector_width);
    // A chain runs at the place of its last operation, because all its inputs exist then.
    std::vector<const Chain *> chain_of(network.operations.size());
    for (const Chain &chain : chains)
        for (std::size_t operation : chain.operations) chain_of[operation] = &chain;
    const bool converts = network.precision == engine::Precision::bfloat16,
               computes_integers = network.precision == engine::Precision::int8;
    IntegerSteps integers(builder, network);
    for (std::size_t i = 0; i < network.operations.size(); ++i) {
        const FusedOperation &fused = network.operations[i];
        const std::size_t first = builder.steps.size();
        if (fused.integers)
            integers.add(fused);
        else if (!chain_of[i])
            make_steps_of(builder, fused);
        else if (i == chain_of[i]->operations.back())
            fused.operation.is<ops::Pooling>() ? make_pooled_step(builder, network, *chain_of[i])
                                               : make_chain_step(builder, network, *chain_of[i]);
        if (computes_integers && !fused.integers) integers.convert(first);
        for (std::size_t step = first; step < builder.steps.size(); ++step)
            builder.steps[step].operations = chain_of[i] ? chain_of[i]->operations : std::vector{i};
        if (builder.steps.size() > first)
            builder.steps.back().weight_bytes = weight_bytes(network, i, chain_of[i]);
        if (converts) convert_elements(builder, first, fused.multiplies);
    }
    const std::size_t first = builder.steps.size();
    for (const OutputCopy &copy : placement.output_copies)
        computes_integers ? integers.add(copy)
                          : builder.add_copy({}, placement.region(copy.value), copy.destination);
    if (converts) convert_elements(builder, first, false);
    return std::move(builder.steps);
}

} // namespace mpscnn::cpu
