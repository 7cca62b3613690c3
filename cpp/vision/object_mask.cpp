#include "vision/object_mask.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "core/error.h"

namespace mpscnn::vision {

ObjectMask::AxisPart ObjectMask::part(float low, float high, double photo_scale, double photo_offset,
                                      int input_extent, int grid_extent) {
    AxisPart axis{low, high, static_cast<int>(std::floor(low)), 0, 0, 0, 0.0, 0.0};
    axis.pixels = static_cast<int>(std::ceil(high)) - axis.first_pixel;
    // The centre of pixel i is at i + 0.5 in the photo, and that of point i at i + 0.5 in the grid.
    axis.scale = static_cast<double>(grid_extent) / (photo_scale * input_extent);
    axis.offset = (0.5 - photo_offset) * axis.scale - 0.5;
    const auto limited = [&](double point) {
        return static_cast<int>(std::clamp(std::floor(point), 0.0, grid_extent - 1.0));
    };
    axis.first_point = limited(axis.first_pixel * axis.scale + axis.offset);
    const int last = limited((axis.first_pixel + axis.pixels - 1) * axis.scale + axis.offset) + 1;
    axis.points = std::min(last, grid_extent - 1) - axis.first_point + 1;
    return axis;
}

ObjectMask::ObjectMask(const Prototypes &prototypes, std::span<const float> coefficients, const Box &box,
                       const Transform &mapping, int input_height, int input_width)
    : across_(part(box.left, box.right, mapping.scale_x, mapping.offset_x, input_width, prototypes.width)),
      down_(part(box.top, box.bottom, mapping.scale_y, mapping.offset_y, input_height, prototypes.height)) {
    for (const float coefficient : coefficients)
        if (!std::isfinite(coefficient))
            fail(ErrorKind::parameter,
                 {"detection: a coefficient of a mask is ", coefficient, ", coefficients must be finite"});
    grid_.reserve(static_cast<std::size_t>(down_.points) * static_cast<std::size_t>(across_.points));
    for (int row = 0; row < down_.points; ++row) {
        const std::ptrdiff_t first =
            std::ptrdiff_t{down_.first_point + row} * prototypes.width + across_.first_point;
        const float *point = prototypes.numbers + first * prototypes.channels;
        for (int column = 0; column < across_.points; ++column, point += prototypes.channels) {
            float sum = 0.0f;
            for (std::size_t i = 0; i < coefficients.size(); ++i) sum += coefficients[i] * point[i];
            grid_.push_back(sum);
        }
    }
}

void ObjectMask::write(std::uint8_t *pixels) const {
    struct Place {
        std::ptrdiff_t first, second;
        float fraction;
        bool inside;
    };
    const auto place = [](const AxisPart &axis, int pixel) {
        const int number = axis.first_pixel + pixel;
        const double point = std::clamp(number * axis.scale + axis.offset - axis.first_point, 0.0,
                                        static_cast<double>(axis.points - 1));
        const auto first = static_cast<std::ptrdiff_t>(point);
        const auto middle = static_cast<float>(number) + 0.5f;
        return Place{first, std::min<std::ptrdiff_t>(first + 1, axis.points - 1),
                     static_cast<float>(point - static_cast<double>(first)),
                     middle >= axis.low && middle <= axis.high};
    };
    std::vector<Place> columns;
    columns.reserve(static_cast<std::size_t>(width()));
    for (int x = 0; x < width(); ++x) columns.push_back(place(across_, x));
    for (int y = 0; y < height(); ++y) {
        const Place row = place(down_, y);
        const float *const upper = grid_.data() + row.first * across_.points, *const lower =
                                                                                  grid_.data() +
                                                                                  row.second * across_.points;
        const auto between = [&](std::ptrdiff_t x) {
            return upper[x] + (lower[x] - upper[x]) * row.fraction;
        };
        for (const Place &column : columns) {
            const float left_value = between(column.first), right_value = between(column.second);
            const float value = left_value + (right_value - left_value) * column.fraction;
            *pixels++ = row.inside && column.inside && value > 0.0f ? 1 : 0;
        }
    }
}

} // namespace mpscnn::vision
