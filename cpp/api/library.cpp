// The library itself: version, how it was built, what it can do, its memory and log.

#include <map>
#include <memory>
#include <mutex>
#include <span>

#include "api/guard.h"
#include "core/build_info.h"
#include "core/half.h"
#include "core/interruption.h"
#include "core/json.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/page_memory.h"
#include "core/platform.h"
#include "cpu/isa/kernels.h"
#include "engine/run/backends.h"
#include "engine/run/coreml_writer.h"
#include "engine/trust/check_follower.h"
#include "engine/trust/device_trust.h"
#include "ops/cases.h"
#include "ops/op_list.h"
#include "ops/unsupported.h"

namespace mpscnn::c_api {

namespace {

bool computes_in(const engine::DeviceDescription &device, engine::Precision precision) {
    if (precision == engine::Precision::bfloat16) return device.no_bfloat16.empty();
    return precision != engine::Precision::int8 || device.name == "cpu";
}

Json describe_processors() {
    const platform::Processors found = platform::processors();
    Json described = Json::object();
    described.set("cores", found.cores);
    described.set("processors", found.processors);
    described.set("quota", found.quota > 0 ? Json(found.quota) : Json(nullptr));
    described.set("threads", found.threads);
    return described;
}

Json describe_device(const engine::DeviceDescription &described) {
    Json device = described.properties;
    device.set("name", described.name);
    device.set("available", described.reason.empty());
    if (!described.description.empty()) device.set("description", described.description);
    if (!described.reason.empty()) {
        device.set("reason", described.reason);
        return device;
    }
    Json precisions = Json::array();
    for (engine::Precision precision : engine::all_precisions)
        if (computes_in(described, precision)) precisions.push_back(name_of(precision));
    device.set("precisions", std::move(precisions));
    if (!described.no_bfloat16.empty()) device.set("no_bfloat16", described.no_bfloat16);
    if (!described.bfloat16_sums.empty()) device.set("bfloat16_sums", described.bfloat16_sums);
    if (described.name == "cpu") device.set("processors", describe_processors());
    return device;
}

Json describe_devices() {
    Json devices = Json::array();
    for (const engine::DeviceDescription &device : engine::list_devices())
        devices.push_back(describe_device(device));
    return devices;
}

Json describe_build() {
    Json sets = Json::array();
    for (const char *const *set = build_info::instruction_sets; *set; ++set) sets.push_back(*set);
    Json backends = Json::array();
    for (const std::string &backend : engine::built_backends()) backends.push_back(backend);
    Json config = Json::object();
    config.set("version", build_info::version);
    config.set("compiler", build_info::compiler);
    config.set("compiler_version", build_info::compiler_version);
    config.set("flags", build_info::flags);
    config.set("build_type", build_info::build_type);
    config.set("system", build_info::system);
    config.set("backends", std::move(backends));
    config.set("instruction_sets", std::move(sets));
    const bool runs_here = *cpu::missing_kernels() == 0;
    config.set("instruction_set", runs_here ? Json(cpu::kernels().name) : Json(nullptr));
    return config;
}

/// References of callers to page memory that they allocated.
struct KeptPages {
    std::mutex mutex;
    std::map<const void *, std::shared_ptr<PageMemory>> blocks;
};

KeptPages &kept_pages() {
    static KeptPages &instance = *new KeptPages; // never destroyed, because arrays may outlive static objects
    return instance;
}

void *keep_pages(std::shared_ptr<PageMemory> pages) {
    KeptPages &kept = kept_pages();
    void *memory = pages->data();
    const std::lock_guard lock(kept.mutex);
    kept.blocks.emplace(memory, std::move(pages));
    return memory;
}

void drop_pages(const void *memory) {
    KeptPages &kept = kept_pages();
    const std::lock_guard lock(kept.mutex);
    kept.blocks.erase(memory);
}

} // namespace

} // namespace mpscnn::c_api

using namespace mpscnn;

const char *mpscnn_version(void) { return build_info::version; }

mpscnn_status mpscnn_build_config(mpscnn_text **json) {
    return c_api::guarded([&] {
        c_api::require(json, "json");
        c_api::give(to_text(c_api::describe_build()), json);
    });
}

mpscnn_status mpscnn_operations(mpscnn_text **json) {
    return c_api::guarded([&] {
        c_api::require(json, "json");
        c_api::give(to_text(ops::describe_operations()), json);
    });
}

