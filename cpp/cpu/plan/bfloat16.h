#pragma once

// Plans networks in bfloat16 precision: chooses the values that are stored as bfloat16 and the layers that
// bfloat16 kernels compute. All other layers get conversions before and after them.

#include <span>
#include <vector>

#include "cpu/plan/fusion.h"
#include "cpu/plan/step_builder.h"

namespace mpscnn::cpu {

/// Return the element type of each value of a graph. In bfloat16 precision, values from which a convolution
/// or dense layer is computed are bfloat16 if their operation rounds its result (docs/definitions.md,
/// "Numbers") or only moves bfloat16 elements. Values from which the positions of a TakeAlongAxis are
/// computed stay float32. If keeps_floats() is true, all values are float32 here. In int8 precision values
/// are bytes, unless their layer is kept in float32.
std::vector<Element> elements_of_values(const engine::Graph &graph, engine::Precision precision);

/// True if a bfloat16 network rounds only the factors of products, and all values between layers are float32.
/// This is so if weights are tensors of the graph, as in training, or if there are no products.
bool keeps_floats(const engine::Graph &graph);
/// Return the element type of each value of a bfloat16 network for which keeps_floats() is true. Values that
/// only products read are stored as bfloat16 if kernels can store them so. Products would round them to
/// bfloat16 anyway.
std::vector<Element> elements_of_factors(const engine::Graph &graph, std::span<const NodeFusion> fusions);
/// Return the type to which the factors of a convolution's products, and of its gradients' products, are
/// rounded if its weights are a tensor [outputs][height][width][inputs of a group]. It is float32 for
/// depthwise convolutions and for groups with an odd number of inputs or outputs.
Element product_element(engine::Precision precision, const Shape &weights, std::int64_t groups);

/// True for a convolution or dense layer. In bfloat16 networks it multiplies bfloat16 weights by bfloat16
/// inputs.
bool is_product(const engine::Node &node);
/// True if Bfloat16Kernels::convolution supports this node, with weights [outputs][height][width][inputs of a
/// group].
bool has_bfloat16_kernel(const engine::Node &node, const Shape &weights, std::int64_t groups, Element result);

/// Insert conversions around the steps of one operation where their kernels cannot read or write a tensor's
/// element type. The operation's steps are the steps from number `first` on. With `rounds_source`, float32
/// sources are rounded to bfloat16 even if a kernel could read them.
void convert_elements(StepBuilder &builder, std::size_t first, bool rounds_source);

} // namespace mpscnn::cpu
