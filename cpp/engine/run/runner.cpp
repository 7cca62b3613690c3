#include "engine/run/runner.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>

#include "core/platform.h"
#include "engine/backend/support.h"
#include "engine/run/run_check.h"

namespace mpscnn::engine {

/// A frame from its submission to its delivery.
struct Journey {
    enum class State { waiting, running, over };

    Frame frame;
    /// The latest time until which the frame waits for others to form a batch.
    std::chrono::steady_clock::time_point latest_begin;
    State state = State::waiting;
    Failure failure;
};

/// The number of sessions that run in parallel, and the threads of each.
struct Division {
    int sessions, threads;
};

const Node *layer_over_the_batch(const Graph &graph) {
    for (const Node &node : graph.nodes()) {
        const auto *dropout = node.operation.get_if<ops::Dropout>();
        if (node.operation.is<ops::BatchStatistics>() || (dropout && dropout->training)) return &node;
    }
    return nullptr;
}

namespace {

using Clock = std::chrono::steady_clock;

bool is_waiting(const std::unique_ptr<Journey> &journey) { return journey->state == Journey::State::waiting; }

void require_batches(const Program &program, int max_batch) {
    if (max_batch == 1) return;
    if (const Node *layer = layer_over_the_batch(program.graph()))
        fail(ErrorKind::parameter,
             {"network ", quoted(program.name()), ": max_batch must be 1, got ", max_batch, ": layer ",
              quoted(layer->name), " makes the images of a batch depend on each other"});
}

/// Choose the numbers of sessions and threads. On the processor at most cores / threads sessions run in
/// parallel, but at least one.
Division divide(const Backend &backend, const RunnerOptions &options) {
    if (!uses_processor(backend)) return {options.inflight, 1};
    const int cores = platform::useful_threads();
    const int sessions = std::min(options.inflight, std::max(1, cores / std::max(1, options.threads)));
    return {sessions, options.threads > 0 ? options.threads : std::max(1, cores / sessions)};
}

} // namespace

/// The state that a runner and its threads share.
struct Runner::Crew {
    Crew(std::shared_ptr<Program> runs, const RunnerOptions &given)
        : program(std::move(runs)), options(given), division(divide(program->backend(), given)) {
        require_batches(*program, options.max_batch);
        const SessionOptions session{.threads = division.threads,
                                     .check_finite = options.check_finite,
                                     .inflight = 1,
                                     .max_memory = options.max_memory};
        workers.reserve(static_cast<std::size_t>(division.sessions));
        for (int i = 0; i < division.sessions; ++i)
            workers.emplace_back(std::make_shared<Session>(program, session), options.max_batch);
    }

    using Group = std::vector<Journey *>;

    /// A session, its thread and the frames that it runs. If memory cannot be allocated while the thread runs
    /// frames, these frames fail. At other times the thread does not allocate memory.
    struct Worker {
        Worker(std::shared_ptr<Session> runs, int max_batch) : session(std::move(runs)) {
            group.reserve(static_cast<std::size_t>(max_batch));
        }

        FrameSession session;
        Group group; ///< has the capacity for a whole request
        std::thread thread;
    };

    const std::shared_ptr<Program> program;
    const RunnerOptions options;
    const Division division;
    std::vector<Worker> workers;
    std::thread deliverer;
    std::once_flag delivered;     ///< set when join_deliverer() has waited for the deliverer's end
    std::shared_ptr<Crew> itself; ///< set only to keep the crew alive for ever, in a forked child

    std::mutex mutex; ///< protects everything below
    std::condition_variable work, over, permit, idle;
    std::deque<std::unique_ptr<Journey>> journeys; ///< in order of submission; the first is delivered next
    FrameNumber first_number = 0;
    std::size_t waiting = 0; ///< number of journeys that have not begun
    bool handing_out = false, closed = false;

    using Lock = std::unique_lock<std::mutex>;

    std::size_t permits() const {
        return static_cast<std::size_t>(options.inflight) * static_cast<std::size_t>(options.max_batch);
    }

    bool in_delivery() const { return deliverer.get_id() == std::this_thread::get_id(); }

