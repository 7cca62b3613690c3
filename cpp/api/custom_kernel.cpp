#include "engine/backend/custom_kernel.h"
#include "engine/run/backends.h"

#include "api/guard.h"
#include "api/kernel_handles.h"

using namespace mpscnn;
using c_api::guarded;
using c_api::require;
using c_api::text;

namespace {

Json describe(const engine::CustomParameter &parameter) {
    const bool is_image = parameter.kind == engine::CustomParameter::Kind::image;
    Json entry = Json::object();
    entry.set("kind", is_image ? "image" : "buffer");
    entry.set("name", parameter.name);
    entry.set("index", parameter.index);
    entry.set("read", parameter.read);
    entry.set("written", parameter.written);
    entry.set("array", parameter.is_array);
    entry.set("element", parameter.element);
    entry.set("bytes", parameter.bytes);
    return entry;
}

Json describe(const engine::CustomKernel &kernel) {
    Json parameters = Json::array(), along = Json::array();
    for (const engine::CustomParameter &parameter : kernel.parameters())
        parameters.push_back(describe(parameter));
    for (const std::int64_t maximum : kernel.max_threads_along()) along.push_back(maximum);
    Json result = Json::object();
    result.set("function", kernel.function());
    result.set("parameters", std::move(parameters));
    result.set("max_threads", kernel.max_threads());
    result.set("max_threads_along", std::move(along));
    result.set("thread_execution_width", kernel.threads_at_once());
    return result;
}

engine::CustomArgument argument_of(const mpscnn_custom_argument *given) {
    require(given, "arguments");
    const auto raw = c_api::read_options(given, "mpscnn_custom_argument");
    engine::CustomArgument argument;
    if (raw.name) argument.name = raw.name;
    if (raw.element) argument.element = raw.element;
    if (raw.image) {
        argument.image = raw.image->image;
        return argument;
    }
    require(raw.data, "data");
    argument.bytes = {static_cast<std::byte *>(raw.data), raw.bytes};
    argument.writable = raw.read_only == 0;
    return argument;
}

std::optional<engine::GridSize> size_of(const std::int64_t *given) {
    if (!given) return std::nullopt;
    return engine::GridSize{given[0], given[1], given[2]};
}

} // namespace

mpscnn_status mpscnn_custom_kernel_create(const char *source, const char *function, const char *constants,
                                          const char *device, mpscnn_custom_kernel **kernel) {
    return guarded([&] {
        require(kernel, "kernel");
        const engine::CustomKernelSource given{std::string(text(source, "source")),
                                               std::string(text(function, "function")),
                                               constants ? parse_json(constants) : Json::object()};
        const auto choice = engine::choose_backend(device ? device : "metal", "float32");
        *kernel = new mpscnn_custom_kernel{.kernel = choice.backend->compile(given)};
    });
}

void mpscnn_custom_kernel_release(mpscnn_custom_kernel *kernel) { mpscnn::c_api::release(kernel); }

mpscnn_status mpscnn_custom_kernel_describe(const mpscnn_custom_kernel *kernel, mpscnn_text **json) {
    return guarded([&] {
        require(kernel, "kernel");
        require(json, "json");
        c_api::give(to_text(describe(*kernel->kernel)), json);
    });
}

mpscnn_status mpscnn_custom_kernel_encode(const mpscnn_custom_kernel *kernel, mpscnn_command_buffer *commands,
                                          const mpscnn_custom_argument *const *arguments, int argument_count,
                                          const int64_t *grid, const int64_t *threadgroup) {
    return guarded([&] {
        require(kernel, "kernel");
        require(commands, "commands");
        c_api::require_array(static_cast<const void *>(arguments), argument_count, "arguments");
        std::vector<engine::CustomArgument> given;
        for (int i = 0; i < argument_count; ++i) given.push_back(argument_of(arguments[i]));
        commands->commands->encode(kernel->kernel, given, {size_of(grid), size_of(threadgroup)});
    });
}
