#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

namespace mpscnn::cpu {

/// A fixed number of threads that share the items of one job at a time. The calling thread is one of them, so
/// a pool of 1 starts no thread.
///
/// - Callers on different threads may share a pool; their jobs run one after another. Jobs that need
///   a single call are an exception: they run at once, on the calling thread as worker 0. A callback must not
///   call run() of its own pool.
/// - Threads start with the first job that needs them. After a job they spin for about 50 us, and then they
///   sleep. A forked child starts its own threads.
/// - While a job runs, all threads compute with the default floating-point settings. run() restores the
///   caller's settings.
/// - If a callback throws, callbacks that have begun are completed and the remaining items are skipped. Then
///   run() throws the first exception.
class ThreadPool {
public:
    /// Throws ParameterError unless 1 <= threads <= max_threads.
    explicit ThreadPool(int threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool &) = delete;
    ThreadPool &operator=(const ThreadPool &) = delete;

    static constexpr int max_threads = 1024;
    /// Return the number of threads for threads="auto": platform::useful_threads().
    static int automatic_threads();

    /// Return the number of threads that share the next jobs; initially all.
    int threads() const { return active_; }
    int size() const { return threads_; }
    /// Set the number of threads that share the next jobs, 1 to size(). Do not call this while a job runs.
    void use(int threads) { active_ = threads; }

    /// Call callback(int worker, int64 begin, int64 end) for ranges that cover [0, items), each with about
    /// `chunk` items: with more if there are over 4 million chunks, and with all items if threads() is 1.
    /// Returns when all calls are done. `worker` is in [0, threads()). Concurrent calls of a job have
    /// different workers, so it can select scratch memory. Throws StateError if the system refuses to start a
    /// thread.
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
    /// There is no lock, because a fork might leave it locked in the child.
    std::atomic<Team *> team_{nullptr};
};

} // namespace mpscnn::cpu
