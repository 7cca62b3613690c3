// Tests the pool of threads that share the items of a job.

#include "cpu/machine/thread_pool.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "tests/cpp/check.h"

using namespace mpscnn;
using cpu::ThreadPool;

#if defined(__SANITIZE_THREAD__)
// By default ThreadSanitizer ends a forked child that starts threads.
extern "C" const char *__tsan_default_options();
extern "C" const char *__tsan_default_options() { return "die_after_fork=0"; }
#endif

namespace {

/// True if a job of `items` calls every item once, with valid workers and ranges.
bool covers(ThreadPool &pool, std::int64_t items, std::int64_t chunk) {
    std::vector<std::atomic<int>> calls(static_cast<std::size_t>(items));
    std::atomic<bool> sensible{true};
    pool.run(items, chunk, [&](int worker, std::int64_t begin, std::int64_t end) {
        if (worker < 0 || worker >= pool.threads() || begin >= end) sensible = false;
        for (std::int64_t i = begin; i < end; ++i) ++calls[static_cast<std::size_t>(i)];
    });
    for (const auto &count : calls)
        if (count != 1) return false;
    return sensible;
}

TEST(every_item_runs_once) {
    for (int threads : {1, 2, 5}) {
        ThreadPool pool(threads);
        for (std::int64_t items : {0, 1, 2, 7, 1000})
            for (std::int64_t chunk : {1, 3, 2000}) CHECK(covers(pool, items, chunk));
    }
}

TEST(many_small_jobs) {
    ThreadPool pool(3);
    std::atomic<std::int64_t> sum{0};
    for (int job = 0; job < 20000; ++job)
        pool.run(4, [&](int, std::int64_t begin, std::int64_t) { sum += begin; });
    CHECK(sum == 20000 * 6);
}

TEST(jobs_after_the_threads_fell_asleep) {
    ThreadPool pool(4);
    for (int job = 0; job < 20; ++job) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        CHECK(covers(pool, 50, 1));
    }
}

TEST(as_many_threads_as_wanted_share_the_jobs) {
    ThreadPool pool(4);
    for (int job = 0; job < 4000; ++job) {
        pool.use(1 + job * 7 % 4);
        CHECK(pool.threads() == 1 + job * 7 % 4);
        if (job % 500 == 0)
            // Wait until the threads have fallen asleep.
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        CHECK(covers(pool, 1 + job % 40, 1));
    }
    CHECK(pool.size() == 4);
}

TEST(threads_that_slept_through_jobs_of_fewer_come_back) {
    ThreadPool pool(3);
    CHECK(covers(pool, 100, 1));
    pool.use(2);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    for (int job = 0; job < 100; ++job) CHECK(covers(pool, 10, 1));
    pool.use(3);
    std::atomic<int> met{0}; // three calls that wait for each other need three threads
    pool.run(3, [&](int, std::int64_t, std::int64_t) {
        ++met;
        while (met < 3) std::this_thread::yield();
    });
    CHECK(met == 3);
}

TEST(a_worker_index_is_used_by_one_call_at_a_time) {
    ThreadPool pool(4);
    std::array<std::atomic<int>, 4> busy{};
    std::atomic<bool> alone{true};
    pool.run(2000, [&](int worker, std::int64_t, std::int64_t) {
        if (busy[static_cast<std::size_t>(worker)]++ != 0) alone = false;
        --busy[static_cast<std::size_t>(worker)];
    });
    CHECK(alone);
}

TEST(several_callers_share_a_pool_and_several_pools_run_at_once) {
    ThreadPool shared(3);
    std::atomic<int> right{0};
    std::vector<std::thread> callers;
    for (int i = 0; i < 4; ++i)
        callers.emplace_back([&] {
            ThreadPool own(2);
            for (int job = 0; job < 100; ++job) right += covers(shared, 20, 1) && covers(own, 20, 1);
        });
    for (std::thread &caller : callers) caller.join();
    CHECK(right == 400);
}

TEST(exceptions_reach_the_caller_and_the_pool_survives) {
    for (int threads : {1, 4}) {
        ThreadPool pool(threads);
        for (std::int64_t bad : {0, 17, 99}) {
            std::string message;
            try {
                pool.run(100, [&](int, std::int64_t begin, std::int64_t end) {
                    if (begin <= bad && bad < end) throw std::runtime_error("item " + std::to_string(bad));
                });
            } catch (const std::runtime_error &error) {
                message = error.what();
            }
            CHECK(message == "item " + std::to_string(bad));
            CHECK(covers(pool, 100, 1));
        }
    }
}

// The child has none of the parent's threads, and the pool's locks are in an unknown state.
TEST(works_in_a_forked_child) {
    if (std::getenv("MPSCNN_EMULATED"))
        SKIP("qemu's user mode fails itself when a process with threads forks");
    ThreadPool pool(3);
    CHECK(covers(pool, 100, 1));
    const pid_t child = fork();
    if (child == 0) _exit(covers(pool, 100, 1) ? 7 : 8);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    CHECK(covers(pool, 100, 1));
}

#if defined(__x86_64__)
TEST(floating_point_settings_are_the_defaults_inside_and_restored_outside) {
    ThreadPool pool(2);
    const unsigned flush_to_zero_and_round_down = 0x1f80 | 0x8040 | 0x2000;
    __builtin_ia32_ldmxcsr(flush_to_zero_and_round_down);
    std::atomic<int> defaults{0};
    pool.run(64, [&](int, std::int64_t, std::int64_t) {
        defaults += (__builtin_ia32_stmxcsr() & ~0x3fu) == 0x1f80;
    });
    const unsigned after = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(0x1f80);
    CHECK(defaults == 64);
    CHECK(after == flush_to_zero_and_round_down);
}
#endif

TEST(refuses_impossible_numbers_of_threads) {
    CHECK_THROWS(ThreadPool(0), ErrorKind::parameter, "threads: expected 1 to 1024, got 0");
    CHECK_THROWS(ThreadPool(-3), ErrorKind::parameter, "got -3");
    CHECK_THROWS(ThreadPool(5000), ErrorKind::parameter, "got 5000");
    CHECK(ThreadPool::automatic_threads() >= 1);
    CHECK(ThreadPool::automatic_threads() <= static_cast<int>(std::thread::hardware_concurrency()));
}

} // namespace
