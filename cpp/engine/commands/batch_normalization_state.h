#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/commands/resource.h"

namespace mpscnn::engine {

class CommandBuffer;

/// The mean and variance of each channel over all elements that command buffers have added.
class BatchMoments : public Resource {
public:
    explicit BatchMoments(std::int64_t channels);

    std::int64_t channels() const { return static_cast<std::int64_t>(mean_.size()); }
    /// Include `elements` more elements of each channel. `statistics` holds the means of all channels, and
    /// then their variances. If `generation` differs from the generation of the last call, all earlier
    /// elements are forgotten.
    void add(std::int64_t generation, std::int64_t elements, const std::vector<float> &statistics);
    /// Return the means and then the variances. Throws StateError if no elements of this generation have been
    /// added.
    std::vector<float> statistics(std::int64_t generation) const;

private:
    std::int64_t generation_ = 0, elements_ = 0;
    std::vector<double> mean_, squares_; ///< squares_: sums of squared deviations from the mean
};

/// MPSCNNBatchNormalizationState: the statistics of all batches since this state was made or reset. The state
/// belongs to the queue whose command buffers use it first. These command buffers read and write the state in
/// the order in which they run. One thread at a time may encode with it.
class BatchNormalizationState {
public:
    static std::shared_ptr<BatchNormalizationState> create(std::int64_t feature_channels);

    std::int64_t feature_channels() const { return moments_->channels(); }
    /// Start new statistics for commands that are encoded from now on. Commands that are already encoded use
    /// the old statistics.
    void reset();
    /// Return the means and then the variances. Throws StateError if there are none yet, and while a
    /// committed command buffer uses the state.
    std::vector<float> statistics() const;

    /// Throws StateError or ShapeError unless `commands` may write the statistics of this many channels or,
    /// if `reads` is true, read them.
    void require_usable(const CommandBuffer &commands, const std::string &kernel, std::int64_t channels,
                        bool reads) const;
    /// Record that a kernel that writes the statistics has been encoded into `commands`.
    void written_by(const CommandBuffer &commands);
    std::int64_t generation() const { return generation_; }
    const std::shared_ptr<BatchMoments> &moments() const { return moments_; }

private:
    explicit BatchNormalizationState(std::int64_t feature_channels)
        : moments_(std::make_shared<BatchMoments>(feature_channels)) {}

    std::shared_ptr<BatchMoments> moments_; ///< commands that use them keep a copy of the pointer
    std::weak_ptr<const void> queue_;
    std::int64_t generation_ = 1; ///< number of the statistics that new commands use; `reset` increments it
    bool encoded_ = false;        ///< true: a command that writes statistics of this generation is encoded
};

using BatchNormalizationStatePointer = std::shared_ptr<BatchNormalizationState>;

} // namespace mpscnn::engine
