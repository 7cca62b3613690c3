#include "metal/run/request.h"

#include <algorithm>
#include <cmath>
#include <thread>
#include <utility>
#include <vector>

#include "core/apple_system.h"
#include "core/child_process.h"
#include "core/interruption.h"
#include "core/json.h"
#include "core/platform.h"
#include "core/text.h"
#include "metal/device/exceptions.h"
#include "metal/device/objc_ptr.h"
#include "metal/device/text.h"

namespace mpscnn::metal {

namespace {

/// Return the encoder that failed, or that was affected by the failure of another one.
std::string failed_encoder(NSError *error) {
    NSArray *encoders = [[error userInfo] objectForKey:MTLCommandBufferEncoderInfoErrorKey];
    std::string affected;
    for (id<MTLCommandBufferEncoderInfo> encoder in encoders) {
        const std::string label = text_of([encoder label]);
        if ([encoder errorState] == MTLCommandEncoderErrorStateFaulted) return label;
        if (affected.empty() && [encoder errorState] == MTLCommandEncoderErrorStateAffected) affected = label;
    }
    return affected;
}

/// Return whether an error says that the GPU was removed. No GPU of an iPhone can be.
bool says_removed(NSError *error) {
#if MPSCNN_ON_IOS
    static_cast<void>(error);
    return false;
#else
    return [error code] == MTLCommandBufferErrorDeviceRemoved;
#endif
}

Failure failure_of(id<MTLCommandBuffer> command_buffer, Device &device) {
    if ([command_buffer status] != MTLCommandBufferStatusError) return {};
    note_removal(command_buffer, device);
    NSError *error = [command_buffer error];
    std::string message = concat({"Metal command buffer ", quoted(text_of([command_buffer label])),
                                  " failed: ", text_of(error, "no reason given")});
    const std::string encoder = failed_encoder(error);
    if (!encoder.empty())
        message += ", in " + quoted(encoder);
    else if (!device.looks_for_errors() && !says_removed(error))
        message += "; if it fails again, the message names the layer";
    device.look_for_errors();
    return {ErrorKind::device, message};
}

/// A thread that ends the waits for a GPU that does not finish any more.
class Watch {
public:
    void add(const std::shared_ptr<Committed> &committed) {
        const std::chrono::nanoseconds limit = longest_gpu_wait();
        if (limit.count() == 0) return;
        const std::lock_guard lock(mutex_);
        open_.push_back({committed, limit});
        if (open_.size() > 1) return;
        if (!std::exchange(runs_, true)) std::thread([this] { run(); }).detach();
        changed_.notify_one();
    }

private:
    struct Open {
        std::weak_ptr<Committed> committed;
        std::chrono::nanoseconds limit;
    };

