// Tests of the devices that "auto" may choose: checks in a separate process, records, and a process's cache.

#include "engine/trust/device_trust.h"

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/child_process.h"
#include "core/log.h"
#include "core/platform.h"
#include "engine/trust/check_follower.h"
#include "engine/trust/check_record.h"
#include "tests/cpp/check.h"
#include "tests/engine/spoiled_backend.h"

using namespace mpscnn;
using namespace std::chrono_literals;
using engine::CheckProgram;

namespace {

namespace fs = std::filesystem;

/// Return the reason why "auto" does not choose a device; nothing if it does.
std::optional<std::string> why_not_trusted(const engine::Backend &device, const CheckProgram &check) {
    const engine::Verdict verdict = engine::verdict_for_auto(device, check);
    if (verdict.refused.empty()) return std::nullopt;
    return engine::refusal_text(device, verdict);
}

bool was_right_before(const std::string &identity) {
    const auto verdict = engine::verdict_on_record(identity);
    return verdict && verdict->refused.empty() && verdict->implementations.empty();
}

const CheckProgram no_program{"/no/such/mpscnn-check", {"metal"}, 60s};

/// For one test: a cache directory, a device that was never checked, and the warnings of the log.
class Bench {
public:
    Bench() : device("none", 0) {
        std::string name = (fs::temp_directory_path() / "mpscnn_device_trust_XXXXXX").string();
        if (!mkdtemp(name.data())) std::abort();
        path = name;
        setenv("MPSCNN_CACHE", (path / "cache").c_str(), 1);
        device.identity_ = "device of " + name;
        set_log_callback(
            [](int level, const char *message, void *context) {
                if (level == 1) static_cast<Bench *>(context)->warnings.push_back(message);
            },
            this);
        for (int i = 0; i < 3; ++i) fork_other();
    }
    ~Bench() {
        for (const auto &[child, start] : others) {
            close(start);
            waitpid(child, nullptr, 0);
        }
        set_log_callback(nullptr, nullptr);
        unsetenv("MPSCNN_CACHE");
        fs::remove_all(path);
    }
    Bench(const Bench &) = delete;
    Bench &operator=(const Bench &) = delete;

    /// Return a check program that runs a script, and adds a line to a file each time.
    CheckProgram script(const std::string &text, std::chrono::milliseconds limit = 60s) const {
        return {"/bin/sh", {"-c", "echo >> '" + (path / "runs").string() + "'; " + text}, limit};
    }
    /// Return a check program that greets, and then runs a script.
    CheckProgram greeting(const std::string &text, std::chrono::milliseconds limit = 60s) const {
        return script("echo '" + engine::check_greeting(device) + "'; " + text, limit);
    }
    CheckProgram right() const { return script("echo noise; " + report("right")); }
    /// Return commands that report this end for each case of the request, which is the script's argument.
    std::string report(const std::string &end) const {
        return "echo '" + engine::check_greeting(device) +
               "'; for n in $(printf '%s\\n' \"$0\" | head -n 1 | cut -c 7-); do "
               "echo \"@mpscnn case $n\"; echo '@mpscnn takes layer by a kernel'; echo '@mpscnn " +
               end + "'; done; echo '@mpscnn end'";
    }
    /// Return a check program that reports success up to the case `number`. There it runs `commands`, unless
    /// the implementation is already refused.
    CheckProgram failing(int number, const std::string &commands,
                         std::chrono::milliseconds limit = 60s) const {
        return script("echo '" + engine::check_greeting(device) +
                          "'; for n in $(printf '%s\\n' \"$0\" | head -n 1 | cut -c 7-); do "
                          "echo \"@mpscnn case $n\"; if [ $n = " +
                          std::to_string(number) +
                          " ]; then case \"$0\" in *'refused softmax by MPSCNNSoftMax'*) echo '@mpscnn "
                          "takes softmax by a shader';; *) echo '@mpscnn takes softmax by MPSCNNSoftMax'; " +
                          commands +
                          ";; esac; else echo '@mpscnn takes layer by a kernel'; fi; echo '@mpscnn right'; "
                          "done; echo '@mpscnn end'",
                      limit);
    }
    long runs() const {
        std::ifstream file(path / "runs");
        return std::count(std::istreambuf_iterator<char>(file), {}, '\n');
    }
    /// Return true if another process trusts the device. That process knows only the record, and its check
    /// would succeed.
    bool trusted_by_another_process() {
        const auto [child, start] = others.back();
        others.pop_back();
        static_cast<void>(!write(start, "x", 1));
        close(start);
        int status = -1;
        return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }

