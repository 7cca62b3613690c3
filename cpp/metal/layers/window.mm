#include "metal/layers/window.h"

namespace mpscnn::metal {

MPSOffset mps_offset(const ops::CanonicalWindow &window) {
    return {static_cast<NSInteger>(window.horizontal.offset()),
            static_cast<NSInteger>(window.vertical.offset()), 0};
}

WindowParams window_params(const ops::CanonicalWindow &window) {
    const ops::WindowAxis &vertical = window.vertical, &horizontal = window.horizontal;
    return {static_cast<int>(horizontal.kernel),   static_cast<int>(vertical.kernel),
            static_cast<int>(horizontal.stride),   static_cast<int>(vertical.stride),
            static_cast<int>(horizontal.dilation), static_cast<int>(vertical.dilation),
            static_cast<int>(horizontal.before),   static_cast<int>(vertical.before)};
}

WindowParams window_params(const ops::CanonicalTransposedWindow &window) {
    const ops::TransposedAxis &vertical = window.vertical, &horizontal = window.horizontal;
    return {static_cast<int>(horizontal.kernel),   static_cast<int>(vertical.kernel),
            static_cast<int>(horizontal.stride),   static_cast<int>(vertical.stride),
            static_cast<int>(horizontal.dilation), static_cast<int>(vertical.dilation),
            static_cast<int>(horizontal.before),   static_cast<int>(vertical.before)};
}

} // namespace mpscnn::metal
