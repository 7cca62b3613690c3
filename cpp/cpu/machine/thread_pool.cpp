#include "cpu/machine/thread_pool.h"

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
#include "cpu/machine/floating_point.h"

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

/// Spin until `condition` holds or spin_time is over. Return true if it holds.
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

/// A job's number, its number of chunks and its number of threads in one word, so that threads read all three
/// atomically.
class Job {
public:
    static constexpr std::uint64_t max_chunks = (std::uint64_t{1} << 22) - 1;
    /// The job number of a new pool. It is close to the largest number, so that tests of many jobs include
    /// the overflow to 0.
    static constexpr std::uint32_t no_job = 0xffff'ff00;

    explicit Job(std::uint64_t word) : word_(word) {}
    Job(std::uint32_t number, std::uint64_t chunks, int threads)
        : word_(std::uint64_t{number} << 32 | chunks << 10 | static_cast<std::uint64_t>(threads - 1)) {}

    std::uint64_t word() const { return word_; }
    std::uint32_t number() const { return static_cast<std::uint32_t>(word_ >> 32); }
    std::uint64_t chunks() const { return word_ >> 10 & max_chunks; }
    std::uint64_t threads() const { return (word_ & 1023) + 1; }
    bool employs(int worker) const { return static_cast<std::uint64_t>(worker) < threads(); }
    /// Return the first chunk of a thread's part of the job.
    std::uint64_t begin(std::uint64_t thread) const { return chunks() * thread / threads(); }

private:
    std::uint64_t word_;
};

/// A number of chunks together with the number of their job, in one word.
struct Count {
    std::uint32_t job, chunks;

    static Count of(std::uint64_t word) {
        return {static_cast<std::uint32_t>(word >> 32), static_cast<std::uint32_t>(word)};
    }
    std::uint64_t word() const { return std::uint64_t{job} << 32 | chunks; }
};

/// The threads of a pool and the job that they share.
///
/// A job's chunks are split into one contiguous part for each thread. Jobs of equal size have equal parts. So
/// a thread mostly reads data that it wrote itself in the layer before. A thread that has finished its part
/// takes chunks of other parts.
///
/// The caller publishes a job by storing one word. Each part has a word in `left_`: the number of the last
/// job of which a thread took a chunk of this part, and how many chunks of that job are left in the part. A
/// thread takes a chunk by a compare-and-swap of this word. If the word has an older job's number, the thread
/// computes the number of chunks from the job's word. A job ends after threads have taken all of its chunks.
/// So a thread that still works for an old job finds another number in the word, or no chunk left. The job's
/// other fields do not change before the caller knows that all taken chunks are done. A thread that sleeps
/// during a whole job does not affect that job.
///
/// Each thread counts the chunks that it has done in a separate cache line, and the caller adds up the
/// counts. So threads that finish at the same time do not wait for each other.
struct ThreadPool::Team {
    explicit Team(int workers);
    ~Team();

    void run(std::int64_t items, std::int64_t chunk, int threads, Target target);
    /// True if this process started the threads; false in a forked child, which has none of them.
    bool alive() const { return generation_ == platform::fork_generation(); }

private:
    void work_until_stopped(int worker);
    void take_chunks(int worker, Job job);
    bool take_chunk(std::uint64_t thread, Job job, std::uint64_t &index);
    std::uint32_t next_number();
    void run_chunk(int worker, std::uint64_t index);
    void report(int worker, Job job, std::uint32_t done);
    void wake_workers(Job job);
    bool is_done(Job job) const;
    void wait_for_workers(Job job);
    void stop_and_join();

    const unsigned generation_ = platform::fork_generation();
    std::mutex callers_; ///< the caller whose job runs holds it

    std::int64_t items_ = 0, chunk_ = 0;
    Target target_{};
    Failure failure_; ///< failure of the first callback that failed; guarded by mutex_

    struct alignas(64) Line {
        std::atomic<std::uint64_t> count{0};
    };
    std::vector<Line> left_; ///< for each part: chunks left
    std::vector<Line> done_; ///< for each thread: chunks done
    alignas(64) std::atomic<std::uint64_t> job_{Job(Job::no_job, 0, 1).word()};
    std::atomic<bool> stop_{false};
    alignas(64) std::atomic<bool> failed_{false};
    std::atomic<bool> caller_sleeps_{false};
    std::atomic<int> sleepers_{0};
    std::mutex mutex_; ///< for sleeping and waking, and for failure_
    std::condition_variable job_came_, job_done_;
    std::vector<std::thread> workers_;
};

