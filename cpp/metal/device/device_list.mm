#include "metal/device/device_list.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <vector>

#include "core/apple_system.h"
#include "core/platform.h"
#include "core/text.h"
#include "metal/device/text.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

namespace mpscnn::metal {

namespace {

struct Devices {
    std::vector<objc_ptr<id<MTLDevice>>> all; ///< the default device comes first
    bool has_default = false;                 ///< there is a default device, and it can run MPS
};

bool is_usable(id<MTLDevice> device) { return MPSSupportsMTLDevice(device); }

#if !MPSCNN_ON_IOS // iOS has one GPU
bool same_device(id<MTLDevice> one, id<MTLDevice> other) { return [one registryID] == [other registryID]; }
#endif

/// Use the first device that can run MPS as the default. Without a screen, Metal may report no default device
/// although there is a GPU.
Devices find_devices() {
    Devices devices;
    if (auto preferred = adopt(MTLCreateSystemDefaultDevice())) devices.all.push_back(std::move(preferred));
#if !MPSCNN_ON_IOS // iOS has one GPU, and lists devices from version 18 on
    const auto listed = adopt(MTLCopyAllDevices());
    for (id<MTLDevice> device in listed.get())
        if (devices.all.empty() || !same_device(device, devices.all[0].get()))
            devices.all.push_back(share(device));
#endif
    const auto usable = std::find_if(devices.all.begin(), devices.all.end(),
                                     [](const auto &device) { return is_usable(device.get()); });
    devices.has_default = usable != devices.all.end();
    if (devices.has_default) std::rotate(devices.all.begin(), usable, usable + 1);
    return devices;
}

std::string why_not_usable(id<MTLDevice> device) {
    return concat({"Metal device ", quoted(text_of([device name])), " cannot run Metal Performance Shaders"});
}

bool answers_to(id<MTLDevice> device, const std::string &wanted) {
    return wanted == text_of([device name]) || wanted == registry_id_of(device) ||
           wanted == std::to_string([device registryID]);
}

/// Return the fork generation of the process in which Metal was first used.
unsigned first_process() {
    static const unsigned generation = platform::fork_generation();
    return generation;
}

constexpr const char *no_device = "this machine has no Metal device";

[[noreturn]] void fail_to_find(const Devices &devices, const std::string &wanted) {
    std::string known;
    for (const auto &device : devices.all) known += (known.empty() ? "" : ", ") + full_name_of(device.get());
    if (known.empty()) fail(ErrorKind::device, no_device);
    fail(ErrorKind::device, {"there is no Metal device ", quoted(wanted), "; there are ", known});
}

/// A GPU family's number and name. The numbers of MTLGPUFamily are used, because older headers lack names for
/// newer families; older systems report such families as unsupported.
struct Family {
    int number;
    const char *name;
};
constexpr auto families = std::to_array<Family>({{1001, "apple1"},
                                                 {1002, "apple2"},
                                                 {1003, "apple3"},
                                                 {1004, "apple4"},
                                                 {1005, "apple5"},
                                                 {1006, "apple6"},
                                                 {1007, "apple7"},
                                                 {1008, "apple8"},
                                                 {1009, "apple9"},
                                                 {1010, "apple10"},
                                                 {2001, "mac1"},
                                                 {2002, "mac2"},
                                                 {3001, "common1"},
                                                 {3002, "common2"},
                                                 {3003, "common3"},
                                                 {5001, "metal3"},
                                                 {5002, "metal4"}});

Json families_of(id<MTLDevice> device) {
    Json supported = Json::array();
    for (const Family &family : families)
        if ([device supportsFamily:static_cast<MTLGPUFamily>(family.number)])
            supported.push_back(family.name);
    return supported;
}

engine::DeviceDescription describe(id<MTLDevice> device, bool is_default) {
    engine::DeviceDescription described;
    described.name = is_default ? "metal" : "metal:" + registry_id_of(device);
    described.description = text_of([device name]);
    if (!is_usable(device)) described.reason = why_not_usable(device);
    Json &properties = described.properties;
    properties.set("registry_id", registry_id_of(device));
    properties.set("default", is_default);
    properties.set("unified_memory", static_cast<bool>([device hasUnifiedMemory]));
#if MPSCNN_ON_IOS
    for (const char *name : {"headless", "low_power", "removable"}) properties.set(name, false);
    properties.set("recommended_working_set_bytes", platform::usable_memory());
#else
    properties.set("headless", static_cast<bool>([device isHeadless]));
    properties.set("low_power", static_cast<bool>([device isLowPower]));
    properties.set("removable", static_cast<bool>([device isRemovable]));
    properties.set("recommended_working_set_bytes", [device recommendedMaxWorkingSetSize]);
#endif
    properties.set("families", families_of(device));
    properties.set("max_buffer_bytes", static_cast<std::uint64_t>([device maxBufferLength]));
    return described;
}

} // namespace

std::string why_not_in_this_process() {
    if (platform::fork_generation() == first_process()) return "";
    return "this process was forked from one that used Metal, which does not pass to children; start "
           "processes "
           "with multiprocessing's method 'spawn', or use Metal in the child only";
}

std::string registry_id_of(id<MTLDevice> device) {
    char text[32];
    std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>([device registryID]));
    return text;
}

std::string full_name_of(id<MTLDevice> device) {
    return concat({quoted(text_of([device name])), " (", registry_id_of(device), ")"});
}

void require_mps(id<MTLDevice> device) {
    if (!is_usable(device)) fail(ErrorKind::device, why_not_usable(device));
}

objc_ptr<id<MTLDevice>> find_device(const std::string &wanted) {
    const Devices devices = find_devices();
    id<MTLDevice> unusable = nil;
    for (const auto &device : devices.all) {
        if (!wanted.empty() && !answers_to(device.get(), wanted)) continue;
        if (is_usable(device.get())) return device;
        if (!unusable) unusable = device.get(); // another device may have the same name
    }
    if (unusable) fail(ErrorKind::device, why_not_usable(unusable));
    fail_to_find(devices, wanted);
}

std::vector<engine::DeviceDescription> describe_devices() {
    if (const std::string reason = why_not_in_this_process(); !reason.empty()) return {{"metal", "", reason}};
    const autorelease_scope pool;
    const Devices devices = find_devices();
    std::vector<engine::DeviceDescription> described;
    for (const auto &device : devices.all)
        described.push_back(describe(device.get(), devices.has_default && described.empty()));
    // If there is no device, the reason is reported under the name "metal".
    if (described.empty()) return {{"metal", "", no_device}};
    if (!devices.has_default) described[0].name = "metal";
    return described;
}

} // namespace mpscnn::metal
