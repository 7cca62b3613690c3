#pragma once

#include "ops/operation.h"

namespace mpscnn::ops {

/// How much of the result of a convolution is wanted, as numpy and scipy name it.
enum class SignalMode {
    full, ///< every position where signal and kernel overlap: size + taps - 1
    same, ///< the size of the signal: the middle of full (scipy.signal's rule, for even kernels too)
    valid ///< where the kernel lies wholly inside: size - taps + 1
};

template <> struct EnumNames<SignalMode> {
    static constexpr std::array<std::pair<const char *, SignalMode>, 3> values{
        {{"full", SignalMode::full}, {"same", SignalMode::same}, {"valid", SignalMode::valid}}};
};

/// The values outside the signal.
enum class SignalBoundary {
    zero, ///< nothing: such taps are left out of the sum
    clamp ///< the nearest sample
};

template <> struct EnumNames<SignalBoundary> {
    static constexpr std::array<std::pair<const char *, SignalBoundary>, 2> values{
        {{"zero", SignalBoundary::zero}, {"clamp", SignalBoundary::clamp}}};
};

/// Convolution of plain signals over their last one or two axes; all axes before them count signals. No
/// operation of a network: it takes double precision, and a network's convolution is a correlation of images.
struct SignalConvolution {
    /// For messages only: there is no entry in op_list.h.
    static constexpr OperationInfo info{"signal_convolution",
                                        "Convolution of signals over their last one or two axes.",
                                        2,
                                        2,
                                        false,
                                        false,
                                        true};

    int axes = 1;
    SignalMode mode = SignalMode::full;
    SignalBoundary boundary = SignalBoundary::zero;
    bool correlate = false; ///< the kernel is not reversed

    /// Throws unless a kernel of this shape can be applied.
    void check(const Shape &signal, const Shape &kernel) const;
    Shape output_shape(const Shape &signal, const Shape &kernel) const;
    /// Outputs along an axis, and samples before the first one that the first output's window covers.
    struct Axis {
        std::int64_t output, before;
    };
    Axis axis(std::int64_t size, std::int64_t taps) const;
};

} // namespace mpscnn::ops
