#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/graph/graph.h"

namespace mpscnn::engine {

// Finds the implementations of layers that are right on a device. A case of the check is a network of
// self_check_networks(). If the result of a case is wrong or missing, the implementation that caused it is
// refused, and the case runs again with another one.

/// The shortest times of a run on the CPU engine and on the device, in nanoseconds; 0 if not measured.
struct EngineTimes {
    std::int64_t cpu = 0, device = 0;
    bool cold = false; ///< true: of one run each, for which the device did not warm up

    bool measured() const { return cpu > 0 && device > 0; }
    /// True if another measurement might find the other engine faster.
    bool are_close() const {
        constexpr std::int64_t clear_quotient = 2;
        return std::max(cpu, device) < clear_quotient * std::min(cpu, device);
    }
};
/// Read two numbers with a blank between them. Return no times for any other text.
EngineTimes times_of(std::string_view text);

/// Replace line ends by spaces, because lines separate the entries of records and reports.
std::string one_line(std::string text);

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
    /// The reason without the names of this case, if the device reported an error. It is equal for cases that
    /// fail for the same reason.
    std::string cause = {};
    EngineTimes times = {}; ///< for a network of a user
};

/// Run a case in this process. An error counts only if a second attempt fails, too. `took` is called with the
/// name of each implementation before the backend prepares it.
CaseResult run_case(const Backend &subject, const Backend &reference, const Graph &network,
                    const Implementations::Listener &took = {});

/// How long the verdict of a check counts, the shortest first.
enum class Kept {
    process, ///< a second check might give another result
    day,     ///< a second check costs time, and probably gives the same result
    always   ///< a second check would give the same result
};

/// The result of a device's check: the reason why the device is not used, or the implementations that are not
/// used on it. The verdict on a network of a user has the reason why the device does not run it, or times.
struct Verdict {
    std::string refused; ///< empty for a device that is used
    Implementations::Reasons implementations;
    Kept kept = Kept::always;
    bool silent = false; ///< true: a case gave no result in time, which may be a fault of the moment
    EngineTimes times = {};
    bool tells = true; ///< false: the device was not checked, and nothing has failed, so nobody is warned
};

/// Results of a batch of cases by their numbers. A batch may end early; the cases that did not run are
/// requested again.
struct CaseBatch {
    std::map<std::size_t, CaseResult> results;
    std::string refused = {}; ///< the reason why the whole check cannot go on
    Kept kept = Kept::always;
    bool silent = false; ///< true: a case gave no result in time
};
using CaseRunner =
    std::function<CaseBatch(const std::vector<std::size_t> &cases, const Implementations::Reasons &refused)>;

/// Notices that no case can succeed: eight cases failed for the same cause, no case was right, and no
/// implementation is common to the eight. Such an implementation would be the fault instead, and others could
/// replace it.
class CommonFault {
public:
    /// `any_right` is true if a case was right before.
    explicit CommonFault(bool any_right = false) : any_right_(any_right) {}

    /// Take the next result. Return true if the check should stop, because of this result's cause.
    bool found_with(const CaseResult &result);

private:
    struct Cases {
        int count = 0;
        std::vector<std::string> common; ///< implementations that all of these cases use
    };
    bool any_right_;
    std::map<std::string, Cases> failed_; ///< by cause
};

/// Run the cases, and refuse implementations until every case is right or has none left. Implementations for
/// training have other names than implementations for inference, so cases of training decide nothing about
/// inference. A device is refused if no case of inference is right, or if one fails before it uses any
/// implementation.
Verdict judge(const std::vector<Graph> &networks, const CaseRunner &run);

/// Run all cases in this process, and return the verdict.
Verdict judge_here(const Backend &subject, const Backend &reference);

} // namespace mpscnn::engine
