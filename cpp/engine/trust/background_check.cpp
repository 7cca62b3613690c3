#include "engine/trust/background_check.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <string_view>

#include "core/child_process.h"
#include "core/json.h"
#include "core/log.h"
#include "core/platform.h"
#include "core/text.h"
#include "engine/trust/check_follower.h"
#include "engine/trust/check_record.h"

namespace mpscnn::engine {

namespace {

constexpr const char *patience_variable = "MPSCNN_PREFLIGHT_SECONDS";
constexpr std::string_view background_word = "background\n", verdict_word = "@mpscnn network ";

std::chrono::nanoseconds patience() {
    constexpr double usual = 2;
    return std::chrono::nanoseconds(
        std::llround(platform::seconds_of_environment(patience_variable, usual) * 1e9));
}

std::string line_of(const std::optional<Verdict> &verdict) {
    const Verdict &known = verdict ? *verdict : Verdict{};
    Json json = Json::object();
    json.set("refused", known.refused);
    json.set("cpu", known.times.cpu);
    json.set("device", known.times.device);
    json.set("cold", known.times.cold);
    return std::string(verdict_word) + to_text(json);
}

Verdict verdict_in(std::string_view line) {
    const Json json = parse_json(line.substr(verdict_word.size()));
    const JsonView view(json, "report");
    Verdict verdict;
    verdict.refused = view.at("refused").get<std::string>();
    verdict.times = {view.at("cpu").get<std::int64_t>(), view.at("device").get<std::int64_t>(),
                     view.at("cold").get<bool>()};
    return verdict;
}

/// Reads the lines of a process in the background.
struct Listener {
    std::string greeting, text = {};
    bool greeted = false;
    std::optional<Verdict> verdict = {};

    void take(std::string_view piece) {
        text += piece;
        for (std::size_t end = text.find('\n'); end != text.npos; end = text.find('\n')) {
            const std::string line = text.substr(0, end);
            text.erase(0, end + 1);
            greeted = greeted || line == greeting;
            if (greeted && line.starts_with(verdict_word)) verdict = verdict_in(line);
        }
    }
};

/// Describe why a process has not begun.
std::string why_not_begun(const CheckProgram &program, const platform::ChildEnd &end) {
    const std::string &said = end.not_started.empty() ? end.output : end.not_started;
    return concat({"its results are not checked: ", quoted(program.program), " cannot begin",
                   said.empty() ? ", the system may have ended it" : " (" + one_line(said) + ")"});
}

BackgroundResult try_program(const Backend &subject, const CheckProgram &program, const std::string &request,
                             const std::string &what) {
    std::vector<std::string> arguments = program.arguments;
    arguments.push_back(std::string(background_word) + request);
    Listener listener{.greeting = check_greeting(subject)};
    const auto last = platform::awake_time() + patience();
    bool stopped = false;
    const platform::ChildEnd end = platform::run_in_background(
        program.program, arguments, [&](std::string_view text) { listener.take(text); },
        [&] {
            stopped = stopped || follower_stops(what, 0, 1);
            const bool enough = request.empty() ? listener.greeted : listener.verdict.has_value();
            return stopped || enough || platform::awake_time() >= last;
        });
    if (listener.verdict) return {listener.verdict, ""};
    if (!end.stopped && !listener.greeted) return {std::nullopt, why_not_begun(program, end), false};
    if (stopped) return {std::nullopt, "the wait for its check was ended"};
    if (!end.stopped) return {std::nullopt, "its check has ended without a result"};
    return {std::nullopt, request.empty() ? full_check_runs
                                          : "its preflight has not ended; it goes on in the background, and "
                                            "later programs take its result"};
}

} // namespace

BackgroundResult check_in_background(const Backend &subject, const CheckProgram &program,
                                     const std::function<std::string()> &request, const std::string &what) {
    if (device_check_runs(subject.identity())) return {std::nullopt, full_check_runs};
    log(LogLevel::information, concat({"checking ", what, " in the background"}));
    const auto made = [&] { return request ? request() : std::string(); };
    BackgroundResult result = try_program(subject, program, made(), what);
    if (result.begun || program.instead.empty()) return result;
    log(LogLevel::information, concat({"device ", quoted(subject.device_name()), ": ", result.why_none,
                                       "; so ", quoted(program.instead.front()), " checks it"}));
    return try_program(subject, program.other(), made(), what);
}

std::optional<std::string> background_request(const std::string &text) {
    if (!text.starts_with(background_word)) return std::nullopt;
    return text.substr(background_word.size());
}

void run_in_background(const Backend &subject, const CheckProgram &program, const std::string &request,
                       const std::function<NetworkChecker(const std::string &request)> &open,
                       const std::function<void(const std::string &line)> &report) {
    platform::become_independent();
    delete_marker_when_terminated();
    report(check_greeting(subject));
    try {
        if (!request.empty()) {
            const NetworkChecker check = open(request);
            report(line_of(check(true)));
            static_cast<void>(check(false));
        }
    } catch (const std::exception &error) {
        report(error.what()); // the check of the device itself goes on
    }
    platform::lower_priority();
    static_cast<void>(verdict_for_auto(subject, program));
}

} // namespace mpscnn::engine
