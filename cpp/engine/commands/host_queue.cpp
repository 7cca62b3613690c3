#include "engine/commands/command_buffer.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <new>
#include <set>
#include <system_error>
#include <thread>

#include "core/interruption.h"
#include "core/platform.h"
#include "engine/commands/host_command.h"

namespace mpscnn::engine {

namespace {

class HostCommandBuffer;

/// A place in the queue, which a command buffer reserves. `committed` keeps the buffer alive until it is
/// completed.
struct Slot {
    HostCommandBuffer *buffer;
    std::shared_ptr<HostCommandBuffer> committed;
};

/// The state that the queue, its buffers and its thread share.
struct QueueState {
    QueueState(BackendChoice choice, int threads)
        : target(std::move(choice)), runner(*target.choice.backend, threads) {}

    const KernelTarget target;

    const unsigned generation = platform::fork_generation();
    /// True if this process made the queue. In a forked child the thread does not exist, and the mutex may be
    /// locked forever.
    bool alive() const { return generation == platform::fork_generation(); }
    void require_alive() const {
        if (!alive())
            fail(ErrorKind::state,
                 "the command queue was made before this process was forked; make a new one");
    }

    std::mutex mutex;
    std::condition_variable work, done;
    std::deque<Slot> slots;
    bool stopping = false; ///< true: the queue is being destroyed; committed buffers still run
    bool busy = false;
    std::thread::id thread;
    HostRunner runner; ///< used by the thread only
};

void keep_for_ever(const std::shared_ptr<QueueState> &state) noexcept {
    new (std::nothrow) std::shared_ptr<QueueState>(state);
}

/// Wait until `ended` says that the queue's thread has done something. `lock` holds the state's mutex. Throws
/// if the wait is interrupted; the thread goes on.
template <class Ended>
void wait_for_queue(QueueState &state, std::unique_lock<std::mutex> &lock, const Ended &ended) {
    constexpr std::chrono::milliseconds tick(100);
    while (!state.done.wait_for(lock, tick, ended)) {
        lock.unlock(); // Python's main thread may need the queue before it answers
        if (is_interrupted()) fail(ErrorKind::device, "the wait for the command queue was interrupted");
        lock.lock();
    }
}

class HostCommandBuffer : public CommandBuffer, public std::enable_shared_from_this<HostCommandBuffer> {
public:
    explicit HostCommandBuffer(std::shared_ptr<QueueState> state) : state_(std::move(state)) {}
    ~HostCommandBuffer() override;

    CommandStatus status() const override { return status_.load(std::memory_order_acquire); }
    std::optional<CommandError> error() const override;
    void enqueue() override;
    void commit() override;
    void wait_until_completed() override;
    void add_completed_handler(Handler handler) override;

    /// Run the commands. This is called on the queue's thread.
    void execute();

    std::weak_ptr<const void> queue() const override { return state_; }

protected:
    void encode_kernel(Kernel &kernel, const kernels::Encoding &encoding,
                       std::span<const ImagePointer> sources, const ImagePointer &destination,
                       const BatchNormalizationStatePointer &state) override;
    void encode_kernel(Kernel &kernel, const kernels::Encoding &encoding, const ImagePointer &source,
                       const BatchNormalizationStatePointer &destination) override;
    void encode_custom(const std::shared_ptr<const CustomKernel> &kernel,
                       std::span<const CustomArgument *const> arguments, const CustomGrid &grid) override;
    void encode_session(const std::shared_ptr<Session> &session, std::span<const ImagePointer> inputs,
                        std::span<const ImagePointer> outputs) override;

private:
    void use(std::span<const ImagePointer> images);
    Failure run_commands() noexcept;

