#pragma once

// Lets programs that were compiled from the same network share its packed weights.

#include <memory>

#include "cpu/plan/lowering.h"

namespace mpscnn::cpu {

/// Return lower_network(), or its earlier result for an equal graph. Graphs are equal if they have the same
/// structure, and weights in the same memory or with the same values. Only networks that a program still uses
/// are found, and only while their original large weights (over 16 KiB each) are alive. Networks with large
/// weights that only lived as long as their compilation, such as weights in 8 bits, are not found.
std::shared_ptr<const LoweredNetwork>
shared_network(const engine::Graph &graph, const engine::LowerOptions &options, const KernelTable &kernels);

} // namespace mpscnn::cpu
