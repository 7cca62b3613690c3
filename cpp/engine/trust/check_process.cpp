#include "engine/trust/check_process.h"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <system_error>

#include "core/child_process.h"
#include "core/json.h"
#include "core/log.h"
#include "core/text.h"
#include "engine/trust/check_record.h"
#include "engine/trust/self_check.h"

namespace mpscnn::engine {

namespace {

using End = CaseResult::End;

/// The prefix of each line of a report, because frameworks write other lines to the same stream.
constexpr std::string_view mark = "@mpscnn ";
constexpr std::string_view case_word = "case ", takes_word = "takes ", wrong_word = "wrong ",
                           cases_word = "cases", refused_word = "refused ", ahead_word = "compiled ",
                           stop_word = "stop ", times_word = "times ";
constexpr std::string_view right_line = "right", without_line = "without", end_line = "end",
                           goes_on_line = "goes on", some_right_line = "some right",
                           ignored_line = "ignore compiled", deleted_line = "delete compiled";

/// The check gives up after this many processes in a row that ended, or stopped responding, without a right
/// result. A single wrong implementation causes fewer.
constexpr int max_ends = 25, max_silences = 3;
constexpr std::size_t cases_between_notes = 100;
/// A process with more cases than this compiles all shaders ahead. Fewer cases need only a few of the
/// shaders.
constexpr std::size_t few_cases = 16;

/// Return whether a signal means that the process itself has a fault. A second run would then end with the
/// same signal.
bool is_fault(int signal) {
    for (const int fault : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS})
        if (signal == fault) return true;
    return false;
}

bool is_interrupt(int signal) {
    return signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT;
}

/// Return the last 300 characters of the output as one line.
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

/// Return the end of a message, with the text that a process wrote last.
std::string last_words(const std::string &text) {
    return text.empty() ? "" : concat({"; the last that it wrote: ", quoted(text)});
}

std::optional<std::size_t> number_of(std::string_view text) {
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

/// Return the number with which a text begins, or 0.
std::size_t leading_number(std::string_view text) {
    return number_of(text.substr(0, text.find(' '))).value_or(0);
}

std::vector<std::string_view> parts_of(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(separator), text.size());
        if (end > 0) parts.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return parts;
}

} // namespace

std::string check_request(const std::vector<std::size_t> &cases, const Implementations::Reasons &refused,
                          Compiled compiled, bool some_right) {
    std::string text(cases_word);
    for (const std::size_t number : cases) text += " " + std::to_string(number);
    if (some_right) text += concat({"\n", some_right_line});
    if (compiled == Compiled::ignored) text += concat({"\n", ignored_line});
    if (compiled == Compiled::deleted) text += concat({"\n", deleted_line});
    for (const auto &[name, reason] : refused) text += concat({"\n", refused_word, name});
    return text;
}

std::string check_greeting(const Backend &subject) {
    std::string record = check_record_of(subject.identity());
    while (!record.empty() && record.back() == '\n') record.pop_back();
    std::replace(record.begin(), record.end(), '\n', ';');
    return std::string(mark) + record;
}

void run_requested_cases(const Backend &subject, const Backend &reference, const std::string &request,
                         const std::function<void(const std::string &line)> &report_line) {
    const std::vector<Graph> networks = self_check_networks();
    std::vector<std::size_t> cases;
    Implementations::Reasons refused;
    Compiled compiled = Compiled::used;
    bool some_right = false;
    for (const std::string_view line : parts_of(request, '\n')) {
        if (line.starts_with(refused_word)) {
            refused.emplace(line.substr(refused_word.size()), "as the library says");
            continue;
        }
        if (line == some_right_line) {
            some_right = true;
            continue;
        }
        if (line == ignored_line || line == deleted_line) {
            compiled = line == ignored_line ? Compiled::ignored : Compiled::deleted;
            continue;
        }
        for (const std::string_view part : parts_of(line, ' ')) {
            if (part == cases_word) continue;
            const auto number = number_of(part);
            if (!number || *number >= networks.size())
                fail(ErrorKind::parameter,
                     {"request: ", quoted(std::string(part)), " is no case of the check"});
            cases.push_back(*number);
        }
    }
    CheckReport report(report_line);
    report.greet(subject);
    if (compiled == Compiled::ignored) subject.ignore_compiled();
    if (compiled == Compiled::deleted) subject.delete_compiled();
    std::shared_ptr<void> ahead;
    if (compiled == Compiled::used)
        ahead = subject.compile_ahead([&](std::size_t done, std::size_t all) { report.compiled(done, all); });
    const auto other = subject.with(Implementations(refused));
    CommonFault fault(some_right);
    for (const std::size_t number : cases) {
        report.begin(number);
        const CaseResult result = run_case(other ? *other : subject, reference, networks[number],
                                           [&](const std::string &name) { report.take(name); });
        report.finish(result);
        if (!fault.found_with(result)) continue;
        report.stop(result.reason);
        break;
    }
    report.end();
    if (!ahead) return;
    // The compiled shaders are written to their file after the results, for which the library waits. If this
    // process is killed now, later ones only compile the shaders again.
    platform::become_independent();
    ahead.reset();
}

