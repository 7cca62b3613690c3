#include "vision/calibration.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/error.h"

namespace mpscnn::vision {

float neighbour_distance(std::span<const float> features, std::span<const float> others) {
    const std::size_t width = features.size();
    std::vector<float> distances(others.size() / width);
    for (std::size_t row = 0; row < distances.size(); ++row) {
        const float *other = others.data() + row * width;
        float sums[8] = {}; // independent sums, which the compiler turns into a vector
        std::size_t i = 0;
        for (; i + 8 <= width; i += 8)
            for (std::size_t lane = 0; lane < 8; ++lane) {
                const float difference = features[i + lane] - other[i + lane];
                sums[lane] += difference * difference;
            }
        for (; i < width; ++i) sums[0] += (features[i] - other[i]) * (features[i] - other[i]);
        for (const float sum : sums) distances[row] += sum;
    }
    const auto tenth = distances.begin() + (calibration_neighbours - 1);
    std::nth_element(distances.begin(), tenth, distances.end());
    return std::sqrt(*tenth);
}

double share_below(std::span<const float> increasing, float value) {
    const auto end = std::lower_bound(increasing.begin(), increasing.end(), value);
    return static_cast<double>(end - increasing.begin()) / static_cast<double>(increasing.size());
}

float set_threshold(std::span<const float> probabilities, double coverage) {
    if (!(coverage > 0.0 && coverage < 1.0))
        fail(ErrorKind::parameter, {"coverage must be above 0 and below 1, got ", coverage});
    // A class belongs to the set if (1 + the number of probabilities up to its own) / (1 + the number of all)
    // is at least 1 - coverage.
    const auto all = static_cast<double>(probabilities.size() + 1);
    std::size_t needed = 0;
    while (needed < probabilities.size() && static_cast<double>(needed + 1) / all < 1.0 - coverage) ++needed;
    return needed == 0 ? -std::numeric_limits<float>::infinity() : probabilities[needed - 1];
}

} // namespace mpscnn::vision
