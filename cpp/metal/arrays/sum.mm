#include <algorithm>
#include <bit>

#include "metal/arrays/array_operations.h"
#include "shaders/array_channels_params.h"
#include "shaders/array_sum_params.h"

namespace mpscnn::metal {

static_assert(sizeof(ArraySumParams) == 14 * sizeof(int) &&
              sizeof(ArrayChannelSumParams) == 9 * sizeof(int) &&
              sizeof(ArrayPartsParams) == 6 * sizeof(int));

namespace {

std::int64_t elements_of(const ArrayImage &image) {
    return std::int64_t{image.images} * image.height * image.width * image.channels;
}

/// An array as pixels whose channels are summed separately.
struct ChannelView {
    std::int64_t pixels = 0, channels = 0;
};

/// Return a view of `from` for kernels that sum each channel over all pixels. Each wanted sum is the sum of
/// one channel. If all elements are summed to one number, the view has several channels, whose sums are then
/// added, so that threads read more numbers at a time. Return a view without pixels for sums over other axes,
/// and for few numbers.
ChannelView channel_view(const ArrayImage &from, const ArrayImage &kept) {
    // One thread sums few numbers without a second kernel.
    constexpr std::int64_t few = 256;
    if (kept.images != 1 || kept.height != 1 || kept.width != 1) return {};
    if (elements_of(from) <= few * elements_of(kept)) return {};
    const std::int64_t elements = elements_of(from), image = elements / from.images;
    if (kept.channels != 1) return {elements / from.channels, from.channels};
    // An array is aligned for reads of four numbers at once only if each image has a multiple of four
    // numbers.
    if (image % 4 != 0) return {elements, 1};
    constexpr std::int64_t maximum = 64;
    const std::int64_t channels = std::min<std::int64_t>(maximum, elements & -elements);
    return {elements / channels, channels};
}

/// Return how many threads sum the parts of one result: a power of two that leaves a threadgroup enough
/// adjacent results to read together. A thread has some parts, so that it has several reads in flight.
std::int64_t rows_for(std::int64_t results, std::int64_t parts) {
    constexpr std::uint64_t together = 4, each = 4;
    const auto lanes = std::min(together, std::bit_ceil(static_cast<std::uint64_t>(results)));
    const auto wanted = std::bit_floor(std::max(static_cast<std::uint64_t>(parts) / each, std::uint64_t{1}));
    return static_cast<std::int64_t>(std::min<std::uint64_t>(parts_threads / lanes, wanted));
}

/// Add kernels that sum over all pixels. If the view has more channels than there are results, the sums of
/// all channels are added.
void add_channel_sums(ArrayProgram &program, std::size_t source, const ChannelView &view, std::size_t to,
                      std::int64_t results, float factor, bool squares) {
    const ChannelParts parts(view.pixels, view.channels);
    const bool once = parts.count == 1 && view.channels == results;
    const std::size_t sums = once ? to : program.add_scratch(parts.count * view.channels);
    ArrayChannelSumParams params{};
    params.pixels = static_cast<unsigned int>(view.pixels);
    params.channels = static_cast<unsigned int>(view.channels);
    params.squares = squares ? 1 : 0;
    params.factor = once ? factor : 1.0f;
    parts.set(params);
    program.add("array_channel_sums", params, {source, sums}, parts.threads())
        .share(channel_threads, ChannelParts::threadgroup_bytes(1));
    if (!once) add_parts(program, sums, parts.count * view.channels / results, to, results, factor);
}

} // namespace

void add_parts(ArrayProgram &program, std::size_t parts, std::int64_t count, std::size_t to,
               std::int64_t results, float factor) {
    const std::int64_t rows = rows_for(results, count), lanes = parts_threads / rows;
    program
        .add("array_sum_parts",
             ArrayPartsParams{{},
                              static_cast<unsigned int>(results),
                              static_cast<unsigned int>(count),
                              static_cast<unsigned int>(rows),
                              factor},
             {parts, to}, (results + lanes - 1) / lanes * parts_threads)
        .share(parts_threads, parts_threads * sizeof(float));
}

void add_sum(ArrayProgram &program, std::size_t source, const ArrayImage &from, std::size_t to,
             const ArrayImage &kept, float factor, bool squares) {
    const std::int64_t results = elements_of(kept);
    if (const ChannelView view = channel_view(from, kept); view.pixels > 0)
        return add_channel_sums(program, source, view, to, results, factor, squares);
    const SumParts parts(results, elements_of(from) / results);
    const bool once = parts.count == 1;
    const std::size_t sums = once ? to : program.add_scratch(parts.count * results);
    const ArraySumParams params{{},
                                from,
                                kept,
                                static_cast<unsigned int>(results),
                                static_cast<unsigned int>(parts.count),
                                squares ? 1 : 0,
                                once ? factor : 1.0f};
    program.add("array_sum", params, {source, sums}, parts.count * results);
    if (!once) add_parts(program, sums, parts.count, to, results, factor);
}

void make_program(ArrayProgram &program, const ops::SumLike &) {
    add_sum(program, 0, array_image(program.shape(0)), program.result(), array_image(program.shape(1)));
}

void make_program(ArrayProgram &program, const ops::SquaredSum &) {
    add_sum(program, 0, array_image(program.shape(0)), program.result(), {1, 1, 1, 1}, 1.0f, true);
}

} // namespace mpscnn::metal
