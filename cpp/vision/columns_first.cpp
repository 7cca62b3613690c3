#include "vision/columns_first.h"

#include <algorithm>

namespace mpscnn::vision {

namespace {

StoredAxis all_rows(const Plane &plane) {
    return {{plane.rows, 0.0, static_cast<double>(plane.rows), plane.rows}, false};
}

} // namespace

ColumnsFirstResampler::ColumnsFirstResampler(const Plane &plane, const StoredAxis &columns,
                                             const StoredAxis &rows, Filter filter)
    : rows_(rows), filter_(filter), white_(white(plane.type)), samples_(samples_of(plane)),
      row_floats_(static_cast<std::size_t>(columns.axis.outputs) * samples_), kernels_(row_kernels()),
      columns_(plane, columns, all_rows(plane), filter, {.results = true}) {}

void ColumnsFirstResampler::resample(int first, int count) {
    outputs_.resize(band_rows * row_floats_ + 1); // the reader of the last pixel reads one more float
    resized_rows_.resize(PlaneResampler::band_rows * row_floats_);
    int begin = rows_.axis.inputs, end = 0;
    for (int i = 0; i < count; ++i) {
        Taps &taps = taps_[static_cast<std::size_t>(i)];
        compute_taps(rows_.axis, filter_, first + i, taps);
        if (rows_.reversed) mirror(rows_.axis, taps);
        begin = std::min(begin, taps.first);
        end = std::max(end, taps.end());
    }
    for (int row = begin; row < end; row += PlaneResampler::band_rows)
        add(row, std::min(end - row, PlaneResampler::band_rows), count);
    kernels_.limit(outputs_.data(), static_cast<std::size_t>(count) * row_floats_, white_);
}

/// Resize the columns of rows [first, first + count) of the plane, and add them to the outputs of which they
/// are a part.
void ColumnsFirstResampler::add(int first, int count, int outputs) {
    columns_.resample(first, count);
    std::array<const std::byte *, PlaneResampler::band_rows> rows{};
    for (int row = 0; row < count; ++row) {
        float *const pixels = resized_rows_.data() + static_cast<std::size_t>(row) * row_floats_;
        for (std::size_t sample = 0; sample < samples_; ++sample) {
            const ResizedSamples resized = columns_.samples(row, static_cast<int>(sample));
            for (std::size_t i = sample, pixel = 0; i < row_floats_; i += samples_, ++pixel)
                pixels[i] = *resized.at(pixel);
        }
        rows[static_cast<std::size_t>(row)] = reinterpret_cast<const std::byte *>(pixels);
    }
    for (int i = 0; i < outputs; ++i) {
        const Taps &taps = taps_[static_cast<std::size_t>(i)];
        const int begin = std::max(first, taps.first), end = std::min(first + count, taps.end());
        if (begin >= end) continue;
        kernels_.add_rows_float32(rows.data() + (begin - first), taps.weights.data() + (begin - taps.first),
                                  static_cast<std::size_t>(end - begin), begin == taps.first, row_floats_,
                                  outputs_.data() + static_cast<std::size_t>(i) * row_floats_);
    }
}

ResizedSamples ColumnsFirstResampler::samples(int row, int index) const {
    return {outputs_.data() + static_cast<std::size_t>(row) * row_floats_ + index,
            static_cast<std::ptrdiff_t>(samples_)};
}

} // namespace mpscnn::vision
