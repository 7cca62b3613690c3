#pragma once

#include <cstddef>
#include <vector>

#include "vision/row_kernels.h"

namespace mpscnn::vision {

/// How an output sample is made from the photo's samples along one axis. Pixel i covers [i, i + 1), so that
/// its centre is i + 0.5.
enum class Filter {
    bilinear_antialias, ///< triangle as wide as the downscale factor (two samples when enlarging), as
                        ///< Pillow's BILINEAR; samples beyond the photo's edge do not count
    bilinear,           ///< the two samples around the centre, whatever the scale; the edge sample repeats
    nearest,            ///< the sample in which the centre lies
};

/// One axis of a resize: `outputs` samples spread evenly over [start, start + extent) of `inputs` samples.
struct Axis {
    int inputs;
    double start, extent;
    int outputs;

    friend bool operator==(const Axis &, const Axis &) = default;
};

/// Whether resampling only copies, with any filter: every output equals one input, and the next output the
/// next input.
bool is_copy(const Axis &axis);

/// The inputs first, first + 1, ... of one output, with weights that sum to 1 and start and end with one that
/// is not zero: a NaN next to the samples in use stays there.
struct Taps {
    int first = 0;
    std::vector<float> weights;
};

/// Computes the taps of output `index` into `taps`, whose memory is reused.
void compute_taps(const Axis &axis, Filter filter, int index, Taps &taps);

/// Makes the taps those of the same output when the inputs are stored in opposite order.
void mirror(const Axis &axis, Taps &taps);

/// The taps of all outputs of an axis, to resample many rows of interleaved pixels.
class TapTable {
public:
    TapTable(const Axis &axis, Filter filter, bool mirrored);

    std::size_t outputs() const { return firsts_.size(); }
    std::size_t inputs() const { return static_cast<std::size_t>(end_input_ - first_input_); }
    /// The inputs [first_input, end_input) are all that the outputs depend on.
    int first_input() const { return first_input_; }
    int end_input() const { return end_input_; }
    /// The most taps of an output.
    std::size_t stride() const { return stride_; }

    /// Counted from first_input, for the kernels.
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