void CheckReport::write(std::initializer_list<TextPart> parts) {
    const std::lock_guard lock(mutex_);
    write_(std::string(mark) + concat(parts));
}

void CheckReport::greet(const Backend &subject) {
    const std::lock_guard lock(mutex_);
    write_(check_greeting(subject));
}
void CheckReport::begin(std::size_t number) { write({case_word, number}); }
void CheckReport::take(const std::string &implementation) { write({takes_word, implementation}); }
void CheckReport::compiled(std::size_t done, std::size_t all) { write({ahead_word, done, " of ", all}); }
void CheckReport::go_on() { write({goes_on_line}); }
void CheckReport::stop(const std::string &reason) { write({stop_word, reason}); }
void CheckReport::say(const std::string &text) {
    const std::lock_guard lock(mutex_);
    write_(text);
}
void CheckReport::end() { write({end_line}); }

void CheckReport::finish(const CaseResult &result) {
    if (result.times.measured()) write({times_word, result.times.cpu, " ", result.times.device});
    if (result.end == End::wrong)
        write({wrong_word, result.reason});
    else
        write({result.end == End::right ? right_line : without_line});
}

/// Parses a report while the process writes it.
struct CheckProcesses::Reader {
    std::map<std::size_t, CaseResult> results = {};
    std::optional<std::size_t> running = {}; ///< the case that has begun
    CaseResult current = {};
    std::string others = {}; ///< other output since that case began
    bool greeted = false, ended = false;
    std::string stopped = {}; ///< why the process has stopped before the last case; empty if it has not
    std::string ahead = {};   ///< how far the process has compiled ahead; empty if it does not compile ahead
    std::string greeting;
    std::string line = {};

    void take(std::string_view text) {
        for (const char character : text) {
            if (character != '\n') {
                line += character;
                continue;
            }
            take_line();
            line.clear();
        }
    }
    void take_line() {
        // The mark need not begin the line, because a framework may have written text without a line end
        // before it.
        const std::size_t begin = line.find(mark);
        const std::string_view text = begin == line.npos ? "" : std::string_view(line).substr(begin);
        greeted = greeted || text == greeting;
        // A report of another version, or of another device, has another greeting. It says nothing.
        others += concat({greeted ? line.substr(0, begin) : line, " "});
        if (!greeted || text.empty()) return;
        const std::string_view said = text.substr(mark.size());
        if (said.starts_with(case_word)) {
            running = number_of(said.substr(case_word.size()));
            current = {};
            others.clear();
        } else if (said.starts_with(takes_word)) {
            current.implementations.emplace_back(said.substr(takes_word.size()));
        } else if (said.starts_with(wrong_word)) {
            finish(End::wrong, std::string(said.substr(wrong_word.size())));
        } else if (said == right_line || said == without_line) {
            finish(said == right_line ? End::right : End::without, "");
        } else if (said.starts_with(times_word)) {
            current.times = times_of(said.substr(times_word.size()));
        } else if (said.starts_with(ahead_word)) {
            ahead = said.substr(ahead_word.size());
        } else if (said.starts_with(stop_word)) {
            stopped = said.substr(stop_word.size());
        } else if (said == end_line) {
            ended = true;
        }
    }
    void finish(End end, std::string reason) {
        if (!running) return;
        current.end = end;
        current.reason = std::move(reason);
        results[*running] = current;
        running.reset();
    }
};

