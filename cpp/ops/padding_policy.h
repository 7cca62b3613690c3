#pragma once

#include "ops/window.h"

namespace mpscnn::ops {

/// Apple's MPSNNPaddingMethod: how the automatic encodes of MPS kernels size and place their results. Where
/// the headers leave a choice, the formulas are those of their sample code (MPSNeuralNetworkTypes.h).
struct PaddingMethod {
    /// Where padding goes, or input that is left unread.
    enum class Alignment { centered = 0, top_left = 1, bottom_right = 2 };
    /// centered: where the odd pixel of padding goes.
    enum class Remainder { top_left = 0, top_right = 1, bottom_left = 2, bottom_right = 3 };
    enum class Size { valid = 0, same = 1, full = 2 };

    Alignment alignment = Alignment::centered;
    Remainder remainder = Remainder::top_left;
    Size size = Size::valid;
    bool exclude_edges = false; ///< average poolings: windows end where the padding ends, as in Caffe

    /// From Apple's constants or-ed together. Throws ParameterError for reserved bits and for custom methods,
    /// which are their owner's code.
    static PaddingMethod from_bits(std::uint64_t bits);
    std::uint64_t bits() const;
};

/// TensorFlow's SAME as Apple spells it. It starts elsewhere than TensorFlow where the stride exceeds the
/// kernel; PaddingPolicy::same is TensorFlow's rule everywhere.
inline constexpr std::uint64_t tensorflow_same_bits = 0x1C;

/// One axis of a PaddingMethod.
struct AxisPolicy {
    PaddingMethod::Size size;
    PaddingMethod::Alignment alignment;
    bool odd_before; ///< the odd pixel of padding goes before the input

    static AxisPolicy vertical(const PaddingMethod &method);
    static AxisPolicy horizontal(const PaddingMethod &method);
};

/// Result size and Apple's offset of one axis. Transposed: the offset is in pixels of the result
/// (kernelOffset).
struct AxisPlacement {
    std::int64_t size, offset;
};

/// Kernel, stride and dilation are taken from `kernel`. Throws ShapeError when nothing is left of the input.
AxisPlacement place(const OperationInfo &info, const AxisPolicy &policy, const WindowAxis &kernel,
                    std::int64_t input);
AxisPlacement place_transposed(const OperationInfo &info, const AxisPolicy &policy, const WindowAxis &kernel,
                               std::int64_t input);

/// The explicit window that reads what Apple's kernel of this `offset` reads for `output` pixels.
WindowAxis placed_window(WindowAxis kernel, std::int64_t offset, std::int64_t output, std::int64_t input);

} // namespace mpscnn::ops
