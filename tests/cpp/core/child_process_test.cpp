// Tests running child processes: their output and exit status, signals, and time limits.

#include "core/child_process.h"

#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "tests/cpp/check.h"

using mpscnn::platform::ChildEnd;
using mpscnn::platform::run_program;
using namespace std::chrono_literals;

namespace {

ChildEnd shell(const std::string &script, std::chrono::milliseconds limit = 60s) {
    return run_program("/bin/sh", {"-c", script}, limit);
}

} // namespace

TEST(what_a_program_says_and_its_status_come_back) {
    const ChildEnd end = shell("echo out; echo error >&2; exit 3");
    CHECK(end.output == "out\nerror\n" && end.status == 3);
    CHECK(end.signal == 0 && !end.timed_out && end.not_started.empty());
}

TEST(arguments_arrive_as_they_are_and_stdin_is_empty) {
    const ChildEnd end = run_program("/bin/sh", {"-c", "cat; echo \"$1|$2\"", "name", "a b", "$x"}, 60s);
    CHECK(end.output == "a b|$x\n");
}

TEST(a_program_that_ends_itself_by_a_signal_is_described) {
    const ChildEnd end = shell("echo before; kill -ABRT $$");
    CHECK(end.signal == SIGABRT && end.output == "before\n" && !end.timed_out);
    CHECK(mpscnn::platform::signal_text(SIGABRT).starts_with("signal 6 ("));
}

TEST(a_program_that_does_not_end_is_killed) {
    ChildEnd end;
    for (auto limit = 200ms; end.output.empty() && limit < 60s; limit *= 4) // a busy machine starts it late
        end = shell("echo before; exec sleep 1000", limit);
    CHECK(end.timed_out && end.signal == SIGKILL && end.output == "before\n");
}

TEST(a_program_is_killed_if_the_caller_wants_it) {
    int asked = 0;
    const auto stop = [&] { return ++asked == 3; };
    const ChildEnd end = run_program("/bin/sh", {"-c", "exec sleep 1000"}, 60s, {}, stop);
    CHECK(end.stopped && !end.timed_out && end.signal == SIGKILL && asked == 3);
}

TEST(a_program_that_writes_all_the_time_does_not_time_out) {
    const ChildEnd end = shell("for i in 1 2 3 4; do sleep 0.5; echo $i; done", 30s);
    CHECK(end.output == "1\n2\n3\n4\n" && !end.timed_out && !end.stopped);
}

TEST(a_program_that_closes_its_output_is_waited_for_all_the_same) {
    const ChildEnd late = shell("exec >&- 2>&-; exec sleep 1000", 200ms);
    CHECK(late.timed_out && late.signal == SIGKILL);
    const ChildEnd end = shell("exec >&- 2>&-; exit 4");
    CHECK(!end.timed_out && end.status == 4);
}

TEST(a_program_that_is_not_there_does_not_start) {
    if (std::getenv("MPSCNN_EMULATED"))
        SKIP("qemu's user mode forks where posix_spawn shares memory, through which the error would come "
             "back");
    CHECK(run_program("/no/such/program", {}, 60s).not_started == "No such file or directory");
    CHECK(!run_program("/", {}, 60s).not_started.empty());
}

TEST(only_the_end_of_a_long_output_is_kept) {
    const ChildEnd end = shell("i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done");
    CHECK(end.output.size() <= 8 << 10 && end.output.ends_with("line 2999\n"));
}

TEST(a_program_that_nobody_may_wait_for_still_says_what_it_has_to_say) {
    struct sigaction ignore {
    }, before{};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGCHLD, &ignore, &before);
    const ChildEnd end = shell("echo done");
    sigaction(SIGCHLD, &before, nullptr);
    CHECK(end.output == "done\n" && !end.timed_out);
}

TEST(signals_of_the_caller_that_are_blocked_are_not_in_the_program) {
    sigset_t abort, before;
    sigemptyset(&abort);
    sigaddset(&abort, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &abort, &before);
    const ChildEnd end = shell("kill -TERM $$; exit 0");
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    CHECK(end.signal == SIGTERM);
}

TEST(low_descriptors_that_are_free_are_no_trap) {
    const int in = dup(STDIN_FILENO);
    close(STDIN_FILENO); // then the pipe gets this descriptor number
    const ChildEnd end = shell("cat; echo here");
    dup2(in, STDIN_FILENO);
    close(in);
    CHECK(end.output == "here\n");
}

TEST(several_threads_start_programs_at_once) {
    std::vector<std::thread> threads;
    std::vector<ChildEnd> ends(4);
    for (std::size_t i = 0; i < ends.size(); ++i)
        threads.emplace_back([&, i] { ends[i] = shell(i == 0 ? "exit 5" : "echo x; exit 5"); });
    for (std::thread &thread : threads) thread.join();
    for (const ChildEnd &end : ends) CHECK(end.status == 5 && !end.timed_out);
}

TEST(the_file_of_this_code_is_known) {
    if (std::getenv("MPSCNN_EMULATED") && mpscnn::platform::own_file().empty())
        SKIP("a program that is linked statically, as for an emulated arm64, does not know its file");
    CHECK(std::filesystem::path(mpscnn::platform::own_file()).filename() == "core_tests");
}
