#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

namespace mpscnn::cpu {

/// A fixed number of threads that share the items of one job at a time. The calling thread is one of them, so
/// that a pool of 1 starts none.
///
/// - Callers on different threads may share a pool; their jobs run one after another. A callback must not
/// call
///   run() of its own pool.
/// - Threads start with the first job that needs them, wait about 50 us for the next job spinning,
/// then
///   sleep. A forked child starts its own.
/// - While a job runs, all of its threads compute with default floating-point settings; run() restores the
///   caller's.
/// - The first exception of a callback is thrown by run() once the items that had begun are done; the others
/// are
///   skipped.
class ThreadPool {
public:
    /// Throws ParameterError unless 1 <= threads <= max_threads.
    explicit ThreadPool(int threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool &) = delete;
    ThreadPool &operator=(const ThreadPool &) = delete;

    static constexpr int max_threads = 1024;
    /// Number for threads="auto": platform::useful_threads().
    static int automatic_threads();

    /// Threads that share the next jobs: all of them at first.
    int threads() const { return active_; }
    int size() const { return threads_; }
    /// From now on jobs are shared by this many threads, 1 to size(). Not while a job runs.
    void use(int threads) { active_ = threads; }

    /// Calls callback(int worker, int64 begin, int64 end) for ranges that cover [0, items), of at most
    /// `chunk` items each, and returns when all are done. `worker` is in [0, size()) and no two calls
    /// under way have the same one: it selects scratch memory. Throws StateError when the system refuses to
    /// start a thread.
    template <class Callback> void run(std::int64_t items, std::int64_t chunk, Callback &&callback) {
        using Target = std::remove_reference_t<Callback>;
        run_job(items, chunk, {&invoke<Target>, const_cast<void *>(static_cast<const void *>(&callback))});
    }
    template <class Callback> void run(std::int64_t items, Callback &&callback) { run(items, 1, callback); }

private:
    struct Target {
        void (*function)(void *context, int worker, std::int64_t begin, std::int64_t end);
        void *context;
    };
    struct Team;

    template <class Callback>
    static void invoke(void *context, int worker, std::int64_t begin, std::int64_t end) {
        (*static_cast<Callback *>(context))(worker, begin, end);
    }
    void run_job(std::int64_t items, std::int64_t chunk, Target target);
    Team &team();

    int threads_, active_;
    std::atomic<Team *> team_{nullptr}; ///< no lock guards it: a fork might leave it locked in the child
};

} // namespace mpscnn::cpu
