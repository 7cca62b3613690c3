// Products of two tensors of integers, 16 channels at a time. Bound by the requantisation of each product.

#include "cpu/isa/instance.h"
#include "cpu/kernels/integer_requantization.h"
#include "cpu/kernels/integer_rows.h"

namespace mpscnn::cpu {
namespace {

/// How far the next row, pixel and channel of an operand are where it has one for all of the result's.
struct OperandSteps {
    std::int64_t row, pixel, channel;

    MPSCNN_INLINE OperandSteps(const ConstView &operand, const View &to)
        : row(operand.height == to.height), pixel(operand.width == to.width),
          channel(operand.channels == to.channels) {}
    bool has_all() const { return row && pixel && channel; }
};

template <class V>
Prepared integer_product_prepare(const IntegerProductTask &task, const Planning &planning) {
    return prepare_rows(task, planning);
}

template <class V>
void integer_product_run(const IntegerProductTask &task, const Prepared &prepared, std::int64_t begin,
                         std::int64_t end, Worker &) {
    constexpr std::int64_t panel = IntegerWeights::panel;
    const PanelRequantizer requantizer(task.requantization, 0);
    const OperandSteps of_a(task.source, task.destination), of_b(task.second, task.destination);
    const RowRuns runs = of_a.has_all() && of_b.has_all()
                             ? runs_of(task.destination, task.source, task.second)
                             : RowRuns{task.destination.width, task.destination.channels};
    for_each_row(prepared, begin, end, [&](std::int64_t image, std::int64_t y) {
        for (std::int64_t x = 0; x < runs.count; ++x) {
            const std::uint8_t *a = bytes_at(task.source, image, y * of_a.row, x * of_a.pixel),
                               *b = bytes_at(task.second, image, y * of_b.row, x * of_b.pixel);
            std::uint8_t *const result = bytes_at(task.destination, image, y, x);
            for (std::int64_t first = 0; first < runs.elements; first += panel) {
                const std::int64_t count = min(runs.elements - first, panel);
                std::int32_t products[panel] = {};
                for (std::int64_t c = 0; c < count; ++c)
                    products[c] = (a[(first + c) * of_a.channel] - task.source_zero) *
                                  (b[(first + c) * of_b.channel] - task.second_zero);
                requantizer.store(products, count, result + first);
            }
        }
    });
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(IntegerProductTask, integer_product)
