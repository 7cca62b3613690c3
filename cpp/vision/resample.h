#pragma once

#include <cstddef>
#include <vector>

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
};

/// The inputs first, first + 1, ... of one output, with weights that sum to 1 and start and end with one that
/// is not zero: a NaN beside the samples in use stays there.
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

    int outputs() const { return static_cast<int>(firsts_.size()); }
    /// The inputs [first_input, end_input) are all that the outputs depend on.
    int first_input() const { return first_input_; }
    int end_input() const { return end_input_; }

    /// `inputs` starts at pixel first_input and `outputs` has room for outputs() pixels, each of 1 or 3
    /// `colors`.
    void resample(const float *inputs, int colors, float *outputs) const;

private:
    template <int colors> void resample(const float *inputs, float *outputs) const;

    std::vector<int> firsts_;
    std::vector<std::size_t> begins_; ///< where an output's weights begin; one more than outputs
    std::vector<float> weights_;
    int first_input_, end_input_;
};

} // namespace mpscnn::vision
