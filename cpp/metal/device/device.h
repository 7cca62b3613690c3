#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "core/child_process.h"
#include "metal/device/library.h"
#include "metal/device/objc_ptr.h"
#include "metal/device/photo_tables.h"
#include "metal/device/texture_cache.h"

#import <Metal/Metal.h>

namespace mpscnn::metal {

class CustomKernels;

/// Return how long a GPU may finish nothing before it is given up (MPSCNN_GPU_SECONDS, default: 120); 0 for
/// no limit. Throws ParameterError if the environment states a wrong limit.
std::chrono::nanoseconds longest_gpu_wait();

/// The objects that all queues of a GPU share.
struct DeviceParts {
    explicit DeviceParts(const objc_ptr<id<MTLDevice>> &device);

    const std::string identity; ///< see Device::identity()
    ShaderLibrary shaders;
    PhotoTableCache photo_tables;
    TextureCache textures;
};

/// A GPU with a command queue and the engine's shaders.
class Device {
public:
    /// Return the device with this name or registry id; "" is the system's default. All programs on it share
    /// one object, which is destroyed with the last of them. Throws DeviceError if there is no such device
    /// that can run MPS.
    static std::shared_ptr<Device> open(const std::string &wanted);

    /// Return the caller's device with the caller's queue. If `queue` is nil, it is the queue that open()
    /// uses for this device. Programs on the same queue share one object. Throws DeviceError for a device
    /// that cannot run MPS.
    static std::shared_ptr<Device> of(id<MTLDevice> device, id<MTLCommandQueue> queue);
    ~Device();
    Device(const Device &) = delete;
    Device &operator=(const Device &) = delete;

    id<MTLDevice> get() const { return device_.get(); }
    id<MTLCommandQueue> queue() const { return queue_.get(); }
    ShaderLibrary &shaders() { return parts_->shaders; }
    PhotoTableCache &photo_tables() { return parts_->photo_tables; }
    TextureCache &textures() { return parts_->textures; }
    CustomKernels &custom_kernels() { return *custom_kernels_; }
    std::string name() const;
    /// Return whether gradient kernels of MPS run on the device: whether it is of the family Mac 2, Apple 7
    /// or Metal 3.
    bool trains_by_mps() const;
    /// Return whether the GPU uses the main memory. Otherwise it has memory of its own, and reads shared
    /// memory over a bus.
    bool has_unified_memory() const;
    /// Return whether the device is a GPU of a virtual machine, which shares the host's GPU and supports only
    /// a part of its features.
    bool is_paravirtual() const;
    /// Return a text with the device, the system's build and the shaders. Results depend on nothing else, and
    /// the text stays the same when the machine is restarted.
    const std::string &identity() const { return parts_->identity; }

    /// Throws DeviceError if the device was removed, or has hung in this process. Also throws it in a process
    /// that was forked after Metal was first used, because a child has no connection to the GPU.
    void require_usable() const;
    /// Make every later use of this device fail. Programs that are compiled later open one of the remaining
    /// devices.
    void mark_removed() { removed_ = true; }

    /// Make every later use of this GPU fail in this process, because it has finished nothing for this time.
    /// Return the text of the error.
    std::string give_up(std::chrono::nanoseconds limit) const;
    /// Note that a command buffer has ended now.
    void note_end() { last_end_ = platform::awake_time(); }
    /// Return when the last command buffer ended, as platform::awake_time(); 0 if none has.
    std::chrono::nanoseconds last_end() const { return last_end_; }

    /// Return whether the GPU records for a failed command buffer which of its encoders failed. This costs
    /// time, so it is true only after a command buffer has failed.
    bool looks_for_errors() const { return looks_for_errors_; }
    void look_for_errors() { looks_for_errors_ = true; }

    /// Return memory that processor and GPU share. Throws DeviceError if there is not enough, and for a size
    /// beyond the device's largest buffer.
    objc_ptr<id<MTLBuffer>> make_buffer(std::size_t bytes) const;
    /// Return memory that only the GPU accesses.
    objc_ptr<id<MTLBuffer>> make_private_buffer(std::size_t bytes) const;
    objc_ptr<id<MTLBuffer>> make_buffer(const void *contents, std::size_t bytes) const;
    /// Return weights or a table, which the processor does not access any more. A GPU without unified memory
    /// would read shared memory over the bus in each run, so there the contents are copied once to memory of
    /// the GPU.
    objc_ptr<id<MTLBuffer>> make_constants(const void *contents, std::size_t bytes) const;
    template <class T> objc_ptr<id<MTLBuffer>> make_constants(const std::vector<T> &contents) const {
        return make_constants(contents.data(), contents.size() * sizeof(T));
    }

private:
    void require_length(std::size_t bytes) const;
    void commit_and_wait(id<MTLCommandBuffer> commands) const;

    Device(objc_ptr<id<MTLDevice>> device, objc_ptr<id<MTLCommandQueue>> queue,
           std::shared_ptr<DeviceParts> parts);

    objc_ptr<id<MTLDevice>> device_;
    objc_ptr<id<MTLCommandQueue>> queue_;
    std::shared_ptr<DeviceParts> parts_;
    std::unique_ptr<CustomKernels> custom_kernels_;
    std::atomic<bool> removed_{false}, looks_for_errors_{false};
    mutable std::atomic<bool> hung_{false};
    std::atomic<std::chrono::nanoseconds> last_end_{std::chrono::nanoseconds(0)};
};

} // namespace mpscnn::metal
