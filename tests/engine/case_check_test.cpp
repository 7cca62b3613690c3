// Tests of the self-check's search for failing implementations. The test's devices have several
// implementations of each layer, some of which give wrong results or end their process.

#include "engine/trust/case_check.h"

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/cpp/check.h"

using namespace mpscnn;
using engine::CaseBatch;
using engine::CaseResult;
using engine::Graph;
using engine::Kept;
using engine::Verdict;
using End = CaseResult::End;

namespace {

/// For each part of a layer: the implementations that can compute it, in order of preference.
using Parts = std::vector<std::vector<std::string>>;

struct Case {
    Parts parts;
    bool trains = false;
    std::set<std::string> fails_here =
        {}; ///< implementations that fail only with the parameters of this case
};

/// A device on which some implementations fail. `faults` has the kind of failure for each.
struct Device {
    std::vector<Case> cases;
    std::map<std::string, End> faults;
    int processes = 0;

    std::vector<Graph> networks() const {
        std::vector<Graph> graphs;
        for (const Case &one : cases) {
            Graph &graph = graphs.emplace_back("case");
            if (one.trains)
                graph.add_variable("x", {1, 1, 1, 4});
            else
                graph.add_input("x", {Shape::any, 1, 1, 4});
        }
        return graphs;
    }

    CaseResult run(const Case &one, const engine::Implementations::Reasons &refused) const {
        CaseResult result{End::right};
        for (const std::vector<std::string> &part : one.parts) {
            const std::string *taken = nullptr;
            for (const std::string &name : part)
                if (!taken && !refused.contains(name)) taken = &name;
            if (!taken) return {End::without, "", result.implementations};
            result.implementations.push_back(*taken);
        }
        for (const std::string &name : result.implementations) {
            const auto fault = faults.find(name);
            if (fault == faults.end() && !one.fails_here.contains(name)) continue;
            result.end = fault == faults.end() ? End::wrong : fault->second;
            result.reason = "because of " + name;
        }
        return result;
    }

    /// Run cases in a "process", which stops after a case that ends it.
    CaseBatch run(const std::vector<std::size_t> &numbers, const engine::Implementations::Reasons &refused) {
        ++processes;
        CaseBatch batch;
        for (const std::size_t number : numbers) {
            batch.results[number] = run(cases[number], refused);
            if (batch.results[number].end == End::ended) break;
        }
        return batch;
    }

    Verdict judge() {
        return engine::judge(networks(), [&](const std::vector<std::size_t> &numbers,
                                             const engine::Implementations::Reasons &refused) {
            return run(numbers, refused);
        });
    }
    /// Return true if every case gives the right result or has no implementation left.
    bool is_safe(const Verdict &verdict) const {
        for (const Case &one : cases) {
            const End end = run(one, verdict.implementations).end;
            if (end != End::right && end != End::without) return false;
        }
        return true;
    }
};

std::set<std::string> names_of(const Verdict &verdict) {
    std::set<std::string> names;
    for (const auto &[name, reason] : verdict.implementations) names.insert(name);
    return names;
}

Device small_device() {
    return {{{{{"pooling by MPS", "pooling by shader"}}},
             {{{"pooling by MPS", "pooling by shader"}}},
             {{{"softmax by MPS"}}},
             {{{"convolution by MPS", "convolution by shader"}}},
             {{{"convolution by MPS", "convolution by shader"}, {"activation mish"}}},
             {{{"neuron by shader"}, {"activation mish"}}},
             {{{"neuron by shader"}, {"activation relu"}}},
             {{{"training pooling by MPS", "training pooling by shader"}}, true}},
            {}};
}

} // namespace

TEST(each_implementation_that_fails_is_refused_and_no_other) {
    for (const End fault : {End::wrong, End::ended})
        for (const char *name : {"pooling by MPS", "softmax by MPS", "convolution by MPS", "activation mish",
                                 "activation relu", "training pooling by MPS"}) {
            Device device = small_device();
            device.faults[name] = fault;
            const Verdict verdict = device.judge();
            CHECK(verdict.refused.empty() && verdict.kept == Kept::always);
            // If the process ends, the check cannot tell whether the activation within a shader was the
            // cause.
            const bool exact =
                fault == End::wrong || std::string(name).find("activation") == std::string::npos;
            CHECK(device.is_safe(verdict));
            if (exact) CHECK(names_of(verdict) == std::set<std::string>{name});
        }
}

