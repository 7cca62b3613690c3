#include "engine/commands/kernel.h"
#include "core/text.h"

#include "api/graph_description.h"
#include "api/guard.h"
#include "api/kernel_handles.h"
#include "api/stored_weight.h"

using namespace mpscnn;
using c_api::guarded;
using c_api::require;
using c_api::text;

namespace {

Json properties_of(const char *json) { return json ? parse_json(json) : Json::object(); }

Json describe_weights(const engine::Kernel &kernel) {
    Json result = Json::array();
    for (const ops::WeightSpec &spec : kernel.definition().weights()) {
        Json entry = Json::object();
        entry.set("role", spec.role);
        entry.set("shape", c_api::json_of(spec.shape));
        entry.set("required", spec.required);
        entry.set("set", kernel.weight(spec.role) != nullptr);
        result.push_back(std::move(entry));
    }
    return result;
}

} // namespace

mpscnn_status mpscnn_kernels(mpscnn_text **json) {
    return guarded([&] {
        require(json, "json");
        c_api::give(to_text(kernels::describe_kernels()), json);
    });
}

mpscnn_status mpscnn_kernel_create(const char *name, const char *properties, mpscnn_kernel **kernel) {
    return guarded([&] {
        require(kernel, "kernel");
        *kernel = new mpscnn_kernel{
            .kernel = engine::Kernel(kernels::Kernel::make(text(name, "name"), properties_of(properties)))};
    });
}

void mpscnn_kernel_release(mpscnn_kernel *kernel) { mpscnn::c_api::release(kernel); }

mpscnn_status mpscnn_kernel_set(mpscnn_kernel *kernel, const char *properties) {
    return guarded([&] {
        require(kernel, "kernel");
        kernel->kernel.set(parse_json(text(properties, "properties")));
    });
}

mpscnn_status mpscnn_kernel_get(const mpscnn_kernel *kernel, mpscnn_text **properties) {
    return guarded([&] {
        require(kernel, "kernel");
        require(properties, "properties");
        c_api::give(to_text(kernel->kernel.definition().get()), properties);
    });
}

mpscnn_status mpscnn_kernel_weights(const mpscnn_kernel *kernel, mpscnn_text **json) {
    return guarded([&] {
        require(kernel, "kernel");
        require(json, "json");
        c_api::give(to_text(describe_weights(kernel->kernel)), json);
    });
}

mpscnn_status mpscnn_kernel_set_weight(mpscnn_kernel *kernel, const char *role, const mpscnn_tensor *tensor,
                                       const float *scales, const float *zero_points,
                                       int64_t quantization_count) {
    return guarded([&] {
        require(kernel, "kernel");
        require(tensor, "tensor");
        const std::string name(text(role, "role"));
        kernel->kernel.set_weight(name,
                                  c_api::weight_of(*tensor, scales, zero_points, quantization_count,
                                                   concat({kernel->kernel.definition().name(), ", ", name})));
    });
}

mpscnn_status mpscnn_kernel_remove_weight(mpscnn_kernel *kernel, const char *role) {
    return guarded([&] {
        require(kernel, "kernel");
        kernel->kernel.remove_weight(std::string(text(role, "role")));
    });
}

mpscnn_status mpscnn_kernel_get_weight(const mpscnn_kernel *kernel, const char *role, mpscnn_tensor *tensor) {
    return guarded([&] {
        require(kernel, "kernel");
        require(tensor, "tensor");
        const std::string name(text(role, "role"));
        const engine::WeightTensor *weight = kernel->kernel.weight(name);
        if (!weight)
            fail(ErrorKind::weights,
                 {kernel->kernel.definition().name(), ": no weight ", quoted(name), " has been set"});
        *tensor = c_api::tensor_of(*weight);
    });
}

mpscnn_status mpscnn_kernel_destination(mpscnn_kernel *kernel, const mpscnn_feature_image *const *sources,
                                        int source_count, mpscnn_image_descriptor *descriptor) {
    return guarded([&] {
        require(kernel, "kernel");
        std::vector<engine::ImageDescriptor> descriptors;
        for (const auto &image : c_api::images_of(sources, source_count, "sources"))
            descriptors.push_back(image->descriptor());
        c_api::give_descriptor(kernel->kernel.make_destination(descriptors), descriptor);
    });
}

mpscnn_status mpscnn_kernel_source_region(const mpscnn_kernel *kernel, int source, int64_t width,
                                          int64_t height, mpscnn_image_region *region) {
    return guarded([&] {
        require(kernel, "kernel");
        require(region, "region");
        if (source < 0) fail(ErrorKind::parameter, {"source must not be negative, got ", source});
        const kernels::ImageRegion read =
            kernel->kernel.definition().source_region(width, height, static_cast<std::size_t>(source));
        *region = {read.image,  read.y,      read.x,     read.channel,
                   read.images, read.height, read.width, read.channels};
    });
}

mpscnn_status mpscnn_kernel_encode(mpscnn_kernel *kernel, mpscnn_command_buffer *commands,
                                   const mpscnn_feature_image *const *sources, int source_count,
                                   mpscnn_feature_image *destination) {
    return guarded([&] {
        require(kernel, "kernel");
        require(commands, "commands");
        require(destination, "destination");
        commands->commands->encode(kernel->kernel, c_api::images_of(sources, source_count, "sources"),
                                   destination->image);
    });
}

mpscnn_status mpscnn_kernel_encode_with_state(mpscnn_kernel *kernel, mpscnn_command_buffer *commands,
                                              const mpscnn_feature_image *source,
                                              const mpscnn_batch_normalization_state *state,
                                              mpscnn_feature_image *destination) {
    return guarded([&] {
        require(kernel, "kernel");
        require(commands, "commands");
        require(source, "source");
        require(state, "state");
        require(destination, "destination");
        commands->commands->encode(kernel->kernel, {&source->image, 1}, destination->image, state->state);
    });
}

mpscnn_status mpscnn_kernel_encode_gradient_with_state(mpscnn_kernel *kernel, mpscnn_command_buffer *commands,
                                                       const mpscnn_feature_image *const *sources,
                                                       int source_count,
                                                       const mpscnn_batch_normalization_state *state,
                                                       mpscnn_feature_image *destination) {
    return guarded([&] {
        require(kernel, "kernel");
        require(commands, "commands");
        require(state, "state");
        require(destination, "destination");
        commands->commands->encode(kernel->kernel, c_api::images_of(sources, source_count, "sources"),
                                   destination->image, state->state);
    });
}

mpscnn_status mpscnn_kernel_encode_statistics(mpscnn_kernel *kernel, mpscnn_command_buffer *commands,
                                              const mpscnn_feature_image *source,
                                              mpscnn_batch_normalization_state *state) {
    return guarded([&] {
        require(kernel, "kernel");
        require(commands, "commands");
        require(source, "source");
        require(state, "state");
        commands->commands->encode_statistics(kernel->kernel, source->image, state->state);
    });
}