mpscnn_status mpscnn_cases(mpscnn_text **json) {
    return c_api::guarded([&] {
        c_api::require(json, "json");
        c_api::give(to_text(ops::describe_cases()), json);
    });
}

mpscnn_status mpscnn_unsupported_features(mpscnn_text **json) {
    return c_api::guarded([&] {
        c_api::require(json, "json");
        c_api::give(to_text(ops::describe_unsupported_features()), json);
    });
}

mpscnn_status mpscnn_devices(mpscnn_text **json) {
    return c_api::guarded([&] {
        c_api::require(json, "json");
        c_api::give(to_text(c_api::describe_devices()), json);
    });
}

mpscnn_status mpscnn_processors(mpscnn_text **json) {
    return c_api::guarded([&] {
        c_api::require(json, "json");
        c_api::give(to_text(c_api::describe_processors()), json);
    });
}

mpscnn_status mpscnn_check_device(const char *device, mpscnn_text **text) {
    return c_api::guarded([&] {
        c_api::require(device, "device");
        c_api::require(text, "text");
        c_api::give(engine::check_device(device), text);
    });
}

mpscnn_status mpscnn_check_cases(const char *device, const char *request, mpscnn_check_callback report,
                                 void *context) {
    return c_api::guarded([&] {
        c_api::require(device, "device");
        c_api::require(request, "request");
        if (!report) fail(ErrorKind::parameter, "report must not be NULL");
        engine::check_cases(device, request, [&](const std::string &line) { report(line.c_str(), context); });
    });
}

mpscnn_status mpscnn_set_check_program(const char *const *command, int count) {
    return c_api::guarded([&] {
        if (count < 0 || (count > 0 && !command))
            fail(ErrorKind::parameter, {"check program: command must have count words, got ", count});
        std::vector<std::string> words;
        for (int i = 0; i < count; ++i) {
            c_api::require(command[i], "command");
            words.emplace_back(command[i]);
        }
        engine::set_other_check_program(std::move(words));
    });
}

void mpscnn_set_coreml_writer(mpscnn_coreml_writer writer, void *context) {
    engine::set_coreml_writer(writer, context);
}

mpscnn_status mpscnn_coreml_compile(const char *package, mpscnn_text **path) {
    return c_api::guarded([&] {
        c_api::require(package, "package");
        c_api::require(path, "path");
        c_api::give(engine::compile_coreml_package(package), path);
    });
}

void mpscnn_set_check_callback(mpscnn_check_progress_callback callback, void *context) {
    engine::set_check_callback(callback, context);
}

void mpscnn_set_wait_callback(mpscnn_wait_callback callback, void *context) {
    set_wait_callback(callback, context);
}

void mpscnn_set_log_callback(mpscnn_log_callback callback, void *context) {
    set_log_callback(callback, context);
}

mpscnn_status mpscnn_set_allocator(mpscnn_allocate_callback allocate, mpscnn_free_callback release,
                                   void *context) {
    return c_api::guarded([&] {
        if (!allocate != !release)
            fail(ErrorKind::parameter, "set_allocator: allocate and release must be given both or neither");
        set_allocator({allocate, release, context});
    });
}

mpscnn_status mpscnn_halves_from_floats(const float *source, uint16_t *destination, size_t count,
                                        size_t *overflows) {
    return c_api::guarded([&] {
        if (overflows) *overflows = 0;
        if (count == 0) return;
        c_api::require(source, "source");
        c_api::require(destination, "destination");
        const std::size_t found = halves_from_floats({source, count}, {destination, count});
        if (overflows) *overflows = found;
    });
}

mpscnn_status mpscnn_floats_from_halves(const uint16_t *source, float *destination, size_t count) {
    return c_api::guarded([&] {
        if (count == 0) return;
        c_api::require(source, "source");
        c_api::require(destination, "destination");
        floats_from_halves({source, count}, {destination, count});
    });
}

mpscnn_status mpscnn_pages_allocate(size_t bytes, void **memory) {
    return c_api::guarded([&] {
        c_api::require(memory, "memory");
        *memory = c_api::keep_pages(PageMemory::allocate(bytes));
    });
}

void mpscnn_pages_release(void *memory) { c_api::drop_pages(memory); }
