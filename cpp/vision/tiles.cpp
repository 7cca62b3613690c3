#include "vision/tiles.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <tuple>

#include "core/error.h"

namespace mpscnn::vision {

namespace {

/// A part of one axis of the photo: the pixels that a tile shows, and those of which it is the nearest tile.
struct AxisTile {
    int first, size, own_first, own_end;
};

std::vector<AxisTile> axis_tiles(int extent, const TileOptions &options) {
    const int common = static_cast<int>(options.overlap * options.side);
    std::vector<AxisTile> tiles;
    for (int first = 0, end = 0; end < extent; first = end - common) {
        end = options.side >= extent - first ? extent : first + options.side;
        if (tiles.size() == max_tiles) break; // the caller refuses this number
        const int start = std::max(0, std::min(first, end - options.side));
        tiles.push_back({start, end - start, 0, extent});
    }
    for (std::size_t i = 1; i < tiles.size(); ++i)
        tiles[i].own_first = tiles[i - 1].own_end =
            tiles[i].first + (tiles[i - 1].first + tiles[i - 1].size - tiles[i].first) / 2;
    return tiles;
}

/// Move the start of a stored axis to an even pixel, where a sample of chroma begins.
void start_at_even(int &first, int &size) {
    size += first % 2;
    first -= first % 2;
}

const void *moved(const void *samples, std::ptrdiff_t bytes) {
    return samples == nullptr ? nullptr : static_cast<const std::uint8_t *>(samples) + bytes;
}

double double_area(const Box &box) { return (double{box.right} - box.left) * (double{box.bottom} - box.top); }

/// True if two boxes are the same object.
bool matches(const Box &a, const Box &b, MergeMethod method) {
    const double width = std::min(double{a.right}, double{b.right}) - std::max(a.left, b.left);
    const double height = std::min(double{a.bottom}, double{b.bottom}) - std::max(a.top, b.top);
    if (!(width > 0 && height > 0)) return false;
    const double common = width * height;
    const double compared = method == MergeMethod::unite ? std::min(double_area(a), double_area(b))
                                                         : double_area(a) + double_area(b) - common;
    return common >= 0.5 * compared;
}

Box enclosing(const Box &a, const Box &b) {
    return {std::min(a.left, b.left), std::min(a.top, b.top), std::max(a.right, b.right),
            std::max(a.bottom, b.bottom)};
}

/// Return the indices of the boxes, the best first. Among equal scores the box on the left comes first.
std::vector<std::size_t> by_score(std::span<const TileBox> boxes) {
    constexpr std::size_t max_compared = 30'000; // the time is quadratic in the number of boxes
    std::vector<std::size_t> order(boxes.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        const auto key = [&](std::size_t i) {
            const auto &[box, score, label] = boxes[i];
            return std::tuple(-score, box.left, box.top, box.right, box.bottom);
        };
        return key(a) < key(b);
    });
    if (order.size() > max_compared) order.resize(max_compared);
    return order;
}

} // namespace

std::vector<Tile> tiles_of(int width, int height, const TileOptions &options) {
    if (options.side < 1)
        fail(ErrorKind::parameter, {"the side of a tile must be at least 1 pixel, got ", options.side});
    if (!(options.overlap >= 0.0 && options.overlap < 1.0))
        fail(ErrorKind::parameter, {"the overlap of tiles must be from 0 to below 1, got ", options.overlap});
    const auto across = axis_tiles(width, options), down = axis_tiles(height, options);
    if (across.size() * down.size() > max_tiles)
        fail(ErrorKind::parameter,
             {"tiles of ", options.side, " pixels with an overlap of ", options.overlap, " are more than ",
              max_tiles, " for a photo of ", width, "x", height, "; take larger tiles or less overlap"});
    std::vector<Tile> tiles;
    for (const AxisTile &y : down)
        for (const AxisTile &x : across)
            tiles.push_back({{x.first, y.first, x.size, y.size},
                             {x.own_first, y.own_first, x.own_end - x.own_first, y.own_end - y.own_first}});
    return tiles;
}

ImageView part_of(const ImageView &image, PhotoPart &part) {
    const FormatInfo &format = format_info(image.format);
    int column = part.left, row = part.top, width = part.width, height = part.height;
    if (image.transposed()) std::swap(column, row), std::swap(width, height);
    if (image.columns_reversed()) column = image.width - column - width;
    if (image.rows_reversed()) row = image.height - row - height;
    ImageView view = image;
    if (format.chroma != ChromaPlanes::none) {
        start_at_even(column, width);
        start_at_even(row, height);
        const bool pairs = format.chroma == ChromaPlanes::interleaved;
        const std::ptrdiff_t bytes =
            std::ptrdiff_t{row / 2} * image.chroma.row_bytes + std::ptrdiff_t{column / 2} * (pairs ? 2 : 1);
        view.chroma.blue = moved(image.chroma.blue, bytes);
        view.chroma.red = moved(image.chroma.red, bytes);
    }
    view.pixels = moved(image.pixels, std::ptrdiff_t{row} * image.row_bytes +
                                          std::ptrdiff_t{column} * format.pixel_bytes());
    view.width = width;
    view.height = height;
    part = {image.columns_reversed() ? image.width - column - width : column,
            image.rows_reversed() ? image.height - row - height : row, width, height};
    if (image.transposed()) part = {part.top, part.left, part.height, part.width};
    return view;
}

std::vector<MergedBoxes> merge_tiles(std::span<const TileBox> boxes, MergeMethod method, bool per_class) {
    const std::vector<std::size_t> order = by_score(boxes);
    std::vector<bool> taken(boxes.size());
    std::vector<MergedBoxes> merged;
    for (std::size_t rank = 0; rank < order.size(); ++rank) {
        const TileBox &best = boxes[order[rank]];
        if (taken[order[rank]]) continue;
        MergedBoxes object{best.box, {order[rank]}};
        for (std::size_t other = rank + 1; other < order.size(); ++other) {
            const std::size_t index = order[other];
            const TileBox &entry = boxes[index];
            if (taken[index] || (per_class && entry.label != best.label) ||
                !matches(best.box, entry.box, method))
                continue;
            taken[index] = true;
            // The united box grows, and may then no longer match.
            if (method == MergeMethod::suppress || !matches(object.box, entry.box, method)) continue;
            object.box = enclosing(object.box, entry.box);
            object.parts.push_back(index);
        }
        merged.push_back(std::move(object));
    }
    return merged;
}

} // namespace mpscnn::vision
