#pragma once

#include <array>
#include <vector>

#include "vision/plane_resampler.h"

namespace mpscnn::vision {

/// Resizes a plane of a photo like PlaneResampler, but along the stored columns first. The order matters for
/// filters whose results are limited after each axis, and is slower, because all rows are resized.
class ColumnsFirstResampler {
public:
    static constexpr int band_rows = 28;

    /// The plane must belong to a photo that check_image accepts, which must outlive this object. Results are
    /// limited to 0..white after each axis.
    ColumnsFirstResampler(const Plane &plane, const StoredAxis &columns, const StoredAxis &rows,
                          Filter filter);

    /// Compute the outputs of rows [first, first + count), with count at most band_rows.
    void resample(int first, int count);

    /// Return sample `index` of each pixel of a row of the band, in the layout of PlaneResampler::samples.
    ResizedSamples samples(int row, int index) const;

private:
    void add(int first, int count, int outputs);

    const StoredAxis rows_;
    const Filter filter_;
    const float white_;
    const std::size_t samples_, row_floats_;
    const RowKernels &kernels_;
    PlaneResampler columns_;          ///< its rows are all rows of the plane
    std::vector<float> resized_rows_; ///< the rows of a band of columns_, with pixels next to each other
    std::vector<float> outputs_;
    std::array<Taps, band_rows> taps_;
};

} // namespace mpscnn::vision
