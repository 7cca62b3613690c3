#include "cpu/runtime/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "core/failure.h"
#include "core/platform.h"
#include "cpu/runtime/floating_point.h"

namespace mpscnn::cpu {

namespace {

constexpr auto spin_time = std::chrono::microseconds(50);

void pause_briefly() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/// Spin until `condition` holds, for spin_time at most. Return true if it holds.
template <class Condition> bool spin_until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + spin_time;
    do {
        for (int i = 0; i < 32; ++i) {
            if (condition()) return true;
            pause_briefly();
        }
    } while (std::chrono::steady_clock::now() < end);
    return condition();
}

} // namespace

/// The threads of a pool and the job that they share.
///
/// A job's chunks are split into one contiguous part for each thread. Jobs of equal size have equal parts, so
/// a thread mostly reads data of the layer before that it wrote itself. A thread that has finished its part
/// helps the others.
///
/// A part's `ticket` holds the job's number in its upper half and the number of chunks that are not yet taken
/// in its lower half. A thread takes a chunk by a compare-and-swap of both, so it never takes a chunk of a
/// job that it does not know. The job's other fields do not change before the caller knows that all taken
/// chunks are done. Threads that sleep through a whole job do not affect it.
struct ThreadPool::Team {
    explicit Team(int workers);
    ~Team();

    void run(std::int64_t items, std::int64_t chunk, int threads, Target target);
    /// True if this process started the threads. In a forked child it is false.
    bool alive() const { return generation_ == platform::fork_generation(); }

private:
    static constexpr std::uint64_t one_job = std::uint64_t{1} << 32;
    static constexpr std::uint64_t chunk_mask = one_job - 1;

    void work_until_stopped(int worker);
    bool job_after(std::uint64_t seen, int worker) const;
    void publish(std::uint64_t job, int threads);
    void take_chunks(int worker, std::uint64_t job);
    void run_chunk(int worker, std::uint64_t index);
    void report(std::uint64_t done);
    void wake_workers(std::uint64_t chunks);
    void wait_for_workers(std::uint64_t chunks);
    void stop_and_join();

    const unsigned generation_ = platform::fork_generation();
    std::mutex callers_; ///< held by the thread whose job runs

    std::int64_t items_ = 0, chunk_ = 0;
    std::uint64_t chunks_ = 0;
    Target target_{};
    Failure failure_; ///< of the first callback that failed; guarded by mutex_

    struct alignas(64) Part {
        std::atomic<std::uint64_t> ticket{0};
        std::uint64_t end = 0; ///< one past its last chunk
    };
    std::vector<Part> parts_;
    alignas(64) std::atomic<std::uint64_t> job_{0};
    std::atomic<int> active_{0}; ///< workers from this number on do not take part in the job
    alignas(64) std::atomic<std::uint64_t> done_{0};
    std::atomic<bool> failed_{false}, stop_{false}, caller_sleeps_{false};
    std::atomic<int> sleepers_{0};
    std::mutex mutex_; ///< only for sleeping
    std::condition_variable job_came_, job_done_;
    std::vector<std::thread> workers_;
};

ThreadPool::Team::Team(int workers) : parts_(static_cast<std::size_t>(workers) + 1) {
    const platform::BlockedSignals blocked;
    try {
        workers_.reserve(static_cast<std::size_t>(workers));
        for (int i = 1; i <= workers; ++i) workers_.emplace_back([this, i] { work_until_stopped(i); });
    } catch (const std::system_error &error) {
        const std::size_t started = workers_.size();
        stop_and_join();
        fail(ErrorKind::state,
             {"thread pool: the system started only ", started, " of ", workers, " threads: ", error.what()});
    } catch (...) { // out of memory
        stop_and_join();
        throw;
    }
}

ThreadPool::Team::~Team() { stop_and_join(); }

void ThreadPool::Team::stop_and_join() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
        job_came_.notify_all();
    }
    for (std::thread &worker : workers_) worker.join();
    workers_.clear();
}

/// Read the job first. The number of its threads was stored before it.
bool ThreadPool::Team::job_after(std::uint64_t seen, int worker) const {
    return (job_.load() != seen && worker < active_.load()) || stop_.load();
}

void ThreadPool::Team::work_until_stopped(int worker) {
    const DefaultFloatingPoint settings;
    std::uint64_t job = 0;
    while (true) {
        if (!spin_until([&] { return job_after(job, worker); })) {
            std::unique_lock lock(mutex_);
            ++sleepers_; // before the test, because the caller counts sleepers after it has published its job
            job_came_.wait(lock, [&] { return job_after(job, worker); });
            --sleepers_;
        }
        if (stop_.load()) return;
        job = job_.load();
        if (worker < active_.load()) take_chunks(worker, job);
    }
}

