#pragma once

// What networks in int8 precision need besides kernels: the numbers that their layers requantise by, and
// steps that read and write integers.

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/aligned_buffer.h"
#include "cpu/isa/kernels.h"
#include "cpu/plan/integer_functions.h"
#include "engine/graph/graph.h"

namespace mpscnn::cpu {

/// What a layer computes integers with. Points into its own memory.
struct IntegerLayer {
    IntegerWeights weights; ///< convolutions and dense layers
    Requantization requantization;

    AlignedBuffer<std::int16_t> values;
    AlignedBuffer<std::int8_t> quads, rest_quads;
    AlignedBuffer<std::int32_t> bias, multipliers, shifts, rest_first, rest_steps;
    IntegerTerms terms[2]; ///< sums: of either operand
    /// Sums: the terms of the first operand's integers and of the second one's. Softmax: the exponentials.
    AlignedBuffer<std::int32_t> table;
    /// Of each operand of a layer that moves integers or is a function of them, 256 results.
    AlignedBuffer<std::uint8_t> moved;
    AlignedBuffer<std::uint8_t> constant; ///< the integers of a tensor that is a weight

    IntegerLayer() = default;
    IntegerLayer(const IntegerLayer &) = delete;
    IntegerLayer &operator=(const IntegerLayer &) = delete;
    std::size_t bytes() const;
};

/// Of a node that the table of unsupported features allows in int8 precision. Throws WeightsError for
/// weights that are not 8-bit integers or have more than one scale of uint8 results, and ParameterError for
/// quantizations that TensorFlow Lite's layers do not have. `quads`: weights are packed for these kernels
/// where they can multiply them; null: for others.
std::shared_ptr<const IntegerLayer> lower_to_integers(const engine::Graph &graph, std::size_t node,
                                                      const QuadKernels *quads);

struct LoweredNetwork;
struct FusedOperation;
struct OutputCopy;
class StepBuilder;

/// Adds the steps of an int8 network.
class IntegerSteps {
public:
    IntegerSteps(StepBuilder &builder, const LoweredNetwork &network);
    ~IntegerSteps();

    void add(const FusedOperation &fused);
    void add(const OutputCopy &copy);
    /// Steps from number `first` on, of a layer that is kept in float32, read numbers instead of integers.
    void convert(std::size_t first);

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace mpscnn::cpu
