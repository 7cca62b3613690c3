#pragma once

#include <memory>

#include "engine/backend/backend.h"

namespace mpscnn::metal {

/// Return the engine for an Apple GPU: the device with this name or registry id ("Apple M2", "0x100000abc"),
/// or the system's default device. Throws DeviceError if there is no such device that can run MPS.
std::shared_ptr<const engine::Backend> make_metal_backend(const std::string &wanted);

/// Return the engine for the caller's id<MTLDevice> and id<MTLCommandQueue>, either of which may be null.
/// Without a device it uses the queue's device; without a queue it uses mpscnn's queue of the device. Throws
/// ParameterError if both are null and for a queue of another device, DeviceError for a device that cannot
/// run MPS.
std::shared_ptr<const engine::Backend> make_native_backend(void *device, void *queue);

/// Return the id<MTLDevice> of an id<MTLCommandQueue>; it is valid as long as the queue.
void *device_of(void *queue);

/// Return the devices. The default device comes first, under the name "metal". If there is no default device,
/// the entry "metal" has the reason instead.
std::vector<engine::DeviceDescription> list_devices();

} // namespace mpscnn::metal
