#pragma once

#include <array>
#include <vector>

#include "vision/pixel_writer.h"
#include "vision/row_sums.h"

namespace mpscnn::vision {

/// One axis of a resize, in the photo as seen, and whether the stored photo runs along it the other way.
struct StoredAxis {
    Axis axis;
    bool reversed;
};

/// Resizes a plane of a photo, a band of rows at a time: vectors of four hold a pixel of four samples or of
/// three, or a pixel of fewer samples for several rows. Where columns are copied, the sums of rows are the
/// outputs.
class PlaneResampler {
public:
    static constexpr int band_rows = 4;

    /// The plane is of a checked photo and must outlive this. Its columns and rows become the outputs'.
    /// Copies are cheap before the first resample().
    PlaneResampler(const Plane &plane, const StoredAxis &columns, const StoredAxis &rows, Filter filter);

    /// Computes the outputs of rows [first, first + count), count at most band_rows. NaN and infinities reach
    /// the outputs whose filter covers them, and no others.
    void resample(int first, int count);

    /// A sample of the pixels of a row of the band, 0 to count - 1. The pixel's other samples lie next to it
    /// if it has three or four, and one float at least after them.
    ResizedSamples samples(int row, int index) const;

private:
    void allocate();
    void sum_row(int index, float *sums);
    void load_group(int first, int count);

    const StoredAxis rows_;
    const Filter filter_;
    const bool exact_, copies_, reversed_;
    const TapTable columns_;
    RowSums sums_;
    const RowKernels &kernels_;
    const int rows_per_group_;
    const std::size_t group_samples_; ///< of a pixel that is resampled: 3 or 4
    const std::size_t row_floats_;    ///< from one row of sums to the next
    const std::size_t group_floats_;  ///< from one group's outputs to the next one's
    std::vector<float> rows_of_sums_; ///< rows_per_group_ of them, or the band's where columns are copied
    std::vector<float> interleaved_;  ///< these as one row of pixels of four; not for one row
    std::vector<float> outputs_;      ///< of the band's groups of rows, unless columns are copied
    Taps taps_;
};

} // namespace mpscnn::vision