TEST(what_takes_the_place_is_checked_too) {
    Device device = small_device();
    device.faults = {{"convolution by MPS", End::wrong}, {"convolution by shader", End::ended}};
    const Verdict verdict = device.judge();
    CHECK(names_of(verdict) == (std::set<std::string>{"convolution by MPS", "convolution by shader"}));
    CHECK(verdict.refused.empty() && device.is_safe(verdict));
    CHECK(verdict.implementations.at("convolution by shader") == "because of convolution by shader");
}

TEST(one_case_that_differs_costs_the_kernel_though_others_are_right) {
    Device device = small_device();
    device.cases[1].fails_here = {"pooling by MPS"};
    const Verdict verdict = device.judge();
    CHECK(names_of(verdict) == std::set<std::string>{"pooling by MPS"});
    // The shader replaces MPS in the first case, too. It fails there, so it is refused as well.
    device.cases[0].fails_here = {"pooling by shader"};
    CHECK(names_of(device.judge()) == (std::set<std::string>{"pooling by MPS", "pooling by shader"}));
}

TEST(training_decides_about_nothing_else) {
    Device device = small_device();
    device.faults = {{"training pooling by MPS", End::ended}, {"training pooling by shader", End::wrong}};
    Verdict verdict = device.judge();
    CHECK(verdict.refused.empty());
    CHECK(names_of(verdict) ==
          (std::set<std::string>{"training pooling by MPS", "training pooling by shader"}));
    // A device on which only training is right is refused.
    device = small_device();
    for (const Case &one : device.cases)
        for (const auto &part : one.parts)
            for (const std::string &name : part)
                if (!one.trains) device.faults[name] = End::wrong;
    verdict = device.judge();
    CHECK(verdict.refused.starts_with("because of ") && verdict.kept == Kept::day);
}

namespace {

/// Return the number of results after which the check stops; 0 if it goes on.
int stops_after(const std::vector<CaseResult> &results) {
    engine::CommonFault fault;
    for (std::size_t i = 0; i < results.size(); ++i)
        if (fault.found_with(results[i])) return static_cast<int>(i) + 1;
    return 0;
}

CaseResult failed(const std::string &cause, const std::vector<std::string> &implementations) {
    return {End::wrong, cause, implementations, cause};
}

} // namespace

TEST(eight_cases_that_fail_for_one_cause_stop_the_check) {
    std::vector<CaseResult> results;
    for (int i = 0; i < 20; ++i) results.push_back(failed("no compiler", {"layer " + std::to_string(i)}));
    CHECK(stops_after(results) == 8);
    results[2] = failed("another cause", {"layer 2"});
    CHECK(stops_after(results) == 9);
    results[4] = {End::right};
    CHECK(stops_after(results) == 0); // a case is right, so each implementation has a cause of its own
    results[4] = {End::without};
    CHECK(stops_after(results) == 10);
}

TEST(an_implementation_that_is_common_to_the_cases_is_the_fault) {
    std::vector<CaseResult> results;
    for (int i = 0; i < 20; ++i)
        results.push_back(failed("no shader", {"layer " + std::to_string(i), "convolution by MPS"}));
    CHECK(stops_after(results) == 0);
    results.push_back(failed("no shader", {"pooling by MPS"}));
    CHECK(stops_after(results) == 21);
    // Wrong numbers have no common cause.
    CHECK(stops_after(std::vector<CaseResult>(20, {End::wrong, "result 1 is 2", {}, ""})) == 0);
}

TEST(whatever_fails_every_case_is_right_or_has_nothing_left) {
    std::mt19937 random(5);
    std::vector<std::string> names;
    for (const Case &one : small_device().cases)
        for (const auto &part : one.parts) names.insert(names.end(), part.begin(), part.end());
    for (int turn = 0; turn < 500; ++turn) {
        Device device = small_device();
        for (const std::string &name : names)
            if (random() % 4 == 0) device.faults[name] = random() % 2 ? End::wrong : End::ended;
        for (Case &one : device.cases)
            if (random() % 8 == 0) one.fails_here = {one.parts[0][0]};
        const Verdict verdict = device.judge();
        CHECK(verdict.refused.empty() ? device.is_safe(verdict) : !verdict.implementations.empty());
        CHECK(device.processes < 40);
    }
}

TEST(a_fault_that_no_implementation_explains_refuses_the_device) {
    Device device = small_device();
    device.cases.push_back({{}});
    const Verdict verdict =
        engine::judge(device.networks(), [&](const std::vector<std::size_t> &numbers, const auto &refused) {
            CaseBatch batch = device.run(numbers, refused);
            if (batch.results.contains(8)) batch.results[8] = {End::wrong, "the copies are wrong"};
            return batch;
        });
    CHECK(verdict.refused == "the copies are wrong");
}
