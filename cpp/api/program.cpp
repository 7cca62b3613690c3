#include "api/profiles.h"
#include "core/text.h"
#include "engine/run/fingerprint.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "api/graph_description.h"
#include "api/guard.h"
#include "api/handles.h"
#include "api/limits.h"
#include "api/program.h"
#include "api/tensor_views.h"
#include "core/log.h"

using namespace mpscnn;
using c_api::guarded;
using c_api::require;
using c_api::TensorViews;

namespace {

engine::SessionOptions session_options(const mpscnn_session_options *given) {
    const auto raw = c_api::read_options(given, "mpscnn_session_options");
    const engine::SessionOptions defaults;
    return {.threads = c_api::thread_count(raw.threads),
            .check_finite = raw.check_finite != 0,
            .inflight = c_api::number_or(defaults.inflight, raw.inflight, c_api::max_inflight, "inflight"),
            .max_memory = raw.max_memory};
}

std::vector<Shape> shapes_of(const mpscnn_tensor *inputs, int count) {
    c_api::require_array(inputs, count, "inputs");
    std::vector<Shape> shapes;
    for (int i = 0; i < count; ++i) shapes.push_back(c_api::shape_of(inputs[i], "input"));
    return shapes;
}

Json ports_of(const std::vector<engine::Port> &ports) {
    Json result = Json::array();
    for (const engine::Port &port : ports) {
        Json entry = Json::object();
        entry.set("name", port.name);
        entry.set("shape", c_api::json_of(port.shape));
        result.push_back(std::move(entry));
    }
    return result;
}

Json describe(const engine::Program &program) {
    Json result = Json::object();
    result.set("name", program.name());
    result.set("device", program.backend().name());
    result.set("device_name", program.backend().device_name());
    result.set("precision", name_of(program.precision()));
    result.set("reason", program.reason());
    result.set("inputs", ports_of(program.inputs()));
    result.set("outputs", ports_of(program.outputs()));
    result.set("weight_type", program.weight_type());
    result.set("accumulate_dtype", program.sums() == engine::Sums::float16 ? "float16" : "float32");
    result.set("winograd", program.winograd());
    result.set("metal_kernels", name_of(program.metal_kernels()));
    result.set("weight_bytes", program.lowered().weight_bytes());
    // A limit that JSON integers cannot represent counts as no limit.
    constexpr std::uint64_t maximum = std::numeric_limits<std::int64_t>::max();
    result.set("max_memory", std::min(program.max_memory(), maximum));
    return result;
}

void give_port(const std::vector<engine::Port> &ports, const char *role, int index, const char **name,
               int64_t *shape, int *rank) {
    require(name, "name");
    require(shape, "shape");
    require(rank, "rank");
    if (index < 0 || index >= static_cast<int>(ports.size()))
        fail(ErrorKind::parameter, {"there is no ", role, " ", index, "; the program has ", ports.size()});
    const engine::Port &port = ports[static_cast<std::size_t>(index)];
    *name = port.name.c_str();
    c_api::give_shape(port.shape, shape, rank);
}

} // namespace

namespace mpscnn::c_api {

engine::CompileOptions compile_options(const mpscnn_compile_options *given) {
    const auto raw = read_options(given, "mpscnn_compile_options");
    engine::CompileOptions options;
    if (raw.device) options.device = raw.device;
    if (raw.precision) options.precision = raw.precision;
    if (raw.weights) options.weights = raw.weights;
    if (raw.accumulate_dtype) options.accumulate_dtype = raw.accumulate_dtype;
    options.winograd = raw.no_winograd == 0;
    if (raw.metal_kernels) options.metal_kernels = raw.metal_kernels;
    options.neural_engine = raw.neural_engine != 0;
    require_array(raw.outputs, raw.output_count, "outputs");
    options.max_memory = raw.max_memory;
    for (int i = 0; i < raw.output_count; ++i) options.outputs.emplace_back(text(raw.outputs[i], "outputs"));
    return options;
}

void give(std::shared_ptr<engine::Program> compiled, mpscnn_program **program) {
    log(LogLevel::information,
        concat({"network ", quoted(compiled->name()), " compiled for ", compiled->backend().device_name(),
                ", ", name_of(compiled->precision()), " (", compiled->reason(), ")"}));
    *program = new mpscnn_program{.program = std::move(compiled)};
}

} // namespace mpscnn::c_api

mpscnn_status mpscnn_program_compile(const mpscnn_graph *graph, const mpscnn_compile_options *options,
                                     mpscnn_program **program) {
    return guarded([&] {
        require(graph, "graph");
        require(program, "program");
        c_api::give(engine::Program::compile(graph->graph, c_api::compile_options(options)), program);
    });
}

void mpscnn_program_release(mpscnn_program *program) { mpscnn::c_api::release(program); }

mpscnn_status mpscnn_program_describe(const mpscnn_program *program, mpscnn_text **json) {
    return guarded([&] {
        require(program, "program");
        require(json, "json");
        c_api::give(to_text(describe(*program->program)), json);
    });
}

const char *mpscnn_program_device(const mpscnn_program *program) {
    return mpscnn::c_api::is_live(program) ? program->program->backend().name() : nullptr;
}

const char *mpscnn_program_warning(const mpscnn_program *program) {
    return mpscnn::c_api::is_live(program) ? program->program->warning().c_str() : nullptr;
}

int mpscnn_program_input_count(const mpscnn_program *program) {
    return mpscnn::c_api::is_live(program) ? static_cast<int>(program->program->inputs().size()) : 0;
}

