#include "engine/trust/case_check.h"

#include <algorithm>
#include <optional>
#include <set>

#include "engine/trust/self_check.h"

namespace mpscnn::engine {

namespace {

using End = CaseResult::End;

/// Replace line ends by spaces, because lines separate the entries of records and reports.
std::string one_line(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

/// Describe what is wrong with a network's result in one precision, or return nothing for a right result.
std::optional<std::string> fault_of(const Backend &subject, const Backend &reference, const Graph &network,
                                    Precision precision, bool &without) {
    for (int attempt = 0;; ++attempt) try {
            return find_wrong_answer(subject, reference, network, precision);
        } catch (const Error &error) {
            without = error.kind() == ErrorKind::unsupported;
            if (without) return std::nullopt;
            if (attempt == 1) return one_line(error.what());
        }
}

/// The state of a check. An implementation whose result is wrong, or that ends the process, is refused, and
/// the cases that need it run again with the next one.
class Trial {
public:
    Trial(const std::vector<Graph> &networks, const CaseRunner &run)
        : networks_(networks), run_(run), cases_(networks.size()) {}

    Verdict verdict() {
        do {
            while (verdict_.refused.empty() && !open_cases().empty()) run_open_cases();
        } while (verdict_.refused.empty() && blame_wrong_answers());
        if (verdict_.refused.empty()) refuse_if_nothing_is_right();
        return std::move(verdict_);
    }

private:
    std::vector<std::size_t> open_cases() const {
        std::vector<std::size_t> open;
        for (std::size_t i = 0; i < cases_.size(); ++i)
            if (cases_[i].end == End::open) open.push_back(i);
        return open;
    }

    void run_open_cases() {
        const std::vector<std::size_t> open = open_cases();
        const CaseBatch batch = run_(open, verdict_.implementations);
        verdict_.lasting = verdict_.lasting && batch.lasting;
        verdict_.refused = batch.refused;
        for (const auto &[number, result] : batch.results) {
            cases_[number] = result;
            if (result.end != End::right) continue;
            for (const std::string &name : result.implementations) cleared_.insert(name);
        }
        // Refuse the implementations of ended cases immediately, because other cases with the same ones would
        // end the process as well.
        for (const auto &[number, result] : batch.results)
            if (result.end == End::ended) blame(number);
    }

    /// Refuse implementations with wrong results. Return whether cases must run again with other
    /// implementations.
    bool blame_wrong_answers() {
        const std::size_t before = verdict_.implementations.size();
        for (std::size_t i = 0; i < cases_.size(); ++i)
            if (cases_[i].end == End::wrong) blame(i);
        return verdict_.implementations.size() > before;
    }

    /// Return the implementation to refuse: the first one without a right result in another case. If each of
    /// them has one, the fault depends on the parameters, and the first one is refused. If the process ended,
    /// a kernel of MPS comes first, because shaders do not end processes.
    const std::string *implementation_to_refuse(const CaseResult &result) const {
        const std::string *found = nullptr;
        for (const std::string &name : result.implementations) {
            if (cleared_.contains(name)) continue;
            if (!found) found = &name;
            const bool is_mps = name.find("MPS") != name.npos;
            if (result.end == End::ended && is_mps) return &name;
        }
        if (found || result.implementations.empty()) return found;
        return &result.implementations.front();
    }

    void blame(std::size_t number) {
        const CaseResult result = cases_[number];
        const std::string *name = implementation_to_refuse(result);
        if (first_fault_.empty()) first_fault_ = result.reason;
        if (!name) { // there is no other implementation to try
            cases_[number].end = End::without;
            if (is_of_training(networks_[number])) return;
            verdict_.refused = result.reason;
            verdict_.lasting = verdict_.lasting && result.end == End::ended;
            return;
        }
        const std::string refused = *name;
        verdict_.implementations.emplace(refused, result.reason);
        cleared_.erase(refused);
        // Repeat all cases that used the refused implementation. They get another one, which has not run with
        // their parameters.
        for (CaseResult &other : cases_)
            if (std::find(other.implementations.begin(), other.implementations.end(), refused) !=
                other.implementations.end())
                other = {};
    }

    void refuse_if_nothing_is_right() {
        for (std::size_t i = 0; i < cases_.size(); ++i)
            if (cases_[i].end == End::right && !is_of_training(networks_[i])) return;
        verdict_.refused = first_fault_;
        verdict_.lasting = false;
    }

    const std::vector<Graph> &networks_;
    const CaseRunner &run_;
    std::vector<CaseResult> cases_;
    std::set<std::string> cleared_; ///< implementations that gave a right result in some case
    std::string first_fault_;
    Verdict verdict_;
};

} // namespace

CaseResult run_case(const Backend &subject, const Backend &reference, const Graph &network,
                    const Implementations::Listener &took) {
    CaseResult result;
    const auto listener = [&](const std::string &name) {
        auto &known = result.implementations;
        if (std::find(known.begin(), known.end(), name) != known.end()) return;
        known.push_back(name);
        if (took) took(name);
    };
    const auto heard = subject.with(Implementations(subject.implementations().refused(), listener));
    const Backend &used = heard ? *heard : subject;
    result.end = End::right;
    for (const Precision precision : self_check_precisions(used, network)) {
        bool without = false;
        if (auto fault = fault_of(used, reference, network, precision, without)) {
            result.end = End::wrong;
            result.reason = *fault;
            break;
        }
        if (without) result.end = End::without;
    }
    return result;
}

Verdict judge(const std::vector<Graph> &networks, const CaseRunner &run) {
    return Trial(networks, run).verdict();
}

Verdict judge_here(const Backend &subject, const Backend &reference) {
    const std::vector<Graph> networks = self_check_networks();
    return judge(
        networks, [&](const std::vector<std::size_t> &cases, const Implementations::Reasons &refused) {
            CaseBatch batch;
            const auto other = subject.with(Implementations(refused));
            for (const std::size_t number : cases)
                batch.results[number] = run_case(other ? *other : subject, reference, networks[number]);
            return batch;
        });
}

} // namespace mpscnn::engine
