// Integer layers that normalize the channels of each pixel: softmax, its logarithm, and division by the root
// of the sum of squares. The speed is limited by arithmetic on one channel at a time.

#include "cpu/isa/instance.h"
#include "cpu/kernels/integers/integer_rows.h"
#include "cpu/kernels/tasks/fixed_point.h"

namespace mpscnn::cpu {
namespace {

template <class TaskType, class OfPixel>
MPSCNN_INLINE void for_each_pixel(const TaskType &task, const Prepared &prepared, std::int64_t begin,
                                  std::int64_t end, OfPixel of_pixel) {
    for_each_row(prepared, begin, end, [&](std::int64_t image, std::int64_t y) {
        for (std::int64_t x = 0; x < task.destination.width; ++x)
            of_pixel(task, bytes_at(task.source, image, y, x), bytes_at(task.destination, image, y, x));
    });
}

std::int32_t highest_of(const std::uint8_t *bytes, std::int64_t channels) {
    std::int32_t highest = 0;
    for (std::int64_t c = 0; c < channels; ++c) highest = bytes[c] > highest ? bytes[c] : highest;
    return highest;
}

/// Return the sum of e^-d for the distances d from the highest number, as a fraction with 12 bits before the
/// binary point.
std::uint32_t sum_of_exponentials(const std::int32_t *exponentials, const std::uint8_t *bytes,
                                  std::int64_t channels, std::int32_t highest) {
    std::uint32_t sum = 0;
    for (std::int64_t c = 0; c < channels; ++c) {
        const std::int32_t exponential = exponentials[highest - bytes[c]];
        if (exponential >= 0) sum += static_cast<std::uint32_t>(rounding_shift(exponential, 12));
    }
    return sum;
}

// ---- Softmax ----

void softmax_of_integers(const IntegerSoftmaxTask &task, const std::uint8_t *bytes, std::uint8_t *result) {
    const std::int64_t channels = task.destination.channels;
    const std::int32_t highest = highest_of(bytes, channels);
    const std::uint32_t sum = sum_of_exponentials(task.exponentials, bytes, channels, highest);
    const int leading = __builtin_clz(sum);
    const auto above_one = static_cast<std::int32_t>((sum << leading) - (1u << 31));
    const std::int32_t inverse = inverse_of_one_and(above_one);
    const int shift = 12 - leading + 31 - 8;
    for (std::int64_t c = 0; c < channels; ++c) {
        const std::int32_t exponential = task.exponentials[highest - bytes[c]];
        // If the shift is above 31, the exponentials add up to 512 or more, and each share rounds to 0.
        const std::int32_t share =
            exponential < 0 || shift > 31 ? 0 : rounding_shift(high_product(inverse, exponential), shift);
        result[c] = static_cast<std::uint8_t>(limited(share, 0, 255));
    }
}

template <class V>
Prepared integer_softmax_prepare(const IntegerSoftmaxTask &task, const Planning &planning) {
    return prepare_rows(task, planning);
}
template <class V>
void integer_softmax_run(const IntegerSoftmaxTask &task, const Prepared &prepared, std::int64_t begin,
                         std::int64_t end, Worker &) {
    for_each_pixel(task, prepared, begin, end, softmax_of_integers);
}

// ---- Logarithm of a softmax ----

void log_softmax_of_integers(const IntegerLogSoftmaxTask &task, const std::uint8_t *bytes,
                             std::uint8_t *result) {
    const std::int64_t channels = task.destination.channels;
    const std::int32_t highest = highest_of(bytes, channels);
    const std::int32_t logarithm = logarithm_of_sum(
        static_cast<std::int32_t>(sum_of_exponentials(task.exponentials, bytes, channels, highest)));
    // From this distance on, the subtraction of the logarithm would overflow.
    const std::int32_t reached = -rounded_twice(logarithm + INT32_MIN, task.multiplier, task.shift);
    for (std::int64_t c = 0; c < channels; ++c) {
        const std::int32_t distance = highest - bytes[c];
        const bool is_near = task.exponentials[distance] >= 0 && distance < reached;
        const std::int32_t steps =
            is_near ? rounding_shift(task.differences[distance] - logarithm, 22) + 255 : 0;
        result[c] = static_cast<std::uint8_t>(limited(steps, 0, 255));
    }
}

template <class V>
Prepared integer_log_softmax_prepare(const IntegerLogSoftmaxTask &task, const Planning &planning) {
    return prepare_rows(task, planning);
}
template <class V>
void integer_log_softmax_run(const IntegerLogSoftmaxTask &task, const Prepared &prepared, std::int64_t begin,
                             std::int64_t end, Worker &) {
    for_each_pixel(task, prepared, begin, end, log_softmax_of_integers);
}

// ---- Unit norm ----

void unit_norm_of_integers(const IntegerUnitNormTask &task, const std::uint8_t *bytes, std::uint8_t *result) {
    const std::int64_t channels = task.destination.channels;
    std::int32_t sum = 0;
    for (std::int64_t c = 0; c < channels; ++c) {
        const std::int32_t x = bytes[c] - task.source_zero;
        sum += x * x;
    }
    std::int32_t shift = 0;
    const std::int32_t inverse = inverse_of_root(sum, shift);
    for (std::int64_t c = 0; c < channels; ++c) {
        const std::int32_t x = bytes[c] - task.source_zero;
        // TensorFlow Lite's kernel for int8 shifts by 7 bits less; its kernel for uint8 multiplies by 2^7
        // first.
        const std::int32_t moved =
            task.is_signed ? rounded_twice(x, inverse, shift + 7) : rounded_twice(x * 128, inverse, shift);
        result[c] = static_cast<std::uint8_t>(limited(std::int64_t{moved} + 128, 0, 255));
    }
}

template <class V>
Prepared integer_unit_norm_prepare(const IntegerUnitNormTask &task, const Planning &planning) {
    return prepare_rows(task, planning);
}
template <class V>
void integer_unit_norm_run(const IntegerUnitNormTask &task, const Prepared &prepared, std::int64_t begin,
                           std::int64_t end, Worker &) {
    for_each_pixel(task, prepared, begin, end, unit_norm_of_integers);
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(IntegerSoftmaxTask, integer_softmax)
MPSCNN_KERNEL(IntegerLogSoftmaxTask, integer_log_softmax)
MPSCNN_KERNEL(IntegerUnitNormTask, integer_unit_norm)
