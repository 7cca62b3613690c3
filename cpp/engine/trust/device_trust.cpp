#include "engine/trust/device_trust.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <system_error>

#include "core/build_info.h"
#include "core/child_process.h"
#include "core/json.h"
#include "core/log.h"
#include "core/platform.h"
#include "core/text.h"
#include "engine/trust/check_follower.h"
#include "engine/trust/check_record.h"
#include "engine/trust/self_check.h"

namespace mpscnn::engine {

namespace {

namespace fs = std::filesystem;

constexpr const char *skip_variable = "MPSCNN_SKIP_SELF_CHECK";
constexpr const char *limit_variable = "MPSCNN_SELF_CHECK_SECONDS";
constexpr const char *program_name = "mpscnn-check";

/// How the check ended that found a verdict.
enum class CheckEnd : std::uint8_t {
    complete,
    not_begun,  ///< no check program could begin
    interrupted ///< the verdict says nothing about the device
};

struct Finding {
    Verdict verdict;
    CheckEnd end = CheckEnd::complete;
};

/// The findings of this process about devices and networks, by the beginnings of their records.
struct Findings {
    std::timed_mutex mutex;
    std::map<std::string, Finding> devices, networks;

    std::map<std::string, Finding> &of(const CheckedThing &thing) {
        return thing.network.empty() ? devices : networks;
    }
};

Findings &findings() {
    // This object is never destroyed, because destructors of static objects may still compile programs.
    static Findings &instance = *new Findings;
    return instance;
}

/// The program that checks devices where mpscnn-check cannot begin.
struct OtherProgram {
    std::mutex mutex;
    std::vector<std::string> command;
};

OtherProgram &other_program() {
    static OtherProgram &instance = *new OtherProgram; // never destroyed, like the findings
    return instance;
}

/// Owns the findings for the calling thread. While another thread checks a device, the follower is called, so
/// that a program can give up, and Python's other threads go on.
class FindingsLock {
public:
    explicit FindingsLock(const Backend &subject) {
        while (!stopped_ && !owns_)
            if (owns_ = findings().mutex.try_lock_for(std::chrono::milliseconds(50)); !owns_)
                stopped_ = follower_stops(subject.device_name(), 0, 0);
    }
    ~FindingsLock() {
        if (owns_) findings().mutex.unlock();
    }
    FindingsLock(const FindingsLock &) = delete;
    FindingsLock &operator=(const FindingsLock &) = delete;

