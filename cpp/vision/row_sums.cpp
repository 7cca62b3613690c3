#include "vision/row_sums.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "core/half.h"

namespace mpscnn::vision {

namespace {

void composite_gray(const float *pixels, std::size_t count, float white, float *result) {
    const float reciprocal = 1.0f / white;
    for (std::size_t i = 0; i < count; ++i) {
        const float alpha = pixels[2 * i + 1] * reciprocal;
        result[i] = pixels[2 * i] * alpha + white * (1.0f - alpha);
    }
}

} // namespace

float white(SampleType type) {
    return type == SampleType::uint8 ? 255.0f : type == SampleType::uint16 ? 65535.0f : 1.0f;
}

RowSums::RowSums(const Plane &plane, int first_column, int end_column)
    : plane_(plane), kernels_(row_kernels()), first_column_(first_column),
      columns_(static_cast<std::size_t>(end_column - first_column)), samples_(samples_of(plane)) {
    const std::size_t stored = columns_ * static_cast<std::size_t>(plane.per_pixel);
    if (plane.alpha && plane.per_pixel == 4 && plane.type == SampleType::uint8) {
        opacity_.resize(static_cast<std::size_t>(plane.rows));
        shades_.resize(sweep_rows * stored);
    } else if (plane.alpha || plane.type == SampleType::float16) {
        converted_.resize(sweep_rows * stored);
    }
}

const std::byte *RowSums::stored_row(int row) const {
    return plane_.samples + row * plane_.row_bytes + std::ptrdiff_t{plane_.pixel_bytes()} * first_column_;
}

/// True if all rows of the taps are opaque. Their sums are the same without compositing, and most photos with
/// alpha are opaque.
bool RowSums::is_opaque(const Taps &taps) {
    for (int row = taps.first; row < taps.first + static_cast<int>(taps.weights.size()); ++row) {
        Opacity &opacity = opacity_[static_cast<std::size_t>(row)];
        if (opacity == Opacity::unknown)
            opacity = kernels_.opaque(stored_row(row), columns_) ? Opacity::opaque : Opacity::transparent;
        if (opacity == Opacity::transparent) return false;
    }
    return true;
}

/// Sum pixels over white: x alpha + white (1 - alpha) = white - (white - x) alpha. 16 bits hold 255 times the
/// last term.
void RowSums::sum_of_shades(const Taps &taps, float *sums) {
    const std::size_t length = columns_ * samples_, total = taps.weights.size();
    for (std::size_t begin = 0; begin < total; begin += sweep_rows) {
        rows_.clear();
        for (std::size_t i = 0; i < std::min(sweep_rows, total - begin); ++i) {
            std::uint16_t *const shades = shades_.data() + i * length;
            kernels_.shade(stored_row(taps.first + static_cast<int>(begin + i)), columns_, shades);
            rows_.push_back(reinterpret_cast<const std::byte *>(shades));
        }
        add(SampleType::uint16, rows_.size(), taps.weights.data() + begin, begin == 0, sums);
    }
    const float white = 255.0f * std::accumulate(taps.weights.begin(), taps.weights.end(), 0.0f);
    for (std::size_t i = 0; i < length; ++i) sums[i] = white - sums[i] * (1.0f / 255.0f);
}

/// Convert halves to floats. They are copied first, because the photo may not be aligned.
void RowSums::convert_halves(const std::byte *samples, std::span<float> result) {
    halves_.resize(result.size());
    std::memcpy(halves_.data(), samples, result.size() * sizeof(std::uint16_t));
    floats_from_halves(halves_, result);
}

const std::byte *RowSums::converted_row(int row, std::size_t slot) {
    const std::size_t stored = columns_ * static_cast<std::size_t>(plane_.per_pixel);
    float *const result = converted_.data() + slot * stored;
    if (plane_.type == SampleType::float16)
        convert_halves(stored_row(row), {result, stored});
    else
        kernels_.convert(stored_row(row), plane_.type, stored, result);
    if (plane_.alpha && plane_.per_pixel == 4) kernels_.composite(result, columns_, white(plane_.type));
    if (plane_.alpha && plane_.per_pixel == 2) composite_gray(result, columns_, white(plane_.type), result);
    return reinterpret_cast<const std::byte *>(result);
}

void RowSums::add(SampleType type, std::size_t count, const float *weights, bool start, float *sums) const {
    const std::size_t length = columns_ * samples_;
    // A single row of integers is converted without a sum. Floats are added to 0, which turns -0 into 0.
    const bool integers = type == SampleType::uint8 || type == SampleType::uint16;
    if (start && count == 1 && weights[0] == 1.0f && integers)
        return kernels_.convert(rows_.front(), type, length, sums);
    switch (type) {
    case SampleType::uint8:
        return kernels_.add_rows_uint8(rows_.data(), weights, count, start, length, sums);
    case SampleType::uint16:
        return kernels_.add_rows_uint16(rows_.data(), weights, count, start, length, sums);
    case SampleType::float16: // converted to floats before
    case SampleType::float32:
        return kernels_.add_rows_float32(rows_.data(), weights, count, start, length, sums);
    }
}

void RowSums::sum(const Taps &taps, float *sums) {
    if (!opacity_.empty() && !is_opaque(taps)) return sum_of_shades(taps, sums);
    const bool floats = !converted_.empty();
    const std::size_t total = taps.weights.size(), sweep = floats ? sweep_rows : total;
    for (std::size_t begin = 0; begin < total; begin += sweep) {
        rows_.clear();
        for (std::size_t i = 0; i < std::min(sweep, total - begin); ++i) {
            const int row = taps.first + static_cast<int>(begin + i);
            rows_.push_back(floats ? converted_row(row, i) : stored_row(row));
        }
        add(floats ? SampleType::float32 : plane_.type, rows_.size(), taps.weights.data() + begin, begin == 0,
            sums);
    }
}

} // namespace mpscnn::vision
