#include "engine/commands/batch_normalization_state.h"

#include "core/error.h"
#include "engine/commands/command_buffer.h"
#include "ops/operation.h"

namespace mpscnn::engine {

BatchMoments::BatchMoments(std::int64_t channels)
    : mean_(static_cast<std::size_t>(channels)), squares_(static_cast<std::size_t>(channels)) {}

/// Combine the moments of the earlier elements with those of the new ones (Chan, Golub and LeVeque 1979).
void BatchMoments::add(std::int64_t generation, std::int64_t elements, const std::vector<float> &statistics) {
    const std::size_t channels = mean_.size();
    const bool begins = generation_ != generation || elements_ == 0;
    const auto more = static_cast<double>(elements);
    const double all = begins ? more : more + static_cast<double>(elements_);
    for (std::size_t c = 0; c < channels; ++c) {
        const double mean = statistics[c], squares = statistics[channels + c] * more;
        const double apart = begins ? 0.0 : mean - mean_[c];
        mean_[c] = begins ? mean : mean_[c] + apart * (more / all);
        squares_[c] = begins ? squares : squares_[c] + squares + apart * apart * (more * (all - more) / all);
    }
    generation_ = generation;
    elements_ = static_cast<std::int64_t>(all);
}

std::vector<float> BatchMoments::statistics(std::int64_t generation) const {
    if (generation_ != generation || elements_ == 0)
        fail(ErrorKind::state, "the batch normalization state has no statistics: the command buffer that "
                               "BatchNormalizationStatistics was encoded into has not run");
    const std::size_t channels = mean_.size();
    std::vector<float> result(2 * channels);
    for (std::size_t c = 0; c < channels; ++c) {
        result[c] = static_cast<float>(mean_[c]);
        result[channels + c] = static_cast<float>(squares_[c] / static_cast<double>(elements_));
    }
    return result;
}

std::shared_ptr<BatchNormalizationState> BatchNormalizationState::create(std::int64_t feature_channels) {
    if (feature_channels < 1 || feature_channels > ops::largest_size)
        fail(ErrorKind::parameter, {"batch normalization state: feature_channels must be 1 to ",
                                    ops::largest_size, ", got ", feature_channels});
    return std::shared_ptr<BatchNormalizationState>(new BatchNormalizationState(feature_channels));
}

void BatchNormalizationState::reset() {
    ++generation_;
    encoded_ = false;
}

std::vector<float> BatchNormalizationState::statistics() const {
    if (!encoded_)
        fail(ErrorKind::state,
             "the batch normalization state has no statistics; encode BatchNormalizationStatistics first");
    if (moments_->in_flight.load(std::memory_order_acquire) > 0)
        fail(ErrorKind::state, "the batch normalization state is in use by a command buffer that has not "
                               "completed; wait for it first");
    return moments_->statistics(generation_);
}

void BatchNormalizationState::require_usable(const CommandBuffer &commands, const std::string &kernel,
                                             std::int64_t channels, bool reads) const {
    const std::string state = kernel + ": the batch normalization state ";
    if (channels != feature_channels())
        fail(ErrorKind::shape,
             {state, "has ", feature_channels(), " feature channels, the kernel ", channels});
    const auto own = queue_.lock();
    if (own && own != commands.queue().lock())
        fail(ErrorKind::state, {state, "belongs to another command queue"});
    if (reads && !encoded_)
        fail(ErrorKind::state, {state, "has no statistics; encode BatchNormalizationStatistics first"});
}

void BatchNormalizationState::written_by(const CommandBuffer &commands) {
    queue_ = commands.queue();
    encoded_ = true;
}

} // namespace mpscnn::engine
