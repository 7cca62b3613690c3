#include "mpscnn/metal.h"

#include "api/guard.h"
#include "api/handles.h"
#include "api/kernel_handles.h"
#include "api/program.h"
#include "engine/run/backends.h"

using namespace mpscnn;
using c_api::guarded;
using c_api::require;

namespace {

engine::ImageDescriptor descriptor_of(const engine::NativeImage &image) {
    const auto format =
        image.type == DType::float16 ? engine::ImageFormat::float16 : engine::ImageFormat::float32;
    return {image.shape[2], image.shape[1], image.shape[3], image.shape[0], format};
}

} // namespace

mpscnn_status mpscnn_metal_program_compile(const mpscnn_graph *graph, mpscnn_metal_device device,
                                           mpscnn_metal_queue queue, const mpscnn_compile_options *options,
                                           mpscnn_program **program) {
    return guarded([&] {
        require(graph, "graph");
        require(program, "program");
        const engine::CompileOptions wanted = c_api::compile_options(options);
        if (wanted.device != "auto" && wanted.device != "metal")
            fail(ErrorKind::parameter, {"options.device must be NULL, auto or metal, since a Metal device is "
                                        "given, got ",
                                        quoted(wanted.device)});
        c_api::give(engine::Program::compile(
                        graph->graph, engine::choose_native_backend(device, queue, wanted.precision), wanted),
                    program);
    });
}

mpscnn_status mpscnn_metal_session_encode(mpscnn_session *session, mpscnn_metal_command_buffer commands,
                                          mpscnn_metal_images inputs, mpscnn_metal_images outputs) {
    return guarded([&] {
        require(session, "session");
        const std::shared_ptr running = session->session;
        running->encode(commands, inputs, outputs);
    });
}

mpscnn_status mpscnn_metal_output_image(mpscnn_program *program, mpscnn_metal_images inputs, int index,
                                        mpscnn_image_descriptor *output) {
    return guarded([&] {
        require(program, "program");
        const std::vector<engine::NativeImage> images = program->program->output_images(inputs);
        if (index < 0 || index >= static_cast<int>(images.size()))
            fail(ErrorKind::parameter, {"there is no output ", index, "; the program has ", images.size()});
        c_api::give_descriptor(descriptor_of(images[static_cast<std::size_t>(index)]), output);
    });
}
