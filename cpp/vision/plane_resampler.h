#pragma once

#include <array>
#include <vector>

#include "vision/pixel_writer.h"
#include "vision/row_sums.h"

namespace mpscnn::vision {

/// One axis of a resize of the upright photo. `reversed` is true if the stored photo runs along it in the
/// opposite direction.
struct StoredAxis {
    Axis axis;
    bool reversed;
};

/// The steps of a resize after which values are limited to 0..white.
struct Limits {
    bool sums = false;    ///< after the first axis
    bool results = false; ///< after both axes
};

/// Resizes a plane of a photo, a band of rows at a time. A vector of four floats holds one pixel of three or
/// four samples. For pixels of one or two samples it holds pixels from several rows (a group). If columns are
/// only copied, the vertical sums are the outputs.
class PlaneResampler {
public:
    static constexpr int band_rows = 4;

    /// The plane must belong to a photo that check_image accepts, which must outlive this object. The plane's
    /// columns and rows become the output's. Before the first resample(), copying the object is cheap.
    PlaneResampler(const Plane &plane, const StoredAxis &columns, const StoredAxis &rows, Filter filter,
                   Limits limits = {});

    /// Compute the outputs of rows [first, first + count), with count at most band_rows. NaN and infinities
    /// only affect the outputs whose filter covers them.
    void resample(int first, int count);

    /// Return sample `index` of each pixel of a row of the band. If pixels have three or four samples, the
    /// samples of a pixel lie one after another from sample 0 on, and at least one more float follows them.
    ResizedSamples samples(int row, int index) const;

private:
    void allocate();
    void sum_row(int index, float *sums);
    void limit(bool wanted, float *samples, std::size_t count) const;
    void load_group(int first, int count);

    const StoredAxis rows_;
    const Filter filter_;
    const Limits limits_;
    const float white_;
    const bool exact_, copies_, reversed_;
    const TapTable columns_;
    RowSums sums_;
    const RowKernels &kernels_;
    const int rows_per_group_;
    const std::size_t group_samples_; ///< samples of a pixel during resampling: 3 or 4
    const std::size_t row_floats_;    ///< floats from one row of sums to the next
    const std::size_t group_floats_;  ///< floats from one group's outputs to the next one's
    std::vector<float> rows_of_sums_; ///< rows_per_group_ rows, or all rows of the band if columns are copied
    /// The rows of a group, interleaved to pixels of four samples; not used for groups of one row.
    std::vector<float> interleaved_;
    std::vector<float> outputs_; ///< outputs of the band, unless columns are copied
    Taps taps_;
};

} // namespace mpscnn::vision
