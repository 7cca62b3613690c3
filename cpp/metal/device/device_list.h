#pragma once

#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "metal/device/objc_ptr.h"

#import <Metal/Metal.h>

namespace mpscnn::metal {

/// Return the device with this name or registry id; "" is the system's default. Throws DeviceError if there
/// is no such device, with the names of those that exist, or if it cannot run MPS.
objc_ptr<id<MTLDevice>> find_device(const std::string &wanted);

/// Return why this process cannot use Metal, or an empty text if it can. Children of a process that has
/// called Metal, even just to list devices, cannot. The first call of this function counts as the process's
/// first use of Metal.
std::string why_not_in_this_process();

/// Throws DeviceError for a device that cannot run MPS.
void require_mps(id<MTLDevice> device);

/// Return "'Apple M2' (0x100000abc)". It includes the registry id, because several devices may have the same
/// name.
std::string full_name_of(id<MTLDevice> device);

/// Return the registry id as text: "0x100000abc".
std::string registry_id_of(id<MTLDevice> device);

/// Return the devices; see list_devices() in metal_backend.h.
std::vector<engine::DeviceDescription> describe_devices();

} // namespace mpscnn::metal
