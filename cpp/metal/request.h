#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#import <Metal/Metal.h>

namespace mpscnn::metal {

/// Counts completion handlers that still exist, what they captured included: Metal destroys them on a thread
/// of its own, some time after they have run.
class Handlers {
public:
    Handlers() : count_(std::make_shared<Count>()) {}
    ~Handlers() { wait(); }
    Handlers(const Handlers &) = delete;
    Handlers &operator=(const Handlers &) = delete;

    /// Blocks until there are none.
    void wait();

    /// For a handler to capture.
    std::shared_ptr<void> ticket();

private:
    struct Count {
        std::mutex mutex;
        std::condition_variable changed;
        int value = 0;
    };
    std::shared_ptr<Count> count_;
};

/// Made so that errors name the encoder. Autoreleased. Throws DeviceError.
id<MTLCommandBuffer> make_command_buffer(id<MTLCommandQueue> queue, const std::string &label);

/// Commits and blocks until the GPU is done. Throws DeviceError with the code, the label and the encoder's
/// name.
void run_to_completion(id<MTLCommandBuffer> command_buffer, Handlers &handlers);

} // namespace mpscnn::metal
