#pragma once

#include <memory>

#include "engine/backend.h"

namespace mpscnn::metal {

/// The engine for Apple's GPUs, on the system's default device. Throws DeviceError when there is none that
/// can run MPS.
std::shared_ptr<const engine::Backend> make_metal_backend();

} // namespace mpscnn::metal
