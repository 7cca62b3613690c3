#include "vision/row_sums.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace mpscnn::vision {

namespace {

/// The caller's pixels need not be aligned to their samples.
template <class Sample> float load(const std::byte *samples, std::size_t index) {
    Sample sample;
    std::memcpy(&sample, samples + index * sizeof(Sample), sizeof sample);
    return static_cast<float>(sample);
}

/// Adds in the order of the rows, so that a sum does not depend on how many rows are taken at once.
template <class Sample, int rows>
void add_sweep(const std::byte *const *samples, const float *weights, float *__restrict sums,
               std::size_t length) {
    for (std::size_t i = 0; i < length; ++i) {
        float sum = sums[i];
        for (int row = 0; row < rows; ++row) sum += weights[row] * load<Sample>(samples[row], i);
        sums[i] = sum;
    }
}

template <class Sample>
void add_sweep(int rows, const std::byte *const *samples, const float *weights, float *sums,
               std::size_t length) {
    switch (rows) {
    case 1:
        return add_sweep<Sample, 1>(samples, weights, sums, length);
    case 2:
        return add_sweep<Sample, 2>(samples, weights, sums, length);
    case 3:
        return add_sweep<Sample, 3>(samples, weights, sums, length);
    default:
        return add_sweep<Sample, 4>(samples, weights, sums, length);
    }
}

/// `white` is the largest sample, which as alpha means opaque: white * (1 / white) is exactly 1 for all
/// three.
template <class Sample, int colors>
void composite_over_white(const std::byte *samples, float white, std::size_t columns, float *result) {
    const float reciprocal = 1.0f / white;
    for (std::size_t column = 0; column < columns; ++column) {
        const std::size_t pixel = column * (colors + 1);
        const float alpha = load<Sample>(samples, pixel + colors) * reciprocal;
        const float backdrop = white * (1.0f - alpha);
        for (std::size_t color = 0; color < colors; ++color)
            result[column * colors + color] = load<Sample>(samples, pixel + color) * alpha + backdrop;
    }
}

template <class Sample>
void composite_over_white(const std::byte *samples, int colors, float white, std::size_t columns,
                          float *result) {
    if (colors == 1)
        composite_over_white<Sample, 1>(samples, white, columns, result);
    else
        composite_over_white<Sample, 3>(samples, white, columns, result);
}

} // namespace

RowSums::RowSums(const ImageView &image, int first_column, int end_column)
    : image_(image), format_(format_info(image.format)), first_column_(first_column),
      columns_(static_cast<std::size_t>(end_column - first_column)),
      sums_(columns_ * static_cast<std::size_t>(format_.colors)) {
    if (format_.alpha) composited_.resize(sweep_rows * sums_.size());
}

const std::byte *RowSums::stored_row(int row) const {
    return static_cast<const std::byte *>(image_.pixels) + row * image_.row_bytes +
           std::ptrdiff_t{first_column_} * format_.pixel_bytes();
}

const std::byte *RowSums::composited_row(int row, float *buffer) const {
    const std::byte *samples = stored_row(row);
    switch (format_.sample) {
    case SampleType::uint8:
        composite_over_white<std::uint8_t>(samples, format_.colors, 255.0f, columns_, buffer);
        break;
    case SampleType::uint16:
        composite_over_white<std::uint16_t>(samples, format_.colors, 65535.0f, columns_, buffer);
        break;
    case SampleType::float32:
        composite_over_white<float>(samples, format_.colors, 1.0f, columns_, buffer);
        break;
    }
    return reinterpret_cast<const std::byte *>(buffer);
}

void RowSums::add_rows(const Rows &rows, const float *weights, int count) {
    const SampleType sample = format_.alpha ? SampleType::float32 : format_.sample;
    switch (sample) {
    case SampleType::uint8:
        return add_sweep<std::uint8_t>(count, rows.data(), weights, sums_.data(), sums_.size());
    case SampleType::uint16:
        return add_sweep<std::uint16_t>(count, rows.data(), weights, sums_.data(), sums_.size());
    case SampleType::float32:
        return add_sweep<float>(count, rows.data(), weights, sums_.data(), sums_.size());
    }
}

const float *RowSums::sum(const Taps &taps) {
    std::fill(sums_.begin(), sums_.end(), 0.0f);
    const int total = static_cast<int>(taps.weights.size());
    for (int begin = 0; begin < total; begin += sweep_rows) {
        const int count = std::min(sweep_rows, total - begin);
        Rows rows{};
        for (int i = 0; i < count; ++i) {
            const int row = taps.first + begin + i;
            const auto slot = static_cast<std::size_t>(i);
            rows[slot] = format_.alpha ? composited_row(row, composited_.data() + slot * sums_.size())
                                       : stored_row(row);
        }
        add_rows(rows, taps.weights.data() + begin, count);
    }
    return sums_.data();
}

} // namespace mpscnn::vision
