#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "vision/image_view.h"
#include "vision/resample.h"

namespace mpscnn::vision {

/// The vertical pass of a resize: weighted sums of a photo's stored rows, over a range of columns. It comes
/// before the horizontal pass because it reads the photo once, in the order of its memory, and works on whole
/// rows.
class RowSums {
public:
    /// Columns [first_column, end_column) of a checked image, which must outlive this.
    RowSums(const ImageView &image, int first_column, int end_column);

    /// Sums in the units of the photo's samples: for each column its colours, alpha composited over white.
    /// Valid until the next call.
    const float *sum(const Taps &taps);

private:
    /// Rows added in one sweep over the sums.
    static constexpr int sweep_rows = 4;
    using Rows = std::array<const std::byte *, sweep_rows>;

    const std::byte *stored_row(int row) const;
    const std::byte *composited_row(int row, float *buffer) const;
    void add_rows(const Rows &rows, const float *weights, int count);

    const ImageView image_;
    const FormatInfo format_;
    const int first_column_;
    const std::size_t columns_;
    std::vector<float> composited_; ///< sweep_rows rows, for formats with alpha
    std::vector<float> sums_;
};

} // namespace mpscnn::vision