    std::shared_ptr<QueueState> state_;
    std::atomic<CommandStatus> status_{CommandStatus::not_enqueued};
    bool finished_ = false; ///< true: the handlers have run; guarded by the queue's mutex
    Failure failure_;       ///< why the buffer failed, if it did; set when it has ended
    std::vector<Handler> handlers_;
    std::deque<std::unique_ptr<HostCommand>> commands_;
    std::set<std::shared_ptr<Resource>> used_;
};

HostCommandBuffer::~HostCommandBuffer() {
    if (!state_->alive()) {
        keep_for_ever(state_); // its destructor would wait for a thread that does not exist in a forked child
        return;
    }
    if (status_ != CommandStatus::enqueued) return;
    const std::lock_guard lock(state_->mutex);
    std::erase_if(state_->slots, [&](const Slot &slot) { return slot.buffer == this; });
    state_->work.notify_all();
    state_->done.notify_all();
}

std::optional<CommandError> HostCommandBuffer::error() const {
    if (status() != CommandStatus::error) return std::nullopt;
    const bool memory = failure_.kind() == Failure::Kind::out_of_memory;
    return CommandError{memory ? CommandError::out_of_memory : CommandError::internal, failure_.message()};
}

void HostCommandBuffer::enqueue() {
    state_->require_alive();
    require_recording();
    const std::lock_guard lock(state_->mutex);
    if (status() == CommandStatus::enqueued) fail(ErrorKind::state, "the command buffer is enqueued already");
    state_->slots.push_back({this, nullptr});
    status_ = CommandStatus::enqueued;
}

void HostCommandBuffer::commit() {
    state_->require_alive();
    require_recording();
    const std::lock_guard lock(state_->mutex);
    if (state_->stopping) fail(ErrorKind::state, "the command buffer's queue has been released");
    if (status() == CommandStatus::not_enqueued) state_->slots.push_back({this, nullptr});
    for (const auto &resource : used_) resource->in_flight.fetch_add(1, std::memory_order_acq_rel);
    for (Slot &slot : state_->slots)
        if (slot.buffer == this) slot.committed = shared_from_this();
    status_ = CommandStatus::committed;
    state_->work.notify_all();
}

void HostCommandBuffer::wait_until_completed() {
    state_->require_alive();
    if (status() < CommandStatus::committed)
        fail(ErrorKind::state, "the command buffer has not been committed: waiting for it would never end");
    std::unique_lock lock(state_->mutex);
    const bool in_handler = std::this_thread::get_id() == state_->thread;
    if (in_handler && status() < CommandStatus::completed)
        fail(ErrorKind::state, "a completed handler cannot wait for a later command buffer of its queue");
    if (!in_handler) wait_for_queue(*state_, lock, [&] { return finished_; });
    failure_.raise();
}

void HostCommandBuffer::add_completed_handler(Handler handler) {
    state_->require_alive();
    require_recording();
    handlers_.push_back(std::move(handler));
}

void HostCommandBuffer::use(std::span<const ImagePointer> images) {
    for (const ImagePointer &image : images) used_.insert(host_memory(*image));
}

void HostCommandBuffer::encode_kernel(Kernel &kernel, const kernels::Encoding &encoding,
                                      std::span<const ImagePointer> sources, const ImagePointer &destination,
                                      const BatchNormalizationStatePointer &state) {
    state_->require_alive();
    auto command = make_kernel_command(kernel, encoding, sources, destination, state, state_->target);
    use(sources);
    use({&destination, 1});
    if (state) used_.insert(state->moments());
    commands_.push_back(std::move(command)); // added last, so that a failure before this line encodes nothing
}

void HostCommandBuffer::encode_kernel(Kernel &kernel, const kernels::Encoding &encoding,
                                      const ImagePointer &source,
                                      const BatchNormalizationStatePointer &destination) {
    state_->require_alive();
    auto command = make_statistics_command(kernel, encoding, source, *destination, state_->target);
    use({&source, 1});
    used_.insert(destination->moments());
    commands_.push_back(std::move(command));
}

void HostCommandBuffer::encode_custom(const std::shared_ptr<const CustomKernel> &kernel,
                                      std::span<const CustomArgument *const> arguments,
                                      const CustomGrid &grid) {
    state_->require_alive();
    const std::string what = "kernel " + quoted(kernel->function());
    const std::string device = state_->target.choice.backend->name();
    if (kernel->backend() != device)
        fail(ErrorKind::unsupported, {what, " runs on a queue of ", quoted(kernel->backend()),
                                      " only, this queue is of ", quoted(device)});
    if (kernel->identity() != state_->target.identity)
        fail(ErrorKind::device, {what, " was compiled for another device than this queue's, ",
                                 quoted(state_->target.choice.backend->device_name())});
    auto command = make_custom_command(kernel, arguments, grid);
    for (const CustomArgument *argument : arguments)
        if (argument->image) use({&argument->image, 1});
    commands_.push_back(std::move(command));
}

void HostCommandBuffer::encode_session(const std::shared_ptr<Session> &session,
                                       std::span<const ImagePointer> inputs,
                                       std::span<const ImagePointer> outputs) {
    state_->require_alive();
    auto command = make_session_command(session, inputs, outputs);
    use(inputs);
    use(outputs);
    commands_.push_back(std::move(command));
}

/// Run the commands, and free each after it has run, unless the device records them. Images that only a
/// command holds are freed with it, so temporary images take memory only while they are needed.
Failure HostCommandBuffer::run_commands() noexcept {
    return failure_of([&] {
        for (; !commands_.empty(); commands_.pop_front()) state_->runner.run(std::move(commands_.front()));
        state_->runner.finish();
    });
}

void HostCommandBuffer::execute() {
    status_ = CommandStatus::scheduled;
    Failure failure = run_commands();
    if (failure) state_->runner.discard();
    commands_.clear();
    for (const auto &resource : used_) resource->in_flight.fetch_sub(1, std::memory_order_acq_rel);
    used_.clear();
    {
        const std::lock_guard lock(state_->mutex);
        failure_ = std::move(failure);
        status_ = failure_ ? CommandStatus::error : CommandStatus::completed;
    }
    for (const Handler &handler : handlers_) handler();
    handlers_.clear();
    const std::lock_guard lock(state_->mutex);
    finished_ = true;
}

/// Run committed buffers in order on the queue's thread, until the queue is destroyed and none is left.
void work_until_stopped(const std::shared_ptr<QueueState> &state) {
    std::unique_lock lock(state->mutex);
    for (;;) {
        state->work.wait(lock, [&] {
            return state->stopping || (!state->slots.empty() && state->slots.front().committed);
        });
        if (state->stopping) std::erase_if(state->slots, [](const Slot &slot) { return !slot.committed; });
        if (state->slots.empty()) return;
        std::shared_ptr<HostCommandBuffer> buffer = std::move(state->slots.front().committed);
        state->slots.pop_front();
        state->busy = true;
        lock.unlock();
        buffer->execute();
        buffer.reset();
        lock.lock();
        state->busy = false;
        state->done.notify_all();
    }
}

/// A queue that runs kernels as graphs on images in main memory. It has one thread, and the executor has
/// further ones. A backend whose device has separate memory copies the images.
class HostQueue : public CommandQueue {
public:
    HostQueue(BackendChoice choice, int threads)
        : device_(choice.backend->name()), state_(std::make_shared<QueueState>(std::move(choice), threads)) {
        const platform::BlockedSignals blocked;
        try {
            thread_ = new std::thread([state = state_] { work_until_stopped(state); });
        } catch (const std::system_error &error) {
            fail(ErrorKind::state, {"command queue: the system started no thread: ", error.what()});
        }
        state_->thread = thread_->get_id();
    }