    struct Other {
        pid_t child;
        int start;
    };

    fs::path path;
    SpoiledBackend device;
    std::vector<std::string> warnings;
    std::vector<Other> others;

private:
    /// Fork another process before this one has checked the device.
    void fork_other() {
        int ends[2];
        if (pipe(ends) != 0) std::abort();
        // A check program that goes on would keep the pipe open, and the other process would wait for it.
        for (const int end : ends) fcntl(end, F_SETFD, FD_CLOEXEC);
        const pid_t child = fork();
        if (child == 0) {
            close(ends[1]);
            for (const Other &other : others) close(other.start); // otherwise that process would wait forever
            char begun = 0;
            if (read(ends[0], &begun, 1) != 1) _exit(2);
            set_log_callback(nullptr, nullptr);
            _exit(why_not_trusted(device, right()) ? 1 : 0);
        }
        close(ends[0]);
        others.push_back({child, ends[1]});
    }
};

bool has(const std::optional<std::string> &text, std::string_view part) {
    if (text && text->find(part) != text->npos) return true;
    std::printf("  %s\n", text ? text->c_str() : "nothing");
    return false;
}

} // namespace

TEST(right_answers_are_on_record_and_not_asked_for_again) {
    Bench bench;
    CHECK(bench.trusted_by_another_process());
    CHECK(bench.trusted_by_another_process());
    CHECK(!why_not_trusted(bench.device, bench.script("exit 1")));
    CHECK(bench.runs() == 1 && bench.warnings.empty());
    CHECK(was_right_before(bench.device.identity()));
}

TEST(an_abort_is_a_reason_on_record_and_one_warning) {
    Bench bench;
    const CheckProgram aborts = bench.greeting("echo 'failed assertion' >&2; kill -ABRT $$");
    for (int turn = 0; turn < 3; ++turn) {
        const auto why = why_not_trusted(bench.device, aborts);
        CHECK(has(
            why,
            "device 'Spoiled CPU' is not used: its check, in a process of its own, was ended by signal 6"));
        CHECK(has(why, "the last that it wrote: 'failed assertion'"));
        CHECK(has(why, "mpscnn verify"));
    }
    CHECK(bench.runs() == 1 && bench.warnings.size() == 1);
    CHECK(!bench.trusted_by_another_process() && bench.runs() == 1);
}

TEST(a_crash_is_on_record_and_a_kill_from_outside_is_not) {
    for (const char *signal : {"SEGV", "BUS", "ILL", "TRAP"}) {
        Bench bench;
        CHECK(has(why_not_trusted(bench.device, bench.greeting("kill -" + std::string(signal) + " $$")),
                  "signal"));
        CHECK(!bench.trusted_by_another_process());
    }
    Bench bench;
    CHECK(has(why_not_trusted(bench.device, bench.greeting("kill -KILL $$")), "signal 9"));
    CHECK(bench.trusted_by_another_process());
}

TEST(a_program_that_is_killed_before_it_greets_has_not_begun) {
    const auto cpu = cpu::make_cpu_backend();
    for (const char *signal : {"KILL", "SEGV", "TRAP"}) {
        Bench bench;
        const CheckProgram killed = bench.script("echo unsigned; kill -" + std::string(signal) + " $$");
        CHECK(has(why_not_trusted(bench.device, killed), "ended by signal"));
        CHECK(!engine::verdict_on_record(bench.device.identity()));
        // A device that is asked for is checked in this process instead.
        CHECK(engine::verdict_when_asked(bench.device, *cpu, killed).refused.empty());
        CHECK(bench.runs() == 1 && was_right_before(bench.device.identity()));
    }
}

