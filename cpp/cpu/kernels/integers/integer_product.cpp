// Elementwise products of two tensors of integers, 16 elements at a time, or 64 with AVX-512. The speed is
// limited by the requantization of each product.

#include "cpu/isa/instance.h"
#include "cpu/kernels/integers/integer_elementwise.h"
#include "cpu/kernels/integers/integer_requantization.h"
#include "cpu/kernels/integers/integer_rows.h"

namespace mpscnn::cpu {
namespace {

template <class V>
Prepared integer_product_prepare(const IntegerProductTask &task, const Planning &planning) {
    return prepare_rows(task, planning);
}

template <class V>
void integer_product_run(const IntegerProductTask &task, const Prepared &prepared, std::int64_t begin,
                         std::int64_t end, Worker &) {
    constexpr std::int64_t panel = IntegerWeights::panel;
    const OperandPair operands(task);
    const std::int64_t step_a = operands.channel_step_of_a(), step_b = operands.channel_step_of_b();
#if defined(MPSCNN_COMBINES_BYTES)
    if (step_a && step_b) {
        const TileRequantizer<1> requantizer(task.requantization, 0, panel);
        const auto zero_a = Steps::splat(task.source_zero), zero_b = Steps::splat(task.second_zero);
        const auto multiply = [&](const std::uint8_t *a, const std::uint8_t *b)
            __attribute__((always_inline)) {
            return Steps::multiply(Steps::of_bytes(a, zero_a), Steps::of_bytes(b, zero_b));
        };
        operands.for_each_run(task, prepared, begin, end,
                              [&](auto... run) { combine_bytes(multiply, requantizer, run...); });
        return;
    }
#endif
    const PanelRequantizer requantizer(task.requantization, 0);
    operands.for_each_run(
        task, prepared, begin, end,
        [&](const std::uint8_t *a, const std::uint8_t *b, std::int64_t elements, std::uint8_t *result) {
            for (std::int64_t first = 0; first < elements; first += panel) {
                const std::int64_t count = min(elements - first, panel);
                std::int32_t products[panel] = {};
                for (std::int64_t c = 0; c < count; ++c)
                    products[c] = (a[(first + c) * step_a] - task.source_zero) *
                                  (b[(first + c) * step_b] - task.second_zero);
                requantizer.store(products, count, result + first);
            }
        });
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(IntegerProductTask, integer_product)
