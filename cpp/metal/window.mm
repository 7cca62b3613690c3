#include "metal/window.h"

#include <algorithm>

#include "core/json.h"

namespace mpscnn::metal {

namespace {

void require_small(const ops::WindowAxis &axis, const std::string &layer) {
    constexpr std::int64_t limit = 1 << 29;
    const std::int64_t largest = std::max({axis.reach(), axis.before, axis.after});
    if (largest > limit)
        fail(ErrorKind::unsupported, "layer " + quoted(layer) + ": windows that reach over " +
                                         std::to_string(largest) +
                                         " pixels; the Metal engine's shaders take " + std::to_string(limit));
}

} // namespace

MPSOffset mps_offset(const ops::CanonicalWindow &window) {
    return {static_cast<NSInteger>(window.horizontal.offset()),
            static_cast<NSInteger>(window.vertical.offset()), 0};
}

WindowParams window_params(const ops::CanonicalWindow &window, const std::string &layer) {
    const ops::WindowAxis &vertical = window.vertical, &horizontal = window.horizontal;
    require_small(vertical, layer);
    require_small(horizontal, layer);
    return {static_cast<int>(horizontal.kernel),   static_cast<int>(vertical.kernel),
            static_cast<int>(horizontal.stride),   static_cast<int>(vertical.stride),
            static_cast<int>(horizontal.dilation), static_cast<int>(vertical.dilation),
            static_cast<int>(horizontal.before),   static_cast<int>(vertical.before)};
}

} // namespace mpscnn::metal