TEST(results_before_the_greeting_do_not_count) {
    Bench bench;
    const std::string wrong = "echo '@mpscnn case 0'; echo '@mpscnn takes layer by a kernel'; "
                              "echo '@mpscnn wrong all'; echo '@mpscnn compiled 9 of 9'; ";
    CHECK(!why_not_trusted(bench.device, bench.script(wrong + bench.report("right"))));
    CHECK(was_right_before(bench.device.identity()));
    Bench other;
    CHECK(has(why_not_trusted(other.device, other.script(wrong + "echo '@mpscnn end'; kill -KILL $$")),
              "ended by signal 9"));
    CHECK(!engine::verdict_on_record(other.device.identity()));
}

TEST(a_check_that_stops_early_is_recorded_for_a_day) {
    Bench bench;
    const CheckProgram stops =
        bench.greeting("echo '@mpscnn case 0'; echo '@mpscnn wrong no shaders'; echo '@mpscnn stop no "
                       "shaders'; echo '@mpscnn end'");
    CHECK(has(why_not_trusted(bench.device, stops), "is not used: no shaders"));
    CHECK(bench.runs() == 1);
    const auto recorded = engine::verdict_on_record(bench.device.identity());
    CHECK(recorded && recorded->refused == "no shaders");
    CHECK(!bench.trusted_by_another_process() && bench.runs() == 1);
}

TEST(a_device_on_which_all_cases_fail_is_recorded_for_a_day) {
    Bench bench;
    CHECK(has(why_not_trusted(bench.device, bench.script(bench.report("wrong zeros"))), "zeros"));
    CHECK(!bench.trusted_by_another_process());
    const auto recorded = engine::verdict_on_record(bench.device.identity());
    CHECK(recorded && has(recorded->refused, "zeros"));
}

namespace {

/// Counts calls of the check's follower, and ends checks from the call `last` on.
struct Follows {
    explicit Follows(int last = 1 << 30) : last_(last) {
        engine::set_check_callback(
            [](const char *, std::int64_t done, std::int64_t all, void *context) {
                auto &self = *static_cast<Follows *>(context);
                self.done = done, self.all = all;
                return ++self.calls >= self.last_ ? 1 : 0;
            },
            this);
    }
    ~Follows() { engine::set_check_callback(nullptr, nullptr); }
    int calls = 0;
    std::int64_t done = -1, all = -1;

private:
    int last_;
};

} // namespace

TEST(the_follower_hears_how_many_cases_are_done) {
    Bench bench;
    const Follows follows;
    CHECK(!why_not_trusted(bench.device, bench.right()));
    CHECK(follows.calls > 0 && follows.done == follows.all && follows.all > 100);
    const int calls = follows.calls;
    CHECK(!why_not_trusted(bench.device, bench.right()) && follows.calls == calls);
}

TEST(the_follower_ends_a_check_and_the_wait_for_another_one) {
    Bench bench;
    {
        const Follows follows(3);
        CHECK(has(why_not_trusted(bench.device, bench.greeting("exec sleep 1000")), "ended by the caller"));
    }
    CHECK(bench.warnings.empty() && !engine::verdict_on_record(bench.device.identity()));
    {
        const engine::CheckTurn other(bench.device.identity());
        const Follows follows(3);
        CHECK(has(why_not_trusted(bench.device, bench.right()), "wait for its check"));
        CHECK(follows.calls == 3 && follows.all == 0);
    }
    CHECK(!why_not_trusted(bench.device, bench.right()));
}

TEST(a_device_whose_check_stopped_the_machine_is_not_checked_again) {
    Bench bench;
    fs::path file;
    std::string text;
    {
        engine::CheckMarker marker(bench.device.identity());
        marker.begin(3);
        marker.begin(12);
        CHECK(!engine::case_of_crash(bench.device.identity())); // the machine has not been started again
        for (const auto &entry : fs::directory_iterator(bench.path / "cache" / "self_check"))
            file = entry.path();
        std::getline(std::ifstream(file), text, '\0');
    }
    CHECK(!fs::exists(file) && text.ends_with(" 00000012\n"));
    const auto note_begin = [&](std::int64_t seconds) {
        std::ofstream(file) << platform::boot_time() - seconds << " 00000012\n";
        return engine::case_of_crash(bench.device.identity());
    };
    CHECK(!note_begin(2 * 60 * 60)); // the process was killed, long before the machine was started again
    CHECK(note_begin(60) == 12);
    CHECK(has(why_not_trusted(bench.device, bench.right()), "while case 12 ran"));
    CHECK(bench.runs() == 0 && !bench.trusted_by_another_process());
    engine::check_again(bench.device, *cpu::make_cpu_backend(), bench.right());
    CHECK(bench.runs() == 1 && was_right_before(bench.device.identity()));
    CHECK(!engine::case_of_crash(bench.device.identity()));
}

