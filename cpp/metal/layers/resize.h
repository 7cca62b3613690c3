#pragma once

#include <cstdint>
#include <vector>

#include "ops/resize.h"
#include "shaders/resize_params.h"

namespace mpscnn::metal {

/// Return the two source rows or columns, among `size`, that each of `outputs` rows or columns samples.
std::vector<ResizeTap> resize_taps(const ops::Resize &resize, const ops::ResizeAxis &axis,
                                   std::int64_t outputs, std::int64_t size);

} // namespace mpscnn::metal
