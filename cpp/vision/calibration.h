#pragma once

#include <cstddef>
#include <span>

namespace mpscnn::vision {

/// The distance of a photo to others is that to the nearest photo with this number.
inline constexpr std::size_t calibration_neighbours = 10;

/// Return the Euclidean distance of `features` to the tenth nearest row of `others`, which has at least ten
/// rows of the same length.
float neighbour_distance(std::span<const float> features, std::span<const float> others);

/// Return the share of `increasing` numbers that are smaller than `value`.
double share_below(std::span<const float> increasing, float value);

/// Return the lowest probability of classes that belong to a set with the right class in a share `coverage`
/// of photos, as split-conformal prediction does (Vovk, Gammerman and Shafer, "Algorithmic Learning in a
/// Random World", 2005). `probabilities` are those of the right classes of other photos, in increasing order.
/// Throws Error(parameter) unless 0 < coverage < 1.
float set_threshold(std::span<const float> probabilities, double coverage);

} // namespace mpscnn::vision