TEST(a_device_that_auto_does_not_take_is_taken_after_its_check) {
    Bench bench;
    bench.device.why_not_automatic_ = "it is virtual";
    CHECK(has(why_not_trusted(bench.device, bench.right()), "is not used: it is virtual"));
    CHECK(bench.runs() == 0 && bench.warnings.empty());
    engine::check_again(bench.device, *cpu::make_cpu_backend(), bench.right());
    CHECK(!why_not_trusted(bench.device, bench.right()) && bench.trusted_by_another_process());
}

TEST(a_check_that_says_nothing_is_killed) {
    Bench bench;
    const auto why = why_not_trusted(bench.device, bench.script("exec sleep 1000", 3s));
    CHECK(has(why, "no answer came within 3 s"));
    CHECK(bench.runs() == 1 && bench.warnings.size() == 1);
    CHECK(bench.trusted_by_another_process());
}

TEST(a_case_that_fails_costs_its_implementation) {
    for (const char *commands : {"kill -ABRT $$", "kill -SEGV $$", "exit 3"}) {
        Bench bench;
        for (int turn = 0; turn < 2; ++turn) {
            const auto verdict = engine::verdict_for_auto(bench.device, bench.failing(7, commands));
            CHECK(verdict.refused.empty() && verdict.implementations.size() == 1);
            CHECK(has(verdict.implementations.begin()->first, "softmax by MPSCNNSoftMax"));
        }
        CHECK(bench.runs() == 2 && bench.warnings.size() == 1);
        CHECK(has(bench.warnings.at(0), "computes some layers in another way"));
        CHECK(has(bench.warnings.at(0), "softmax by MPSCNNSoftMax (the process "));
        const auto recorded = engine::verdict_on_record(bench.device.identity());
        const bool is_fault = std::string_view(commands).starts_with("kill");
        CHECK(recorded.has_value() == is_fault);
        CHECK(bench.trusted_by_another_process());
    }
}

TEST(a_case_that_hangs_is_tried_once_more) {
    Bench bench;
    const std::string mark = "'" + (bench.path / "first").string() + "'";
    const CheckProgram cold =
        bench.failing(7, "[ -e " + mark + " ] || { touch " + mark + "; exec sleep 1000; }", 3s);
    CHECK(!why_not_trusted(bench.device, cold) && bench.warnings.empty());
    CHECK(bench.runs() == 2 && was_right_before(bench.device.identity()));
    Bench other;
    const auto verdict = engine::verdict_for_auto(other.device, other.failing(7, "exec sleep 1000", 3s));
    CHECK(verdict.refused.empty() && verdict.implementations.size() == 1 && other.runs() == 3);
    CHECK(has(verdict.implementations.begin()->second, "no answer came within 3 s"));
    // Silence may be a fault of the moment, so the next process checks again.
    CHECK(!engine::verdict_on_record(other.device.identity()));
    CHECK(other.trusted_by_another_process() && was_right_before(other.device.identity()));
}

TEST(a_device_on_which_everything_hangs_is_not_tried_for_ever) {
    Bench bench;
    const CheckProgram hangs = bench.script(
        "echo '" + engine::check_greeting(bench.device) + "'; echo '@mpscnn case 0'; exec sleep 1000", 3s);
    CHECK(has(why_not_trusted(bench.device, hangs), "no answer came within 3 s"));
    CHECK(bench.runs() <= 3);
    CHECK(bench.trusted_by_another_process()); // it is tried again
}

/// Return a case's commands: `ahead` for a process that compiles shaders in advance, `otherwise` for others.
std::string ahead_or_not(const std::string &ahead, const std::string &otherwise) {
    return "case \"$0\" in *'delete compiled'*) " + otherwise + ";; *) echo '@mpscnn compiled 3 of 9'; " +
           ahead + ";; esac";
}

