#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cpu/plan/cost_model.h"
#include "cpu/plan/cpu_plan.h"
#include "cpu/plan/step.h"
#include "engine/backend/execution_profile.h"

namespace mpscnn::cpu {

/// Return the kind of a step for display: "pointwise", "depthwise", "chain", "pooling", ...
std::string kind_of(const Step &step);

/// Describe a step for display, with its tensors at these places and the choices that its kernel has made for
/// them.
engine::StepDescription describe(const Step &step, const CpuPlan &plan, std::span<const Binding> bindings,
                                 const Prepared &prepared);

/// Describe the copy of an input to the arena, or of an output from it.
engine::StepDescription describe_copy(const Storage &storage, const engine::TensorView &tensor);

/// Return the microseconds that the cost model predicts for a step that is not a chain. `operations` is the
/// number of floating-point operations of the step's layers. The result is empty for kernels that the model
/// does not cover.
std::optional<double> predicted_step(const MachineModel &machine, const Step &step,
                                     std::span<const Storage> storages, std::int64_t operations);

} // namespace mpscnn::cpu
