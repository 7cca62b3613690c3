#pragma once

#include <string>

#include "core/json.h"
#include "metal/device/objc_ptr.h"

#import <Metal/Metal.h>

namespace mpscnn::metal {

/// Values for the constants that a function declares, as engine::CustomKernelSource describes them. Throws
/// ParameterError, beginning with `what`, for one that is missing, unknown or of another type.
objc_ptr<MTLFunctionConstantValues *> constant_values(const std::string &what, id<MTLFunction> function,
                                                      const Json &given);

} // namespace mpscnn::metal