TEST(a_process_that_compiles_ahead_and_fails_blames_no_case) {
    for (const char *failure : {"kill -ABRT $$", "exit 3", "exec sleep 1000"}) {
        Bench bench;
        CHECK(!why_not_trusted(bench.device, bench.failing(7, ahead_or_not(failure, ":"), 3s)));
        CHECK(bench.runs() == 2 && bench.warnings.empty() && was_right_before(bench.device.identity()));
    }
    Bench other;
    const std::string abort = "kill -ABRT $$";
    const auto verdict = engine::verdict_for_auto(other.device, other.failing(7, ahead_or_not(abort, abort)));
    CHECK(verdict.refused.empty() && verdict.implementations.size() == 1 && other.runs() == 3);
    CHECK(has(verdict.implementations.begin()->first, "softmax by MPSCNNSoftMax"));
}

TEST(a_process_that_hangs_after_the_last_case_has_checked_them) {
    Bench bench;
    const CheckProgram hangs =
        bench.script(bench.report("right") + "; echo '@mpscnn compiled 9 of 9'; exec sleep 1000", 3s);
    CHECK(!why_not_trusted(bench.device, hangs));
    CHECK(bench.runs() == 1 && was_right_before(bench.device.identity()));
}

TEST(an_interrupt_says_nothing_of_the_device) {
    Bench bench;
    for (const char *signal : {"INT", "TERM", "HUP"})
        CHECK(has(why_not_trusted(bench.device, bench.script("kill -" + std::string(signal) + " $$")),
                  "signal"));
    CHECK(bench.warnings.empty());
    CHECK(!why_not_trusted(bench.device, bench.right()));
}

TEST(a_wrong_answer_is_told_and_kept_for_this_process) {
    Bench bench;
    const CheckProgram wrong = bench.script("echo noise; echo 'mpscnn-check: softmax is wrong' >&2; exit 1");
    CHECK(has(why_not_trusted(bench.device, wrong), "is not used: softmax is wrong. `mpscnn-check`"));
    CHECK(has(why_not_trusted(bench.device, bench.right()), "softmax is wrong"));
    CHECK(bench.runs() == 1 && bench.warnings.size() == 1);
    CHECK(bench.trusted_by_another_process());
}

TEST(without_its_program_a_device_is_not_checked) {
    if (std::getenv("MPSCNN_EMULATED"))
        SKIP("qemu's user mode forks where posix_spawn shares memory, through which the error would come "
             "back");
    Bench bench;
    const auto why = why_not_trusted(bench.device, no_program);
    CHECK(has(
        why,
        "'/no/such/mpscnn-check', which does so in a process of its own, cannot be started (No such file"));
    CHECK(bench.trusted_by_another_process());
}

TEST(the_answer_of_another_version_is_none) {
    Bench bench;
    const std::string text = engine::check_greeting(bench.device);
    const std::vector<std::string> others{"true",
                                          "printf '%s'",
                                          "echo 'right answers:'",
                                          "echo '" + text + "more'; echo '@mpscnn end'",
                                          "echo '" + text + "'; echo '@mpscnn end'",
                                          "echo '" + text + "'; exit 3"};
    for (const std::string &other : others) {
        Bench fresh;
        fresh.device.identity_ = bench.device.identity_ + other;
        CHECK(has(why_not_trusted(fresh.device, fresh.script(other)), "without the answer of this version"));
        CHECK(!was_right_before(fresh.device.identity()));
    }
}

TEST(where_nothing_can_be_written_each_process_checks) {
    Bench bench;
    std::ofstream(bench.path / "cache") << "a file, no folder";
    CHECK(!why_not_trusted(bench.device, bench.right()) && !why_not_trusted(bench.device, bench.right()));
    CHECK(bench.runs() == 1);
    CHECK(bench.trusted_by_another_process() && bench.runs() == 2);
}

