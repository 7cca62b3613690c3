#pragma once

#include <string>
#include <vector>

#include "engine/run/backend.h"
#include "metal/device/objc_ptr.h"

#import <Metal/Metal.h>

namespace mpscnn::metal {

/// The device of this name or registry id, "" for the system's default. Throws DeviceError when there is none
/// such that can run MPS, naming those that are there.
objc_ptr<id<MTLDevice>> find_device(const std::string &wanted);

/// Metal does not pass to the children of a process that has asked it for anything, be it the list of
/// devices: the reason in such a child, else empty. The first call is the process's first use of Metal.
std::string why_not_in_this_process();

/// Throws DeviceError for a device that cannot run MPS.
void require_mps(id<MTLDevice> device);

/// "'Apple M2' (0x100000abc)": several devices may have one name.
std::string full_name_of(id<MTLDevice> device);

/// "0x100000abc"
std::string registry_id_of(id<MTLDevice> device);

/// See list_devices() in metal_backend.h.
std::vector<engine::DeviceDescription> describe_devices();

} // namespace mpscnn::metal
