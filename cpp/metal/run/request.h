#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "core/platform.h"
#include "engine/run/backend.h"
#include "metal/device/device.h"

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

    /// Blocks until there are none. In a forked child they never end, and nothing is waited for.
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
    const unsigned process_ = platform::fork_generation();
};

/// Made so that errors name the encoder. Autoreleased. Throws DeviceError.
id<MTLCommandBuffer> make_command_buffer(id<MTLCommandQueue> queue, const std::string &label);

/// Marks the device as removed if that is why the command buffer failed.
void note_removal(id<MTLCommandBuffer> command_buffer, Device &device);

/// Commits. `done` is called on a thread of Metal's when the GPU is done, with a DeviceError that has the
/// code, the label and the encoder's name if it failed. A device that is gone is marked as such.
void commit(id<MTLCommandBuffer> command_buffer, const std::shared_ptr<Device> &device, Handlers &handlers,
            engine::Completion done);

/// Likewise; returns when the GPU is done, and throws its failure.
void commit_and_wait(id<MTLCommandBuffer> command_buffer, const std::shared_ptr<Device> &device,
                     Handlers &handlers);

/// When the GPU worked on a command buffer that is done, in seconds of its clock.
struct GpuTime {
    double begin, end;
};
GpuTime gpu_time(id<MTLCommandBuffer> command_buffer);
std::int64_t nanoseconds(double seconds);

} // namespace mpscnn::metal