TEST(processes_that_ask_at_once_share_one_check) {
    Bench bench;
    const CheckProgram slow = bench.script("sleep 0.3; " + bench.report("right"));
    std::vector<pid_t> children;
    for (int i = 0; i < 4; ++i) {
        const pid_t child = fork();
        if (child == 0) _exit(why_not_trusted(bench.device, slow) ? 1 : 0);
        children.push_back(child);
    }
    for (const pid_t child : children) {
        int status = -1;
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    CHECK(bench.runs() == 1);
}

TEST(a_process_that_ends_during_its_turn_holds_nobody_up) {
    Bench bench;
    int ready[2];
    CHECK(pipe(ready) == 0);
    const pid_t child = fork();
    if (child == 0) {
        const engine::CheckTurn turn(bench.device.identity());
        static_cast<void>(!write(ready[1], "x", 1));
        pause();
    }
    char begun = 0;
    CHECK(read(ready[0], &begun, 1) == 1);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    CHECK(!why_not_trusted(bench.device, bench.right()));
}

TEST(a_device_that_is_asked_for_is_checked_in_another_process_too) {
    Bench bench;
    const auto cpu = cpu::make_cpu_backend();
    const CheckProgram aborts = bench.greeting("kill -ABRT $$");
    CHECK_THROWS(engine::verdict_when_asked(bench.device, *cpu, aborts), ErrorKind::device,
                 "is not used: its check, in a process of its own, was ended by signal 6");
    CHECK(engine::verdict_on_record(bench.device.identity()).has_value());
    engine::check_again(bench.device, *cpu, bench.right());
    CHECK(was_right_before(bench.device.identity()));
    engine::verdict_when_asked(bench.device, *cpu, aborts);
    CHECK(bench.runs() == 2);
}

TEST(without_the_program_a_device_that_is_asked_for_is_checked_here) {
    Bench bench;
    const auto cpu = cpu::make_cpu_backend();
    CHECK(why_not_trusted(bench.device, no_program).has_value());
    CHECK(engine::verdict_when_asked(bench.device, *cpu, no_program).refused.empty());
    CHECK(was_right_before(bench.device.identity()));
    CHECK(!why_not_trusted(bench.device, no_program)); // now "auto" does not need the program, either
    // A backend without alternative implementations cannot replace a wrong one.
    Bench other;
    SpoiledBackend wrong("self-check: convolution", 0.5f);
    wrong.identity_ = other.device.identity_;
    CHECK_THROWS(engine::verdict_when_asked(wrong, *cpu, no_program), ErrorKind::device,
                 "convolution in float32 with 2 images: result");
    CHECK(!engine::verdict_on_record(wrong.identity()).has_value() || !was_right_before(wrong.identity()));
    engine::check_again(other.device, *cpu, no_program);
    engine::verdict_when_asked(wrong, *cpu, no_program);
}

TEST(checks_can_be_skipped) {
    Bench bench;
    setenv("MPSCNN_SKIP_SELF_CHECK", "1", 1);
    CHECK(!why_not_trusted(bench.device, bench.script("exit 1")));
    const SpoiledBackend wrong("self-check: convolution", 0.5f);
    CHECK(engine::verdict_when_asked(wrong, *cpu::make_cpu_backend(), no_program).refused.empty());
    unsetenv("MPSCNN_SKIP_SELF_CHECK");
    CHECK(bench.runs() == 0);
}

TEST(the_installed_program_lies_beside_the_library_or_where_programs_are) {
    const CheckProgram found = engine::installed_check_program("metal:0x1");
    // A statically linked program does not know its folder, so it names no program to check with.
    const bool knows_its_folder = fs::path(mpscnn::platform::own_file()).has_parent_path();
    CHECK(fs::path(found.program).filename() == (knows_its_folder ? "mpscnn-check" : ""));
    CHECK(found.arguments == std::vector<std::string>{"metal:0x1"} && found.limit == 60s);
    setenv("MPSCNN_SELF_CHECK_SECONDS", "0.25", 1);
    CHECK(engine::installed_check_program("metal").limit == 250ms);
    for (const char *wrong : {"0", "-1", "x", "1x", "nan", "1e9"}) {
        setenv("MPSCNN_SELF_CHECK_SECONDS", wrong, 1);
        CHECK_THROWS(engine::installed_check_program("metal"), ErrorKind::parameter,
                     "MPSCNN_SELF_CHECK_SECONDS must be");
    }
    unsetenv("MPSCNN_SELF_CHECK_SECONDS");
}