    [[noreturn]] void run() {
        for (std::unique_lock lock(mutex_);;) {
            if (open_.empty())
                changed_.wait(lock, [&] { return !open_.empty(); });
            else
                changed_.wait_for(lock, std::chrono::milliseconds(250));
            std::vector<Open> looked = std::move(open_);
            open_.clear();
            lock.unlock(); // a completion may commit again
            const autorelease_scope pool;
            std::erase_if(looked, [](const Open &open) {
                const auto committed = open.committed.lock();
                return !committed || committed->end_if_hung(open.limit);
            });
            lock.lock();
            open_.insert(open_.end(), looked.begin(), looked.end());
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Open> open_;
    bool runs_ = false;
};

Watch &watch() {
    static Watch &instance = *new Watch; // its thread goes on while the process ends
    return instance;
}

} // namespace

Committed::Committed(engine::Completion done, std::shared_ptr<void> ticket, std::shared_ptr<Device> device)
    : done_(std::move(done)), ticket_(std::move(ticket)), device_(std::move(device)),
      begun_(platform::awake_time()) {}

void Committed::end(Failure failure) {
    engine::Completion done;
    std::shared_ptr<void> ticket;
    std::shared_ptr<Device> device;
    {
        const std::lock_guard lock(mutex_);
        done = std::exchange(done_, nullptr);
        ticket = std::move(ticket_);
        device = std::move(device_);
    }
    if (done) done(std::move(failure));
    done = nullptr; // what it has captured is released before the ticket
}

bool Committed::end_if_hung(std::chrono::nanoseconds limit) {
    std::shared_ptr<Device> device;
    {
        const std::lock_guard lock(mutex_);
        device = device_;
    }
    if (!device) return true;
    const std::chrono::nanoseconds idle = platform::awake_time() - std::max(begun_, device->last_end());
    if (idle < limit) return false;
    end({ErrorKind::device, device->give_up(limit)});
    return true;
}

Failure wait_for(std::future<Failure> &done, const std::function<void(Failure)> &abandon) {
    constexpr std::chrono::milliseconds tick(100);
    while (done.wait_for(tick) != std::future_status::ready)
        if (is_interrupted()) {
            abandon({ErrorKind::device, "the wait for the GPU was interrupted"});
            break;
        }
    return done.get();
}

void note_removal(id<MTLCommandBuffer> command_buffer, Device &device) {
    if (says_removed([command_buffer error])) device.mark_removed();
}

void Handlers::wait() {
    if (platform::fork_generation() != process_) return;
    std::unique_lock lock(count_->mutex);
    count_->changed.wait(lock, [&] { return count_->value == 0; });
}

std::shared_ptr<void> Handlers::ticket() {
    {
        const std::lock_guard lock(count_->mutex);
        ++count_->value;
    }
    // The ticket owns the count, because the waiting thread may destroy this object before the ticket has
    // released the lock.
    return {nullptr, [count = count_](void *) {
                const std::lock_guard lock(count->mutex);
                --count->value;
                count->changed.notify_all();
            }};
}

id<MTLCommandBuffer> make_command_buffer(const Device &device, const std::string &label) {
    const auto descriptor = adopt([[MTLCommandBufferDescriptor alloc] init]);
    if (device.looks_for_errors())
        [descriptor.get() setErrorOptions:MTLCommandBufferErrorOptionEncoderExecutionStatus];
    id<MTLCommandBuffer> command_buffer = [device.queue() commandBufferWithDescriptor:descriptor.get()];
    if (!command_buffer) fail(ErrorKind::device, "Metal gives no command buffer");
    [command_buffer setLabel:string_of(label)];
    return command_buffer;
}

std::shared_ptr<Committed> commit(id<MTLCommandBuffer> command_buffer, const std::shared_ptr<Device> &device,
                                  Handlers &handlers, engine::Completion done) {
    // `done` is in a shared object, because Metal may copy blocks, and `done` must be called only once.
    const auto committed = std::make_shared<Committed>(std::move(done), handlers.ticket(), device);
    const std::weak_ptr<Device> used = device;
    [command_buffer addCompletedHandler:^(id<MTLCommandBuffer> finished) {
      const autorelease_scope pool;
      Failure failure;
      if (const auto kept = used.lock()) try { // no exception may reach Metal's thread
              kept->note_end();
              failure = with_framework_errors([&] { return failure_of(finished, *kept); });
          } catch (...) {
              failure = Failure::current();
          }
      committed->end(std::move(failure));
    }];
    watch().add(committed);
    [command_buffer commit];
    return committed;
}

void commit_and_wait(id<MTLCommandBuffer> command_buffer, const std::shared_ptr<Device> &device,
                     Handlers &handlers) {
    const auto result = std::make_shared<std::promise<Failure>>();
    std::future<Failure> done = result->get_future();
    const auto committed = commit(command_buffer, device, handlers,
                                  [result](Failure failure) { result->set_value(std::move(failure)); });
    wait_for(done, [&](Failure failure) { committed->end(std::move(failure)); }).raise();
}

GpuTime gpu_time(id<MTLCommandBuffer> command_buffer) {
    return {[command_buffer GPUStartTime], [command_buffer GPUEndTime]};
}

std::int64_t nanoseconds(double seconds) { return std::llround(seconds * 1e9); }

} // namespace mpscnn::metal
