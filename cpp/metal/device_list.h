#pragma once

#include <string>

#include "metal/objc_ptr.h"

#import <Metal/Metal.h>

namespace mpscnn::metal {

/// The device of this name or registry id, "" for the system's default. Throws DeviceError when there is none
/// such that can run MPS, naming those that are there.
objc_ptr<id<MTLDevice>> find_device(const std::string &wanted);

/// "0x100000abc"
std::string registry_id_of(id<MTLDevice> device);

} // namespace mpscnn::metal