ThreadPool::Team::Team(int workers)
    : left_(static_cast<std::size_t>(workers) + 1), done_(static_cast<std::size_t>(workers) + 1) {
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

void ThreadPool::Team::work_until_stopped(int worker) {
    const DefaultFloatingPoint settings;
    Job job(job_.load());
    std::uint32_t seen = Job::no_job;
    const auto is_called = [&] {
        job = Job(job_.load());
        return (job.number() != seen && job.employs(worker)) || stop_.load();
    };
    while (true) {
        if (!spin_until(is_called)) {
            std::unique_lock lock(mutex_);
            ++sleepers_; // count before testing, because the caller counts sleepers after it has published a
                         // job
            job_came_.wait(lock, is_called);
            --sleepers_;
        }
        if (stop_.load()) return;
        seen = job.number();
        take_chunks(worker, job);
    }
}

void ThreadPool::Team::take_chunks(int worker, Job job) {
    std::uint32_t done = 0;
    const auto own = static_cast<std::uint64_t>(worker);
    for (std::uint64_t i = 0; i < job.threads(); ++i) {
        const std::uint32_t before = done;
        for (std::uint64_t index; take_chunk((own + i) % job.threads(), job, index); ++done)
            run_chunk(worker, index);
        if (done > before) report(worker, job, done);
    }
}

/// Take a chunk of a thread's part and set `index` to it. Return false if none is left.
bool ThreadPool::Team::take_chunk(std::uint64_t thread, Job job, std::uint64_t &index) {
    const std::uint64_t begin = job.begin(thread), end = job.begin(thread + 1);
    if (begin == end) return false;
    std::atomic<std::uint64_t> &left = left_[thread].count;
    std::uint64_t word = left.load();
    while (true) {
        const Count count = Count::of(word);
        // Another number in the word is the number of an older job, whose count nobody has replaced yet, or
        // of a newer job. In the second case job_ has changed, too, because a job is published there first.
        if (count.job != job.number() && job_.load() != job.word()) return false;
        const std::uint64_t chunks = count.job == job.number() ? count.chunks : end - begin;
        if (chunks == 0) return false;
        if (left.compare_exchange_weak(word,
                                       Count{job.number(), static_cast<std::uint32_t>(chunks - 1)}.word())) {
            index = end - chunks;
            return true;
        }
    }
}

/// Return the number of the next job. When numbers start again at 0, reset all counts, which could contain
/// old jobs of the same numbers.
std::uint32_t ThreadPool::Team::next_number() {
    const std::uint32_t number = Job(job_.load()).number() + 1;
    if (number != 0) return number;
    for (std::size_t i = 0; i < done_.size(); ++i) left_[i].count = 0, done_[i].count = 0;
    return 1;
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

/// Tell the caller how many of the job's chunks this thread has done.
void ThreadPool::Team::report(int worker, Job job, std::uint32_t done) {
    done_[static_cast<std::size_t>(worker)].count = Count{job.number(), done}.word();
    if (caller_sleeps_.load()) {
        const std::lock_guard lock(mutex_);
        job_done_.notify_one();
    }
}

void ThreadPool::Team::wake_workers(Job job) {
    if (sleepers_.load() == 0) return;
    const std::lock_guard lock(mutex_);
    // The caller takes one chunk itself, so only the other chunks need threads. If only some workers take
    // part, notify_one() might wake one that does not, so all are woken.
    if (job.chunks() > workers_.size() || job.threads() <= workers_.size())
        job_came_.notify_all();
    else
        for (std::uint64_t i = 1; i < job.chunks(); ++i) job_came_.notify_one();
}

bool ThreadPool::Team::is_done(Job job) const {
    std::uint64_t done = 0;
    for (std::uint64_t i = 0; i < job.threads(); ++i) {
        const Count count = Count::of(done_[i].count.load());
        if (count.job == job.number()) done += count.chunks;
    }
    return done == job.chunks();
}

void ThreadPool::Team::wait_for_workers(Job job) {
    const auto finished = [&] { return is_done(job); };
    if (spin_until(finished)) return;
    std::unique_lock lock(mutex_);
    caller_sleeps_ = true;
    job_done_.wait(lock, finished);
    caller_sleeps_ = false;
}

void ThreadPool::Team::run(std::int64_t items, std::int64_t chunk, int threads, Target target) {
    const std::lock_guard one_job_at_a_time(callers_);
    items_ = items, chunk_ = chunk, target_ = target;
    failed_.store(false, std::memory_order_relaxed);
    const auto chunks = static_cast<std::uint64_t>((items + chunk - 1) / chunk);
    const Job job(next_number(), chunks, threads);
    job_ = job.word();
    wake_workers(job);
    take_chunks(0, job);
    wait_for_workers(job);
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

/// Return the team of this process. In a forked child, the threads of the parent's team do not exist and its
/// mutexes may stay locked. So the child abandons its memory and starts a new team.
ThreadPool::Team &ThreadPool::team() {
    Team *current = team_.load();
    if (current && current->alive()) return *current;
    auto made = std::make_unique<Team>(threads_ - 1);
    // If two callers make a team at the same time, the second one's team is deleted.
    return team_.compare_exchange_strong(current, made.get()) ? *made.release() : *current;
}

void ThreadPool::run_job(std::int64_t items, std::int64_t chunk, Target target) {
    if (items <= 0) return;
    const DefaultFloatingPoint settings;
    constexpr auto max_chunks = static_cast<std::int64_t>(Job::max_chunks);
    chunk = std::max<std::int64_t>({1, chunk, items / max_chunks + (items % max_chunks != 0)});
    if (active_ == 1 || items <= chunk)
        target.function(target.context, 0, 0, items);
    else
        team().run(items, chunk, active_, target);
}

} // namespace mpscnn::cpu
