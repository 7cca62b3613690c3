#include "metal/device/device.h"

#include <cmath>
#include <cstring>
#include <future>
#include <map>
#include <mutex>
#include <set>

#include "core/interruption.h"
#include "core/json.h"
#include "core/platform.h"
#include "core/text.h"
#include "metal/device/buffer_copies.h"
#include "metal/device/custom_kernel.h"
#include "metal/device/device_list.h"
#include "metal/device/shaders.h"
#include "metal/device/text.h"

namespace mpscnn::metal {

namespace {

constexpr const char *gpu_seconds_variable = "MPSCNN_GPU_SECONDS";

objc_ptr<id<MTLBuffer>> require_buffer(objc_ptr<id<MTLBuffer>> buffer, std::size_t bytes) {
    if (!buffer) fail(ErrorKind::device, {"Metal cannot allocate a buffer of ", bytes, " bytes"});
    return buffer;
}

void require_same_process() {
    if (const std::string reason = why_not_in_this_process(); !reason.empty())
        fail(ErrorKind::device, reason);
}

std::size_t hash_of_shaders() {
    std::string text;
    for (const ShaderFile &file : shader_files()) text += file.source;
    return std::hash<std::string>()(text);
}

std::string identity_of(id<MTLDevice> device) {
    const autorelease_scope pool;
    return concat(
        {text_of([device name]), "\nsystem ", platform::system_build(), "\nshaders ", hash_of_shaders()});
}

objc_ptr<id<MTLCommandQueue>> make_queue(id<MTLDevice> device) {
    auto queue = adopt([device newCommandQueue]);
    if (!queue)
        fail(ErrorKind::device, {"Metal device ", quoted(text_of([device name])), " gives no command queue"});
    [queue.get() setLabel:@"mpscnn"];
    return queue;
}

/// The GPUs that have not finished a command buffer in this process.
struct HungDevices {
    std::mutex mutex;
    std::set<std::uint64_t> registry_ids;
};

HungDevices &hung_devices() {
    static HungDevices &instance = *new HungDevices; // another thread may use it while the process ends
    return instance;
}

[[noreturn]] void fail_for_hang(id<MTLDevice> device) {
    fail(ErrorKind::device, {"Metal device ", quoted(text_of([device name])),
                             " has not finished an earlier run, so this process does not use it any more"});
}

void require_not_hung(id<MTLDevice> device) {
    HungDevices &hung = hung_devices();
    const std::lock_guard lock(hung.mutex);
    if (hung.registry_ids.contains([device registryID])) fail_for_hang(device);
}

template <class Map> void forget_unused(Map &map) {
    std::erase_if(map, [](const auto &entry) { return entry.second.expired(); });
}

} // namespace

std::chrono::nanoseconds longest_gpu_wait() {
    constexpr double usual = 120;
    const double seconds = platform::seconds_of_environment(gpu_seconds_variable, usual, true);
    return std::chrono::nanoseconds(std::llround(seconds * 1e9));
}

DeviceParts::DeviceParts(const objc_ptr<id<MTLDevice>> &device)
    : identity(identity_of(device.get())), shaders(device, identity), textures(device) {}

std::shared_ptr<Device> Device::open(const std::string &wanted) {
    require_same_process();
    const autorelease_scope pool;
    const auto found = find_device(wanted);
    return of(found.get(), nil);
}

std::shared_ptr<Device> Device::of(id<MTLDevice> device, id<MTLCommandQueue> queue) {
    // There is one object for each device that is in use. While the device exists, nothing else can have its
    // address, so the address is a valid key.
    static std::mutex mutex;
    static std::map<std::uint64_t, std::weak_ptr<Device>> by_registry_id;
    static std::map<const void *, std::weak_ptr<Device>> by_queue;
    static std::map<const void *, std::weak_ptr<DeviceParts>> parts_of; // by the device's address
    require_same_process();
    const autorelease_scope pool;
    require_not_hung(device);
    const std::lock_guard lock(mutex);
    forget_unused(by_queue);
    forget_unused(parts_of);
    std::weak_ptr<Device> &entry = queue ? by_queue[queue] : by_registry_id[[device registryID]];
    auto found = entry.lock();
    if (found && !found->removed_ && found->get() == device) return found;
    require_mps(device);
    std::weak_ptr<DeviceParts> &known = parts_of[device];
    // make_shared is not used: it would keep the object's memory as long as the weak pointer in the map
    // exists.
    auto parts = known.lock();
    if (!parts) known = parts = std::shared_ptr<DeviceParts>(new DeviceParts(share(device)));
    auto used = queue ? share(queue) : make_queue(device);
    entry = found = std::shared_ptr<Device>(new Device(share(device), std::move(used), std::move(parts)));
    return found;
}

Device::Device(objc_ptr<id<MTLDevice>> device, objc_ptr<id<MTLCommandQueue>> queue,
               std::shared_ptr<DeviceParts> parts)
    : device_(std::move(device)), queue_(std::move(queue)), parts_(std::move(parts)),
      custom_kernels_(std::make_unique<CustomKernels>()) {}

Device::~Device() {
    const autorelease_scope pool;
    parts_.reset();
    queue_.reset();
    device_.reset();
}

std::string Device::name() const {
    const autorelease_scope pool;
    return text_of([device_.get() name]);
}

bool Device::trains_by_mps() const {
    // The GPU families Mac 2, Apple 7 and Metal 3, as numbers, because headers of older systems do not name
    // all of them.
    for (const int family : {2002, 1007, 5001})
        if ([device_.get() supportsFamily:static_cast<MTLGPUFamily>(family)]) return true;
    return false;
}

bool Device::has_unified_memory() const { return [device_.get() hasUnifiedMemory]; }

bool Device::is_paravirtual() const {
    for (const int family : {2002, 1007}) // Mac 2 and Apple 7
        if ([device_.get() supportsFamily:static_cast<MTLGPUFamily>(family)]) return false;
    return name().find("Paravirtual") != std::string::npos;
}

void Device::require_usable() const {
    require_same_process();
    if (removed_)
        fail(ErrorKind::device, {"Metal device ", quoted(name()), " was removed from this machine"});
    if (hung_) fail_for_hang(device_.get());
}

std::string Device::give_up(std::chrono::nanoseconds limit) const {
    hung_ = true;
    HungDevices &hung = hung_devices();
    const std::lock_guard lock(hung.mutex);
    hung.registry_ids.insert([device_.get() registryID]);
    return concat({"Metal device ", quoted(name()), " has finished nothing for ",
                   std::chrono::duration<double>(limit).count(),
                   " s, so this process does not use it any more. Use device='cpu', or set ",
                   gpu_seconds_variable, " if a run takes longer"});
}

/// Wait for commands without a session, as long as a run may take.
void Device::commit_and_wait(id<MTLCommandBuffer> commands) const {
    constexpr std::chrono::milliseconds tick(100);
    const std::chrono::nanoseconds limit = longest_gpu_wait(), begun = platform::awake_time();
    // The handler may run after this function has given up.
    const auto ended = std::make_shared<std::promise<void>>();
    std::future<void> end = ended->get_future();
    [commands addCompletedHandler:^(id<MTLCommandBuffer>) {
      ended->set_value();
    }];
    [commands commit];
    while (end.wait_for(tick) != std::future_status::ready) {
        if (is_interrupted()) fail(ErrorKind::device, "the wait for the GPU was interrupted");
        if (limit.count() != 0 && platform::awake_time() - begun >= limit)
            fail(ErrorKind::device, give_up(limit));
    }
}

/// Throws for a size beyond the largest buffer, because Metal would end the process instead of reporting an
/// error.
void Device::require_length(std::size_t bytes) const {
    if (const std::size_t maximum = [device_.get() maxBufferLength]; bytes > maximum)
        fail(ErrorKind::device, {"Metal device ", quoted(name()), " cannot have a buffer of ", bytes,
                                 " bytes, ", maximum, " at most"});
}

objc_ptr<id<MTLBuffer>> Device::make_buffer(std::size_t bytes) const {
    require_length(bytes);
    return require_buffer(
        adopt([device_.get() newBufferWithLength:bytes options:MTLResourceStorageModeShared]), bytes);
}

objc_ptr<id<MTLBuffer>> Device::make_private_buffer(std::size_t bytes) const {
    require_length(bytes);
    return require_buffer(
        adopt([device_.get() newBufferWithLength:bytes options:MTLResourceStorageModePrivate]), bytes);
}

objc_ptr<id<MTLBuffer>> Device::make_buffer(const void *contents, std::size_t bytes) const {
    require_length(bytes);
    return require_buffer(adopt([device_.get() newBufferWithBytes:contents
                                                           length:bytes
                                                          options:MTLResourceStorageModeShared]),
                          bytes);
}

objc_ptr<id<MTLBuffer>> Device::make_constants(const void *contents, std::size_t bytes) const {
    if (has_unified_memory()) return make_buffer(contents, bytes);
    constexpr std::size_t unit = BufferCopies::unit;
    const std::size_t copied = (bytes + unit - 1) / unit * unit;
    const autorelease_scope pool;
    const auto shared = make_buffer(copied);
    std::memcpy([shared.get() contents], contents, bytes);
    auto buffer = make_private_buffer(copied);
    id<MTLCommandBuffer> commands = [queue() commandBuffer];
    BufferCopies(commands, "copy weights to the GPU's memory").copy({shared.get()}, {buffer.get()}, copied);
    // A run may be encoded for another queue, so it must not begin before the copy has ended.
    commit_and_wait(commands);
    if ([commands status] == MTLCommandBufferStatusError)
        fail(ErrorKind::device, {"Metal cannot copy weights to the GPU's memory: ",
                                 text_of([commands error], "no reason given")});
    return buffer;
}

} // namespace mpscnn::metal
