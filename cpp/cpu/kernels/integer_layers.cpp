// Layers of integers without weights, and the ways into integers and back.
//
// A row of pixels at a time, written for the compiler to make vectors of. Sums read their terms from tables,
// two loads for each element. Bound by those, elsewhere by memory.

#include "cpu/isa/instance.h"
#include "cpu/kernels/integer_requantization.h"
#include "cpu/kernels/work_split.h"

namespace mpscnn::cpu {
namespace {

template <class TaskType> Prepared prepare_rows(const TaskType &task, const Planning &planning) {
    const WorkSplit split = split_elements(task.destination, planning.threads);
    return planning.keep(split, split.items());
}

/// Calls visit(image, y) for each row of the items.
template <class Visit>
MPSCNN_INLINE void for_each_row(const Prepared &prepared, std::int64_t begin, std::int64_t end, Visit visit) {
    const auto &split = prepared.plan_as<WorkSplit>();
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y) visit(item.image, y);
    }
}

/// Elements of a row that lie side by side in all tensors of a layer.
struct RowRuns {
    std::int64_t count, elements;
};

template <class... Views> RowRuns runs_of(const View &to, const Views &...from) {
    const bool joined = to.pixel_stride == to.channels && ((from.pixel_stride == to.channels) && ...);
    return joined ? RowRuns{1, to.width * to.channels} : RowRuns{to.width, to.channels};
}

// ---- Average pooling ----

Range taps_inside(const WindowAxis &axis, std::int64_t output, std::int64_t size) {
    const std::int64_t start = output * axis.stride - axis.before;
    return {max(divide_up(-start, axis.dilation), 0),
            min(divide_up(size - start, axis.dilation), axis.kernel)};
}

