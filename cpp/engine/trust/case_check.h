#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/graph/graph.h"
#include "engine/run/backend.h"

namespace mpscnn::engine {

// Finds the implementations of layers that are right on a device. A case of the check is a network of
// self_check_networks(). If the result of a case is wrong or missing, one implementation is refused, and the
// case runs again with the next one.

/// How a case of the check ended.
struct CaseResult {
    enum class End {
        open,   ///< it was not run
        right,  ///< the result equals that of the CPU engine, or the device does not support the layer
        wrong,  ///< the result differs, or the device reports an error
        ended,  ///< the process ended, or there was no result in time
        without ///< no implementation is left
    };
    End end = End::open;
    std::string reason = {};                       ///< one line, for an end that is not right
    std::vector<std::string> implementations = {}; ///< those that the backend took, in this order
};

/// Run a case in this process. An error counts only if a second attempt gives one, too. `took` is called with
/// the name of each implementation before it is made.
CaseResult run_case(const Backend &subject, const Backend &reference, const Graph &network,
                    const Implementations::Listener &took = {});

/// The reason why a device is not used, and the implementations that are not used on it.
struct Verdict {
    std::string refused; ///< empty for a device that is used
    Implementations::Reasons implementations;
    bool lasting = true; ///< a second check would find the same, so it is recorded
};

/// Results of a batch of cases by their numbers. A batch may stop early; the cases that did not run are
/// requested again.
struct CaseBatch {
    std::map<std::size_t, CaseResult> results;
    std::string refused = {}; ///< the reason why the whole check cannot go on
    bool lasting = true;
};
using CaseRunner =
    std::function<CaseBatch(const std::vector<std::size_t> &cases, const Implementations::Reasons &refused)>;

/// Find the implementations that must be refused so that each case is right or has none left. Implementations
/// of training have other names, so its cases decide nothing about inference. A device is refused if no case
/// of inference is right.
Verdict judge(const std::vector<Graph> &networks, const CaseRunner &run);

/// Run all cases in this process.
Verdict judge_here(const Backend &subject, const Backend &reference);

} // namespace mpscnn::engine
