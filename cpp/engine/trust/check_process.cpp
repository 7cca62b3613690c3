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
                           cases_word = "cases", refused_word = "refused ", ahead_word = "compiled ";
constexpr std::string_view right_line = "right", without_line = "without", end_line = "end",
                           alone_line = "alone";

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

std::string marked(std::initializer_list<TextPart> parts) { return std::string(mark) + concat(parts); }

} // namespace

std::string check_request(const std::vector<std::size_t> &cases, const Implementations::Reasons &refused,
                          bool alone) {
    std::string text(cases_word);
    for (const std::size_t number : cases) text += " " + std::to_string(number);
    if (alone) text += concat({"\n", alone_line});
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
    bool alone = false;
    for (const std::string_view line : parts_of(request, '\n')) {
        if (line.starts_with(refused_word)) {
            refused.emplace(line.substr(refused_word.size()), "as the library says");
            continue;
        }
        if (line == alone_line) {
            alone = true;
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
    std::mutex reporting;
    const auto report = [&](const std::string &line) {
        const std::lock_guard lock(reporting);
        report_line(line);
    };
    report(check_greeting(subject));
    if (alone) subject.forget_compiled();
    std::shared_ptr<void> ahead;
    if (!alone && cases.size() > few_cases)
        ahead = subject.compile_ahead([&](std::size_t done, std::size_t all) {
            report(marked({ahead_word, done, " of ", all}));
        });
    const auto other = subject.with(Implementations(refused));
    for (const std::size_t number : cases) {
        report(marked({case_word, number}));
        const CaseResult result =
            run_case(other ? *other : subject, reference, networks[number], [&](const std::string &name) {
                report(marked({takes_word, name}));
            });
        if (result.end == End::wrong)
            report(marked({wrong_word, result.reason}));
        else
            report(marked({result.end == End::right ? right_line : without_line}));
    }
    ahead.reset();
    report(marked({end_line}));
}

/// Parses a report while the process writes it.
struct CheckProcesses::Reader {
    std::map<std::size_t, CaseResult> results = {};
    std::optional<std::size_t> running = {}; ///< the case that has begun
    CaseResult current = {};
    std::string others = {}; ///< other output since that case began
    bool greeted = false, ended = false;
    std::string ahead = {}; ///< how far the process has compiled ahead; empty if it does not compile ahead
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
        others += concat({line.substr(0, begin), " "});
        if (begin == line.npos) return;
        const std::string_view text = std::string_view(line).substr(begin);
        if (text == greeting) {
            greeted = true;
            return;
        }
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
        } else if (said.starts_with(ahead_word)) {
            ahead = said.substr(ahead_word.size());
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

CheckProcesses::CheckProcesses(const Backend &subject, const CheckProgram &program)
    : subject_(subject), program_(program) {}

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
void CheckProcesses::note_hang(CaseBatch &batch, const Reader &reader, const std::string &said) {
    const std::string reason = concat(
        {"no answer came within ", static_cast<std::int64_t>(program_.limit.count() / 1000), " s", said});
    if (++silences_ >= max_silences || !reader.running) {
        batch.refused = concat({"its check, in a process of its own, does not go on: ", reason});
        // A program without any output may be waiting for something else, so this result is not recorded.
        batch.lasting = batch.lasting && reader.running.has_value();
        return;
    }
    if (++hangs_[*reader.running] == 1) {
        log(LogLevel::information, concat({"device ", quoted(subject_.device_name()), ": case ",
                                           *reader.running, " of the check is tried again: ", reason}));
        return;
    }
    batch.results[*reader.running] = reader.current;
    batch.results[*reader.running].end = End::ended;
    batch.results[*reader.running].reason = reason;
}

CaseBatch CheckProcesses::run(const std::vector<std::size_t> &cases,
                              const Implementations::Reasons &refused) {
    std::vector<std::string> arguments = program_.arguments;
    // If a process with few cases fails, the implementation of a case is blamed. So such a process neither
    // compiles ahead nor reads what another process has compiled, because these could be the cause, too.
    arguments.push_back(check_request(cases, refused, alone_ || cases.size() <= few_cases));
    Reader reader{.greeting = check_greeting(subject_)};
    const auto note = [&](std::initializer_list<TextPart> parts) {
        log(LogLevel::information, concat({"device ", quoted(subject_.device_name()), ": ", concat(parts)}));
    };
    const auto listen = [&](std::string_view text) {
        const std::size_t before = done_ + reader.results.size();
        const std::size_t compiled_before = leading_number(reader.ahead);
        reader.take(text);
        const std::size_t now = done_ + reader.results.size(), compiled = leading_number(reader.ahead);
        if (now / cases_between_notes != before / cases_between_notes)
            note({now, " cases of the check are done"});
        if (compiled / cases_between_notes != compiled_before / cases_between_notes)
            note({reader.ahead, " shaders are compiled"});
    };
    const platform::ChildEnd end = platform::run_program(program_.program, arguments, program_.limit, listen);
    CaseBatch batch;
    const auto refuse = [&](const std::string &reason) {
        batch.refused = reason;
        batch.lasting = false;
        return batch;
    };
    if (!end.not_started.empty()) {
        not_begun_ = true;
        return refuse(
            concat({"its answers are not checked: ", quoted(program_.program),
                    ", which does so in a process of its own, cannot be started (", end.not_started, ")"}));
    }
    batch.results = reader.results;
    for (const auto &[number, result] : reader.results)
        if (result.end == End::right) ends_ = silences_ = 0;
    done_ += reader.results.size();
    const std::string text = end_of(reader.others + reader.line);
    const std::string said = text.empty() ? "" : concat({"; the last that it wrote: ", quoted(text)});
    if (is_interrupt(end.signal)) {
        interrupted_ = true;
        return refuse(concat(
            {"its check, in a process of its own, was ended by ", platform::signal_text(end.signal), said}));
    }
    const bool is_whole = reader.greeted && reader.ended && reader.results.size() == cases.size();
    if (!end.timed_out && end.signal == 0 && end.status == 0 && is_whole) return batch;
    if (!reader.ahead.empty()) {
        // The process may have failed because of the threads that compile ahead, or because of the file that
        // keeps their results. So no case is blamed yet, and the check goes on without the threads and the
        // file.
        alone_ = true;
        if (end.timed_out && reader.running) note_hang(batch, reader, said);
        note({"the check goes on without compiling shaders ahead, since a process that did so has failed",
              said});
        return batch;
    }
    if (end.timed_out) {
        note_hang(batch, reader, said);
        return batch;
    }
    const bool is_lasting = end.signal != 0 && is_fault(end.signal);
    std::string reason = end.signal != 0
                             ? concat({"the process was ended by ", platform::signal_text(end.signal), said})
                             : concat({"the process ended with status ", end.status, said});
    if (const std::size_t found = text.rfind(check_program_error); end.signal == 0 && found != text.npos)
        reason = text.substr(found + std::string_view(check_program_error).size());
    if (reader.greeted && reader.running) {
        batch.lasting = is_lasting;
        batch.results[*reader.running] = reader.current;
        note_end(batch, *reader.running, reason);
        return batch;
    }
    if (end.signal != 0) {
        refuse(concat(
            {"its check, in a process of its own, was ended by ", platform::signal_text(end.signal), said}));
        batch.lasting = is_lasting;
        return batch;
    }
    not_begun_ = !reader.greeted;
    if (text.find(check_program_error) != text.npos) return refuse(reason);
    return refuse(concat({"its check, ", quoted(program_.program), ", ended with status ", end.status,
                          " and without the answer of this version of mpscnn", said}));
}

} // namespace mpscnn::engine
