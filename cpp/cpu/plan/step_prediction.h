#pragma once

#include <optional>
#include <span>

#include "cpu/plan/cost_model.h"
#include "cpu/plan/step.h"

namespace mpscnn::cpu {

/// Microseconds that the cost model expects of a step that is not a chain, whose layers have `operations`
/// floating-point operations by their definitions; nothing for kernels that it does not know.
std::optional<double> predicted_step(const MachineModel &machine, const Step &step,
                                     std::span<const Storage> storages, std::int64_t operations);

} // namespace mpscnn::cpu
