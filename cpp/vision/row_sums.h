#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "vision/image_view.h"
#include "vision/resample.h"

namespace mpscnn::vision {

/// A plane of interleaved samples: all samples of a photo, or one plane of a YUV photo.
struct Plane {
    const std::byte *samples;
    std::ptrdiff_t row_bytes;
    int rows;
    SampleType type;
    int per_pixel; ///< 1 to 4
    bool alpha;    ///< true if the last sample of 2 or 4 is alpha

    int pixel_bytes() const { return per_pixel * sample_bytes(type); }
};

/// Return the number of samples of a pixel after alpha is composited over white. Gray with alpha has 1. In
/// pixels of four samples the fourth then has no meaning.
inline std::size_t samples_of(const Plane &plane) {
    return plane.alpha && plane.per_pixel == 2 ? 1 : static_cast<std::size_t>(plane.per_pixel);
}

/// Return the largest value of a sample, which means opaque for alpha.
float white(SampleType type);

/// The vertical pass of a resize: computes weighted sums of a plane's stored rows, over a range of columns.
/// It comes before the horizontal pass, because it reads rows in the order of memory. A row is read for each
/// result row that it is part of.
class RowSums {
public:
    /// Sum the columns [first_column, end_column) of a plane. It belongs to a photo that check_image accepts,
    /// which must outlive this object.
    RowSums(const Plane &plane, int first_column, int end_column);

    /// Return the number of samples of a pixel in the sums (samples_of).
    std::size_t samples() const { return samples_; }

    /// Write the weighted sums of the taps' rows, in the units of the photo's samples.
    void sum(const Taps &taps, float *sums);

private:
    /// The number of rows that are converted to floats before they are added.
    static constexpr std::size_t sweep_rows = 4;

    const std::byte *stored_row(int row) const;
    bool is_opaque(const Taps &taps);
    void sum_of_shades(const Taps &taps, float *sums);
    void convert_halves(const std::byte *samples, std::span<float> result);
    const std::byte *converted_row(int row, std::size_t slot);
    void add(SampleType type, std::size_t count, const float *weights, bool start, float *sums) const;

    const Plane plane_;
    const RowKernels &kernels_;
    const int first_column_;
    const std::size_t columns_, samples_;
    enum class Opacity : std::uint8_t { unknown, opaque, transparent };
    std::vector<Opacity> opacity_;      ///< by row; empty if not needed
    std::vector<std::uint16_t> shades_; ///< sweep_rows rows, for photos with 8-bit colours and alpha
    std::vector<float> converted_;      ///< sweep_rows rows, for other photos that need a conversion
    std::vector<std::uint16_t> halves_;
    std::vector<const std::byte *> rows_;
};

} // namespace mpscnn::vision
