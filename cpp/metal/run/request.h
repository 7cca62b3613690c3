#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>

#include "core/platform.h"
#include "engine/backend/backend.h"
#include "metal/device/device.h"

#import <Metal/Metal.h>

namespace mpscnn::metal {

/// Counts the completion handlers of command buffers that still exist, including the objects that they
/// captured. Metal destroys handlers on its own thread, some time after they have run.
class Handlers {
public:
    Handlers() : count_(std::make_shared<Count>()) {}
    ~Handlers() { wait(); }
    Handlers(const Handlers &) = delete;
    Handlers &operator=(const Handlers &) = delete;

    /// Block until no handler exists. In a forked child the handlers never end, so this returns immediately.
    void wait();

    /// Return an object for a handler to capture; the handler counts as long as this object exists.
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

/// Return an autoreleased command buffer. If errors are looked for on the device, an error names the encoder
/// that failed. Throws DeviceError if Metal makes none.
id<MTLCommandBuffer> make_command_buffer(const Device &device, const std::string &label);

/// If the command buffer failed because the device was removed, mark the device as removed.
void note_removal(id<MTLCommandBuffer> command_buffer, Device &device);

/// A committed command buffer. Its completion is called once: when the GPU has finished, or when nobody waits
/// for it any more.
class Committed {
public:
    Committed(engine::Completion done, std::shared_ptr<void> ticket, std::shared_ptr<Device> device);

    /// Call the completion, unless it was called before.
    void end(Failure failure);
    /// End if the GPU has finished no command buffer of the device for as long as `limit`. The device is not
    /// used by this process any more then. Return whether the completion was called, now or before.
    bool end_if_hung(std::chrono::nanoseconds limit);

private:
    std::mutex mutex_;
    engine::Completion done_;
    std::shared_ptr<void> ticket_;
    std::shared_ptr<Device> device_;
    const std::chrono::nanoseconds begun_;
};

/// Commit. When the GPU has finished, `done` is called on one of Metal's threads. If the GPU finishes no
/// command buffer for MPSCNN_GPU_SECONDS (default: 120; 0 for no limit), `done` is called with a DeviceError,
/// and the device is left alone by this process. If the command buffer
/// failed, the argument of `done` is a DeviceError with the code, the label and, if errors are looked
/// for, the encoder's name. From then on they are looked for. If the device was removed, it is marked as
/// removed.
std::shared_ptr<Committed> commit(id<MTLCommandBuffer> command_buffer, const std::shared_ptr<Device> &device,
                                  Handlers &handlers, engine::Completion done);

/// Wait until a promise has its value. If is_interrupted() says so, call `abandon`, after which it has one.
Failure wait_for(std::future<Failure> &done, const std::function<void(Failure)> &abandon);

/// Commit and wait until the GPU has finished. Throws the failure of the command buffer.
void commit_and_wait(id<MTLCommandBuffer> command_buffer, const std::shared_ptr<Device> &device,
                     Handlers &handlers);

/// The time at which the GPU executed a finished command buffer, in seconds of the GPU's clock.
struct GpuTime {
    double begin, end;
};
GpuTime gpu_time(id<MTLCommandBuffer> command_buffer);
std::int64_t nanoseconds(double seconds);

} // namespace mpscnn::metal
