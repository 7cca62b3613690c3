#include "cpu/plan/transposed_axis.h"

#include <map>
#include <numeric>
#include <utility>

namespace mpscnn::cpu {

std::vector<AxisPart> split_axis(std::int64_t kernel, std::int64_t stride, std::int64_t dilation,
                                 std::int64_t before) {
    std::map<std::int64_t, AxisPart> parts; // by AxisPart::position
    for (std::int64_t tap = kernel - 1; tap >= 0; --tap) {
        const std::int64_t output = tap * dilation - before; // to which input 0 adds a product
        const std::int64_t position = (output % stride + stride) % stride;
        AxisPart &part = parts[position];
        if (part.taps.empty()) {
            part.position = position;
            part.before = (output - position) / stride;
        }
        part.taps.push_back(tap);
    }
    std::vector<AxisPart> result;
    for (auto &entry : parts) result.push_back(std::move(entry.second));
    return result;
}

std::int64_t part_dilation(std::int64_t stride, std::int64_t dilation) {
    return dilation / std::gcd(stride, dilation);
}

} // namespace mpscnn::cpu
