#include "vision/plane_resampler.h"

#include <algorithm>

namespace mpscnn::vision {

namespace {

int rows_per_vector(std::size_t samples) { return samples == 1 ? 4 : samples == 2 ? 2 : 1; }

/// Return the length of a row in floats. It is padded with zeros, because the horizontal pass reads them with
/// weights of zero.
std::size_t padded_floats(std::size_t columns, std::size_t stride, std::size_t samples) {
    return (columns + stride) * samples + pixel_lanes;
}

} // namespace

PlaneResampler::PlaneResampler(const Plane &plane, const StoredAxis &columns, const StoredAxis &rows,
                               Filter filter, Limits limits)
    : rows_(rows), filter_(filter), limits_(limits), white_(white(plane.type)),
      exact_(plane.type == SampleType::float16 || plane.type == SampleType::float32),
      copies_(is_copy(columns.axis)), reversed_(columns.reversed),
      columns_(columns.axis, filter, columns.reversed),
      sums_(plane, columns_.first_input(), columns_.end_input()), kernels_(row_kernels()),
      rows_per_group_(rows_per_vector(sums_.samples())),
      group_samples_(sums_.samples() * static_cast<std::size_t>(rows_per_group_)),
      row_floats_(padded_floats(columns_.inputs(), columns_.stride(), sums_.samples())),
      group_floats_(columns_.outputs() * group_samples_ + 1) {}

void PlaneResampler::allocate() {
    rows_of_sums_.resize(row_floats_ * static_cast<std::size_t>(copies_ ? band_rows : rows_per_group_));
    if (copies_) return;
    outputs_.resize(group_floats_ * static_cast<std::size_t>(band_rows / rows_per_group_));
    if (rows_per_group_ > 1)
        interleaved_.resize(padded_floats(columns_.inputs(), columns_.stride(), pixel_lanes));
}

void PlaneResampler::sum_row(int index, float *sums) {
    compute_taps(rows_.axis, filter_, index, taps_);
    if (rows_.reversed) mirror(rows_.axis, taps_);
    sums_.sum(taps_, sums);
    limit(copies_ ? limits_.results : limits_.sums, sums, columns_.inputs() * sums_.samples());
}

void PlaneResampler::limit(bool wanted, float *samples, std::size_t count) const {
    if (wanted) kernels_.limit(samples, count, white_);
}

/// Compute the vertical sums of `count` rows from `first` on, and store them in the layout that the
/// horizontal pass reads.
void PlaneResampler::load_group(int first, int count) {
    std::array<const float *, band_rows> pointers{};
    for (int i = 0; i < rows_per_group_; ++i) {
        float *const sums = rows_of_sums_.data() + static_cast<std::size_t>(i) * row_floats_;
        pointers[static_cast<std::size_t>(i)] = sums;
        if (i >= count) continue; // keep data of an earlier group; its outputs are not used
        sum_row(first + i, sums);
    }
    if (rows_per_group_ == 4) kernels_.interleave1(pointers.data(), columns_.inputs(), interleaved_.data());
    if (rows_per_group_ == 2) kernels_.interleave2(pointers.data(), columns_.inputs(), interleaved_.data());
}

void PlaneResampler::resample(int first, int count) {
    if (rows_of_sums_.empty()) allocate();
    if (copies_) {
        for (int row = 0; row < count; ++row)
            sum_row(first + row, rows_of_sums_.data() + static_cast<std::size_t>(row) * row_floats_);
        return;
    }
    float *outputs = outputs_.data();
    for (int row = 0; row < count; row += rows_per_group_) {
        load_group(first + row, std::min(count - row, rows_per_group_));
        kernels_.resample(interleaved_.empty() ? rows_of_sums_.data() : interleaved_.data(), group_samples_,
                          columns_.view(), exact_, outputs);
        limit(limits_.results, outputs, columns_.outputs() * group_samples_);
        outputs += group_floats_;
    }
}

ResizedSamples PlaneResampler::samples(int row, int index) const {
    const std::size_t per_pixel = sums_.samples();
    if (copies_) {
        const float *const first = rows_of_sums_.data() + static_cast<std::size_t>(row) * row_floats_ + index;
        const auto pitch = static_cast<std::ptrdiff_t>(per_pixel);
        return reversed_ ? ResizedSamples{first + (columns_.outputs() - 1) * per_pixel, -pitch}
                         : ResizedSamples{first, pitch};
    }
    const auto group = static_cast<std::size_t>(row / rows_per_group_),
               lane = static_cast<std::size_t>(row % rows_per_group_) * per_pixel +
                      static_cast<std::size_t>(index);
    return {outputs_.data() + group * group_floats_ + lane, static_cast<std::ptrdiff_t>(group_samples_)};
}

} // namespace mpscnn::vision
