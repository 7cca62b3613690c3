#include <algorithm>

#include "api/guard.h"
#include "api/kernel_handles.h"

using namespace mpscnn;
using c_api::guarded;
using c_api::require;

mpscnn_status mpscnn_batch_normalization_state_create(int64_t feature_channels,
                                                      mpscnn_batch_normalization_state **state) {
    return guarded([&] {
        require(state, "state");
        *state = new mpscnn_batch_normalization_state{
            .state = engine::BatchNormalizationState::create(feature_channels)};
    });
}

void mpscnn_batch_normalization_state_release(mpscnn_batch_normalization_state *state) {
    mpscnn::c_api::release(state);
}

mpscnn_status mpscnn_batch_normalization_state_feature_channels(const mpscnn_batch_normalization_state *state,
                                                                int64_t *feature_channels) {
    return guarded([&] {
        require(state, "state");
        require(feature_channels, "feature_channels");
        *feature_channels = state->state->feature_channels();
    });
}

mpscnn_status mpscnn_batch_normalization_state_reset(mpscnn_batch_normalization_state *state) {
    return guarded([&] {
        require(state, "state");
        state->state->reset();
    });
}

mpscnn_status mpscnn_batch_normalization_state_read(const mpscnn_batch_normalization_state *state,
                                                    float *mean, float *variance) {
    return guarded([&] {
        require(state, "state");
        require(mean, "mean");
        require(variance, "variance");
        const std::vector<float> statistics = state->state->statistics();
        const auto middle = statistics.begin() + static_cast<std::ptrdiff_t>(statistics.size() / 2);
        std::copy(statistics.begin(), middle, mean);
        std::copy(middle, statistics.end(), variance);
    });
}