    FrameNumber add(std::unique_ptr<Journey> journey) {
        const bool to_run = is_waiting(journey);
        FrameNumber number = 0;
        {
            Lock lock(mutex);
            const auto ready = [&] { return closed || journeys.size() < permits(); };
            if (!ready() && in_delivery())
                fail(ErrorKind::state, {"all ", permits(),
                                        " permits of the runner are taken, and the handler of a frame "
                                        "cannot wait for later frames"});
            permit.wait(lock, ready);
            if (closed) fail(ErrorKind::state, "the runner is closed");
            journey->latest_begin = Clock::now() + options.max_wait;
            journeys.push_back(std::move(journey));
            waiting += to_run ? 1 : 0;
            number = first_number + journeys.size() - 1;
        }
        // Notify after the lock is released, because a thread that wakes while the lock is held would have to
        // wait again.
        (to_run ? work : over).notify_one();
        return number;
    }

    /// Gather waiting frames that can run with the first of them, up to the limit of one request. Return the
    /// number of their images.
    std::int64_t gather(Group &group) const {
        group.clear();
        std::int64_t images = 0;
        for (const auto &journey : journeys) {
            if (!is_waiting(journey)) continue;
            const std::int64_t more = journey->frame.images();
            if (!group.empty() &&
                (images + more > options.max_batch || !journey->frame.goes_with(group.front()->frame)))
                continue;
            group.push_back(journey.get());
            images += more;
            if (images >= options.max_batch) break;
        }
        return images;
    }

    /// Wait for the frames of the next request, and mark them as running. A request is ready when it is full,
    /// when its first frame has waited long enough, or when no more frames can come. Return false if the
    /// runner is closed and no frame waits.
    bool next_group(Group &group) {
        Lock lock(mutex);
        for (;;) {
            const std::int64_t images = gather(group);
            if (group.empty()) {
                if (closed) return false;
                work.wait(lock);
                continue;
            }
            const auto latest = group.front()->latest_begin;
            const bool complete = images >= options.max_batch || closed || journeys.size() == permits();
            if (!complete && Clock::now() < latest) {
                work.wait_until(lock, latest);
                continue;
            }
            for (Journey *journey : group) journey->state = Journey::State::running;
            waiting -= group.size();
            const bool more = waiting > 0;
            lock.unlock();
            if (more) work.notify_one();
            return true;
        }
    }

    void run(FrameSession &session, const Group &group) {
        try {
            std::vector<const Frame *> frames;
            for (const Journey *journey : group) frames.push_back(&journey->frame);
            std::vector<Failure> failures = session.run(frames);
            for (std::size_t i = 0; i < group.size(); ++i) group[i]->failure = std::move(failures[i]);
        } catch (...) {
            for (Journey *journey : group) journey->failure = Failure::current();
        }
        bool last_ones = false, deliver = false;
        {
            Lock lock(mutex);
            for (Journey *journey : group) journey->state = Journey::State::over;
            while (next_is_over() && journeys.front()->frame.brief) hand_out_next(lock);
            deliver = next_is_over() || at_end();
            last_ones = waiting < workers.size();
        }
        if (deliver) over.notify_one();
        // Yield a core to the thread that delivers results and submits new frames. Otherwise workers keep all
        // cores busy until they run out of work.
        if (last_ones) std::this_thread::yield();
    }

    bool next_is_over() const {
        return !handing_out && !journeys.empty() && journeys.front()->state == Journey::State::over;
    }
    bool at_end() const { return closed && journeys.empty(); }

    /// Remove the first frame and call its handler; requires `next_is_over`. The lock is released during the
    /// call.
    void hand_out_next(Lock &lock) {
        std::unique_ptr<Journey> journey = std::move(journeys.front());
        journeys.pop_front();
        ++first_number;
        handing_out = true;
        lock.unlock();
        permit.notify_one();
        journey->frame.done(std::move(journey->failure));
        journey.reset();
        lock.lock();
        handing_out = false;
        if (journeys.empty()) idle.notify_all();
    }

    void deliver_until_closed() {
        Lock lock(mutex);
        for (;;) {
            over.wait(lock, [&] { return next_is_over() || at_end(); });
            if (journeys.empty()) return;
            hand_out_next(lock);
        }
    }

    /// Cancel a waiting frame; requires the lock.
    void cancel(Journey &journey) {
        journey.failure = Failure::cancelled();
        journey.state = Journey::State::over;
        --waiting;
    }

