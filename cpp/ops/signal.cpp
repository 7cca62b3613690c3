#include "ops/signal.h"

#include "core/text.h"

namespace mpscnn::ops {

void SignalConvolution::check(const Shape &signal, const Shape &kernel) const {
    const auto refuse = [](const std::string &message) {
        fail(ErrorKind::shape, {info.name, ": ", message});
    };
    if (axes < 1 || axes > 2) refuse_parameter(info, "axes", "1 or 2", axes);
    const std::string rank = std::to_string(axes);
    if (kernel.rank() != axes)
        refuse(concat({"the kernel must have ", rank, " axes, got shape ", kernel.text()}));
    if (signal.rank() < axes)
        refuse(concat({"the signal must have at least ", rank, " axes, got shape ", signal.text()}));
    if (signal.elements() == 0) refuse("the signal must not be empty, got shape " + signal.text());
    if (kernel.elements() == 0) refuse("the kernel must not be empty, got shape " + kernel.text());
    for (int i = 1; i <= axes && mode == SignalMode::valid; ++i)
        if (kernel[axes - i] > signal[signal.rank() - i])
            refuse(concat({"mode valid needs a kernel no larger than the signal, got shapes ", kernel.text(),
                           " and ", signal.text()}));
}

Shape SignalConvolution::output_shape(const Shape &signal, const Shape &kernel) const {
    std::array<std::int64_t, Shape::max_rank> extents{};
    const int rank = signal.rank();
    for (int i = 0; i < rank; ++i) {
        const int kernel_axis = i - (rank - axes);
        extents[static_cast<std::size_t>(i)] =
            kernel_axis < 0 ? signal[i] : axis(signal[i], kernel[kernel_axis]).output;
    }
    return Shape(std::span<const std::int64_t>(extents.data(), static_cast<std::size_t>(rank)));
}

SignalConvolution::Axis SignalConvolution::axis(std::int64_t size, std::int64_t taps) const {
    switch (mode) {
    case SignalMode::full:
        return {size + taps - 1, taps - 1};
    case SignalMode::same:
        // `same` is the middle part of `full` and begins at its sample (taps - 1) / 2. Its first window
        // therefore begins (taps - 1) / 2 samples later.
        return {size, taps - 1 - (taps - 1) / 2};
    case SignalMode::valid:
        break;
    }
    return {size - taps + 1, 0};
}

} // namespace mpscnn::ops
