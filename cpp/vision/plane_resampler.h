#pragma once

#include <array>
#include <vector>

#include "vision/row_sums.h"

namespace mpscnn::vision {

/// One axis of a resize, in the photo as seen, and whether the stored photo runs along it the other way.
struct StoredAxis {
    Axis axis;
    bool reversed;
};

/// Resizes a plane of a photo, a band of rows at a time: vectors of four hold a pixel of four samples or of
/// three, or a pixel of fewer samples for several rows.
class PlaneResampler {
public:
    static constexpr int band_rows = 4;

    /// The plane is of a checked photo and must outlive this. Its columns and rows become the outputs'.
    PlaneResampler(const Plane &plane, const StoredAxis &columns, const StoredAxis &rows, Filter filter);

    /// Computes the outputs of rows [first, first + count), count at most band_rows. NaN and infinities reach
    /// the outputs whose filter covers them, and no others.
    void resample(int first, int count);

    /// A sample of the first pixel of a row of the band, 0 to count - 1; those of the next pixels follow
    /// pixel_lanes apart, and the pixel's other samples beside it if it has three or four.
    const float *sample(int row, int index) const;

private:
    void load_group(int first, int count);

    const StoredAxis rows_;
    const Filter filter_;
    const bool exact_;
    const TapTable columns_;
    RowSums sums_;
    const RowKernels &kernels_;
    const int rows_per_group_;
    const std::size_t row_floats_;    ///< from one row of sums to the next
    std::vector<float> rows_of_sums_; ///< rows_per_group_ of them
    std::vector<float> interleaved_;  ///< these as one row of pixels of four; not for one row
    std::vector<float> outputs_;      ///< of the band's groups of rows
    Taps taps_;
};

} // namespace mpscnn::vision
