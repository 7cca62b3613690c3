#include "metal/device.h"

#include <mutex>

#include "core/json.h"
#include "metal/text.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

namespace mpscnn::metal {

namespace {

/// The default device; a process without a screen may have none although there is a GPU.
objc_ptr<id<MTLDevice>> find_device() {
    auto preferred = adopt(MTLCreateSystemDefaultDevice());
    if (preferred && MPSSupportsMTLDevice(preferred.get())) return preferred;
    const auto all = adopt(MTLCopyAllDevices());
    for (id<MTLDevice> device in all.get())
        if (MPSSupportsMTLDevice(device)) return share(device);
    if (!preferred) fail(ErrorKind::device, "this machine has no Metal device");
    fail(ErrorKind::device,
         "Metal device " + quoted(text_of([preferred.get() name])) + " cannot run Metal Performance Shaders");
}

objc_ptr<id<MTLBuffer>> require_buffer(objc_ptr<id<MTLBuffer>> buffer, std::size_t bytes) {
    if (!buffer)
        fail(ErrorKind::device, "Metal cannot allocate a buffer of " + std::to_string(bytes) + " bytes");
    return buffer;
}

} // namespace

std::shared_ptr<Device> Device::shared() {
    static std::mutex mutex;
    static std::weak_ptr<Device> known;
    const autorelease_scope pool;
    const std::lock_guard lock(mutex);
    auto device = known.lock();
    // Not make_shared: its one allocation would keep the memory while `known` exists.
    if (!device) known = device = std::shared_ptr<Device>(new Device(find_device()));
    return device;
}

Device::Device(objc_ptr<id<MTLDevice>> device)
    : device_(std::move(device)), queue_(adopt([device_.get() newCommandQueue])),
      shaders_(std::make_unique<ShaderLibrary>(device_)) {
    if (!queue_) fail(ErrorKind::device, "Metal device " + quoted(name()) + " gives no command queue");
    [queue_.get() setLabel:@"mpscnn"];
}

Device::~Device() {
    const autorelease_scope pool;
    shaders_.reset();
    queue_.reset();
    device_.reset();
}

std::string Device::name() const {
    const autorelease_scope pool;
    return text_of([device_.get() name]);
}

objc_ptr<id<MTLBuffer>> Device::make_buffer(std::size_t bytes) const {
    return require_buffer(
        adopt([device_.get() newBufferWithLength:bytes options:MTLResourceStorageModeShared]), bytes);
}

objc_ptr<id<MTLBuffer>> Device::make_private_buffer(std::size_t bytes) const {
    return require_buffer(
        adopt([device_.get() newBufferWithLength:bytes options:MTLResourceStorageModePrivate]), bytes);
}

objc_ptr<id<MTLBuffer>> Device::make_buffer(const void *contents, std::size_t bytes) const {
    return require_buffer(adopt([device_.get() newBufferWithBytes:contents
                                                           length:bytes
                                                          options:MTLResourceStorageModeShared]),
                          bytes);
}

} // namespace mpscnn::metal
