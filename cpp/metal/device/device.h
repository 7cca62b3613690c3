#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "metal/device/library.h"
#include "metal/device/objc_ptr.h"
#include "metal/device/photo_tables.h"
#include "metal/device/texture_cache.h"

#import <Metal/Metal.h>

namespace mpscnn::metal {

class CustomKernels;

/// What the queues of a GPU have in common.
struct DeviceParts {
    explicit DeviceParts(const objc_ptr<id<MTLDevice>> &device) : shaders(device), textures(device) {}

    ShaderLibrary shaders;
    PhotoTableCache photo_tables;
    TextureCache textures;
};

/// A GPU with a command queue and the engine's shaders.
class Device {
public:
    /// The device of this name or registry id, "" for the system's default. All programs on it that are alive
    /// share it; nothing of it outlives them. Throws DeviceError when there is none such that can run MPS.
    static std::shared_ptr<Device> open(const std::string &wanted);

    /// A device of the caller's, with a queue of the caller's or, without one, as `open` does. Programs on
    /// one queue share it.
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
    /// With the system's build and the shaders: all on which answers depend.
    const std::string &identity() const { return identity_; }

    /// Throws DeviceError when the device was removed, and in a process forked after Metal was first used: a
    /// GPU's connection does not pass to a child.
    void require_usable() const;
    /// Every later use fails; programs compiled from now on open what is left.
    void mark_removed() { removed_ = true; }

    /// Memory that processor and GPU share. Throws DeviceError when there is not enough, and for more than
    /// the device's largest buffer.
    objc_ptr<id<MTLBuffer>> make_buffer(std::size_t bytes) const;
    /// Memory of the GPU alone.
    objc_ptr<id<MTLBuffer>> make_private_buffer(std::size_t bytes) const;
    objc_ptr<id<MTLBuffer>> make_buffer(const void *contents, std::size_t bytes) const;
    template <class T> objc_ptr<id<MTLBuffer>> make_buffer(const std::vector<T> &contents) const {
        return make_buffer(contents.data(), contents.size() * sizeof(T));
    }

private:
    void require_length(std::size_t bytes) const;

    Device(objc_ptr<id<MTLDevice>> device, objc_ptr<id<MTLCommandQueue>> queue,
           std::shared_ptr<DeviceParts> parts);

    objc_ptr<id<MTLDevice>> device_;
    objc_ptr<id<MTLCommandQueue>> queue_;
    std::shared_ptr<DeviceParts> parts_;
    std::unique_ptr<CustomKernels> custom_kernels_;
    std::string identity_;
    std::atomic<bool> removed_{false};
};

} // namespace mpscnn::metal
