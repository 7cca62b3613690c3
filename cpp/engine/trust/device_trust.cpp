#include "engine/trust/device_trust.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <system_error>

#include "core/child_process.h"
#include "core/json.h"
#include "core/log.h"
#include "core/text.h"
#include "engine/trust/check_record.h"
#include "engine/trust/self_check.h"

namespace mpscnn::engine {

namespace {

namespace fs = std::filesystem;

constexpr const char *skip_variable = "MPSCNN_SKIP_SELF_CHECK";
constexpr const char *limit_variable = "MPSCNN_SELF_CHECK_SECONDS";
constexpr const char *program_name = "mpscnn-check";
/// The path from the library's directory to the directory of installed programs.
constexpr const char *programs_from_library = MPSCNN_PROGRAMS_FROM_LIBRARY;

/// The verdicts on devices that this process knows, by identity.
struct Verdicts {
    struct Known {
        Verdict verdict;
        bool checked = true; ///< false: no check program could begin
    };
    std::mutex mutex;
    std::map<std::string, Known> known;
};

Verdicts &verdicts() {
    // This object is never destroyed, because destructors of static objects may still compile programs.
    static Verdicts &instance = *new Verdicts;
    return instance;
}

struct Finding {
    Verdict verdict;
    bool checked = true;      ///< true: the check program has checked the device
    bool interrupted = false; ///< true: the verdict says nothing about the device
};

Finding find_in_processes(const Backend &subject, const CheckProgram &check) {
    log(LogLevel::information, concat({"checking device ", quoted(subject.device_name()),
                                       " in a process of its own, once for this system"}));
    CheckProcesses processes(subject, check);
    const CaseRunner run = [&](const std::vector<std::size_t> &cases,
                               const Implementations::Reasons &refused) {
        return processes.run(cases, refused);
    };
    Finding finding{judge(self_check_networks(), run)};
    finding.checked = !processes.not_begun();
    finding.interrupted = processes.interrupted();
    return finding;
}

/// Keep a verdict for this process. Log why the device is refused, or which implementations are not used.
void keep(const Backend &subject, const Finding &finding) {
    const std::string identity = subject.identity();
    verdicts().known[identity] = {finding.verdict, finding.checked};
    const std::string text = finding.verdict.refused.empty() ? replacement_text(subject, finding.verdict)
                                                             : refusal_text(subject, finding.verdict);
    if (!text.empty()) log(LogLevel::warning, text);
}

/// Return the verdict that this process knows, or the recorded one, or the result of a check in child
/// processes.
Finding look_up_or_check(const Backend &subject, const CheckProgram &check) {
    const std::string identity = subject.identity();
    if (const auto found = verdicts().known.find(identity); found != verdicts().known.end())
        return {found->second.verdict, found->second.checked};
    Finding finding;
    const auto on_record = [&] {
        const auto known = verdict_on_record(identity);
        if (known) finding.verdict = *known;
        return known.has_value();
    };
    if (!on_record()) {
        const CheckTurn turn(identity);
        if (!on_record()) { // another process may have recorded it while this one waited
            finding = find_in_processes(subject, check);
            if (finding.verdict.lasting && !finding.interrupted) remember(identity, finding.verdict);
        }
    }
    if (!finding.interrupted) keep(subject, finding);
    return finding;
}

Finding check_here(const Backend &subject, const Backend &reference) {
    Finding finding{judge_here(subject, reference)};
    if (finding.verdict.lasting) remember(subject.identity(), finding.verdict);
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
    return (library.parent_path() / programs_from_library / program_name).lexically_normal();
}

std::chrono::milliseconds time_limit() {
    constexpr double usual = 60, max_seconds = 3600;
    const char *text = std::getenv(limit_variable);
    char *end = nullptr;
    const double seconds = text && *text ? std::strtod(text, &end) : usual;
    if (end && (*end || !(seconds > 0 && seconds <= max_seconds)))
        fail(ErrorKind::parameter, {limit_variable, " must be a number of seconds above 0, at most ",
                                    max_seconds, ", got ", quoted(text)});
    return std::chrono::milliseconds(std::llround(std::ceil(seconds * 1000)));
}

} // namespace

bool skips_self_check() {
    const char *skip = std::getenv(skip_variable);
    return skip && std::string(skip) == "1";
}

Verdict verdict_for_auto(const Backend &subject, const CheckProgram &check) {
    if (skips_self_check()) return {};
    const std::lock_guard lock(verdicts().mutex);
    return look_up_or_check(subject, check).verdict;
}

Verdict verdict_when_asked(const Backend &subject, const Backend &reference, const CheckProgram &check) {
    if (skips_self_check()) return {};
    const std::lock_guard lock(verdicts().mutex);
    Finding finding = look_up_or_check(subject, check);
    if (!finding.checked) finding = check_here(subject, reference);
    return require_used(subject, finding.verdict);
}

Verdict check_again(const Backend &subject, const Backend &reference, const CheckProgram &check) {
    const std::lock_guard lock(verdicts().mutex);
    const CheckTurn turn(subject.identity());
    Finding finding = find_in_processes(subject, check);
    if (!finding.checked) return require_used(subject, check_here(subject, reference).verdict);
    if (finding.verdict.lasting && !finding.interrupted) remember(subject.identity(), finding.verdict);
    if (!finding.interrupted) keep(subject, finding);
    return require_used(subject, finding.verdict);
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
    return {check_program_file().string(), {device}, time_limit()};
}

} // namespace mpscnn::engine
