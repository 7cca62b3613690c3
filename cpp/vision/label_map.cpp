#include "vision/label_map.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/error.h"
#include "vision/placement.h"

namespace mpscnn::vision {

namespace {

/// The two grid points between which the centre of a row or column of the photo lies.
struct Blend {
    int first, second;
    float fraction; ///< weight of the second point
    bool seen;
};

/// One axis of the photo and its preprocessing: photo = input * scale + offset. The preprocessing uses the
/// part `used` of the photo.
struct PhotoAxis {
    int photo, input;
    double scale, offset;
    Axis used;
};

std::vector<Blend> samples_of(const PhotoAxis &axis, int points) {
    const double points_per_input = static_cast<double>(points) / axis.input;
    const auto to_grid = [&](double position) {
        return (position - axis.offset) / axis.scale * points_per_input;
    };
    // The part of the grid that shows the photo, without letterbox bars.
    const double begin = std::max(0.0, to_grid(axis.used.start)),
                 end = std::min<double>(points, to_grid(axis.used.start + axis.used.extent));
    const double lowest = std::min(begin + 0.5, (begin + end) / 2), highest = std::max(end - 0.5, lowest);
    std::vector<Blend> samples;
    samples.reserve(static_cast<std::size_t>(axis.photo));
    for (int i = 0; i < axis.photo; ++i) {
        const double position = to_grid(i + 0.5);
        const double point =
            std::clamp(std::clamp(position, lowest, highest) - 0.5, 0.0, static_cast<double>(points - 1));
        const int first = static_cast<int>(point);
        samples.push_back({first, std::min(first + 1, points - 1), static_cast<float>(point - first),
                           position >= begin && position <= end});
    }
    return samples;
}

void blend(const float *a, const float *b, float fraction, std::ptrdiff_t count, float *result) {
    const float rest = 1.0f - fraction;
    for (std::ptrdiff_t i = 0; i < count; ++i) result[i] = rest * a[i] + fraction * b[i];
}

std::uint8_t greatest(const float *scores, int classes) {
    return static_cast<std::uint8_t>(std::max_element(scores, scores + classes) - scores);
}

/// Finds the labels of the photo row by row.
class Labeller {
public:
    Labeller(const ScoreGrid &grid, std::vector<Blend> columns)
        : grid_(grid), columns_(std::move(columns)), row_length_(std::ptrdiff_t{grid.width} * grid.classes),
          blended_(static_cast<std::size_t>(row_length_)), best_(static_cast<std::size_t>(grid.width)),
          pixel_(static_cast<std::size_t>(grid.classes)) {}

    /// Write the labels of a row, and its scores unless `scores` is null.
    void label_row(const Blend &row, std::uint8_t *labels, float *scores) {
        if (!row.seen) return leave_out(labels, scores, columns_.size());
        load(row);
        for (const Blend &column : columns_) {
            if (!column.seen)
                leave_out(labels, scores, 1);
            else if (scores || top_k(column.first) != top_k(column.second))
                *labels = label_between(column, scores ? scores : pixel_.data());
            else // a class that is best at both ends is also best in between
                *labels = top_k(column.first);
            ++labels;
            if (scores) scores += grid_.classes;
        }
    }

private:
    void load(const Blend &row) {
        const float *first = grid_.scores + row.first * row_length_;
        blend(first, grid_.scores + row.second * row_length_, row.fraction, row_length_, blended_.data());
        for (int column = 0; column < grid_.width; ++column)
            best_[static_cast<std::size_t>(column)] = greatest(point(column), grid_.classes);
    }

    const float *point(int column) const { return blended_.data() + std::ptrdiff_t{column} * grid_.classes; }
    std::uint8_t top_k(int column) const { return best_[static_cast<std::size_t>(column)]; }

    std::uint8_t label_between(const Blend &column, float *scores) const {
        blend(point(column.first), point(column.second), column.fraction, grid_.classes, scores);
        return greatest(scores, grid_.classes);
    }

    void leave_out(std::uint8_t *labels, float *scores, std::size_t count) const {
        std::fill_n(labels, count, unseen_label);
        if (scores)
            std::fill_n(scores, count * static_cast<std::size_t>(grid_.classes),
                        std::numeric_limits<float>::quiet_NaN());
    }

    const ScoreGrid grid_;
    const std::vector<Blend> columns_;
    const std::ptrdiff_t row_length_;
    std::vector<float> blended_;     ///< scores of the grid, interpolated at the height of the row
    std::vector<std::uint8_t> best_; ///< the best class of each interpolated point
    std::vector<float> pixel_;
};

void check_grid(const ScoreGrid &grid) {
    if (grid.height < 1 || grid.width < 1)
        fail(ErrorKind::shape,
             {"label map: scores of ", grid.height, " x ", grid.width, " points, expected at least one"});
    if (grid.classes < 2 || grid.classes > max_label_classes)
        fail(ErrorKind::shape, {"label map: ", grid.classes, " classes, expected 2 to ", max_label_classes});
}

} // namespace

void label_photo(const ScoreGrid &grid, const ImageView &image, const Preprocess &options, int input_height,
                 int input_width, std::uint8_t *labels, float *scores) {
    const Transform transform = output_to_photo(image, options, input_height, input_width);
    check_grid(grid);
    const int width = image.oriented_width(), height = image.oriented_height();
    const Placement placement = place(image, options, input_height, input_width);
    const PhotoAxis down{height, input_height, transform.scale_y, transform.offset_y, placement.down.axis};
    const PhotoAxis across{width, input_width, transform.scale_x, transform.offset_x, placement.across.axis};
    Labeller labeller(grid, samples_of(across, grid.width));
    const auto rows = samples_of(down, grid.height);
    for (const Blend &row : rows) {
        labeller.label_row(row, labels, scores);
        labels += width;
        if (scores) scores += std::ptrdiff_t{width} * grid.classes;
    }
}

} // namespace mpscnn::vision
