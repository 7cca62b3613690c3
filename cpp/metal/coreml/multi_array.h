#pragma once

#include <string>

#import <CoreML/CoreML.h>

#include "engine/backend/backend.h"
#include "metal/device/objc_ptr.h"

namespace mpscnn::coreml {

// Core ML's arrays. Those of images have the channels first: (1, channels, height, width). Others have the
// axes of the tensor.

/// Return a float32 array with the numbers of one image. `name` is for the error if there is no memory.
metal::objc_ptr<MLMultiArray *> array_of(const engine::TensorView &image, const std::string &name);

/// Write the numbers of an array to one image. Throws DeviceError that names the output if the array has
/// another shape or an unknown type. Its rows may have gaps.
void read_array(MLMultiArray *array, const engine::TensorView &image, const std::string &name);

} // namespace mpscnn::coreml
