#pragma once

// Plans networks in int8 precision: computes the constants of layers, such as the factors that requantize
// sums, and adds steps that read and write integers.

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/aligned_buffer.h"
#include "cpu/isa/kernels.h"
#include "cpu/plan/integer_functions.h"
#include "engine/graph/graph.h"

namespace mpscnn::cpu {

/// The constants of a layer that computes integers. Its members point into its own memory, so it cannot be
/// copied.
struct IntegerLayer {
    IntegerWeights weights; ///< convolutions and dense layers
    Requantization requantization;

    AlignedBuffer<std::int16_t> values;
    AlignedBuffer<std::int8_t> quads, rest_quads;
    AlignedBuffer<std::int32_t> bias, multipliers, shifts, rest_first, rest_steps;
    AlignedBuffer<double> factors; ///< Requantization::factors; empty if that is null
    IntegerTerms terms[2];         ///< for additions and subtractions: one for each operand
    /// For additions and subtractions: the terms for each integer of the first operand and then of the
    /// second. For softmax: the exponentials.
    AlignedBuffer<std::int32_t> table;
    /// For layers that move integers or are a function of them: 256 results for each operand.
    AlignedBuffer<std::uint8_t> moved;
    AlignedBuffer<std::uint8_t> constant; ///< for a constant: its integers

    IntegerLayer() = default;
    IntegerLayer(const IntegerLayer &) = delete;
    IntegerLayer &operator=(const IntegerLayer &) = delete;
    std::size_t bytes() const;
};

/// Compute the constants of a node that the table of unsupported features allows in int8 precision. Throws
/// WeightsError for weights that are not 8-bit integers with scales and integer zero points, and for biases
/// that are not 32-bit integers. Throws ParameterError for quantizations that TensorFlow Lite's layers do not
/// have. Weights are packed for the kernels `quads` (null: there are none) if these support the layer.
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
    /// Insert conversions before the steps from number `first` on, where these would read integers. The steps
    /// belong to a layer that is kept in float32, so they need float32 numbers.
    void convert(std::size_t first);

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace mpscnn::cpu
