#pragma once

#include <memory>

#include "engine/backend.h"

namespace mpscnn::metal {

/// The engine for Apple's GPUs, on the device of this name or registry id ("Apple M2", "0x100000abc"), or on
/// the system's default device. Throws DeviceError when there is none such that can run MPS.
std::shared_ptr<const engine::Backend> make_metal_backend(const std::string &wanted);

/// The default device first, under the name "metal"; if there is none, the reason under that name.
std::vector<engine::DeviceDescription> list_devices();

} // namespace mpscnn::metal
