#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cpu/plan/cost_model.h"
#include "cpu/plan/cpu_plan.h"
#include "cpu/plan/step.h"
#include "engine/run/execution_profile.h"

namespace mpscnn::cpu {

/// "pointwise", "depthwise", "chain", "pooling", ..., to be shown.
std::string kind_of(const Step &step);

/// A step with its tensors where `bindings` say, and what its kernel has prepared for them.
engine::StepDescription describe(const Step &step, const CpuPlan &plan, std::span<const Binding> bindings,
                                 const Prepared &prepared);

/// A copy of an input to the arena, or of an output from there.
engine::StepDescription describe_copy(const Storage &storage, const engine::TensorView &tensor);

/// Microseconds that the cost model expects of a step that is not a chain, whose layers have `operations`
/// floating-point operations by their definitions; nothing for kernels that it does not know.
std::optional<double> predicted_step(const MachineModel &machine, const Step &step,
                                     std::span<const Storage> storages, std::int64_t operations);

} // namespace mpscnn::cpu
