// Sums of elements or of their squares over the axes that the destination lacks. Elements are added in pieces
// in float32, and pieces in double. So the bits do not depend on the number of threads.
//
// Registers hold four sums, each of a vector of channels, so that whole cache lines are used. The speed is
// limited by memory, 4 bytes for each element. Tensors with few channels are slower, because they leave lanes
// empty.

#include "cpu/isa/instance.h"
#include "cpu/isa/lanes.h"
#include "cpu/kernels/elementwise/piece_sums.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

/// The number of channel vectors that are summed together.
constexpr int chain_vectors = 4;

/// Return the length of the pieces for a sum of `terms` pixels. With one channel, all elements are in one
/// lane. A few hundred elements would then be a few long pieces, and the errors of so few pieces do not
/// cancel. So such sums have short pieces.
MPSCNN_INLINE std::int64_t piece_of(std::int64_t terms, std::int64_t channels) {
    constexpr std::int64_t few = 1024, short_piece = 8;
    return channels == 1 && terms <= few ? short_piece : sum_piece;
}

/// Return the positions of the source along an axis whose sum is one position of the destination.
MPSCNN_INLINE Range summed(std::int64_t source, std::int64_t destination, std::int64_t position) {
    return destination == source ? Range{position, position + 1} : Range{0, source};
}

/// Add the channels from `at` on, `left` of them, to the sums of a destination pixel.
template <class V, bool squares>
MPSCNN_INLINE void add_channels(PieceSums<V, chain_vectors> &sums, const float *at, std::int64_t left) {
    const auto joined = [](typename V::reg sum, typename V::reg x) {
        return squares ? V::fma(x, x, sum) : V::add(sum, x);
    };
    if (left >= chain_vectors * V::width)
        return sums.add_by(
            [&](int v, typename V::reg sum) { return joined(sum, V::load(at + v * V::width)); });
    sums.add_by([&](int v, typename V::reg sum) {
        const std::int64_t rest = left - v * V::width;
        return rest <= 0 ? sum : joined(sum, load_lanes<V>(at + v * V::width, rest));
    });
}

template <class V> Prepared sum_prepare(const SumTask &task, const Planning &planning) {
    const View &to = task.destination;
    const ConstView &from = task.source;
    const std::int64_t elements = from.batch * from.height * from.width * from.channels;
    const std::int64_t vectors = divide_up(to.channels, chain_vectors * V::width);
    WorkSplit split = split_work(to.batch, to.height, vectors, elements, min_elements, planning.threads);
    if (planning.threads > 1) split.vector_blocks = vectors;
    return planning.keep(split, split.items());
}

template <class V, bool squares>
void sum_items(const SumTask &task, const WorkSplit &split, std::int64_t begin, std::int64_t end) {
    const View &to = task.destination;
    const ConstView &from = task.source;
    const bool sums_channels = to.channels != from.channels;
    constexpr std::int64_t block = chain_vectors * V::width;
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        const Range images = summed(from.batch, to.batch, item.image);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y)
            for (std::int64_t x = 0; x < to.width; ++x)
                for (std::int64_t part = item.vectors.begin; part < item.vectors.end; ++part) {
                    const Range rows = summed(from.height, to.height, y),
                                columns = summed(from.width, to.width, x);
                    const Range channels = sums_channels
                                               ? Range{0, from.channels}
                                               : Range{part * block, min((part + 1) * block, to.channels)};
                    const std::int64_t terms = images.size() * rows.size() * columns.size();
                    PieceSums<V, chain_vectors> sums(piece_of(terms, from.channels));
                    for (std::int64_t n = images.begin; n < images.end; ++n)
                        for (std::int64_t r = rows.begin; r < rows.end; ++r)
                            for (std::int64_t c = columns.begin; c < columns.end; ++c) {
                                const float *pixel = pixel_at(from, n, r, c);
                                for (std::int64_t k = channels.begin; k < channels.end; k += block)
                                    add_channels<V, squares>(sums, pixel + k, channels.end - k);
                            }
                    const double *totals = sums.totals();
                    float *out = pixel_at(to, item.image, y, x);
                    if (sums_channels) {
                        double total = 0;
                        for (std::int64_t k = 0; k < block; ++k) total += totals[k];
                        out[0] = static_cast<float>(total);
                    } else {
                        for (std::int64_t k = channels.begin; k < channels.end; ++k)
                            out[k] = static_cast<float>(totals[k - channels.begin]);
                    }
                }
    }
}

template <class V>
void sum_run(const SumTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end, Worker &) {
    const auto &split = prepared.plan_as<WorkSplit>();
    task.squares ? sum_items<V, true>(task, split, begin, end) : sum_items<V, false>(task, split, begin, end);
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(SumTask, sum)
