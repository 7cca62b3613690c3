#pragma once

#include "ops/window.h"

namespace mpscnn::ops {

enum class PoolingKind { max, average };

template <> struct EnumNames<PoolingKind> {
    static constexpr std::array<std::pair<const char *, PoolingKind>, 2> values{
        {{"max", PoolingKind::max}, {"average", PoolingKind::average}}};
};

/// Maximum or mean of a window of each channel.
struct Pooling {
    static constexpr OperationInfo info{
        "pooling", "Max or average pooling over a window or the whole image.", 1, 1, true, false, true};

    PoolingKind kind = PoolingKind::max;
    Window window;
    bool count_padding = false;
    bool global = false;

    template <class Visitor> void fields(Visitor &visit) {
        visit("kind", kind, "max or average");
        window.fields(visit);
        visit("count_padding", count_padding,
              "average: zero padding counts in the divisor (a ceil_mode overhang never does)");
        visit("global", global, "the window is the whole image, the result 1 x 1");
    }

    /// The window for an input of this size, the whole image when global.
    CanonicalWindow canonical(std::int64_t height, std::int64_t width) const;

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &output) const;
};

} // namespace mpscnn::ops