CheckProgram CheckProgram::other() const {
    CheckProgram found{instead.front(), {instead.begin() + 1, instead.end()}, limit};
    found.arguments.insert(found.arguments.end(), arguments.begin(), arguments.end());
    return found;
}

CheckProcesses::CheckProcesses(const Backend &subject, const CheckProgram &program, CheckObserver observer)
    : subject_(subject), program_(program), observer_(std::move(observer)) {}

void CheckProcesses::note(std::initializer_list<TextPart> parts) const {
    log(LogLevel::information, concat({"device ", quoted(subject_.device_name()), ": ", concat(parts)}));
}

void CheckProcesses::note_end(CaseBatch &batch, std::size_t number, const std::string &reason) {
    if (++ends_ >= max_ends) {
        batch.refused =
            concat({ends_, " processes of its check ended one after the other; the last one: ", reason});
        return;
    }
    batch.results[number].end = End::ended;
    batch.results[number].reason = reason;
}

/// Count a case that did not respond. After its first time the case runs once more, because drivers may
/// compile during a cold start.
void CheckProcesses::note_hang(CaseBatch &batch, const Reader &reader, const std::string &text) {
    const std::string reason =
        concat({"no answer came within ", static_cast<std::int64_t>(program_.limit.count() / 1000), " s",
                last_words(text)});
    batch.silent = reader.running.has_value();
    if (++silences_ >= max_silences || !reader.running) {
        batch.refused = concat({"its check, in a process of its own, does not go on: ", reason});
        // A program without any output may be waiting for something else, so this result is not recorded.
        if (!reader.running) batch.kept = Kept::process;
        return;
    }
    if (++hangs_[*reader.running] == 1) {
        batch.silent = false;
        note({"case ", *reader.running, " of the check is tried again: ", reason});
        return;
    }
    batch.results[*reader.running] = reader.current;
    batch.results[*reader.running].end = End::ended;
    batch.results[*reader.running].reason = reason;
}

void CheckProcesses::listen(Reader &reader, std::string_view text) {
    const std::size_t before = done_ + reader.results.size();
    const std::size_t compiled_before = leading_number(reader.ahead);
    const std::optional<std::size_t> running = reader.running;
    reader.take(text);
    if (reader.running && reader.running != running && observer_.began) observer_.began(*reader.running);
    const std::size_t now = done_ + reader.results.size(), compiled = leading_number(reader.ahead);
    if (now / cases_between_notes != before / cases_between_notes)
        note({now, " cases of the check are done"});
    if (compiled / cases_between_notes != compiled_before / cases_between_notes)
        note({reader.ahead, " shaders are compiled"});
}

CaseBatch CheckProcesses::run(const std::vector<std::size_t> &cases,
                              const Implementations::Reasons &refused) {
    // If a process with few cases fails, the implementation of a case is blamed. So such a process neither
    // compiles ahead nor reads what another process has compiled, because these could be the cause, too.
    const Compiled otherwise = cases.size() <= few_cases ? Compiled::ignored : Compiled::used;
    return run(check_request(cases, refused, alone_ ? Compiled::deleted : otherwise, some_right_), cases);
}

CaseBatch CheckProcesses::run(const std::string &request, const std::vector<std::size_t> &cases) {
    std::vector<std::string> arguments = program_.arguments;
    arguments.push_back(request);
    Reader reader{.greeting = check_greeting(subject_)};
    if (observer_.began && !cases.empty()) observer_.began(cases.front());
    const platform::ChildEnd end = platform::run_program(
        program_.program, arguments, program_.limit, [&](std::string_view text) { listen(reader, text); },
        [&] { return observer_.stop && observer_.stop(done_ + reader.results.size()); },
        [&] { return reader.ended; });
    CaseBatch batch = batch_of(reader, end, cases.size());
    done_ += reader.results.size();
    if (!not_begun_ || program_.instead.empty()) return batch;
    // No case has a result then, so the caller requests them again.
    note({batch.refused, "; so ", quoted(program_.instead.front()), " checks it"});
    program_ = program_.other();
    not_begun_ = false;
    return {};
}

