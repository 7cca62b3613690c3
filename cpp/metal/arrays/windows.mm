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

/// True if a pooling finds the maximums of 2x2 windows that do not overlap and take nothing from outside the
/// image, and a kernel can read its channels in fours.
bool is_apart_2x2(const ArrayPoolingParams &params) {
    const WindowParams &window = params.window;
    return params.kind == ops::PoolingKind::max && params.edge == ops::EdgeRule::exclude &&
           window.kernel_width == 2 && window.kernel_height == 2 && window.stride_x == 2 &&
           window.stride_y == 2 && window.dilation_x == 1 && window.dilation_y == 1 && window.pad_left >= 0 &&
           window.pad_top >= 0 && params.input.channels % 4 == 0;
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
    if (is_apart_2x2(params) && program.choice().may_take("array_pooling_gradient_2x2")) {
        const std::int64_t across = (input[2] + params.window.pad_left + 1) / 2,
                           down = (input[1] + params.window.pad_top + 1) / 2;
        program.add("array_pooling_gradient_2x2", params, {0, 1, 2, program.result()},
                    input[0] * down * across * input.back() / 4);
        return;
    }
    const std::int64_t pixels = input.elements() / input.back();
    program.add("array_pooling_gradient", params, {0, 1, 2, program.result()},
                pixels * ((input.back() + 3) / 4));
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
