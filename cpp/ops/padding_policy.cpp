#include "ops/padding_policy.h"

namespace mpscnn::ops {

namespace {

constexpr std::uint64_t alignment_mask = 0x3, remainder_mask = 0xC, size_mask = 0x30, custom_mask = 0x6000;
constexpr std::uint64_t exclude_edges_bit = 0x8000;

[[noreturn]] void refuse_bits(std::uint64_t bits, const char *allowed) {
    fail(ErrorKind::parameter, {"padding method: must be ", allowed, ", got ", bits});
}

AxisPolicy axis_policy(const PaddingMethod &method, bool odd_before) {
    return {method.size, method.alignment, odd_before};
}

/// Return -1, 0 or 1 (valid, same, full). The range that windows may read exceeds the input by this number
/// times (reach - 1).
std::int64_t style(const AxisPolicy &policy) { return static_cast<std::int64_t>(policy.size) - 1; }

/// Return how many of `extra` pixels of padding come before the input. `extra` is negative if pixels of the
/// input are left unread.
std::int64_t lead(const AxisPolicy &policy, std::int64_t extra) {
    switch (policy.alignment) {
    case PaddingMethod::Alignment::top_left:
        return extra;
    case PaddingMethod::Alignment::bottom_right:
        return 0;
    case PaddingMethod::Alignment::centered:
        break;
    }
    return (extra + (policy.odd_before ? 1 : 0)) / 2; // truncates, like the division in Apple's sample code
}

void require_result(const OperationInfo &info, const WindowAxis &kernel, std::int64_t input,
                    std::int64_t size) {
    if (size >= 1) return;
    fail(ErrorKind::shape,
         {info.name, ": a window of ", kernel.reach(), " pixels leaves no result of ", input});
}

} // namespace

PaddingMethod PaddingMethod::from_bits(std::uint64_t bits) {
    if (bits & custom_mask) refuse_bits(bits, "without the custom bits 0x2000 and 0x4000");
    constexpr std::uint64_t known = alignment_mask | remainder_mask | size_mask | exclude_edges_bit;
    if ((bits & ~known) || (bits & alignment_mask) == alignment_mask || (bits & size_mask) == size_mask)
        refuse_bits(bits, "an alignment (0 to 2), a remainder (0, 4, 8, 12), a size (0, 16, 32) and 0x8000");
    return {static_cast<Alignment>(bits & alignment_mask),
            static_cast<Remainder>((bits & remainder_mask) >> 2), static_cast<Size>((bits & size_mask) >> 4),
            (bits & exclude_edges_bit) != 0};
}

std::uint64_t PaddingMethod::bits() const {
    return static_cast<std::uint64_t>(alignment) | static_cast<std::uint64_t>(remainder) << 2 |
           static_cast<std::uint64_t>(size) << 4 | (exclude_edges ? exclude_edges_bit : 0);
}

AxisPolicy AxisPolicy::vertical(const PaddingMethod &method) {
    using Remainder = PaddingMethod::Remainder;
    return axis_policy(method,
                       method.remainder == Remainder::top_left || method.remainder == Remainder::top_right);
}

AxisPolicy AxisPolicy::horizontal(const PaddingMethod &method) {
    using Remainder = PaddingMethod::Remainder;
    return axis_policy(method,
                       method.remainder == Remainder::top_left || method.remainder == Remainder::bottom_left);
}

AxisPlacement place(const OperationInfo &info, const AxisPolicy &policy, const WindowAxis &kernel,
                    std::int64_t input) {
    const std::int64_t reach = kernel.reach();
    const std::int64_t readable = input + style(policy) * (reach - 1);
    const std::int64_t size = readable > 0 ? (readable + kernel.stride - 1) / kernel.stride : 0;
    require_result(info, kernel, input, size);
    const std::int64_t extra = (size - 1) * kernel.stride + reach - input;
    return {size, reach / 2 - lead(policy, extra)};
}

AxisPlacement place_transposed(const OperationInfo &info, const AxisPolicy &policy, const WindowAxis &kernel,
                               std::int64_t input) {
    // A transposed convolution is a correlation of stride 1 over the input with stride - 1 zeros between its
    // pixels.
    WindowAxis dense = kernel;
    dense.stride = 1;
    return place(info, policy, dense, (input - 1) * kernel.stride + 1);
}

WindowAxis placed_window(WindowAxis kernel, std::int64_t offset, std::int64_t output, std::int64_t input) {
    kernel.before = kernel.reach() / 2 - offset;
    kernel.output = output;
    kernel.after = (output - 1) * kernel.stride + kernel.reach() - input - kernel.before;
    kernel.padding_after = kernel.after;
    return kernel;
}

} // namespace mpscnn::ops
