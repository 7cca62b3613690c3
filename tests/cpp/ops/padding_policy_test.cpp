// Apple's padding policies: every small case is compared with the meaning of the formulas, found by search,
// and with TensorFlow.

#include "ops/padding_policy.h"

#include "tests/cpp/check.h"

using namespace mpscnn;
using namespace mpscnn::ops;

namespace {

using Alignment = PaddingMethod::Alignment;
using Size = PaddingMethod::Size;

constexpr OperationInfo any{"pooling", "", 1, 1, false, false, false};

template <class Visit> void for_each_window(Visit visit) {
    for (std::int64_t size = 1; size <= 9; ++size)
        for (std::int64_t kernel = 1; kernel <= 7; ++kernel)
            for (std::int64_t stride = 1; stride <= 3; ++stride)
                for (std::int64_t dilation = 1; dilation <= 3; ++dilation)
                    visit(size, WindowAxis{kernel, stride, dilation});
}

template <class Visit> void for_each_policy(Visit visit) {
    for (Size size : {Size::valid, Size::same, Size::full})
        for (Alignment alignment : {Alignment::centered, Alignment::top_left, Alignment::bottom_right})
            for (bool odd_before : {false, true}) visit(AxisPolicy{size, alignment, odd_before});
}

/// Count outputs: centres (for valid and full: first taps) at every stride-th position that the size allows.
std::int64_t counted_size(Size size, const WindowAxis &kernel, std::int64_t input) {
    const std::int64_t reach = kernel.reach();
    const std::int64_t first = size == Size::full ? 1 - reach : 0;
    const std::int64_t last = size == Size::valid ? input - reach : input - 1;
    std::int64_t count = 0;
    for (std::int64_t start = first; start <= last; start += kernel.stride) ++count;
    return count;
}

/// True if `before`, of the total padding on both sides, is where the policy wants it. Dividing a negative
/// odd sum by two rounds towards zero, as in the headers' sample code.
bool well_placed(const AxisPolicy &policy, std::int64_t before, std::int64_t after) {
    if (policy.alignment == Alignment::top_left) return after == 0;
    if (policy.alignment == Alignment::bottom_right) return before == 0;
    const std::int64_t sum = before + after;
    if (sum >= 0)
        return policy.odd_before ? before == after || before == after + 1
                                 : before == after || after == before + 1;
    // Unread pixels: -before of them are at the start. With its rounding, the sample code prefers the start
    // of the image for the policy whose odd pixel comes first.
    const std::int64_t unread_before = -before, unread = -sum;
    return unread_before == (policy.odd_before ? (unread - 1) / 2 : unread / 2);
}

TEST(sizes_and_places_follow_the_policy) {
    for_each_window([](std::int64_t input, const WindowAxis &kernel) {
        for_each_policy([&](const AxisPolicy &policy) {
            const std::int64_t expected = counted_size(policy.size, kernel, input);
            if (expected == 0) {
                CHECK_THROWS(place(any, policy, kernel, input), ErrorKind::shape, "leaves no result");
                return;
            }
            const AxisPlacement placed = place(any, policy, kernel, input);
            CHECK(placed.size == expected);
            const WindowAxis window = placed_window(kernel, placed.offset, placed.size, input);
            CHECK(window.offset() == placed.offset);
            CHECK(well_placed(policy, window.before, window.after));
        });
    });
}

TEST(apples_window_and_the_explicit_one_read_the_same_taps) {
    for_each_window([](std::int64_t input, const WindowAxis &kernel) {
        for (std::int64_t offset = -4; offset <= 4; ++offset) {
            const WindowAxis window = placed_window(kernel, offset, 3, input);
            for (std::int64_t o = 0; o < window.output; ++o) {
                const std::int64_t left = offset + kernel.stride * o - (kernel.reach() >> 1);
                CHECK(o * window.stride - window.before == left);
            }
            // Explicit padding by these amounts must give the same window.
            Window stated;
            stated.kernel_width = kernel.kernel, stated.stride_x = kernel.stride;
            stated.dilation_x = kernel.dilation, stated.padding = PaddingPolicy::explicit_;
            stated.pad_left = window.before, stated.pad_right = window.after;
            const WindowAxis canonical = stated.canonical(any, 1, input).horizontal;
            CHECK(canonical.output == 3 && canonical.before == window.before &&
                  canonical.after == window.after);
        }
    });
}

TEST(tensorflows_same_is_1c_where_the_kernel_covers_the_stride) {
    const AxisPolicy policy = AxisPolicy::horizontal(PaddingMethod::from_bits(tensorflow_same_bits));
    for_each_window([&](std::int64_t input, const WindowAxis &kernel) {
        const std::int64_t outputs = (input + kernel.stride - 1) / kernel.stride;
        const std::int64_t total = (outputs - 1) * kernel.stride + kernel.reach() - input;
        const AxisPlacement placed = place(any, policy, kernel, input);
        CHECK(placed.size == outputs);
        if (kernel.reach() >= kernel.stride) CHECK(placed.offset == kernel.reach() / 2 - total / 2);
        Window same;
        same.kernel_width = kernel.kernel, same.stride_x = kernel.stride, same.dilation_x = kernel.dilation;
        same.padding = PaddingPolicy::same;
        const WindowAxis canonical = same.canonical(any, 1, input).horizontal;
        CHECK(canonical.offset() == kernel.reach() / 2 - (total > 0 ? total / 2 : 0));
        if (kernel.reach() >= kernel.stride) CHECK(canonical.offset() == placed.offset);
    });
}

TEST(known_placements) {
    const auto start = [](std::uint64_t bits, std::int64_t input, std::int64_t kernel, std::int64_t stride) {
        const WindowAxis axis{kernel, stride, 1};
        const AxisPlacement placed =
            place(any, AxisPolicy::horizontal(PaddingMethod::from_bits(bits)), axis, input);
        return -placed_window(axis, placed.offset, placed.size, input).before;
    };
    // Four pixels, two taps at stride 3: two pixels are not read.
    CHECK(start(0xC, 4, 2, 3) == 1);
    CHECK(start(0x0, 4, 2, 3) == 0);
    CHECK(start(0x1C, 6, 2, 2) == 0);
    CHECK(start(0x1C, 5, 3, 2) == -1);
}

TEST(a_transposed_kernel_undoes_a_forward_one) {
    for_each_window([](std::int64_t input, const WindowAxis &kernel) {
        for_each_policy([&](const AxisPolicy &policy) {
            const std::int64_t reach = kernel.reach();
            const std::int64_t style = static_cast<std::int64_t>(policy.size) - 1;
            const std::int64_t expected = (input - 1) * kernel.stride + 1 + style * (reach - 1);
            if (expected < 1) {
                CHECK_THROWS(place_transposed(any, policy, kernel, input), ErrorKind::shape, "no result");
                return;
            }
            const AxisPlacement placed = place_transposed(any, policy, kernel, input);
            CHECK(placed.size == expected);
            // The opposite policy leads back to the input's size, and every input pixel is read.
            const AxisPolicy opposite{static_cast<Size>(2 - static_cast<int>(policy.size)), policy.alignment,
                                      policy.odd_before};
            CHECK(place(any, opposite, kernel, placed.size).size == input);
            const std::int64_t first = placed.offset - reach / 2;
            const std::int64_t last = first + placed.size - 1 + reach - 1;
            CHECK(policy.size == Size::valid || (first <= 0 && last >= (input - 1) * kernel.stride));
        });
    });
}

TEST(bits_are_apples) {
    for (std::uint64_t bits : {0x0, 0x10, 0x1C, 0x20, 0x8015, 0x26, 0x8009}) {
        CHECK(PaddingMethod::from_bits(bits).bits() == bits);
    }
    const PaddingMethod method = PaddingMethod::from_bits(0x8018);
    CHECK(method.remainder == PaddingMethod::Remainder::bottom_left && method.exclude_edges);
    CHECK(!AxisPolicy::vertical(method).odd_before && AxisPolicy::horizontal(method).odd_before);
    for (std::uint64_t bits : {0x3, 0x30, 0x40, 0x10000})
        CHECK_THROWS(PaddingMethod::from_bits(bits), ErrorKind::parameter, "an alignment");
    for (std::uint64_t bits : {0x4000, 0x2010})
        CHECK_THROWS(PaddingMethod::from_bits(bits), ErrorKind::parameter, "without the custom bits");
}

} // namespace