    ~HostQueue() override {
        if (!state_->alive()) {
            keep_for_ever(state_); // in a forked child neither the state nor the thread can be destroyed
            return;
        }
        {
            const std::lock_guard lock(state_->mutex);
            state_->stopping = true;
            state_->work.notify_all();
        }
        if (thread_->get_id() == std::this_thread::get_id())
            thread_->detach(); // this thread is the queue's: a completed handler has released the queue
        else
            thread_->join();
        delete thread_;
    }

    const std::string &device() const override { return device_; }

    std::shared_ptr<CommandBuffer> command_buffer() override {
        state_->require_alive();
        return std::make_shared<HostCommandBuffer>(state_);
    }

    void wait_until_idle() override {
        state_->require_alive();
        std::unique_lock lock(state_->mutex);
        if (state_->thread == std::this_thread::get_id())
            fail(ErrorKind::state, "a completed handler cannot wait for its own queue");
        wait_for_queue(*state_, lock, [&] {
            return !state_->busy && std::none_of(state_->slots.begin(), state_->slots.end(),
                                                 [](const Slot &slot) { return slot.committed != nullptr; });
        });
    }

private:
    std::string device_;
    std::shared_ptr<QueueState> state_;
    std::thread *thread_ = nullptr; ///< a pointer, because it is never destroyed in a forked child
};

} // namespace

std::shared_ptr<CommandQueue> CommandQueue::create(const QueueOptions &options) {
    BackendChoice choice = choose_backend(options.device, "float32");
    if (std::string_view(choice.backend->name()) == "coreml")
        fail(ErrorKind::unsupported, "raw kernels on device 'coreml': Core ML runs whole networks only; the "
                                     "devices 'cpu' and 'metal' run raw kernels");
    return std::make_shared<HostQueue>(std::move(choice), options.threads);
}

} // namespace mpscnn::engine
