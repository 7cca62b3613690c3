#pragma once

// The constants of a layer in int8 precision, and those that several kinds of layers compute in the same way.

#include <cstddef>
#include <cstdint>
#include <string>

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

    AlignedBuffer<std::int16_t> values, wides;
    AlignedBuffer<std::int64_t> wide_first;
    AlignedBuffer<std::int8_t> quads, rest_quads;
    AlignedBuffer<std::int32_t> products, bias, multipliers, shifts, rest_first, rest_steps, step_order,
        doubles, narrow;
    AlignedBuffer<double> factors; ///< Requantization::factors; empty if that is null
    AlignedBuffer<float> floats;   ///< Requantization::floats; empty if that is null
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

/// Return the quantization of a value of an int8 network.
const engine::Quantization &quantization_of(const engine::Graph &graph, engine::ValueId value);

AlignedBuffer<std::int32_t> zeros(std::int64_t count);

/// Set the zero point and limits of the layer's result. The limits come from the range of its integers and
/// from its activation.
void set_limits(Requantization &to, const engine::Node &node, const engine::Quantization &result);

/// Return the beginning of an error message about a layer.
std::string name_of_layer(const engine::Node &node);

/// Throw ParameterError for a factor of 2^30 or more, which would shift 32-bit integers too far.
void require_small_factor(const engine::Node &node, const FixedPoint &factor);

} // namespace mpscnn::cpu