void ThreadPool::Team::publish(std::uint64_t job, int threads) {
    const auto parts = static_cast<std::uint64_t>(threads);
    active_ = threads;
    for (std::uint64_t i = 0; i < parts; ++i) {
        const std::uint64_t begin = chunks_ * i / parts, end = chunks_ * (i + 1) / parts;
        parts_[i].end = end;
        parts_[i].ticket = job * one_job + (end - begin);
    }
    job_ = job;
}

void ThreadPool::Team::take_chunks(int worker, std::uint64_t job) {
    for (std::size_t i = 0; i < parts_.size(); ++i) {
        Part &part = parts_[(static_cast<std::size_t>(worker) + i) % parts_.size()];
        std::uint64_t ticket = part.ticket.load(), done = 0;
        while (ticket / one_job == job && (ticket & chunk_mask) != 0)
            if (part.ticket.compare_exchange_weak(ticket, ticket - 1)) {
                run_chunk(worker, part.end - (ticket & chunk_mask));
                ++done;
                ticket = part.ticket.load();
            }
        if (done > 0) report(done);
    }
}

void ThreadPool::Team::run_chunk(int worker, std::uint64_t index) {
    if (!failed_.load(std::memory_order_relaxed)) {
        try {
            const std::int64_t begin = static_cast<std::int64_t>(index) * chunk_;
            target_.function(target_.context, worker, begin, std::min(begin + chunk_, items_));
        } catch (...) {
            const std::lock_guard lock(mutex_);
            if (!failure_) failure_ = Failure::current();
            failed_ = true;
        }
    }
}

/// Report all chunks that this thread has done in a part together, because threads contend for this counter.
void ThreadPool::Team::report(std::uint64_t done) {
    const std::uint64_t chunks = chunks_; // after the report the job may belong to another caller
    if (done_.fetch_add(done) + done == chunks && caller_sleeps_.load()) {
        const std::lock_guard lock(mutex_);
        job_done_.notify_one();
    }
}

void ThreadPool::Team::wake_workers(std::uint64_t chunks) {
    if (sleepers_.load() == 0) return;
    const std::lock_guard lock(mutex_);
    // The caller takes one chunk itself. If only some workers take part, a single wake-up might reach one
    // that does not, so all are woken.
    if (chunks > workers_.size() || active_.load() <= static_cast<int>(workers_.size()))
        job_came_.notify_all();
    else
        for (std::uint64_t i = 1; i < chunks; ++i) job_came_.notify_one();
}

void ThreadPool::Team::wait_for_workers(std::uint64_t chunks) {
    const auto finished = [&] { return done_.load() == chunks; };
    if (spin_until(finished)) return;
    std::unique_lock lock(mutex_);
    caller_sleeps_ = true;
    job_done_.wait(lock, finished);
    caller_sleeps_ = false;
}

void ThreadPool::Team::run(std::int64_t items, std::int64_t chunk, int threads, Target target) {
    const std::lock_guard one_job_at_a_time(callers_);
    items_ = items, chunk_ = chunk, target_ = target;
    chunks_ = static_cast<std::uint64_t>((items + chunk - 1) / chunk);
    done_ = 0, failed_ = false;
    const std::uint64_t job = (job_.load() + 1) & chunk_mask;
    publish(job, threads);
    wake_workers(chunks_);
    take_chunks(0, job);
    wait_for_workers(chunks_);
    if (failed_) {
        Failure failure;
        {
            const std::lock_guard lock(mutex_);
            std::swap(failure, failure_);
        }
        failure.raise();
    }
}

ThreadPool::ThreadPool(int threads) : threads_(threads), active_(threads) {
    if (threads < 1 || threads > max_threads)
        fail(ErrorKind::parameter, {"threads: expected 1 to ", max_threads, ", got ", threads});
    platform::fork_generation(); // this installs the fork handler
}

ThreadPool::~ThreadPool() {
    Team *team = team_.load();
    if (team && team->alive()) delete team;
}

int ThreadPool::automatic_threads() { return std::min(platform::useful_threads(), max_threads); }

/// Return the team of this process. In a forked child the threads of the parent's team do not exist and its
/// mutexes may stay locked, so its memory is abandoned.
ThreadPool::Team &ThreadPool::team() {
    Team *current = team_.load();
    if (current && current->alive()) return *current;
    auto made = std::make_unique<Team>(threads_ - 1);
    // Two callers may be here at the same time. The second one's team is deleted.
    return team_.compare_exchange_strong(current, made.get()) ? *made.release() : *current;
}

void ThreadPool::run_job(std::int64_t items, std::int64_t chunk, Target target) {
    if (items <= 0) return;
    const DefaultFloatingPoint settings;
    chunk = std::max<std::int64_t>({1, chunk, items / (std::int64_t{1} << 31)});
    if (active_ == 1 || items <= chunk)
        target.function(target.context, 0, 0, items);
    else
        team().run(items, chunk, active_, target);
}

} // namespace mpscnn::cpu
