#pragma once

#include <cstddef>
#include <vector>

#include "vision/row_kernels.h"

namespace mpscnn::vision {

/// Filters along one axis of a photo. Pixel i covers [i, i + 1), so its centre is i + 0.5.
enum class Filter {
    /// A triangle filter. Its width grows with the downscale factor, and it uses two samples when enlarging,
    /// like Pillow's BILINEAR. Samples outside the photo are ignored.
    bilinear_antialias,
    bilinear, ///< the two samples around the centre at any scale; edge samples repeat outside
    nearest,  ///< the sample that contains the centre
    /// Keys's cubic filter with a = -0.5. Its width grows with the downscale factor, like Pillow's BICUBIC.
    /// Samples outside the photo are ignored. Results are limited to 0..white, also after the first axis.
    bicubic_antialias,
    /// Keys's cubic filter with a = -0.75 for four samples at any scale, as in PyTorch; edge samples repeat
    /// outside. Results are limited to 0..white.
    bicubic,
};

/// True if a filter has negative weights, so results beyond the range of samples must be limited to it.
inline bool overshoots(Filter filter) { return filter >= Filter::bicubic_antialias; }

/// One axis of a resize: `outputs` samples spread evenly over [start, start + extent) of `inputs` samples.
struct Axis {
    int inputs;
    double start, extent;
    int outputs;

    friend bool operator==(const Axis &, const Axis &) = default;
};

/// True if resampling with any filter only copies: every output equals one input, and adjacent outputs equal
/// adjacent inputs.
bool is_copy(const Axis &axis);

/// The inputs first, first + 1, ... of one output and their weights, whose sum is 1. The first and the last
/// weight are not zero, so NaNs outside of these inputs have no effect.
struct Taps {
    int first = 0;
    std::vector<float> weights;

    int end() const { return first + static_cast<int>(weights.size()); }
};

/// Compute the taps of output `index` into `taps`, whose memory is reused.
void compute_taps(const Axis &axis, Filter filter, int index, Taps &taps);

/// Change the taps of an output for inputs that are stored in reverse order.
void mirror(const Axis &axis, Taps &taps);

/// The taps of all outputs of an axis, to resample many rows of interleaved pixels.
class TapTable {
public:
    TapTable(const Axis &axis, Filter filter, bool mirrored);

    std::size_t outputs() const { return firsts_.size(); }
    std::size_t inputs() const { return static_cast<std::size_t>(end_input_ - first_input_); }
    /// All outputs together depend on the inputs [first_input, end_input) only.
    int first_input() const { return first_input_; }
    int end_input() const { return end_input_; }
    /// Return the largest number of taps of an output.
    std::size_t stride() const { return stride_; }

    /// Return the table in the form that kernels read. Its positions are counted from first_input.
    RowTaps view() const {
        return {firsts_.data(), counts_.data(), weights_.data(), stride_, firsts_.size()};
    }

private:
    std::vector<int> firsts_, counts_;
    std::vector<float> weights_;
    int first_input_, end_input_;
    std::size_t stride_ = 0;
};

} // namespace mpscnn::vision
