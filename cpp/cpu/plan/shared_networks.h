#pragma once

// Programs of one network share its packed weights.

#include <memory>

#include "cpu/plan/lowering.h"

namespace mpscnn::cpu {

/// `lower_network`, or what it gave for an equal graph before: one of the same structure whose weights are
/// the same memory, or other memory that holds the same. Only networks that a program still uses are found,
/// and only while the weights that they were made from are alive; those that a pass computed, batch
/// normalization folded into them, are not.
std::shared_ptr<const LoweredNetwork>
shared_network(const engine::Graph &graph, const engine::LowerOptions &options, const KernelTable &kernels);

} // namespace mpscnn::cpu
