#include "engine/run/neural_engine.h"

#include "core/text.h"
#include "engine/backend/support.h"
#include "engine/run/coreml_writer.h"
#include "engine/run/preflight.h"
#include "engine/trust/device_trust.h"

namespace mpscnn::engine {

namespace {

constexpr const char *neural_engine_device = "coreml:cpuAndNeuralEngine";

void require_neural_engine_precision(const CompileOptions &options) {
    if (options.precision == name_of(Precision::float16)) return;
    fail(ErrorKind::parameter,
         {"neural_engine is for precision float16, in which the neural engine computes, got ",
          quoted(options.precision)});
}

BackendChoice without_neural_engine(BackendChoice before, const std::string &reason) {
    before.reason += concat({"; the neural engine is not used: ", reason});
    return before;
}

/// Return the choice of the faster device. The times of both are for one image.
BackendChoice faster_choice(BackendChoice before, BackendChoice engine, const EngineTimes &times) {
    const std::int64_t other = uses_processor(*before.backend) ? times.cpu : before.time;
    const std::string text = concat({"it ran an image in ", milliseconds(times.device), ", the device ",
                                     quoted(before.backend->device_name()), " in ", milliseconds(other)});
    if (preflight_compares_times() && other <= times.device)
        return without_neural_engine(std::move(before), text);
    engine.reason = "the neural engine, as neural_engine allows; " + text;
    return engine;
}

BackendChoice choose_by_preflight(BackendChoice before, const Graph &graph, const CompileOptions &options) {
    BackendChoice engine = choose_apple_backend(neural_engine_device, options.precision);
    const auto verdict = verdict_of_preflight(
        engine, graph, options, installed_check_program(neural_engine_device),
        [&](const std::vector<Shape> &shapes) {
            return coreml_writer()({canonical_for(graph, engine.precision).graph, shapes, engine.precision});
        });
    if (!verdict) return without_neural_engine(std::move(before), "the network has no preflight");
    if (!verdict->refused.empty()) {
        before.warning += concat({before.warning.empty() ? "" : "; ", "network ", quoted(graph.name()),
                                  " does not run on the neural engine: ", verdict->refused});
        return without_neural_engine(std::move(before), verdict->refused);
    }
    if (!verdict->times.measured())
        return without_neural_engine(std::move(before), "its preflight could not begin");
    if (!uses_processor(*before.backend) && before.time == 0)
        return without_neural_engine(std::move(before), "the time of the GPU was not measured");
    return faster_choice(std::move(before), std::move(engine), verdict->times);
}

} // namespace

BackendChoice or_neural_engine(BackendChoice before, const Graph &graph, const CompileOptions &options) {
    if (options.device != "auto") return before;
    require_neural_engine_precision(options);
    if (!before.automatic) return before; // MPSCNN_DEVICE has named the device
    try {
        return choose_by_preflight(before, graph, options);
    } catch (const Error &error) {
        if (error.kind() != ErrorKind::device && error.kind() != ErrorKind::unsupported) throw;
        return without_neural_engine(std::move(before), error.what());
    }
}

} // namespace mpscnn::engine
