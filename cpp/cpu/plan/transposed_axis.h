#pragma once

#include <cstdint>
#include <vector>

namespace mpscnn::cpu {

/// The outputs o of a transposed convolution with one remainder of o / stride meet the same taps, and
/// neighbours among them neighbouring inputs: along one axis they are a convolution without stride.
struct AxisPart {
    std::int64_t position = 0;      ///< the first such output
    std::int64_t before = 0;        ///< of that convolution's window
    std::vector<std::int64_t> taps; ///< of the transposed kernel, in the order of the inputs that they meet
};

/// The parts that have taps. `before` is that of ops::TransposedAxis.
std::vector<AxisPart> split_axis(std::int64_t kernel, std::int64_t stride, std::int64_t dilation,
                                 std::int64_t before);

/// Inputs between neighbouring taps of a part.
std::int64_t part_dilation(std::int64_t stride, std::int64_t dilation);

} // namespace mpscnn::cpu
