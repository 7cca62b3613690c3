#include "metal/device/photo_tables.h"

#include <algorithm>
#include <vector>

#include "metal/device/device.h"
#include "shaders/preprocess_params.h"
#include "vision/placement.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(PreprocessTaps) == 3 * sizeof(int));

struct Tables {
    std::vector<PreprocessTaps> taps;
    std::vector<float> weights;

    void add(const vision::Axis &axis, vision::Filter filter, bool reversed) {
        vision::Taps found;
        for (int i = 0; i < axis.outputs; ++i) {
            vision::compute_taps(axis, filter, i, found);
            if (reversed) vision::mirror(axis, found);
            taps.push_back({static_cast<unsigned int>(found.first),
                            static_cast<unsigned int>(found.weights.size()),
                            static_cast<unsigned int>(weights.size())});
            weights.insert(weights.end(), found.weights.begin(), found.weights.end());
        }
    }
};

Tables compute_tables(const PhotoSampling &sampling) {
    const bool mirrored = sampling.mirrored, upside_down = sampling.upside_down;
    Tables tables;
    tables.add(sampling.columns, sampling.filter, mirrored);
    tables.add(sampling.rows, sampling.filter, upside_down);
    if (!sampling.siting) return tables;
    // Chroma is shifted along the columns of the stored photo.
    tables.add(vision::chroma_axis(sampling.columns, vision::chroma_shift(*sampling.siting), mirrored),
               sampling.filter, mirrored);
    tables.add(vision::chroma_axis(sampling.rows, 0.0, upside_down), sampling.filter, upside_down);
    return tables;
}

} // namespace

PhotoTables PhotoTableCache::get(const Device &device, const PhotoSampling &sampling) {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(tables_.begin(), tables_.end(),
                                    [&](const auto &entry) { return entry.first == sampling; });
    if (found != tables_.end()) {
        std::rotate(tables_.begin(), found, found + 1);
    } else {
        const Tables computed = compute_tables(sampling);
        tables_.emplace_front(sampling, PhotoTables{device.make_constants(computed.taps),
                                                    device.make_constants(computed.weights)});
        if (tables_.size() > max_tables) tables_.pop_back();
    }
    return tables_.front().second;
}

} // namespace mpscnn::metal
