#pragma once

// What networks in bfloat16 precision need besides kernels: which values are stored as such numbers, which
// layers the kernels for them compute, and conversions around all others.

#include <vector>

#include "cpu/plan/step_builder.h"

namespace mpscnn::cpu {

/// The elements of each value of a graph. In bfloat16 precision they are such numbers wherever they are
/// rounded (docs/architecture.md, "Numbers"), or only moved; in int8 precision layers compute bytes,
/// but for those that are kept in float32.
std::vector<Element> elements_of_values(const engine::Graph &graph, engine::Precision precision);

/// Whether a node multiplies weights that are bfloat16 numbers by inputs that are.
bool is_product(const engine::Node &node);
/// Whether Bfloat16Kernels::convolution computes a product whose weights are [outputs][height][width][inputs
/// of a group].
bool has_bfloat16_kernel(const engine::Node &node, const Shape &weights, std::int64_t groups,
                         const Activation &activation, Element result);

/// Surrounds steps from number `first` on, all of one operation, with conversions of what they cannot read or
/// write as it is stored. With `rounds_source`, what they read is rounded in any case.
void convert_elements(StepBuilder &builder, std::size_t first, bool rounds_source);

} // namespace mpscnn::cpu
