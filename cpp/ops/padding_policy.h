#pragma once

#include "ops/window.h"

namespace mpscnn::ops {

/// Apple's MPSNNPaddingMethod: how MPS kernels choose the size and place of their results when a caller
/// leaves that to them. Where Apple's headers leave a choice, the formulas come from their sample code
/// (MPSNeuralNetworkTypes.h).
struct PaddingMethod {
    /// Where padding is added, or where input is left unread.
    enum class Alignment { centered = 0, top_left = 1, bottom_right = 2 };
    /// For `centered`: where the extra pixel goes if the number of padding pixels is odd.
    enum class Remainder { top_left = 0, top_right = 1, bottom_left = 2, bottom_right = 3 };
    enum class Size { valid = 0, same = 1, full = 2 };

    Alignment alignment = Alignment::centered;
    Remainder remainder = Remainder::top_left;
    Size size = Size::valid;
    /// Average poolings: an average divides by all taps up to the end of the padding, as in Caffe.
    bool exclude_edges = false;

    /// Convert Apple's constants, combined by or. Throws ParameterError for reserved bits, and for custom
    /// methods, which are code of the calling program.
    static PaddingMethod from_bits(std::uint64_t bits);
    std::uint64_t bits() const;
};

/// Apple's constant for TensorFlow's SAME. Its windows begin elsewhere than TensorFlow's if the stride
/// exceeds the kernel. PaddingPolicy::same always follows TensorFlow.
inline constexpr std::uint64_t tensorflow_same_bits = 0x1C;

/// One axis of a PaddingMethod.
struct AxisPolicy {
    PaddingMethod::Size size;
    PaddingMethod::Alignment alignment;
    bool odd_before; ///< if the padding is odd, the extra pixel goes before the input

    static AxisPolicy vertical(const PaddingMethod &method);
    static AxisPolicy horizontal(const PaddingMethod &method);
};

/// Result size and Apple's offset along one axis. In transposed convolutions the offset counts pixels of the
/// result (kernelOffset).
struct AxisPlacement {
    std::int64_t size, offset;
};

/// Return the result's placement for a window with `kernel`'s kernel size, stride and dilation. Throws
/// ShapeError if the result would be empty.
AxisPlacement place(const OperationInfo &info, const AxisPolicy &policy, const WindowAxis &kernel,
                    std::int64_t input);
AxisPlacement place_transposed(const OperationInfo &info, const AxisPolicy &policy, const WindowAxis &kernel,
                               std::int64_t input);

/// Return the window with explicit padding that reads the same pixels as Apple's kernel with this `offset`
/// and `output` pixels.
WindowAxis placed_window(WindowAxis kernel, std::int64_t offset, std::int64_t output, std::int64_t input);

} // namespace mpscnn::ops
