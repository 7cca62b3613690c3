#pragma once

// A batch normalization by statistics that are a tensor, and a clamp after it, with results in bfloat16 for
// the products that read them. Before rounding, results have the same bits as those of NormalizationTask's
// float32 kernel. The speed is limited by memory: 6 bytes for each element.

#include "cpu/kernels/elementwise/recomputed_normalization.h"
#include "cpu/kernels/shared/stream.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

template <class V>
Prepared rounded_normalization_prepare(const NormalizationTask &task, const Planning &planning) {
    return prepare_elements(task.destination, planning,
                            static_cast<std::size_t>(NormalizedCopy<V>::floats(task.source.channels)) *
                                sizeof(float));
}

template <class V>
void rounded_normalization_run(const NormalizationTask &task, const Prepared &prepared, std::int64_t begin,
                               std::int64_t end, Worker &worker) {
    const auto &split = prepared.plan_as<WorkSplit>();
    const Limits limits = limits_of(task.epilogue.activation);
    WeightGradientTask given; // only describes the normalization, for NormalizedCopy
    given.source = task.source;
    given.statistics = task.second;
    given.epsilon = task.epsilon;
    given.normalization.low = limits.low, given.normalization.high = limits.high;
    given.normalization.has_gamma = task.gamma, given.normalization.gamma.data = task.gamma;
    given.normalization.has_beta = task.beta, given.normalization.beta.data = task.beta;
    const NormalizedCopy<V> normalize(given, reinterpret_cast<float *>(worker.scratch));
    const std::int64_t channels = task.source.channels;
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y)
            for (std::int64_t x = 0; x < task.destination.width; ++x) {
                const float *from = pixel_at(task.source, item.image, y, x);
                normalize(from, pixel_at<typename V::element>(task.destination, item.image, y, x), 0,
                          channels);
            }
    }
}

} // namespace
} // namespace mpscnn::cpu
