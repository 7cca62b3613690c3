#include <algorithm>
#include <span>

#include "metal/arrays/array_operations.h"
#include "metal/layers/pooling.h"
#include "metal/layers/resize.h"
#include "metal/layers/window.h"
#include "shaders/array_pooling_params.h"
#include "shaders/array_resize_params.h"

namespace mpscnn::metal {

static_assert(sizeof(ArrayPoolingParams) == 24 * sizeof(int) &&
              sizeof(ArrayResizeParams) == 10 * sizeof(int));

namespace {

/// For each of `size` input positions, append the range of taps that sample it: the first tap, and one past
/// the last tap.
void append_readers(std::vector<ResizeTap> &table, std::span<const ResizeTap> taps, std::int64_t size) {
    std::vector<ResizeTap> readers(static_cast<std::size_t>(size), ResizeTap{});
    for (std::size_t i = 0; i < taps.size(); ++i)
        for (const int position : {taps[i].first, taps[i].second}) {
            if (position < 0) continue;
            ResizeTap &of = readers[static_cast<std::size_t>(position)];
            const int tap = static_cast<int>(i);
            of.first = of.second == 0 ? tap : std::min(of.first, tap);
            of.second = std::max(of.second, tap + 1);
        }
    table.insert(table.end(), readers.begin(), readers.end());
}

} // namespace

void make_program(ArrayProgram &program, const ops::PoolingGradient &operation) {
    const ops::Pooling &pooling = operation.pooling;
    const Shape &input = program.shape(1);
    const ops::CanonicalWindow window = pooling.canonical(input[1], input[2]);
    const Counted columns = counted(pooling, window.horizontal, pooling.zero_pad_x, input[2]),
                  rows = counted(pooling, window.vertical, pooling.zero_pad_y, input[1]);
    const ArrayPoolingParams params{{},
                                    array_image(input),
                                    array_image(program.shape(0)),
                                    window_params(window),
                                    pooling.kind,
                                    pooling.edge,
                                    columns.first,
                                    rows.first,
                                    columns.behind,
                                    rows.behind};
    program.add("array_pooling_gradient", params, {0, 1, 2, program.result()}, input.elements());
}

void make_program(ArrayProgram &program, const ops::ResizeGradient &operation) {
    const ops::Resize &resize = operation.resize;
    const Shape &input = program.shape(1), &output = program.shape(0);
    const auto columns = resize_taps(resize, resize.horizontal(input[2], output[2]), output[2], input[2]);
    const auto rows = resize_taps(resize, resize.vertical(input[1], output[1]), output[1], input[1]);
    std::vector<ResizeTap> table = columns;
    table.insert(table.end(), rows.begin(), rows.end());
    append_readers(table, columns, input[2]);
    append_readers(table, rows, input[1]);
    const ArrayResizeParams params{{}, array_image(input), array_image(output)};
    const auto bytes = std::as_bytes(std::span(table));
    program.add("array_resize_gradient", params, {0, program.result()}, input.elements())
        .table.assign(bytes.begin(), bytes.end());
}

} // namespace mpscnn::metal
