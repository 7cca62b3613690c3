#pragma once

#include <memory>

#include "engine/run/backend.h"

namespace mpscnn::metal {

/// The engine for Apple's GPUs, on the device of this name or registry id ("Apple M2", "0x100000abc"), or on
/// the system's default device. Throws DeviceError when there is none such that can run MPS.
std::shared_ptr<const engine::Backend> make_metal_backend(const std::string &wanted);

/// On a device of the caller's, an id<MTLDevice>, and a queue of the caller's, an id<MTLCommandQueue>, either
/// of which may be null: the queue's device; a queue of the engine's own. Throws ParameterError for a queue
/// of another device, DeviceError for a device that cannot run MPS.
std::shared_ptr<const engine::Backend> make_native_backend(void *device, void *queue);

/// The id<MTLDevice> of an id<MTLCommandQueue>, as long as that exists.
void *device_of(void *queue);

/// The default device first, under the name "metal"; if there is none, the reason under that name.
std::vector<engine::DeviceDescription> list_devices();

} // namespace mpscnn::metal
