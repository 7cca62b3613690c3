#include "metal/request.h"

#include <future>

#include "core/json.h"
#include "metal/objc_ptr.h"
#include "metal/text.h"

namespace mpscnn::metal {

namespace {

/// The encoder that failed, or was hit by another's failure.
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

/// Empty when the command buffer succeeded.
std::string failure_of(id<MTLCommandBuffer> command_buffer) {
    if ([command_buffer status] != MTLCommandBufferStatusError) return {};
    NSError *error = [command_buffer error];
    std::string message = "Metal command buffer " + quoted(text_of([command_buffer label])) +
                          " failed: " + text_of(error, "no reason given");
    const std::string encoder = failed_encoder(error);
    if (!encoder.empty()) message += ", in " + quoted(encoder);
    return message;
}

} // namespace

void Handlers::wait() {
    std::unique_lock lock(count_->mutex);
    count_->changed.wait(lock, [&] { return count_->value == 0; });
}

std::shared_ptr<void> Handlers::ticket() {
    {
        const std::lock_guard lock(count_->mutex);
        ++count_->value;
    }
    // The ticket owns the count: whoever waits may go on before the ticket has left its lock.
    return {nullptr, [count = count_](void *) {
                const std::lock_guard lock(count->mutex);
                --count->value;
                count->changed.notify_all();
            }};
}

id<MTLCommandBuffer> make_command_buffer(id<MTLCommandQueue> queue, const std::string &label) {
    const auto descriptor = adopt([[MTLCommandBufferDescriptor alloc] init]);
    [descriptor.get() setErrorOptions:MTLCommandBufferErrorOptionEncoderExecutionStatus];
    id<MTLCommandBuffer> command_buffer = [queue commandBufferWithDescriptor:descriptor.get()];
    if (!command_buffer) fail(ErrorKind::device, "Metal gives no command buffer");
    [command_buffer setLabel:string_of(label)];
    return command_buffer;
}

void run_to_completion(id<MTLCommandBuffer> command_buffer, Handlers &handlers) {
    const auto result = std::make_shared<std::promise<std::string>>();
    std::future<std::string> failure = result->get_future();
    const std::shared_ptr<void> ticket = handlers.ticket();
    [command_buffer addCompletedHandler:^(id<MTLCommandBuffer> finished) {
      (void)ticket; // captured for its destructor
      const autorelease_scope pool;
      try {
          result->set_value(failure_of(finished));
      } catch (...) { // Metal's thread must see no exception
          result->set_exception(std::current_exception());
      }
    }];
    [command_buffer commit];
    if (const std::string message = failure.get(); !message.empty()) fail(ErrorKind::device, message);
}

} // namespace mpscnn::metal