CaseBatch CheckProcesses::batch_of(const Reader &reader, const platform::ChildEnd &end, std::size_t cases) {
    const std::string text = end_of(reader.others + reader.line);
    if (!end.not_started.empty() || !reader.greeted || end.stopped || is_interrupt(end.signal))
        return refusal_of(reader, end, text);
    CaseBatch batch;
    batch.results = reader.results;
    for (const auto &[number, result] : reader.results)
        if (result.end == End::right) {
            ends_ = silences_ = 0;
            some_right_ = true;
        }
    if (!reader.stopped.empty()) {
        batch.refused = reader.stopped;
        batch.kept = Kept::day;
        return batch;
    }
    const bool is_whole = reader.ended && reader.results.size() == cases;
    if (end.left && is_whole) return batch;
    if (!end.timed_out && end.signal == 0 && end.status == 0 && is_whole) return batch;
    if (!reader.ahead.empty() && !alone_) {
        // The process may have failed because of the threads that compile ahead, or because of the file that
        // keeps their results. So no case is blamed yet, and the check goes on without the threads and the
        // file.
        alone_ = true;
        if (end.timed_out && reader.running) note_hang(batch, reader, text);
        note({"the check goes on without compiling shaders ahead, since a process that did so has failed",
              last_words(text)});
    } else if (end.timed_out) {
        note_hang(batch, reader, text);
    } else {
        note_failure(batch, reader, end, text);
    }
    return batch;
}

/// Return the refusal of a check that did not begin, or that was interrupted. Such a check says nothing about
/// the device.
CaseBatch CheckProcesses::refusal_of(const Reader &reader, const platform::ChildEnd &end,
                                     const std::string &text) {
    CaseBatch batch;
    batch.kept = Kept::process;
    const std::string in_its_process = "its check, in a process of its own, was ended by ";
    if (!end.not_started.empty()) {
        not_begun_ = true;
        batch.refused =
            concat({"its answers are not checked: ", quoted(program_.program),
                    ", which does so in a process of its own, cannot be started (", end.not_started, ")"});
    } else if (end.stopped || is_interrupt(end.signal)) {
        interrupted_ = true;
        batch.refused = in_its_process + (end.stopped ? "the caller" : platform::signal_text(end.signal)) +
                        last_words(text);
    } else if (end.timed_out) {
        note_hang(batch, reader, text);
    } else {
        // The system may have killed the program before it began, for example because it is not signed.
        not_begun_ = true;
        batch.refused = end.signal != 0
                            ? in_its_process + platform::signal_text(end.signal) + last_words(text)
                            : failure_of(end, text);
    }
    return batch;
}

/// Describe the end of a process that did not report all its cases.
std::string CheckProcesses::failure_of(const platform::ChildEnd &end, const std::string &text) const {
    if (const std::size_t found = text.rfind(check_program_error); found != text.npos)
        return text.substr(found + std::string_view(check_program_error).size());
    return concat({"its check, ", quoted(program_.program), ", ended with status ", end.status,
                   " and without the answer of this version of mpscnn", last_words(text)});
}

/// Blame the case that ran when a process ended. If none ran, the check as a whole has failed.
void CheckProcesses::note_failure(CaseBatch &batch, const Reader &reader, const platform::ChildEnd &end,
                                  const std::string &text) {
    batch.kept = end.signal != 0 && is_fault(end.signal) ? Kept::always : Kept::process;
    const std::string ended =
        end.signal != 0 ? concat({"was ended by ", platform::signal_text(end.signal), last_words(text)})
                        : concat({"ended with status ", end.status, last_words(text)});
    if (reader.running) {
        const bool is_told = end.signal == 0 && text.find(check_program_error) != text.npos;
        batch.results[*reader.running] = reader.current;
        note_end(batch, *reader.running, is_told ? failure_of(end, text) : "the process " + ended);
    } else {
        batch.refused =
            end.signal != 0 ? "its check, in a process of its own, " + ended : failure_of(end, text);
    }
}

} // namespace mpscnn::engine
