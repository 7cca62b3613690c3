#include "metal/device.h"

#include <map>
#include <mutex>

#include "core/json.h"
#include "metal/custom_kernel.h"
#include "metal/device_list.h"
#include "metal/shader_source.h"
#include "metal/text.h"

namespace mpscnn::metal {

namespace {

objc_ptr<id<MTLBuffer>> require_buffer(objc_ptr<id<MTLBuffer>> buffer, std::size_t bytes) {
    if (!buffer)
        fail(ErrorKind::device, "Metal cannot allocate a buffer of " + std::to_string(bytes) + " bytes");
    return buffer;
}

void require_same_process() {
    if (const std::string reason = why_not_in_this_process(); !reason.empty())
        fail(ErrorKind::device, reason);
}

std::string identity_of(id<MTLDevice> device) {
    const autorelease_scope pool;
    return text_of([device name]) + "\nregistry id " + registry_id_of(device) + "\nsystem " +
           text_of([[NSProcessInfo processInfo] operatingSystemVersionString]) + "\nshaders " +
           std::to_string(std::hash<std::string>()(shader_source()));
}

} // namespace

std::shared_ptr<Device> Device::open(const std::string &wanted) {
    static std::mutex mutex;
    static std::map<std::uint64_t, std::weak_ptr<Device>> known; // by registry id
    require_same_process();
    const autorelease_scope pool;
    const std::lock_guard lock(mutex);
    auto found = find_device(wanted);
    std::weak_ptr<Device> &entry = known[[found.get() registryID]];
    auto device = entry.lock();
    // Not make_shared: its one allocation would keep the memory while `known` exists.
    if (!device || device->removed_) entry = device = std::shared_ptr<Device>(new Device(std::move(found)));
    return device;
}

Device::Device(objc_ptr<id<MTLDevice>> device)
    : device_(std::move(device)), queue_(adopt([device_.get() newCommandQueue])),
      shaders_(std::make_unique<ShaderLibrary>(device_)), custom_kernels_(std::make_unique<CustomKernels>()),
      identity_(identity_of(device_.get())) {
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

void Device::require_usable() const {
    require_same_process();
    if (removed_)
        fail(ErrorKind::device, "Metal device " + quoted(name()) + " was removed from this machine");
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
