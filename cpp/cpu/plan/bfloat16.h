#pragma once

// The plan of networks in bfloat16 precision: the values that are stored as bfloat16, the layers that
// bfloat16 kernels compute, and conversions before and after all others.

#include <vector>

#include "cpu/plan/step_builder.h"

namespace mpscnn::cpu {

/// Return the element type of each value of a graph. In bfloat16 precision, values that are rounded
/// (docs/architecture.md, "Numbers") or only moved are bfloat16. In int8 precision values are bytes, unless
/// their layer is kept in float32.
std::vector<Element> elements_of_values(const engine::Graph &graph, engine::Precision precision);

/// True if a node multiplies bfloat16 weights by bfloat16 inputs.
bool is_product(const engine::Node &node);
/// True if Bfloat16Kernels::convolution supports a product with weights [outputs][height][width][inputs of a
/// group].
bool has_bfloat16_kernel(const engine::Node &node, const Shape &weights, std::int64_t groups,
                         const Activation &activation, Element result);

/// Insert conversions around the steps of one operation, from step number `first` on, where they cannot read
/// or write a tensor's element type. With `rounds_source`, their inputs are rounded in any case.
void convert_elements(StepBuilder &builder, std::size_t first, bool rounds_source);

} // namespace mpscnn::cpu
