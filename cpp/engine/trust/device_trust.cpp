#include "engine/trust/device_trust.h"

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <system_error>

#include "core/child_process.h"
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
/// Where programs are installed, seen from the directory of the library.
constexpr const char *programs_from_library = MPSCNN_PROGRAMS_FROM_LIBRARY;

/// This process's verdicts on devices, by identity: the reason why a device is refused, or empty text if it
/// passed.
struct Verdicts {
    std::mutex mutex;
    std::map<std::string, std::string> found_here, found_for_auto;
};

Verdicts &verdicts() {
    static Verdicts &instance = *new Verdicts; // programs may be compiled while static objects go
    return instance;
}

/// One that a process sends to itself: the same would happen again.
bool is_fault(int signal) {
    for (const int fault : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS})
        if (signal == fault) return true;
    return false;
}

bool is_interrupt(int signal) {
    return signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT;
}

/// The last lines, 300 characters at most, as one.
std::string end_of(const std::string &output) {
    const std::size_t begin = output.size() > 300 ? output.size() - 300 : 0;
    std::string text;
    for (const char character : output.substr(begin)) {
        const bool blank = static_cast<unsigned char>(character) <= ' ';
        if (!blank)
            text += character;
        else if (!text.empty() && text.back() != ' ')
            text += ' ';
    }
    while (!text.empty() && text.back() == ' ') text.pop_back();
    return text;
}

/// How a check ended. Empty `reason`: the device is right.
struct CheckResult {
    std::string reason;
    bool lasting = false;     ///< it would end so again
    bool interrupted = false; ///< says nothing of the device
};

CheckResult run_check(const Backend &subject, const CheckProgram &check) {
    const std::string right = right_answers_text(subject);
    const platform::ChildEnd end = platform::run_program(check.program, check.arguments, check.limit);
    if (!end.not_started.empty())
        return {
            concat({"its answers are not checked: ", quoted(check.program),
                    ", which does so in a process of its own, cannot be started (", end.not_started, ")"})};
    if (!end.timed_out && end.signal == 0 && end.status == 0 && end.output.ends_with(right)) return {};
    const std::string text = end_of(end.output);
    const std::string said = text.empty() ? "" : concat({"; the last that it wrote: ", quoted(text)});
    if (end.timed_out)
        return {concat({"its check, in a process of its own, did not end within ",
                        static_cast<std::int64_t>(check.limit.count() / 1000), " s", said}),
                true};
    if (end.signal != 0)
        return {concat({"its check, in a process of its own, was ended by ",
                        platform::signal_text(end.signal), said}),
                is_fault(end.signal), is_interrupt(end.signal)};
    if (const std::size_t found = text.rfind(check_program_error); found != text.npos)
        return {text.substr(found + std::string_view(check_program_error).size())};
    return {concat({"its check, ", quoted(check.program), ", ended with status ", end.status,
                    " and without the answer of this version of mpscnn", said})};
}

/// As run_check, unless there is an answer on record.
CheckResult look_up_or_check(const Backend &subject, const CheckProgram &check) {
    const std::string identity = subject.identity();
    const auto on_record = [&]() -> std::optional<CheckResult> {
        if (was_right_before(identity)) return CheckResult{};
        if (const auto refused = why_refused_before(identity)) return CheckResult{*refused};
        return std::nullopt;
    };
    if (const auto known = on_record()) return *known;
    const CheckTurn turn(identity);
    if (const auto known = on_record()) return *known; // by the process that had its turn before
    log(LogLevel::information, concat({"checking device ", quoted(subject.device_name()),
                                       " in a process of its own, once for this system"}));
    CheckResult result = run_check(subject, check);
    if (result.reason.empty()) remember_as_right(identity);
    if (result.lasting) remember_as_refused(identity, result.reason);
    return result;
}

std::string refusal_text(const Backend &subject, const std::string &reason) {
    return concat({"device ", quoted(subject.device_name()), " is not used: ", reason,
                   ". `mpscnn-check` and `mpscnn verify --device ", subject.name(),
                   "` check it again; device='", subject.name(), "' checks and uses it in this process"});
}

/// Compares in this process. Keeps and returns what is wrong; an exception is not an answer.
const std::string &check_here(const Backend &subject, const Backend &reference) {
    const std::string identity = subject.identity();
    const std::optional<std::string> wrong = find_wrong_answer(subject, reference);
    if (wrong)
        return verdicts().found_here[identity] = concat(
                   {"device ", quoted(subject.device_name()), " answers wrongly and is not used; ", *wrong,
                    ". A newer system may cure it; ", skip_variable, "=1 uses the device all the same"});
    remember_as_right(identity);
    verdicts().found_for_auto[identity].clear();
    return verdicts().found_here[identity] = "";
}

fs::path check_program_file() {
    const fs::path library = platform::own_file();
    if (!library.has_parent_path()) return {}; // not the current folder, where anything may lie
    fs::path beside = library.parent_path() / program_name;
    std::error_code ignored;
    if (fs::exists(beside, ignored)) return beside;
    return (library.parent_path() / programs_from_library / program_name).lexically_normal();
}

std::chrono::milliseconds time_limit() {
    constexpr double usual = 60, most = 3600;
    const char *text = std::getenv(limit_variable);
    char *end = nullptr;
    const double seconds = text && *text ? std::strtod(text, &end) : usual;
    if (end && (*end || !(seconds > 0 && seconds <= most)))
        fail(ErrorKind::parameter, {limit_variable, " must be a number of seconds above 0, at most ", most,
                                    ", got ", quoted(text)});
    return std::chrono::milliseconds(std::llround(std::ceil(seconds * 1000)));
}

} // namespace

bool skips_self_check() {
    const char *skip = std::getenv(skip_variable);
    return skip && std::string(skip) == "1";
}

std::string right_answers_text(const Backend &subject) {
    return concat({"right answers:\n", check_record_of(subject.identity())});
}

void check_answers(const Backend &subject, const Backend &reference) {
    const std::lock_guard lock(verdicts().mutex);
    const std::string &wrong = check_here(subject, reference);
    if (!wrong.empty()) fail(ErrorKind::device, wrong);
}

void require_right_answers(const Backend &subject, const Backend &reference) {
    if (skips_self_check()) return;
    const std::lock_guard lock(verdicts().mutex);
    const std::string identity = subject.identity();
    const auto &known = verdicts().found_here;
    const auto found = known.find(identity);
    if (found == known.end() && was_right_before(identity)) return;
    const std::string &wrong = found == known.end() ? check_here(subject, reference) : found->second;
    if (!wrong.empty()) fail(ErrorKind::device, wrong);
}

std::optional<std::string> why_not_trusted(const Backend &subject, const CheckProgram &check) {
    if (skips_self_check()) return std::nullopt;
    const std::lock_guard lock(verdicts().mutex);
    const std::string identity = subject.identity();
    auto &known = verdicts().found_for_auto;
    if (const auto found = known.find(identity); found == known.end()) {
        const CheckResult result = look_up_or_check(subject, check);
        const std::string reason = result.reason.empty() ? "" : refusal_text(subject, result.reason);
        if (result.interrupted) return reason;
        if (!reason.empty()) log(LogLevel::warning, reason);
        known[identity] = reason;
    }
    return known[identity].empty() ? std::nullopt : std::optional(known[identity]);
}

CheckProgram installed_check_program(const std::string &device) {
    return {check_program_file().string(), {device}, time_limit()};
}

} // namespace mpscnn::engine
