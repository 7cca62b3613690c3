#pragma once

#include <span>
#include <string>
#include <vector>

#include "cpu/plan/cpu_plan.h"
#include "engine/execution_profile.h"

namespace mpscnn::cpu {

/// "pointwise", "depthwise", "chain", "pooling", ..., for people.
std::string kind_of(const Step &step);

/// A step with its tensors where `bindings` say, and what its kernel has prepared for them.
engine::StepDescription describe(const Step &step, const CpuPlan &plan, std::span<const Binding> bindings,
                                 const Prepared &prepared);

/// A copy of an input to the arena, or of an output from there.
engine::StepDescription describe_copy(const Storage &storage, const engine::TensorView &tensor);

} // namespace mpscnn::cpu