    bool stopped() const { return stopped_; }

private:
    bool owns_ = false, stopped_ = false;
};

CheckEnd end_of(const CheckProcesses &processes) {
    if (processes.interrupted()) return CheckEnd::interrupted;
    return processes.not_begun() ? CheckEnd::not_begun : CheckEnd::complete;
}

Finding find_in_processes(const Backend &subject, const CheckProgram &check) {
    log(LogLevel::information, concat({"checking device ", quoted(subject.device_name()),
                                       " in a process of its own, once for this system"}));
    const std::vector<Graph> networks = self_check_networks();
    const std::size_t all = networks.size();
    CheckMarker marker(subject.identity());
    CheckObserver observer;
    observer.began = [&](std::size_t number) { marker.begin(number); };
    observer.stop = [&](std::size_t done) {
        return follower_stops(subject.device_name(), std::min(done, all), all);
    };
    CheckProcesses processes(subject, check, std::move(observer));
    const CaseRunner run = [&](const std::vector<std::size_t> &cases,
                               const Implementations::Reasons &refused) {
        return processes.run(cases, refused);
    };
    Finding finding{judge(networks, run)};
    static_cast<void>(follower_stops(subject.device_name(), all, all));
    finding.end = end_of(processes);
    return finding;
}

/// Run a user's network on both engines, until the check program reports a result or must be given up.
Finding find_for_network(const Backend &subject, const CheckedNetwork &network, const CheckProgram &check) {
    const std::string what = concat({"network ", quoted(network.name), " on ", subject.device_name()});
    log(LogLevel::information, concat({"checking ", what, " in a process of its own, once for this system"}));
    CheckMarker marker({subject.identity(), network.identity});
    CheckObserver observer;
    observer.began = [&](std::size_t number) { marker.begin(number); };
    observer.stop = [&](std::size_t done) { return follower_stops(what, std::min<std::size_t>(done, 1), 1); };
    CheckProcesses processes(subject, check, std::move(observer));
    CaseBatch batch;
    do batch = processes.run(network.request());
    while (batch.refused.empty() && !batch.results.contains(0));
    static_cast<void>(follower_stops(what, 1, 1));
    Finding finding;
    finding.end = end_of(processes);
    finding.verdict.kept = batch.kept;
    finding.verdict.silent = batch.silent;
    finding.verdict.refused = batch.refused;
    if (!batch.refused.empty()) return finding;
    const CaseResult &result = batch.results.at(0);
    finding.verdict.times = result.times;
    finding.verdict.times.cold = network.cold && result.times.measured();
    // Other processes may have used the GPU meanwhile, so close times are measured again another day.
    if (result.times.measured() && result.times.are_close())
        finding.verdict.kept = std::min(finding.verdict.kept, Kept::day);
    if (result.end == CaseResult::End::wrong || result.end == CaseResult::End::ended)
        finding.verdict.refused = result.reason;
    return finding;
}

/// Keep a verdict for this process. Log why the device is refused, or which implementations are not used.
void keep(const Backend &subject, const Finding &finding) {
    findings().devices[check_record_of(subject.identity())] = finding;
    const std::string text = finding.verdict.refused.empty() ? replacement_text(subject, finding.verdict)
                                                             : refusal_text(subject, finding.verdict);
    if (!text.empty()) log(LogLevel::warning, text);
}

/// Return the finding on a device during whose check the machine stopped. It is not checked again, because
/// the check may have been the cause.
Finding finding_of_crash(std::int64_t number) {
    Finding finding;
    finding.verdict.refused =
        concat({"the machine stopped or was started again during its check, while case ", number, " ran"});
    return finding;
}

Finding finding_of_wait() {
    Finding finding;
    finding.verdict.refused = "the wait for its check by another process was ended";
    finding.end = CheckEnd::interrupted;
    return finding;
}

/// Return the verdict that this process knows.
std::optional<Finding> known_here(const CheckedThing &thing) {
    const auto &known = findings().of(thing);
    const auto found = known.find(check_record_of(thing));
    if (found == known.end()) return std::nullopt;
    return found->second;
}

/// Return the recorded verdict, or the result of `check`, which is recorded. While another process checks
/// something on the same device, this waits.
Finding on_record_or(const Backend &subject, const CheckedThing &thing,
                     const std::function<Finding()> &check) {
    if (const auto known = verdict_on_record(thing)) return {*known};
    const CheckTurn turn(subject.identity(), [&] { return follower_stops(subject.device_name(), 0, 0); });
    if (turn.stopped()) return finding_of_wait();
    // Another process may have recorded it while this one waited.
    if (const auto known = verdict_on_record(thing)) return {*known};
    const auto crashed = case_of_crash(thing);
    Finding finding = crashed ? finding_of_crash(*crashed) : check();
    if (finding.end != CheckEnd::interrupted && !finding.verdict.times.cold) remember(thing, finding.verdict);
    return finding;
}

/// Return the verdict that this process knows, or the recorded one, or the result of a check in child
/// processes.
Finding look_up_or_check(const Backend &subject, const CheckProgram &check) {
    const std::string identity = subject.identity();
    if (const auto known = known_here(identity)) return *known;
    Finding finding = on_record_or(subject, identity, [&] { return find_in_processes(subject, check); });
    if (finding.end != CheckEnd::interrupted) keep(subject, finding);
    return finding;
}

/// Return whether somebody has had this device checked.
bool is_known(const std::string &identity) { return known_here(identity) || verdict_on_record(identity); }

Finding check_here(const Backend &subject, const Backend &reference) {
    Finding finding{judge_here(subject, reference)};
    remember(subject.identity(), finding.verdict);
    keep(subject, finding);
    return finding;
}

Verdict require_used(const Backend &subject, const Verdict &verdict) {
    if (!verdict.refused.empty()) fail(ErrorKind::device, refusal_text(subject, verdict));
    return verdict;
}

fs::path check_program_file() {
    const fs::path library = platform::own_file();
    // Without a full path, the program would be looked up in the current folder, which may contain any file.
    if (!library.has_parent_path()) return {};
    fs::path beside = library.parent_path() / program_name;
    std::error_code ignored;
    if (fs::exists(beside, ignored)) return beside;
    return (library.parent_path() / build_info::programs_from_library / program_name).lexically_normal();
}

std::chrono::milliseconds time_limit() {
    constexpr double usual = 60;
    const double seconds = platform::seconds_of_environment(limit_variable, usual);
    return std::chrono::milliseconds(std::llround(std::ceil(seconds * 1000)));
}

} // namespace

void set_other_check_program(std::vector<std::string> command) {
    const std::lock_guard lock(other_program().mutex);
    other_program().command = std::move(command);
}

bool skips_self_check() {
    const char *skip = std::getenv(skip_variable);
    return skip && std::string(skip) == "1";
}

Verdict verdict_for_auto(const Backend &subject, const CheckProgram &check) {
    if (skips_self_check()) return {};
    const FindingsLock lock(subject);
    if (lock.stopped()) return finding_of_wait().verdict;
    if (std::string why = subject.why_not_automatic(); !why.empty() && !is_known(subject.identity())) {
        Verdict verdict;
        verdict.refused = std::move(why);
        verdict.tells = false;
        return verdict;
    }
    return look_up_or_check(subject, check).verdict;
}

std::optional<Verdict> verdict_so_far(const Backend &subject) {
    if (skips_self_check()) return Verdict{};
    const FindingsLock lock(subject);
    if (lock.stopped()) return finding_of_wait().verdict;
    const std::string identity = subject.identity();
    if (const auto known = known_here(identity)) return known->verdict;
    Finding finding;
    if (const auto recorded = verdict_on_record(identity))
        finding.verdict = *recorded;
    else if (const auto crashed = case_of_crash(identity))
        finding = finding_of_crash(*crashed);
    else if (finding.verdict.refused = subject.why_not_automatic(); !finding.verdict.refused.empty()) {
        finding.verdict.tells = false;
        return finding.verdict;
    } else
        return std::nullopt;
    keep(subject, finding);
    return finding.verdict;
}

Verdict verdict_when_asked(const Backend &subject, const Backend &reference, const CheckProgram &check) {
    if (skips_self_check()) return {};
    const FindingsLock lock(subject);
    if (lock.stopped()) return require_used(subject, finding_of_wait().verdict);
    Finding finding = look_up_or_check(subject, check);
    if (finding.end == CheckEnd::not_begun) finding = check_here(subject, reference);
    return require_used(subject, finding.verdict);
}

Verdict check_again(const Backend &subject, const Backend &reference, const CheckProgram &check) {
    const FindingsLock lock(subject);
    if (lock.stopped()) return require_used(subject, finding_of_wait().verdict);
    forget_networks();
    findings().networks.clear();
    const CheckTurn turn(subject.identity(), [&] { return follower_stops(subject.device_name(), 0, 0); });
    Finding finding = turn.stopped() ? finding_of_wait() : find_in_processes(subject, check);
    if (finding.end == CheckEnd::not_begun)
        return require_used(subject, check_here(subject, reference).verdict);
    if (finding.end != CheckEnd::interrupted) {
        remember(subject.identity(), finding.verdict);
        keep(subject, finding);
    }
    return require_used(subject, finding.verdict);
}

Verdict verdict_on_network(const Backend &subject, const CheckedNetwork &network, const CheckProgram &check) {
    const FindingsLock lock(subject);
    if (lock.stopped()) return finding_of_wait().verdict;
    const CheckedThing thing(subject.identity(), network.identity);
    if (const auto known = known_here(thing)) return known->verdict;
    Finding finding = on_record_or(subject, thing, [&] { return find_for_network(subject, network, check); });
    if (finding.end == CheckEnd::not_begun) {
        log(LogLevel::information,
            concat({"network ", quoted(network.name), " is not checked: ", finding.verdict.refused}));
        finding.verdict.refused.clear();
    }
    if (finding.end != CheckEnd::interrupted && !finding.verdict.times.cold)
        findings().networks[check_record_of(thing)] = finding;
    return finding.verdict;
}

std::optional<Verdict> known_verdict(const Backend &subject, const std::string &network_identity) {
    const FindingsLock lock(subject);
    const CheckedThing thing(subject.identity(), network_identity);
    if (lock.stopped()) return std::nullopt;
    if (const auto known = known_here(thing)) return known->verdict;
    return verdict_on_record(thing);
}

void keep_verdict(const Backend &subject, const std::string &network_identity, const Verdict &verdict) {
    const FindingsLock lock(subject);
    if (lock.stopped()) return;
    findings().networks[check_record_of({subject.identity(), network_identity})] = {verdict};
}

std::shared_ptr<const Backend> trusted(std::shared_ptr<const Backend> subject, const Verdict &verdict) {
    if (verdict.implementations.empty()) return subject;
    auto other = subject->with(Implementations(verdict.implementations));
    return other ? other : subject;
}

std::string verdict_text(const Backend &subject, const Verdict &verdict) {
    std::string text = concat({"right answers:\n", check_record_of(subject.identity())});
    for (const auto &[name, reason] : verdict.implementations)
        text += concat({"not used: ", name, ": ", reason, "\n"});
    return text;
}

std::string refusal_text(const Backend &subject, const Verdict &verdict) {
    return concat({"device ", quoted(subject.device_name()), " is not used: ", verdict.refused,
                   ". `mpscnn-check` and `mpscnn verify --device ", subject.name(),
                   "` check it again; a newer system may cure it; ", skip_variable,
                   "=1 uses the device all the same"});
}

std::string replacement_text(const Backend &subject, const Verdict &verdict) {
    std::string text;
    for (const auto &[name, reason] : verdict.implementations)
        text += concat({text.empty() ? "" : "; ", name, " (", reason, ")"});
    if (text.empty()) return text;
    return concat({"device ", quoted(subject.device_name()),
                   " computes some layers in another way, since these "
                   "implementations are not right there: ",
                   text, ". `mpscnn-check` checks them again"});
}

CheckProgram installed_check_program(const std::string &device) {
    const std::lock_guard lock(other_program().mutex);
    return {check_program_file().string(), {device}, time_limit(), other_program().command};
}

} // namespace mpscnn::engine
