// Lets memory fail once at every position, and forever from each position on, and threads fail to start.
// Every call must return an error, leak nothing and leave its objects usable. MPSCNN_TEST_EVERY_POSITION=1
// tests all positions; the default is some hundred.

#include "tests/cpp/api/failing_memory.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include "core/json.h"
#include "tests/cpp/api/failing_memory_uses.h"

namespace {

bool every_position() {
    const char *value = std::getenv("MPSCNN_TEST_EVERY_POSITION");
    return value && std::strcmp(value, "1") == 0;
}

/// Return the number of attempts that the work makes at `source`.
template <class Work> long positions_of(failing::Source &source, Work work) {
    constexpr long behind_all = 1L << 40;
    Trial none(source, behind_all, false);
    work(none);
    CHECK(none.failures() == 0);
    return source.tried();
}

/// Call attempt(position), which returns the number of failed calls, for positions from 1 to `last`: for all,
/// or for `few` of them.
template <class Attempt> void try_positions(const char *what, long last, long few, Attempt attempt) {
    const long stride = every_position() ? 1 : std::max(1L, last / few);
    long tried = 0, failures = 0;
    for (long position = 1; position <= last; position += stride, ++tried) failures += attempt(position);
    std::printf("%s: %ld of %ld positions tried, %ld calls failed\n", what, tried, last, failures);
    CHECK(failures > 0);
}

/// Try in this process. The objects that the library makes only once already exist.
template <class Work> void try_work(const char *what, failing::Source &source, Work work) {
    positions_of(source, work);
    for (const bool for_ever : {false, true}) {
        const std::string title = std::string(what) + (for_ever ? " for ever" : " once");
        try_positions(title.c_str(), positions_of(source, work), 200, [&](long position) {
            int failures = 0;
            const long before = failing::live, mapped_before = failing::mapped;
            {
                Trial trial(source, position, for_ever);
                work(trial);
                failures = trial.failures();
            }
            CHECK(failing::live == before && failing::mapped == mapped_before);
            return failures;
        });
    }
}

/// Return the result of `work` in a child process, or -1 if a signal ended it.
template <class Work> int in_child(Work work) {
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        check::failures = 0;
        const int result = work();
        std::fflush(stdout);
        _exit(result);
    }
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// While it exists, the library uses the failing allocator.
struct Allocator {
    Allocator() { CHECK(succeeded(failing::use_as_allocator())); }
    ~Allocator() { CHECK(succeeded(mpscnn_set_allocator(nullptr, nullptr, nullptr))); }
};

} // namespace

/// This test comes first, so that none of the library's tables exists yet.
TEST(memory_fails_where_a_process_uses_the_library_first) {
    const Fixture fixture;
    const auto work = [&](Trial &trial) {
        use_graph(trial, fixture);
        use_model_file(trial, fixture);
        use_kernels(trial);
    };
    int channel[2] = {};
    CHECK(pipe(channel) == 0);
    CHECK(in_child([&] {
              const long last = positions_of(failing::memory, work);
              return write(channel[1], &last, sizeof last) == sizeof last && check::failures == 0 ? 0 : 1;
          }) == 0);
    long last = 0;
    CHECK(read(channel[0], &last, sizeof last) == sizeof last);
    close(channel[0]);
    close(channel[1]);
    constexpr int failed = 1, none_failed = 2;
    for (const bool for_ever : {false, true})
        try_positions(for_ever ? "first uses of memory for ever" : "first uses of memory once", last, 50,
                      [&](long position) {
                          const int result = in_child([&] {
                              Trial trial(failing::memory, position, for_ever);
                              work(trial);
                              if (check::failures > 0) return failed;
                              return trial.failures() > 0 ? 0 : none_failed;
                          });
                          if (result == -1 || result == failed) std::printf("position %ld\n", position);
                          CHECK(result == 0 || result == none_failed);
                          return result == 0 ? 1 : 0;
                      });
}

TEST(a_copy_of_json_that_fails_leaves_nothing) {
    using mpscnn::Json;
    const auto make = [] {
        Json inner = Json::object();
        inner.set("a key that is longer than a short string", Json("and a text that is as long as that"));
        Json outer = Json::array();
        for (int i = 0; i < 3; ++i) outer.push_back(inner);
        return outer;
    };
    const Json value = make();
    const long before = failing::live;
    int failures = 0;
    for (const bool assigned : {false, true})
        for (long position = 1;; ++position) {
            bool failed = false;
            {
                Json target("a text that is longer than a short string");
                failing::memory.begin(position, false);
                try {
                    if (assigned)
                        target = value;
                    else
                        Json copy(value);
                } catch (const std::bad_alloc &) {
                    failed = true;
                }
                failing::memory.end();
            }
            CHECK(failing::live == before);
            if (!failed) break;
            ++failures;
        }
    CHECK(failures > 10);
}

TEST(memory_fails_where_a_network_is_built_and_run) {
    const Fixture fixture;
    const Allocator allocator;
    try_work("memory of a network", failing::memory, [&](Trial &trial) { use_graph(trial, fixture); });
}

TEST(memory_fails_where_a_model_file_is_read_and_a_runner_runs) {
    const Fixture fixture;
    const Allocator allocator;
    try_work("memory of a model and a runner", failing::memory,
             [&](Trial &trial) { use_model_file(trial, fixture); });
}

TEST(memory_fails_where_raw_kernels_run) {
    const Allocator allocator;
    try_work("memory of raw kernels", failing::memory, use_kernels);
}

TEST(threads_do_not_start) {
#ifndef FAILING_C_LIBRARY
    SKIP("threads can be made to fail only where functions of glibc can be replaced");
#endif
    const Fixture fixture;
    const Allocator allocator;
    try_work("starts of threads", failing::threads, [&](Trial &trial) {
        use_graph(trial, fixture);
        use_model_file(trial, fixture);
        use_kernels(trial);
    });
}
