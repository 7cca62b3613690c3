#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/graph/graph.h"
#include "engine/run/backend.h"

namespace mpscnn::engine {

// Which implementations of layers are right on a device. A case of the check is a network of
// self_check_networks(). A case whose answer is wrong, or does not come, costs one implementation, and is
// tried again with what takes its place.

/// How a case of the check ended.
struct CaseResult {
    enum class End {
        open,   ///< it was not run
        right,  ///< the device answers as the CPU engine does, or does not support the layer
        wrong,  ///< it answers otherwise or reports an error
        ended,  ///< it ended its process, or gave no answer in time
        without ///< no implementation is left
    };
    End end = End::open;
    std::string reason = {};                       ///< one line, for an end that is not right
    std::vector<std::string> implementations = {}; ///< those that the backend took, in this order
};

/// Runs a case in this process. An error is an answer only when it comes twice. `took` hears of each
/// implementation before it is made.
CaseResult run_case(const Backend &subject, const Backend &reference, const Graph &network,
                    const Implementations::Listener &took = {});

/// Why the device as a whole is not used, and which of its implementations are not.
struct Verdict {
    std::string refused; ///< empty for a device that is used
    Implementations::Reasons implementations;
    bool lasting = true; ///< it is worth a record: the same would be found again
};

/// Results of a batch of cases by their numbers. A batch may stop early: cases that were not run are not in
/// it, and are asked for again.
struct CaseBatch {
    std::map<std::size_t, CaseResult> results;
    std::string refused = {}; ///< the check as a whole says nothing more; why
    bool lasting = true;
};
using CaseRunner =
    std::function<CaseBatch(const std::vector<std::size_t> &cases, const Implementations::Reasons &refused)>;

/// Finds the implementations that must be refused so that all cases are right or have none left. Cases of
/// training decide about no implementation of inference, whose names differ. A device on which no case of
/// inference is right is refused.
Verdict judge(const std::vector<Graph> &networks, const CaseRunner &run);

/// Runs all cases in this process.
Verdict judge_here(const Backend &subject, const Backend &reference);

} // namespace mpscnn::engine
