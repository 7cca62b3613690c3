#include "engine/train/trainer.h"

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "api/handle.h"
#include "api/handles.h"
#include "api/profiles.h"
#include "api/tensor_views.h"
#include "api/tensors.h"
#include "core/json.h"
#include "core/text.h"

using namespace mpscnn;
using c_api::guarded;
using c_api::require;
using c_api::TensorViews;
using c_api::text;

struct mpscnn_trainer {
    mpscnn::c_api::Mark<mpscnn_trainer> mark = {};
    engine::Trainer trainer;
};

namespace {

std::span<float> values_of(mpscnn_trainer *trainer, const char *name, std::size_t count) {
    require(trainer, "trainer");
    const std::span<float> values = trainer->trainer.values(text(name, "name"));
    if (values.size() != count)
        fail(ErrorKind::shape, {"variable ", quoted(name), " has ", values.size(), " elements, got ", count});
    return values;
}

/// Return the options; defaults if there is no text.
engine::TrainingOptions options_of(const char *options) {
    return engine::TrainingOptions::from_json(options ? parse_json(options) : Json::object());
}

void create(const mpscnn_graph *network, const engine::TrainingOptions &options, const char *device,
            int threads, mpscnn_trainer **trainer) {
    require(network, "network");
    require(trainer, "trainer");
    if (threads < 0) fail(ErrorKind::parameter, {"threads must be 0 or more, got ", threads});
    engine::CompileOptions compile;
    compile.device = std::string(text(device, "device"));
    engine::SessionOptions session;
    session.threads = threads;
    *trainer = new mpscnn_trainer{.trainer = engine::Trainer(network->graph, options, compile, session)};
}

Json extents_of(const Shape &shape) { return Json(Json::Array(shape.begin(), shape.end())); }

} // namespace

mpscnn_status mpscnn_trainer_create(const mpscnn_graph *network, const char *options, const char *device,
                                    int threads, mpscnn_trainer **trainer) {
    return guarded([&] { create(network, options_of(options), device, threads, trainer); });
}

mpscnn_status mpscnn_trainer_create_with_loss(const mpscnn_graph *network, const mpscnn_graph *loss,
                                              const char *options, const char *device, int threads,
                                              mpscnn_trainer **trainer) {
    return guarded([&] {
        require(loss, "loss");
        engine::TrainingOptions given = options_of(options);
        given.loss = engine::GraphLoss{std::make_shared<engine::Graph>(loss->graph)};
        create(network, given, device, threads, trainer);
    });
}

void mpscnn_trainer_release(mpscnn_trainer *trainer) { mpscnn::c_api::release(trainer); }

mpscnn_status mpscnn_trainer_step(mpscnn_trainer *trainer, const mpscnn_tensor *inputs, int input_count,
                                  const mpscnn_tensor *labels, float learning_rate,
                                  const mpscnn_tensor *prediction, double *loss) {
    return guarded([&] {
        require(trainer, "trainer");
        require(labels, "labels");
        require(loss, "loss");
        const TensorViews given(inputs, input_count, "input");
        const engine::TensorView wanted = c_api::view_of(*labels, "labels");
        engine::TensorView made;
        if (prediction) made = c_api::view_of(*prediction, "prediction");
        *loss = trainer->trainer.step(given, wanted, learning_rate, prediction ? &made : nullptr);
    });
}

mpscnn_status mpscnn_trainer_profile(mpscnn_trainer *trainer, const mpscnn_tensor *inputs, int input_count,
                                     const mpscnn_tensor *labels, const mpscnn_profile_options *options,
                                     mpscnn_text **json, mpscnn_text **trace) {
    return guarded([&] {
        require(trainer, "trainer");
        require(labels, "labels");
        require(json, "json");
        const int runs = c_api::profile_runs(options);
        const TensorViews given(inputs, input_count, "input");
        c_api::give(trainer->trainer.profile(given, c_api::view_of(*labels, "labels"), runs), json, trace);
    });
}

mpscnn_status mpscnn_trainer_describe(const mpscnn_trainer *trainer, mpscnn_text **json) {
    return guarded([&] {
        require(trainer, "trainer");
        require(json, "json");
        Json variables = Json::array();
        for (const engine::TrainingVariable &variable : trainer->trainer.variables()) {
            Json entry = Json::object();
            entry.set("name", variable.name);
            entry.set("shape", extents_of(variable.shape));
            entry.set("layer", variable.layer);
            entry.set("role", variable.role);
            entry.set("trained", variable.changes());
            variables.push_back(std::move(entry));
        }
        Json described = Json::object();
        described.set("steps", trainer->trainer.steps());
        described.set("updates", trainer->trainer.updates());
        described.set("prediction", extents_of(trainer->trainer.prediction_shape()));
        described.set("prediction_layers", Json(trainer->trainer.prediction_layers()));
        described.set("variables", std::move(variables));
        c_api::give(to_text(described), json);
    });
}

mpscnn_status mpscnn_trainer_read(mpscnn_trainer *trainer, const char *name, float *values, size_t count) {
    return guarded([&] {
        require(values, "values");
        const std::span<float> from = values_of(trainer, name, count);
        std::copy(from.begin(), from.end(), values);
    });
}

mpscnn_status mpscnn_trainer_write(mpscnn_trainer *trainer, const char *name, const float *values,
                                   size_t count) {
    return guarded([&] {
        require(values, "values");
        const std::span<float> to = values_of(trainer, name, count);
        std::copy_n(values, count, to.begin());
    });
}

mpscnn_status mpscnn_trainer_set_steps(mpscnn_trainer *trainer, int64_t steps) {
    return guarded([&] {
        require(trainer, "trainer");
        trainer->trainer.set_steps(steps);
    });
}

mpscnn_status mpscnn_trainer_network(const mpscnn_trainer *trainer, mpscnn_graph **network) {
    return guarded([&] {
        require(trainer, "trainer");
        require(network, "network");
        *network = new mpscnn_graph{.graph = trainer->trainer.network(false)};
    });
}

mpscnn_status mpscnn_trainer_averages(const mpscnn_trainer *trainer, mpscnn_graph **network) {
    return guarded([&] {
        require(trainer, "trainer");
        require(network, "network");
        *network = new mpscnn_graph{.graph = trainer->trainer.network(true)};
    });
}

mpscnn_status mpscnn_gradient_graph(const mpscnn_graph *network, const char *options, int of_output,
                                    mpscnn_graph **gradients) {
    return guarded([&] {
        require(network, "network");
        require(gradients, "gradients");
        *gradients = new mpscnn_graph{
            .graph = engine::make_gradient_graph(network->graph, options_of(options),
                                                 of_output != 0 ? engine::GradientSource::input
                                                                : engine::GradientSource::loss)};
    });
}