    void close(bool cancel_waiting) {
        const std::lock_guard lock(mutex);
        closed = true;
        for (const auto &journey : journeys) {
            if (cancel_waiting && is_waiting(journey)) cancel(*journey);
        }
        work.notify_all();
        over.notify_all();
        permit.notify_all();
    }

    /// Start the threads, which keep the crew alive. This is called once.
    static void start(const std::shared_ptr<Crew> &crew) {
        const platform::BlockedSignals blocked;
        try {
            crew->deliverer = std::thread([crew] { crew->deliver_until_closed(); });
            for (Worker &worker : crew->workers)
                worker.thread = std::thread([crew, &worker] {
                    while (crew->next_group(worker.group)) crew->run(worker.session, worker.group);
                });
        } catch (const std::system_error &error) {
            crew->finish();
            fail(ErrorKind::state, {"runner: the system started no thread: ", error.what()});
        } catch (...) { // out of memory
            crew->finish();
            throw;
        }
    }

    /// Wait until the deliverer of a closed crew has delivered everything.
    void join_deliverer() {
        std::call_once(delivered, [&] {
            if (deliverer.joinable()) deliverer.join();
        });
    }

    /// Close and end the threads; submitted frames are still run and delivered.
    void finish() {
        close(false);
        for (Worker &worker : workers)
            if (worker.thread.joinable()) worker.thread.join();
        if (in_delivery())
            // This thread is the deliverer, which delivers the rest and keeps the crew alive.
            deliverer.detach();
        else
            join_deliverer();
    }
};

Runner::Runner(std::shared_ptr<Program> program, const RunnerOptions &options)
    : process_(platform::fork_generation()), crew_(std::make_shared<Crew>(std::move(program), options)) {
    Crew::start(crew_);
}

Runner::~Runner() {
    if (process_ == platform::fork_generation())
        crew_->finish();
    else
        // In a forked child the threads do not exist and the mutex may be locked, so the crew is never
        // destroyed.
        crew_->itself = crew_;
}

void Runner::require_alive() const {
    if (process_ != platform::fork_generation())
        fail(ErrorKind::state, "the runner was made before this process was forked; make a new one");
}

Runner::FrameNumber Runner::submit(Frame frame) {
    require_alive();
    const std::shared_ptr<Crew> crew = crew_;  // a handler may release the runner before this returns
    std::span<const TensorView> read, written; // tensors in the caller's memory
    if (!frame.fill) read = frame.inputs;
    if (!frame.read) written = frame.outputs;
    check_elements(*crew->program, read, written);
    std::vector<Shape> shapes;
    for (const TensorView &input : frame.inputs) shapes.push_back(input.shape);
    const auto plan = crew->program->plan_for(shapes);
    if (!frame.read) check_outputs(*crew->program, *plan, read, written);
    auto journey = std::make_unique<Journey>();
    journey->frame = std::move(frame);
    return crew->add(std::move(journey));
}

Runner::FrameNumber Runner::mark(Completion done) {
    require_alive();
    const std::shared_ptr<Crew> crew = crew_;
    auto journey = std::make_unique<Journey>();
    journey->frame.done = std::move(done);
    journey->state = Journey::State::over;
    return crew->add(std::move(journey));
}

bool Runner::cancel(FrameNumber frame) {
    require_alive();
    const std::lock_guard lock(crew_->mutex);
    // For a frame that has been delivered this unsigned difference wraps around to a huge number.
    const FrameNumber index = frame - crew_->first_number;
    if (index >= crew_->journeys.size()) return false;
    if (!is_waiting(crew_->journeys[index])) return false;
    crew_->cancel(*crew_->journeys[index]);
    crew_->over.notify_one();
    return true;
}

void Runner::close(bool cancel) {
    require_alive();
    crew_->close(cancel);
}

void Runner::wait() {
    require_alive();
    Crew::Lock lock(crew_->mutex);
    if (crew_->in_delivery()) fail(ErrorKind::state, "the handler of a frame cannot wait for its own runner");
    crew_->idle.wait(lock, [&] { return crew_->journeys.empty() && !crew_->handing_out; });
    const bool closed = crew_->closed;
    lock.unlock();
    if (closed) crew_->join_deliverer(); // the deliverer's end releases thread-local objects of its handlers
}

int Runner::sessions() const { return crew_->division.sessions; }
int Runner::threads() const { return crew_->division.threads; }
int Runner::permits() const { return static_cast<int>(crew_->permits()); }

} // namespace mpscnn::engine
