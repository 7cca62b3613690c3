// Which devices "auto" may choose: checks in a process of their own, what is on record, and what a process
// keeps.

#include "engine/trust/device_trust.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "core/log.h"
#include "engine/trust/check_record.h"
#include "tests/cpp/check.h"
#include "tests/engine/spoiled_backend.h"

using namespace mpscnn;
using namespace std::chrono_literals;
using engine::CheckProgram;
using engine::why_not_trusted;

namespace {

namespace fs = std::filesystem;

/// A cache directory, a device that nobody has seen yet, and the log's warnings while a test runs.
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

    /// Leaves a line in a file for each time that it runs.
    CheckProgram script(const std::string &text, std::chrono::milliseconds limit = 60s) const {
        return {"/bin/sh", {"-c", "echo >> '" + (path / "runs").string() + "'; " + text}, limit};
    }
    CheckProgram right() const {
        return script("echo noise; printf '%s' '" + engine::right_answers_text(device) + "'");
    }
    long runs() const {
        std::ifstream file(path / "runs");
        return std::count(std::istreambuf_iterator<char>(file), {}, '\n');
    }
    /// Whether another process trusts the device: one that knows what is on record only, and whose check
    /// would find right answers.
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
    /// Forked before this process knows anything of the device.
    void fork_other() {
        int ends[2];
        if (pipe(ends) != 0) std::abort();
        const pid_t child = fork();
        if (child == 0) {
            close(ends[1]);
            for (const Other &other : others) close(other.start); // or it would never end
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
    CHECK(engine::was_right_before(bench.device.identity()));
}

TEST(an_abort_is_a_reason_on_record_and_one_warning) {
    Bench bench;
    const CheckProgram aborts = bench.script("echo 'failed assertion' >&2; kill -ABRT $$");
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
        CHECK(has(why_not_trusted(bench.device, bench.script("kill -" + std::string(signal) + " $$")),
                  "signal"));
        CHECK(!bench.trusted_by_another_process());
    }
    Bench bench;
    CHECK(has(why_not_trusted(bench.device, bench.script("kill -KILL $$")), "signal 9"));
    CHECK(bench.trusted_by_another_process());
}

TEST(a_check_that_does_not_end_is_killed_and_on_record) {
    Bench bench;
    const auto why = why_not_trusted(bench.device, bench.script("exec sleep 1000", 1s));
    CHECK(has(why, "did not end within 1 s"));
    CHECK(!bench.trusted_by_another_process() && bench.runs() == 1);
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
    const auto why = why_not_trusted(bench.device, {"/no/such/mpscnn-check", {"metal"}, 60s});
    CHECK(has(
        why,
        "'/no/such/mpscnn-check', which does so in a process of its own, cannot be started (No such file"));
    CHECK(bench.trusted_by_another_process());
}

TEST(the_answer_of_another_version_is_none) {
    Bench bench;
    const std::string text = engine::right_answers_text(bench.device);
    const std::vector<std::string> others{"true", "printf '%s'", "echo 'right answers:'",
                                          "printf '%s' '" + text + "more'",
                                          "printf '%s' '" + text + "'; exit 3"};
    for (const std::string &other : others) {
        Bench fresh;
        CHECK(has(why_not_trusted(fresh.device, fresh.script(other)), "without the answer of this version"));
        CHECK(!engine::was_right_before(fresh.device.identity()));
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
    const CheckProgram slow =
        bench.script("sleep 0.3; printf '%s' '" + engine::right_answers_text(bench.device) + "'");
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

TEST(a_check_in_this_process_clears_what_is_on_record) {
    Bench bench;
    const auto cpu = cpu::make_cpu_backend();
    CHECK(why_not_trusted(bench.device, bench.script("kill -ABRT $$")).has_value());
    engine::require_right_answers(bench.device, *cpu); // whoever asks for a device by name gets it
    CHECK(engine::was_right_before(bench.device.identity()));
    CHECK(!why_not_trusted(bench.device, bench.script("exit 1")));
    CHECK(bench.runs() == 1);
}

TEST(wrong_answers_in_this_process_are_kept_for_it) {
    Bench bench;
    const auto cpu = cpu::make_cpu_backend();
    SpoiledBackend wrong("self-check: convolution", 0.5f);
    wrong.identity_ = bench.device.identity_;
    CHECK_THROWS(engine::require_right_answers(wrong, *cpu), ErrorKind::device,
                 "convolution in float32: result");
    CHECK_THROWS(engine::require_right_answers(bench.device, *cpu), ErrorKind::device, "answers wrongly");
    engine::check_answers(bench.device, *cpu); // looks again
    engine::require_right_answers(bench.device, *cpu);
}

TEST(checks_can_be_skipped) {
    Bench bench;
    setenv("MPSCNN_SKIP_SELF_CHECK", "1", 1);
    CHECK(!why_not_trusted(bench.device, bench.script("exit 1")));
    engine::require_right_answers(SpoiledBackend("self-check: convolution", 0.5f), *cpu::make_cpu_backend());
    unsetenv("MPSCNN_SKIP_SELF_CHECK");
    CHECK(bench.runs() == 0);
}

TEST(the_installed_program_lies_beside_the_library_or_where_programs_are) {
    const CheckProgram found = engine::installed_check_program("metal:0x1");
    CHECK(fs::path(found.program).filename() == "mpscnn-check");
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
