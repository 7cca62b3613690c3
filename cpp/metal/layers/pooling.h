#pragma once

#include <cstdint>

#include "ops/pooling.h"

namespace mpscnn::metal {

/// Positions of one axis that an average counts.
struct Counted {
    int first, behind;
};

/// `zero_pad` is the pooling's for the axis, `size` the image's extent.
Counted counted(const ops::Pooling &operation, const ops::WindowAxis &axis, std::int64_t zero_pad,
                std::int64_t size);

} // namespace mpscnn::metal
