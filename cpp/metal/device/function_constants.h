#pragma once

#include <string>

#include "core/json.h"
#include "metal/device/objc_ptr.h"

#import <Metal/Metal.h>

namespace mpscnn::metal {

/// Return Metal's values of the constants that a function declares. `given` has the values of
/// engine::CustomKernelSource. Throws ParameterError for a missing or unknown constant, and for a value that
/// does not fit the declared type. Throws UnsupportedError for a declared type that find_data_type does not
/// know. Messages begin with `what`.
objc_ptr<MTLFunctionConstantValues *> constant_values(const std::string &what, id<MTLFunction> function,
                                                      const Json &given);

} // namespace mpscnn::metal
