#pragma once

#include <memory>

#include "engine/backend/backend.h"

namespace mpscnn::cpu {

/// Return the engine for this processor. `instruction_set` is the name of a kernel table (kernels.h). Null
/// selects the one that MPSCNN_CPU names, or the best.
std::shared_ptr<const engine::Backend> make_cpu_backend(const char *instruction_set = nullptr);

} // namespace mpscnn::cpu
