#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/graph/graph.h"

namespace mpscnn::engine {

// Finds the implementations of layers that are right on a device. A case of the check is a network of
// self_check_networks(). If the result of a case is wrong or missing, the implementation that caused it is
// refused, and the case runs again with another one.

/// Describes how a case of the check ended.
struct CaseResult {
    enum class End {
        open,   ///< the case did not run
        right,  ///< the result equals the CPU engine's, or the device does not support the layer
        wrong,  ///< the result differs, or the device reports an error
        ended,  ///< the process ended, or there was no result in time
        without ///< all implementations of the layer are refused
    };
    End end = End::open;
    std::string reason = {}; ///< one line; empty for a right result
    /// The implementations that the backend used, in this order.
    std::vector<std::string> implementations = {};
};

/// Run a case in this process. An error counts only if a second attempt fails, too. `took` is called with the
/// name of each implementation before the backend prepares it.
CaseResult run_case(const Backend &subject, const Backend &reference, const Graph &network,
                    const Implementations::Listener &took = {});

/// The result of a device's check: the reason why the device is not used, or the implementations that are not
/// used on it.
struct Verdict {
    std::string refused; ///< empty for a device that is used
    Implementations::Reasons implementations;
    bool lasting = true; ///< true: a second check would give the same result, so it is recorded
};

/// Results of a batch of cases by their numbers. A batch may end early; the cases that did not run are
/// requested again.
struct CaseBatch {
    std::map<std::size_t, CaseResult> results;
    std::string refused = {}; ///< the reason why the whole check cannot go on
    bool lasting = true;
};
using CaseRunner =
    std::function<CaseBatch(const std::vector<std::size_t> &cases, const Implementations::Reasons &refused)>;

/// Run the cases, and refuse implementations until every case is right or has none left. Implementations for
/// training have other names than implementations for inference, so cases of training decide nothing about
/// inference. A device is refused if no case of inference is right, or if one fails before it uses any
/// implementation.
Verdict judge(const std::vector<Graph> &networks, const CaseRunner &run);

/// Run all cases in this process, and return the verdict.
Verdict judge_here(const Backend &subject, const Backend &reference);

} // namespace mpscnn::engine
