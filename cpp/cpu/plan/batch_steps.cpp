#include "cpu/plan/batch_steps.h"

#include <algorithm>

namespace mpscnn::cpu {

using engine::StepDescription;

/// Return the index in `steps_` of the first of these steps. If no part with the same layers exists yet,
/// append them, with bytes and share of zero.
std::size_t BatchSteps::place_of(const std::vector<StepDescription> &steps) {
    const auto same_layers = [](const StepDescription &a, const StepDescription &b) {
        return a.layers == b.layers;
    };
    for (std::size_t place : places_) {
        const auto first = steps_.begin() + static_cast<std::ptrdiff_t>(place);
        if (steps_.size() - place >= steps.size() &&
            std::equal(steps.begin(), steps.end(), first, same_layers))
            return place;
    }
    const std::size_t place = places_.emplace_back(steps_.size());
    for (StepDescription step : steps) {
        step.part = place;
        step.bytes = 0;
        step.share_of_batch = 0;
        steps_.push_back(std::move(step));
    }
    return place;
}

std::size_t BatchSteps::add(std::int64_t images, const std::vector<StepDescription> &steps) {
    const std::size_t place = place_of(steps);
    for (std::size_t i = 0; i < steps.size(); ++i) {
        steps_[place + i].bytes += steps[i].bytes;
        steps_[place + i].share_of_batch += static_cast<double>(images) / static_cast<double>(batch_);
    }
    return place;
}

} // namespace mpscnn::cpu
