#pragma once

#include "ops/operation.h"

namespace mpscnn::ops {

/// Which part of a convolution's result is wanted, with the names of NumPy and SciPy.
enum class SignalMode {
    full, ///< every position where signal and kernel overlap: size + taps - 1
    same, ///< the size of the signal: the middle part of full, also for even kernels as in scipy.signal
    valid ///< where the kernel lies wholly inside: size - taps + 1
};

template <> struct EnumNames<SignalMode> {
    static constexpr std::array<std::pair<const char *, SignalMode>, 3> values{
        {{"full", SignalMode::full}, {"same", SignalMode::same}, {"valid", SignalMode::valid}}};
};

/// The values outside the signal.
enum class SignalBoundary {
    zero, ///< zeros: such taps are left out of the sum
    clamp ///< the nearest sample
};

template <> struct EnumNames<SignalBoundary> {
    static constexpr std::array<std::pair<const char *, SignalBoundary>, 2> values{
        {{"zero", SignalBoundary::zero}, {"clamp", SignalBoundary::clamp}}};
};

/// Convolution of plain signals over their last one or two axes; the axes before them number the signals. It
/// is not an operation of networks: it supports double precision, and the convolution of networks is a
/// correlation of images.
struct SignalConvolution {
    /// This is used in messages only: op_list.h does not list this operation.
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
    /// For one axis: the number of outputs, and the number of positions before the signal that the first
    /// output's window covers.
    struct Axis {
        std::int64_t output, before;
    };
    Axis axis(std::int64_t size, std::int64_t taps) const;
};

} // namespace mpscnn::ops
