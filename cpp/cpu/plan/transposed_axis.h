#pragma once

#include <cstdint>
#include <vector>

namespace mpscnn::cpu {

/// Outputs o of a transposed convolution with the same remainder of o / stride use the same taps, and
/// adjacent ones use adjacent inputs. So along one axis they are a convolution without stride.
struct AxisPart {
    std::int64_t position = 0; ///< the first of these outputs
    std::int64_t before = 0;   ///< padding before the input of that convolution's window
    /// Taps of the transposed kernel, in the order of the inputs that they multiply.
    std::vector<std::int64_t> taps;
};

/// Return the parts that have taps. `before` is that of ops::TransposedAxis.
std::vector<AxisPart> split_axis(std::int64_t kernel, std::int64_t stride, std::int64_t dilation,
                                 std::int64_t before);

/// Return the distance of the inputs of adjacent taps of a part.
std::int64_t part_dilation(std::int64_t stride, std::int64_t dilation);

} // namespace mpscnn::cpu
