#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "engine/backend/execution_profile.h"

namespace mpscnn::cpu {

/// The steps of a divided batch, as a profile lists them. A batch has up to two kinds of parts: groups of
/// images that one thread computes, and images whose steps all threads share. Parts that compute the same
/// layers have the same step numbers.
class BatchSteps {
public:
    explicit BatchSteps(std::int64_t batch) : batch_(batch) {}

    void add_together(std::int64_t images, const std::vector<engine::StepDescription> &steps) {
        together_ = add(images, steps);
    }
    /// Add `groups` groups of `images` images each.
    void add_alone(std::int64_t images, std::int64_t groups,
                   const std::vector<engine::StepDescription> &steps) {
        for (std::int64_t group = 0; group < groups; ++group) alone_[images] = add(images, steps);
    }

    const std::vector<engine::StepDescription> &steps() const { return steps_; }
    /// Return the step number of the first step of the images that all threads share, or of a group of this
    /// size.
    std::size_t first_together() const { return together_; }
    std::size_t first_alone(std::int64_t images) const { return alone_.at(images); }

private:
    std::size_t add(std::int64_t images, const std::vector<engine::StepDescription> &steps);
    std::size_t place_of(const std::vector<engine::StepDescription> &steps);

    std::int64_t batch_;
    std::vector<engine::StepDescription> steps_;
    std::vector<std::size_t> places_; ///< the first step number of each part
    std::size_t together_ = 0;
    std::map<std::int64_t, std::size_t> alone_; ///< by number of images
};

} // namespace mpscnn::cpu
