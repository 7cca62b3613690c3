#include "metal/run/request.h"

#include <cmath>
#include <future>

#include "core/json.h"
#include "core/text.h"
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

Failure failure_of(id<MTLCommandBuffer> command_buffer, Device &device) {
    if ([command_buffer status] != MTLCommandBufferStatusError) return {};
    note_removal(command_buffer, device);
    NSError *error = [command_buffer error];
    std::string message = concat({"Metal command buffer ", quoted(text_of([command_buffer label])),
                                  " failed: ", text_of(error, "no reason given")});
    const std::string encoder = failed_encoder(error);
    if (!encoder.empty())
        message += ", in " + quoted(encoder);
    else if (!device.looks_for_errors() && [error code] != MTLCommandBufferErrorDeviceRemoved)
        message += "; if it fails again, the message names the layer";
    device.look_for_errors();
    return {ErrorKind::device, message};
}

} // namespace

void note_removal(id<MTLCommandBuffer> command_buffer, Device &device) {
    if ([[command_buffer error] code] == MTLCommandBufferErrorDeviceRemoved) device.mark_removed();
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

void commit(id<MTLCommandBuffer> command_buffer, const std::shared_ptr<Device> &device, Handlers &handlers,
            engine::Completion done) {
    // `done` is in a shared object, because Metal may copy blocks, and `done` must be called only once and be
    // modifiable.
    const auto shared_done = std::make_shared<engine::Completion>(std::move(done));
    const std::shared_ptr<void> ticket = handlers.ticket();
    const std::shared_ptr<Device> kept = device;
    [command_buffer addCompletedHandler:^(id<MTLCommandBuffer> finished) {
      (void)ticket; // `ticket` is captured so that its destructor runs with the block's
      const autorelease_scope pool;
      Failure failure;
      try { // no exception may reach Metal's thread
          failure = failure_of(finished, *kept);
      } catch (...) {
          failure = Failure::current();
      }
      (*shared_done)(std::move(failure));
    }];
    [command_buffer commit];
}

void commit_and_wait(id<MTLCommandBuffer> command_buffer, const std::shared_ptr<Device> &device,
                     Handlers &handlers) {
    const auto result = std::make_shared<std::promise<Failure>>();
    std::future<Failure> done = result->get_future();
    commit(command_buffer, device, handlers,
           [result](Failure failure) { result->set_value(std::move(failure)); });
    done.get().raise();
}

GpuTime gpu_time(id<MTLCommandBuffer> command_buffer) {
    return {[command_buffer GPUStartTime], [command_buffer GPUEndTime]};
}

std::int64_t nanoseconds(double seconds) { return std::llround(seconds * 1e9); }

} // namespace mpscnn::metal
