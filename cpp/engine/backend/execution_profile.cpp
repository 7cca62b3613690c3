#include "engine/backend/execution_profile.h"

#include <algorithm>
#include <limits>

namespace mpscnn::engine {

ExecutionProfile in_order(const ExecutionProfile &profile) {
    constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
    std::vector<std::int64_t> begin(profile.steps.size(), never);
    for (const WorkSpan &work : profile.runs[profile.fastest].work)
        begin[work.step] = std::min(begin[work.step], work.time.begin);
    std::vector<std::size_t> order;
    for (std::size_t step = 0; step < begin.size(); ++step)
        if (begin[step] != never) order.push_back(step);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return begin[a] < begin[b]; });
    std::vector<std::size_t> position(begin.size());
    ExecutionProfile result = profile;
    result.steps.clear();
    for (RunTimes &run : result.runs) run.steps.clear();
    for (std::size_t i = 0; i < order.size(); ++i) {
        position[order[i]] = i;
        result.steps.push_back(profile.steps[order[i]]);
        for (std::size_t run = 0; run < profile.runs.size(); ++run)
            result.runs[run].steps.push_back(profile.runs[run].steps[order[i]]);
    }
    for (WorkSpan &work : result.runs[result.fastest].work) work.step = position[work.step];
    return result;
}

} // namespace mpscnn::engine
