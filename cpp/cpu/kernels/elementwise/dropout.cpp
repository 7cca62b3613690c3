// Dropout: multiplies by a random mask, which is computed row by row.
//
// The mask uses Philox 4 x 32-10 (core/philox.h) with sixteen counters at a time. The compiler vectorizes
// this loop.
//
// The compiler allocates the registers. They hold the four words of each counter and the two words of the
// key. Computing the mask is limited by multiplications of 32 x 32 bits: four elements need ten rounds of two
// multiplications. Multiplying by the mask is limited by memory.

#include "core/philox.h"
#include "cpu/isa/instance.h"
#include "cpu/isa/lanes.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

constexpr std::int64_t philox_words = 4, philox_batch = 16; ///< words of a counter; counters at a time

/// The extents of the mask; 1 on axes that share one random number.
struct DropoutMask {
    std::int64_t height, width, channels;

    explicit MPSCNN_INLINE DropoutMask(const DropoutTask &task)
        : height(task.varies_y ? task.destination.height : 1),
          width(task.varies_x ? task.destination.width : 1),
          channels(task.varies_channels ? task.destination.channels : 1) {}
    MPSCNN_INLINE std::int64_t row_size() const { return width * channels; }
};

/// Compute one round of Philox for philox_batch counters. The four words of the counters are in separate
/// arrays.
inline void philox_round_of_batch(std::uint32_t *__restrict a, std::uint32_t *__restrict b,
                                  std::uint32_t *__restrict c, std::uint32_t *__restrict d,
                                  const PhiloxKey &key) {
    const PhiloxKey round_key = key;
// If this loop is not unrolled, the compiler vectorizes it.
#pragma GCC unroll 1
    for (std::int64_t i = 0; i < philox_batch; ++i) {
        const PhiloxWords next = philox_round({{a[i], b[i], c[i], d[i]}}, round_key);
        a[i] = next.words[0];
        b[i] = next.words[1];
        c[i] = next.words[2];
        d[i] = next.words[3];
    }
}

/// Compute random words: words[j][i] is word j of counter `first` + i.
inline void random_words(std::uint64_t first, std::uint64_t seed, std::uint32_t (&words)[4][philox_batch]) {
    for (std::int64_t i = 0; i < philox_batch; ++i) {
        const PhiloxWords start = philox_counter(first + static_cast<std::uint64_t>(i));
        for (std::int64_t j = 0; j < philox_words; ++j) words[j][i] = start.words[j];
    }
    PhiloxKey key(seed);
    for (int round = 0; round < philox_rounds; ++round, key.advance())
        philox_round_of_batch(words[0], words[1], words[2], words[3], key);
}

/// Compute the mask's elements [first, first + count). The returned pointer points into `row`, after elements
/// of the first counter that are not needed.
inline const float *make_mask(const DropoutTask &task, std::int64_t first, std::int64_t count, float *row) {
    const std::int64_t counter = first / philox_words, before = first % philox_words;
    const std::uint32_t last_kept = task.last_kept;
    const float scale = task.scale;
    for (std::int64_t done = 0; done < before + count; done += philox_words * philox_batch) {
        std::uint32_t words[philox_words][philox_batch];
        random_words(static_cast<std::uint64_t>(counter + done / philox_words), task.seed, words);
        float factors[philox_words][philox_batch];
        for (std::int64_t j = 0; j < philox_words; ++j)
            for (std::int64_t i = 0; i < philox_batch; ++i)
                factors[j][i] = words[j][i] <= last_kept ? scale : 0.0f;
        float *to = row + done;
        for (std::int64_t i = 0; i < philox_batch; ++i)
            for (std::int64_t j = 0; j < philox_words; ++j) to[i * philox_words + j] = factors[j][i];
    }
    return row + before;
}

template <class V>
MPSCNN_INLINE void dropout_pixel(const DropoutTask &task, const float *from, const float *mask, float *to) {
    const View &view = task.destination;
    for (std::int64_t c = 0; c < view.channels; c += V::width) {
        const std::int64_t left = view.channels - c;
        const auto factor = task.varies_channels ? load_lanes<V>(mask + c, left) : V::broadcast(mask);
        auto product = V::mul(load_lanes<V>(from + c, left), factor);
        if (task.round_to_half) product = V::round_to_half(product);
        store_lanes<V>(to + c, product, view.writable_channels - c);
    }
}

template <class V> Prepared dropout_prepare(const DropoutTask &task, const Planning &planning) {
    const WorkSplit split = split_elements(task.destination, planning.threads);
    const std::int64_t maximum = DropoutMask(task).row_size() + philox_words * (philox_batch + 1);
    return planning.keep(split, split.items(), static_cast<std::size_t>(maximum) * sizeof(float));
}

template <class V>
void dropout_run(const DropoutTask &given, const Prepared &prepared, std::int64_t begin, std::int64_t end,
                 Worker &worker) {
    const auto &split = prepared.plan_as<WorkSplit>();
    DropoutTask task = given;
    if (task.reads_step) task.seed += static_cast<std::uint64_t>(task.step.data[0]);
    const DropoutMask mask(task);
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y) {
            const std::int64_t row = item.image * mask.height + (task.varies_y ? y : 0);
            const float *factors = make_mask(task, row * mask.row_size(), mask.row_size(),
                                             reinterpret_cast<float *>(worker.scratch));
            for (std::int64_t x = 0; x < task.destination.width; ++x)
                dropout_pixel<V>(task, pixel_at(task.source, item.image, y, x),
                                 factors + (task.varies_x ? x * mask.channels : 0),
                                 pixel_at(task.destination, item.image, y, x));
        }
    }
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(DropoutTask, dropout)
