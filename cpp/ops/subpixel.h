#pragma once

#include "ops/window.h"

namespace mpscnn::ops {

/// The order in which the channels of a pixel become the channels of scale x scale pixels.
enum class SubpixelOrder {
    position_major, ///< all channels of the first pixel, then all of the pixel to its right, ... (Apple's
                    ///< sub-pixel convolution, TensorFlow's depth_to_space)
    channel_major   ///< the first channel of all pixels, then the second, ... (PyTorch's PixelShuffle)
};

template <> struct EnumNames<SubpixelOrder> {
    static constexpr std::array<std::pair<const char *, SubpixelOrder>, 2> values{
        {{"position_major", SubpixelOrder::position_major}, {"channel_major", SubpixelOrder::channel_major}}};
};

/// Rearranges channels to pixels: (n, h, w, c) -> (n, h * scale, w * scale, c / scale^2).
struct DepthToSpace {
    static constexpr OperationInfo info{
        "depth_to_space", "Rearranges channels into blocks of pixels.", 1, 1, false, false, true};

    std::int64_t scale = 1;
    SubpixelOrder order = SubpixelOrder::position_major;

    template <class Visitor> void fields(Visitor &visit) {
        visit("scale", scale, "rows and columns of a block");
        visit("order", order, "position_major (TensorFlow, ONNX DCR) or channel_major (PyTorch, ONNX CRD)");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &) const { return {}; }
};

/// A convolution to output_channels * scale^2 channels, which are then rearranged to scale x scale pixels.
struct SubpixelConvolution {
    static constexpr OperationInfo info{"subpixel_convolution",
                                        "2-D convolution whose channels become blocks of pixels.",
                                        1,
                                        1,
                                        true,
                                        true,
                                        true};

    std::int64_t output_channels = 0;
    std::int64_t scale = 1;
    SubpixelOrder order = SubpixelOrder::position_major;
    Window window;
    std::int64_t groups = 1;
    std::int64_t output_height = 0, output_width = 0;

    template <class Visitor> void fields(Visitor &visit) {
        visit("output_channels", output_channels, "feature channels of the result");
        visit("scale", scale, "rows and columns of the result for one output pixel of the convolution");
        visit("order", order,
              "order of the convolution's channels: position_major (Apple) or channel_major (PyTorch)");
        window.fields(visit);
        visit("groups", groups,
              "input channels and the convolution's channels are split into this many groups");
        visit("output_height", output_height, "rows of the result, at most scale - 1 less than all; 0: all");
        visit("output_width", output_width, "columns of the result, at most scale - 1 less than all; 0: all");
    }

    /// Return the number of channels of the convolution.
    std::int64_t convolution_channels() const { return output_channels * scale * scale; }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &inputs) const;
    Cost cost(const InputShapes &inputs, const Shape &output) const;
};

} // namespace mpscnn::ops
