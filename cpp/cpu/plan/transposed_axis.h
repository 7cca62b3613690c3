#pragma once

#include <cstdint>
#include <vector>

namespace mpscnn::cpu {

/// One phase of a transposed convolution along an axis: the outputs whose index has the same remainder modulo
/// the stride. They all use the same taps, and adjacent ones use adjacent inputs. So a phase is a convolution
/// with stride 1.
struct AxisPart {
    std::int64_t position = 0; ///< index of the first output, the remainder
    std::int64_t before = 0;   ///< padding of that convolution before the input
    /// Taps of the transposed kernel that the phase uses, in the order of the inputs that they multiply.
    std::vector<std::int64_t> taps;
};

/// Return the phases that have taps. For `before` see ops::TransposedAxis.
std::vector<AxisPart> split_axis(std::int64_t kernel, std::int64_t stride, std::int64_t dilation,
                                 std::int64_t before);

/// Return the dilation of the phases' convolutions.
std::int64_t part_dilation(std::int64_t stride, std::int64_t dilation);

} // namespace mpscnn::cpu
