#pragma once

#include <cstdint>

#include "ops/operation.h"

namespace mpscnn::ops {

/// Which part of the positions that a transposed window reaches becomes the output.
enum class TransposedPadding {
    valid, ///< TensorFlow's VALID: all positions, and at least size * stride
    same,  ///< TensorFlow's SAME: size * stride outputs
    /// All positions except the first pad_top and pad_left and the last pad_bottom and pad_right ones:
    /// PyTorch's padding, Apple's kernelOffset.
    explicit_
};

template <> struct EnumNames<TransposedPadding> {
    static constexpr std::array<std::pair<const char *, TransposedPadding>, 3> values{
        {{"valid", TransposedPadding::valid},
         {"same", TransposedPadding::same},
         {"explicit", TransposedPadding::explicit_}}};
};

/// One axis of a transposed window in the form that backends get: input position i adds to the output
/// positions i * stride + t * dilation - before, t = 0 .. kernel - 1, that lie within 0 .. output - 1.
/// Apple's offsets for the rotated kernel: offset * stride + kernelOffset = before - (reach - 1) + reach / 2.
struct TransposedAxis {
    std::int64_t kernel = 1, stride = 1, dilation = 1;
    std::int64_t before = 0;
    std::int64_t output = 1;
};

struct CanonicalTransposedWindow {
    TransposedAxis vertical, horizontal;
};

/// The parameters of a transposed convolution's window.
struct TransposedWindow {
    std::int64_t kernel_height = 1, kernel_width = 1;
    std::int64_t stride_y = 1, stride_x = 1;
    std::int64_t dilation_y = 1, dilation_x = 1;
    TransposedPadding padding = TransposedPadding::valid;
    std::int64_t pad_top = 0, pad_bottom = 0, pad_left = 0, pad_right = 0;
    std::int64_t output_padding_y = 0, output_padding_x = 0;
    std::int64_t output_height = 0, output_width = 0;

    template <class Visitor> void fields(Visitor &visit) {
        visit("kernel_height", kernel_height, "taps, vertically");
        visit("kernel_width", kernel_width, "taps, horizontally");
        visit("stride_y", stride_y, "output rows between input rows");
        visit("stride_x", stride_x, "output columns between input columns");
        visit("dilation_y", dilation_y, "output rows between taps");
        visit("dilation_x", dilation_x, "output columns between taps");
        visit("padding", padding, "valid or same (TensorFlow's), or explicit (pad_*)");
        visit("pad_top", pad_top, "rows taken off the result's top, explicit padding only; negative: added");
        visit("pad_bottom", pad_bottom, "rows taken off the bottom, explicit padding only; negative: added");
        visit("pad_left", pad_left, "columns taken off the left, explicit padding only; negative: added");
        visit("pad_right", pad_right, "columns taken off the right, explicit padding only; negative: added");
        visit("output_padding_y", output_padding_y,
              "rows added at the bottom (PyTorch), explicit padding only");
        visit("output_padding_x", output_padding_x,
              "columns added at the right (PyTorch), explicit padding only");
        visit("output_height", output_height, "rows of the result; 0: by the rule of the padding");
        visit("output_width", output_width, "columns of the result; 0: by the rule of the padding");
    }

    void check(const OperationInfo &info) const;
    /// Return the output's height for an input of this height; a free extent stays free. Throws ShapeError if
    /// the output would be empty or the stated output size is impossible for this input.
    std::int64_t result_height(const OperationInfo &info, std::int64_t height) const;
    std::int64_t result_width(const OperationInfo &info, std::int64_t width) const;
    /// Return `before` of the canonical form (TransposedAxis), which does not depend on the input's size.
    std::int64_t rows_before() const;
    std::int64_t columns_before() const;
    CanonicalTransposedWindow canonical(const OperationInfo &info, std::int64_t height,
                                        std::int64_t width) const;
};

/// The orientation of a transposed convolution's kernel.
enum class KernelUse {
    scatter, ///< each input pixel is multiplied by the kernel and added to the output (TensorFlow, PyTorch)
    /// The kernel, not rotated, is correlated with the input with inserted zeros
    /// (MPSCNNConvolutionTranspose).
    gather
};

template <> struct EnumNames<KernelUse> {
    static constexpr std::array<std::pair<const char *, KernelUse>, 2> values{
        {{"scatter", KernelUse::scatter}, {"gather", KernelUse::gather}}};
};

/// Transposed convolution ("deconvolution"): the adjoint of the convolution with the same window.
struct TransposedConvolution {
    static constexpr OperationInfo info{"transposed_convolution",
                                        "2-D transposed convolution, grouped, strided or dilated.",
                                        1,
                                        1,
                                        true,
                                        true,
                                        true};

    std::int64_t output_channels = 0;
    TransposedWindow window;
    std::int64_t groups = 1;
    KernelUse kernel_use = KernelUse::scatter;

    template <class Visitor> void fields(Visitor &visit) {
        visit("output_channels", output_channels, "feature channels of the result");
        window.fields(visit);
        visit("groups", groups, "input and output channels are split into this many independent groups");
        visit("kernel_use", kernel_use,
              "scatter (TensorFlow, PyTorch), or gather: rotated by 180 degrees against it (Apple)");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &inputs) const;
    Cost cost(const InputShapes &inputs, const Shape &output) const;
};

} // namespace mpscnn::ops