int mpscnn_program_output_count(const mpscnn_program *program) {
    return mpscnn::c_api::is_live(program) ? static_cast<int>(program->program->outputs().size()) : 0;
}

mpscnn_status mpscnn_program_input(const mpscnn_program *program, int index, const char **name,
                                   int64_t shape[MPSCNN_MAX_RANK], int *rank) {
    return guarded([&] {
        require(program, "program");
        give_port(program->program->inputs(), "input", index, name, shape, rank);
    });
}

mpscnn_status mpscnn_program_output(const mpscnn_program *program, int index, const char **name,
                                    int64_t shape[MPSCNN_MAX_RANK], int *rank) {
    return guarded([&] {
        require(program, "program");
        give_port(program->program->outputs(), "output", index, name, shape, rank);
    });
}

mpscnn_status mpscnn_program_output_shapes(mpscnn_program *program, const mpscnn_tensor *inputs,
                                           int input_count, mpscnn_tensor *outputs, int output_count,
                                           size_t *arena_bytes) {
    return guarded([&] {
        require(program, "program");
        c_api::require_array(inputs, input_count, "inputs");
        c_api::require_array(outputs, output_count, "outputs");
        std::vector<Shape> shapes;
        for (int i = 0; i < input_count; ++i) shapes.push_back(c_api::shape_of(inputs[i], "input"));
        const auto planned = program->program->plan_for(shapes);
        if (output_count != static_cast<int>(planned->output_shapes.size()))
            fail(ErrorKind::shape, {"the program has ", planned->output_shapes.size(),
                                    " outputs, got room for ", output_count});
        for (const Shape &shape : planned->output_shapes) {
            c_api::give_shape(shape, outputs->shape, &outputs->rank);
            ++outputs;
        }
        if (arena_bytes) *arena_bytes = planned->plan->arena_bytes();
    });
}

mpscnn_status mpscnn_program_explain(mpscnn_program *program, const mpscnn_tensor *inputs, int input_count,
                                     int threads, mpscnn_text **json) {
    return guarded([&] {
        require(program, "program");
        require(json, "json");
        const auto planned = program->program->plan_for(shapes_of(inputs, input_count));
        c_api::give(to_text(planned->plan->explain(c_api::thread_count(threads))), json);
    });
}

mpscnn_status mpscnn_program_fingerprint(mpscnn_program *program, const mpscnn_tensor *inputs,
                                         int input_count, int threads, uint64_t *fingerprint) {
    return guarded([&] {
        require(program, "program");
        require(fingerprint, "fingerprint");
        *fingerprint = engine::fingerprint(program->program, shapes_of(inputs, input_count),
                                           c_api::thread_count(threads));
    });
}

mpscnn_status mpscnn_session_create(mpscnn_program *program, const mpscnn_session_options *options,
                                    mpscnn_session **session) {
    return guarded([&] {
        require(program, "program");
        require(session, "session");
        *session = new mpscnn_session(program->program, session_options(options));
    });
}

void mpscnn_session_release(mpscnn_session *session) { mpscnn::c_api::release(session); }

mpscnn_status mpscnn_session_run(mpscnn_session *session, const mpscnn_tensor *inputs, int input_count,
                                 const mpscnn_tensor *outputs, int output_count) {
    return guarded([&] {
        require(session, "session");
        const TensorViews sources(inputs, input_count, "input");
        const TensorViews destinations(outputs, output_count, "output");
        const std::shared_ptr running = session->session;
        running->run(sources, destinations);
    });
}

mpscnn_status mpscnn_session_profile(mpscnn_session *session, const mpscnn_tensor *inputs, int input_count,
                                     const mpscnn_tensor *outputs, int output_count,
                                     const mpscnn_profile_options *options, mpscnn_text **json,
                                     mpscnn_text **trace) {
    return guarded([&] {
        require(session, "session");
        require(json, "json");
        const int runs = c_api::profile_runs(options);
        const TensorViews sources(inputs, input_count, "input");
        const TensorViews destinations(outputs, output_count, "output");
        const std::shared_ptr running = session->session;
        c_api::give(running->profile(sources, destinations, runs), json, trace);
    });
}

mpscnn_status mpscnn_session_submit(mpscnn_session *session, const mpscnn_tensor *inputs, int input_count,
                                    const mpscnn_tensor *outputs, int output_count,
                                    mpscnn_request **request) {
    return guarded([&] {
        require(session, "session");
        require(request, "request");
        const TensorViews sources(inputs, input_count, "input");
        const TensorViews destinations(outputs, output_count, "output");
        const std::shared_ptr running = session->session;
        *request = new mpscnn_request{.session = running, .request = running->submit(sources, destinations)};
    });
}

mpscnn_status mpscnn_request_wait(mpscnn_request *request, double seconds, int *done) {
    return guarded([&] {
        require(request, "request");
        require(done, "done");
        *done = 0;
        constexpr double maximum = 1e9; // the largest number of seconds that fits the clock's nanoseconds
        if (std::isnan(seconds)) fail(ErrorKind::parameter, "seconds must be a number, got NaN");
        if (seconds < 0) request->request->wait();
        const std::chrono::duration<double> time(seconds < 0 ? 0 : std::min(seconds, maximum));
        *done =
            request->request->wait_for(std::chrono::duration_cast<std::chrono::nanoseconds>(time)) ? 1 : 0;
        if (*done == 0) return;
        request->request->failure().raise();
    });
}

void mpscnn_request_release(mpscnn_request *request) {
    if (!mpscnn::c_api::is_live(request)) return;
    // In a forked child there is nothing to wait for, so `wait` throws.
    guarded([&] { request->request->wait(); });
    delete request;
}
