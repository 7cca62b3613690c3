#include "engine/trainer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/text.h"

namespace mpscnn::engine {

namespace {

/// Whole numbers up to here are exact as floats, which the graph reads the step's number as.
constexpr std::int64_t most_steps = std::int64_t{1} << 24;

std::shared_ptr<Program> compile_training(const Graph &graph, CompileOptions options) {
    options.precision = "float32";
    return Program::compile(graph, options);
}

} // namespace

Trainer::Trainer(const Graph &network, const TrainingOptions &options, const CompileOptions &device,
                 const SessionOptions &session)
    : network_(network), options_(options), training_(make_training_graph(network, options)),
      prediction_shape_(training_.graph.shape(training_.graph.outputs()[1])),
      program_(compile_training(training_.graph, device)), session_options_(session),
      session_(program_, session) {
    for (TrainingVariable &variable : training_.variables) {
        Values values{AlignedBuffer<float>(variable.first.size()), {}};
        if (variable.output >= 0) values.next = AlignedBuffer<float>(variable.first.size());
        std::copy(variable.first.begin(), variable.first.end(), values.now.data());
        values_.push_back(std::move(values));
        variable.first = {};
    }
}

void Trainer::set_steps(std::int64_t steps) {
    if (steps < 0 || steps >= most_steps)
        fail(ErrorKind::parameter, {"training: steps must be 0 to ", most_steps - 1, ", got ", steps});
    steps_ = steps;
}

std::span<float> Trainer::values(std::string_view name) {
    for (std::size_t i = 0; i < values_.size(); ++i)
        if (training_.variables[i].name == name) return {values_[i].now.data(), values_[i].now.size()};
    fail(ErrorKind::parameter, {"training: there is no variable ", quoted(name)});
}

void Trainer::set_rates(float learning_rate) {
    if (!std::isfinite(learning_rate) || learning_rate < 0.0f)
        fail(ErrorKind::parameter,
             {"training: the learning rate must be finite and at least 0, got ", learning_rate});
    rates_[0] = rates_[1] = learning_rate;
    const OptimizerOptions &optimizer = options_.optimizer;
    if (optimizer.kind == OptimizerKind::adam) { // the moments begin at zero
        const auto time = static_cast<double>(steps_ + 1);
        const double first = 1.0 - std::pow(static_cast<double>(optimizer.beta1), time),
                     second = 1.0 - std::pow(static_cast<double>(optimizer.beta2), time);
        rates_[1] = static_cast<float>(learning_rate * std::sqrt(second) / first);
    }
    step_[0] = static_cast<float>(steps_);
}

void Trainer::require_finite_loss(double loss, std::span<const TensorView> inputs,
                                  std::span<const TensorView> outputs) {
    if (std::isfinite(loss)) return;
    std::string where;
    try { // once more, looking at each layer
        SessionOptions options = session_options_;
        options.check_finite = true;
        Session(program_, options).run(inputs, outputs);
    } catch (const Error &error) {
        where = concat({": ", error.what()});
    }
    fail(ErrorKind::state,
         {"training: in step ", steps_, " the loss is ", (std::isnan(loss) ? "NaN" : "infinite"), where,
          "; the weights are those of before the step. A smaller learning rate, or "
          "limits of the gradient, may help"});
}

double Trainer::step(std::span<const TensorView> inputs, const TensorView &labels, float learning_rate,
                     const TensorView *prediction) {
    if (steps_ + 1 >= most_steps)
        fail(ErrorKind::state, {"training: there are at most ", most_steps, " steps"});
    if (inputs.size() != training_.network_inputs)
        fail(ErrorKind::shape,
             {"training: the network takes ", training_.network_inputs, " inputs, got ", inputs.size()});
    if (labels.shape.rank() != prediction_shape_.rank() || !prediction_shape_.admits(labels.shape))
        fail(ErrorKind::shape, {"training: labels must have the shape of the prediction, ",
                                prediction_shape_.text(), ", got ", labels.shape.text()});
    set_rates(learning_rate);
    const auto dense = [](AlignedBuffer<float> &buffer, const Shape &shape) {
        return TensorView::dense(buffer.data(), DType::float32, shape);
    };
    std::vector<TensorView> given(inputs.begin(), inputs.end());
    given.push_back(labels);
    given.push_back(dense(rates_, {1, 2}));
    given.push_back(dense(step_, {1, 1}));
    float loss = 0.0f;
    const auto elements = static_cast<std::size_t>(labels.shape.elements());
    if (prediction_.size() < elements) prediction_ = AlignedBuffer<float>(elements);
    std::vector<TensorView> made{TensorView::dense(&loss, DType::float32, {1, 1}),
                                 prediction ? *prediction : dense(prediction_, labels.shape)};
    for (std::size_t i = 0; i < values_.size(); ++i) {
        const TrainingVariable &variable = training_.variables[i];
        given.push_back(dense(values_[i].now, variable.shape));
        if (variable.output >= 0) made.push_back(dense(values_[i].next, variable.shape));
    }
    session_.run(given, made);
    require_finite_loss(static_cast<double>(loss), given, made);
    for (std::size_t i = 0; i < values_.size(); ++i)
        if (training_.variables[i].output >= 0) std::swap(values_[i].now, values_[i].next);
    ++steps_;
    return static_cast<double>(loss);
}

Graph Trainer::network() const {
    Graph result = network_;
    for (std::size_t i = 0; i < values_.size(); ++i) {
        const TrainingVariable &variable = training_.variables[i];
        if (variable.layer.empty() || variable.output < 0) continue;
        const float *first = values_[i].now.data(), *end = first + values_[i].now.size();
        if (variable.role != "statistics") {
            const Shape &shape =
                network_.producer(network_.find(variable.layer)).weights.at(variable.role).shape();
            result.set_weight(variable.layer, variable.role, WeightTensor::from_floats(shape, {first, end}));
            continue;
        }
        const std::int64_t channels = variable.shape.back();
        result.set_weight(variable.layer, "mean",
                          WeightTensor::from_floats({channels}, {first, first + channels}));
        result.set_weight(variable.layer, "variance",
                          WeightTensor::from_floats({channels}, {first + channels, end}));
    }
    return result;
}

} // namespace mpscnn::engine
