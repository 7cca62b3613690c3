#pragma once

#include <memory>

#include "engine/run/backend.h"

namespace mpscnn::cpu {

/// The engine for this processor. `instruction_set` is a name of a kernel table (kernels.h); null takes the
/// best, or what MPSCNN_CPU says.
std::shared_ptr<const engine::Backend> make_cpu_backend(const char *instruction_set = nullptr);

} // namespace mpscnn::cpu
