#include "engine/trust/case_check.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <system_error>

#include "engine/trust/self_check.h"

namespace mpscnn::engine {

namespace {

using End = CaseResult::End;

/// Return an error's text without the names of a network and its layers.
std::string cause_of(std::string text, const Graph &network) {
    const auto remove = [&](const std::string &name) {
        for (std::size_t at = text.find(name); !name.empty() && at != text.npos; at = text.find(name, at))
            text.erase(at, name.size());
    };
    remove(network.name());
    for (const Node &node : network.nodes()) remove(node.name);
    return text;
}

/// Compare a network's results in one precision, and note a fault in `result`.
void compare(const Backend &subject, const Backend &reference, const Graph &network, Precision precision,
             CaseResult &result) {
    for (int attempt = 0;; ++attempt) try {
            if (auto wrong = find_wrong_answer(subject, reference, network, precision)) {
                result.end = End::wrong;
                result.reason = std::move(*wrong);
            }
            return;
        } catch (const Error &error) {
            if (error.kind() == ErrorKind::unsupported) {
                result.end = End::without;
                return;
            }
            if (attempt == 0) continue;
            result.end = End::wrong;
            result.reason = one_line(error.what());
            result.cause = cause_of(result.reason, network);
            return;
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
        if (verdict_.refused.empty()) refuse_if_little_is_right();
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
        keep_at_most(batch.kept);
        verdict_.silent = verdict_.silent || batch.silent;
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

    void keep_at_most(Kept kept) { verdict_.kept = std::min(verdict_.kept, kept); }

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
            if (result.end != End::ended) keep_at_most(Kept::day);
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

    /// Refuse the device if few cases are right. A fault that spoils all images leaves the kernels for
    /// arrays, with which nearly all layers would run on the CPU.
    void refuse_if_little_is_right() {
        std::size_t right = 0, all = 0;
        for (std::size_t i = 0; i < cases_.size(); ++i) {
            if (is_of_training(networks_[i])) continue;
            ++all;
            right += cases_[i].end == End::right;
        }
        constexpr std::size_t least_share = 4;
        if (first_fault_.empty() || least_share * right >= all) return;
        verdict_.refused = first_fault_;
        keep_at_most(Kept::day);
    }

    const std::vector<Graph> &networks_;
    const CaseRunner &run_;
    std::vector<CaseResult> cases_;
    std::set<std::string> cleared_; ///< implementations that gave a right result in some case
    std::string first_fault_;
    Verdict verdict_;
};

} // namespace

std::string one_line(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

EngineTimes times_of(std::string_view text) {
    EngineTimes times;
    const char *end = text.data() + text.size();
    const auto [blank, error] = std::from_chars(text.data(), end, times.cpu);
    if (error != std::errc{} || blank == end || *blank != ' ') return {};
    const auto [last, other_error] = std::from_chars(blank + 1, end, times.device);
    return other_error == std::errc{} && last == end && times.measured() ? times : EngineTimes{};
}

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
        compare(used, reference, network, precision, result);
        if (result.end == End::wrong) break;
    }
    return result;
}

bool CommonFault::found_with(const CaseResult &result) {
    constexpr int enough = 8;
    any_right_ = any_right_ || result.end == End::right;
    if (any_right_ || result.end != End::wrong || result.cause.empty()) return false;
    Cases &cases = failed_[result.cause];
    if (++cases.count == 1) cases.common = result.implementations;
    std::erase_if(cases.common, [&](const std::string &name) {
        const auto &others = result.implementations;
        return std::find(others.begin(), others.end(), name) == others.end();
    });
    return cases.count >= enough && cases.common.empty();
}

Verdict judge(const std::vector<Graph> &networks, const CaseRunner &run) {
    return Trial(networks, run).verdict();
}

Verdict judge_here(const Backend &subject, const Backend &reference) {
    const std::vector<Graph> networks = self_check_networks();
    CommonFault fault; // it also knows the cases of earlier batches
    return judge(networks,
                 [&](const std::vector<std::size_t> &cases, const Implementations::Reasons &refused) {
                     CaseBatch batch;
                     const auto other = subject.with(Implementations(refused));
                     for (const std::size_t number : cases) {
                         CaseResult &result = batch.results[number];
                         result = run_case(other ? *other : subject, reference, networks[number]);
                         if (!fault.found_with(result)) continue;
                         batch.refused = result.reason;
                         batch.kept = Kept::day;
                         break;
                     }
                     return batch;
                 });
}

} // namespace mpscnn::engine
