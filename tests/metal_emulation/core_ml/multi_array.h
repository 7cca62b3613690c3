#pragma once

#import <CoreML/CoreML.h>

#include <cstdint>
#include <vector>

#include "core_ml/core_ml_emulation.h"

namespace core_ml_emulation {

/// Return the array's numbers without gaps.
std::vector<float> numbers_of(MLMultiArray *array);
/// Return an autoreleased array whose rows have gaps, which are NaN, like the results of a neural engine.
MLMultiArray *array_with_gaps(const std::vector<std::int64_t> &shape, const std::vector<float> &numbers);
std::vector<std::int64_t> extents_of(NSArray<NSNumber *> *numbers);

} // namespace core_ml_emulation
