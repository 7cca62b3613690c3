#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "engine/run/execution_profile.h"

namespace mpscnn::cpu {

/// The steps of a batch that may be computed in parts: groups of images, each by a thread on its own, and
/// images whose steps all threads share. Parts whose steps are for the same layers have these in common.
class BatchSteps {
public:
    explicit BatchSteps(std::int64_t batch) : batch_(batch) {}

    void add_together(std::int64_t images, const std::vector<engine::StepDescription> &steps) {
        together_ = add(images, steps);
    }
    /// `groups` groups of this many images.
    void add_alone(std::int64_t images, std::int64_t groups,
                   const std::vector<engine::StepDescription> &steps) {
        for (std::int64_t group = 0; group < groups; ++group) alone_[images] = add(images, steps);
    }

    const std::vector<engine::StepDescription> &steps() const { return steps_; }
    /// Where the steps of a part begin.
    std::size_t first_together() const { return together_; }
    std::size_t first_alone(std::int64_t images) const { return alone_.at(images); }

private:
    std::size_t add(std::int64_t images, const std::vector<engine::StepDescription> &steps);
    std::size_t place_of(const std::vector<engine::StepDescription> &steps);

    std::int64_t batch_;
    std::vector<engine::StepDescription> steps_;
    std::vector<std::size_t> places_; ///< where the steps of a part begin
    std::size_t together_ = 0;
    std::map<std::int64_t, std::size_t> alone_; ///< by the number of images
};

} // namespace mpscnn::cpu