/// To nearest, ties away from zero.
MPSCNN_INLINE std::int32_t mean(std::int32_t sum, std::int32_t count) {
    return (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
}

void pool_integers(const IntegerPoolingTask &task, std::int64_t image, std::int64_t y, std::int64_t x) {
    constexpr int most = 64;
    const Range rows = taps_inside(task.vertical, y, task.source.height),
                columns = taps_inside(task.horizontal, x, task.source.width);
    const auto count = static_cast<std::int32_t>(max(rows.size(), 0) * max(columns.size(), 0));
    std::uint8_t *const result = bytes_at(task.destination, image, y, x);
    for (std::int64_t channel = 0; channel < task.destination.channels; channel += most) {
        const std::int64_t left = min(task.destination.channels - channel, most);
        std::int32_t sums[most] = {};
        for (std::int64_t u = rows.begin; u < rows.end; ++u)
            for (std::int64_t v = columns.begin; v < columns.end; ++v) {
                const std::uint8_t *bytes =
                    bytes_at(task.source, image,
                             y * task.vertical.stride - task.vertical.before + u * task.vertical.dilation,
                             x * task.horizontal.stride - task.horizontal.before +
                                 v * task.horizontal.dilation) +
                    channel;
                for (std::int64_t c = 0; c < left; ++c) sums[c] += bytes[c] - task.centre;
            }
        for (std::int64_t c = 0; c < left; ++c)
            result[channel + c] = static_cast<std::uint8_t>(
                limited((count > 0 ? mean(sums[c], count) : 0) + task.centre, task.low, task.high));
    }
}

template <class V>
Prepared integer_pooling_prepare(const IntegerPoolingTask &task, const Planning &planning) {
    return prepare_rows(task, planning);
}
template <class V>
void integer_pooling_run(const IntegerPoolingTask &task, const Prepared &prepared, std::int64_t begin,
                         std::int64_t end, Worker &) {
    for_each_row(prepared, begin, end, [&](std::int64_t image, std::int64_t y) {
        for (std::int64_t x = 0; x < task.destination.width; ++x) pool_integers(task, image, y, x);
    });
}

// ---- Sums ----

template <class V> Prepared integer_sum_prepare(const IntegerSumTask &task, const Planning &planning) {
    return prepare_rows(task, planning);
}
template <class V>
void integer_sum_run(const IntegerSumTask &task, const Prepared &prepared, std::int64_t begin,
                     std::int64_t end, Worker &) {
    constexpr std::int64_t panel = IntegerWeights::panel;
    const PanelRequantizer requantizer(task.requantization, 0);
    const RowRuns runs = runs_of(task.destination, task.source, task.second);
    for_each_row(prepared, begin, end, [&](std::int64_t image, std::int64_t y) {
        for (std::int64_t x = 0; x < runs.count; ++x) {
            const std::uint8_t *a = bytes_at(task.source, image, y, x),
                               *b = bytes_at(task.second, image, y, x);
            std::uint8_t *const result = bytes_at(task.destination, image, y, x);
            for (std::int64_t first = 0; first < runs.elements; first += panel) {
                const std::int64_t count = min(runs.elements - first, panel);
                std::int32_t sums[panel] = {};
                for (std::int64_t c = 0; c < count; ++c)
                    sums[c] = task.source_terms[a[first + c]] + task.second_terms[b[first + c]];
                requantizer.store(sums, count, result + first);
            }
        }
    });
}

// ---- Tables ----

template <class V> Prepared integer_table_prepare(const IntegerTableTask &task, const Planning &planning) {
    return prepare_rows(task, planning);
}
template <class V>
void integer_table_run(const IntegerTableTask &task, const Prepared &prepared, std::int64_t begin,
                       std::int64_t end, Worker &) {
    const RowRuns runs = runs_of(task.destination, task.source);
    for_each_row(prepared, begin, end, [&](std::int64_t image, std::int64_t y) {
        for (std::int64_t x = 0; x < runs.count; ++x) {
            const std::uint8_t *const from = bytes_at(task.source, image, y, x);
            std::uint8_t *const result = bytes_at(task.destination, image, y, x);
            if (task.table)
                for (std::int64_t c = 0; c < runs.elements; ++c) result[c] = task.table[from[c]];
            else
                for (std::int64_t c = 0; c < runs.elements; ++c) result[c] = from[c];
        }
    });
}

// ---- Softmax ----

/// 1 / (1 + a) as a fraction of 31 bits, by three steps of Newton's method from 48/17 - 32/17 of the half.
std::int32_t inverse_of_one_and(std::int32_t a) {
    constexpr std::int64_t largest = INT32_MAX;
    const auto half = static_cast<std::int32_t>((static_cast<std::int64_t>(a) + largest + 1) >> 1);
    const auto larger = [](std::int32_t p, int bits) {
        return static_cast<std::int32_t>(
            clamped(static_cast<std::int64_t>(p) * (1 << bits), INT32_MIN, largest));
    };
    std::int32_t x = 1515870810 + high_product(half, -1010580540);
    for (int step = 0; step < 3; ++step) x += larger(high_product(x, (1 << 29) - high_product(half, x)), 2);
    return larger(x, 1);
}

void softmax_of_integers(const IntegerSoftmaxTask &task, const std::uint8_t *bytes, std::uint8_t *result) {
    const std::int64_t channels = task.destination.channels;
    std::int32_t highest = 0;
    for (std::int64_t c = 0; c < channels; ++c) highest = bytes[c] > highest ? bytes[c] : highest;
    std::uint32_t sum = 0;
    for (std::int64_t c = 0; c < channels; ++c) {
        const std::int32_t exponential = task.exponentials[highest - bytes[c]];
        if (exponential >= 0) sum += static_cast<std::uint32_t>(rounding_shift(exponential, 12));
    }
    const int leading = __builtin_clz(sum);
    const auto above_one = static_cast<std::int32_t>((sum << leading) - (1u << 31));
    const std::int32_t inverse = inverse_of_one_and(above_one);
    const int shift = 12 - leading + 31 - 8;
    for (std::int64_t c = 0; c < channels; ++c) {
        const std::int32_t exponential = task.exponentials[highest - bytes[c]];
        const std::int32_t share =
            exponential < 0 ? 0 : rounding_shift(high_product(inverse, exponential), shift);
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
    for_each_row(prepared, begin, end, [&](std::int64_t image, std::int64_t y) {
        for (std::int64_t x = 0; x < task.destination.width; ++x)
            softmax_of_integers(task, bytes_at(task.source, image, y, x),
                                bytes_at(task.destination, image, y, x));
    });
}

// ---- Into integers and back ----

MPSCNN_INLINE std::uint8_t quantized(float value, float scale, std::int32_t zero_point) {
    constexpr float far = 512.0f; // beyond all limits, wherever the zero point is
    float steps = value / scale;
    steps = steps == steps ? steps : 0.0f;
    steps = steps < -far ? -far : steps > far ? far : steps;
    const auto whole = static_cast<std::int32_t>(steps);
    const float rest = steps - static_cast<float>(whole); // exactly
    const std::int32_t moved = whole + (rest >= 0.5f ? 1 : 0) - (rest <= -0.5f ? 1 : 0) + zero_point;
    return static_cast<std::uint8_t>(moved < 0 ? 0 : moved > 255 ? 255 : moved);
}

template <class V> Prepared quantization_prepare(const QuantizationTask &task, const Planning &planning) {
    return prepare_rows(task, planning);
}
template <class V>
void quantization_run(const QuantizationTask &task, const Prepared &prepared, std::int64_t begin,
                      std::int64_t end, Worker &) {
    const RowRuns runs = runs_of(task.destination, task.source);
    for_each_row(prepared, begin, end, [&](std::int64_t image, std::int64_t y) {
        for (std::int64_t x = 0; x < runs.count; ++x) {
            const float *const from = task.source.data + image * task.source.image_stride +
                                      y * task.source.row_stride + x * task.source.pixel_stride;
            std::uint8_t *const result = bytes_at(task.destination, image, y, x);
            for (std::int64_t c = 0; c < runs.elements; ++c)
                result[c] = quantized(from[c], task.scale, task.zero_point);
        }
    });
}

template <class V> Prepared dequantization_prepare(const DequantizationTask &task, const Planning &planning) {
    return prepare_rows(task, planning);
}
template <class V>
void dequantization_run(const DequantizationTask &task, const Prepared &prepared, std::int64_t begin,
                        std::int64_t end, Worker &) {
    const RowRuns runs = runs_of(task.destination, task.source);
    for_each_row(prepared, begin, end, [&](std::int64_t image, std::int64_t y) {
        for (std::int64_t x = 0; x < runs.count; ++x) {
            const std::uint8_t *const from = bytes_at(task.source, image, y, x);
            float *const result = task.destination.data + image * task.destination.image_stride +
                                  y * task.destination.row_stride + x * task.destination.pixel_stride;
            for (std::int64_t c = 0; c < runs.elements; ++c)
                result[c] = static_cast<float>(from[c] - task.zero_point) * task.scale;
        }
    });
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(IntegerPoolingTask, integer_pooling)
MPSCNN_KERNEL(IntegerSumTask, integer_sum)
MPSCNN_KERNEL(IntegerTableTask, integer_table)
MPSCNN_KERNEL(IntegerSoftmaxTask, integer_softmax)
MPSCNN_KERNEL(QuantizationTask, quantization)
MPSCNN_KERNEL(DequantizationTask, dequantization)
