#include "engine/train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string_view>
#include <utility>

#include "core/json.h"
#include "core/log.h"
#include "core/text.h"
#include "engine/run/preflight.h"
#include "engine/train/training_update.h"

namespace mpscnn::engine {

namespace {

/// Limit of the number of steps. The graph reads the step's number as a float, which is exact up to 2^24.
constexpr std::int64_t max_steps = std::int64_t{1} << 24;

std::shared_ptr<Program> compile_training(const Graph &graph, CompileOptions device,
                                          const TrainingOptions &options) {
    if (device.device == "cpu" && options.precision != "float32" && options.precision != "bfloat16")
        fail(ErrorKind::unsupported,
             {"training: on the CPU precision must be float32 or bfloat16, got ", quoted(options.precision)});
    device.precision = options.precision;
    if (options.check_finite && device.device == "auto")
        device.device = "cpu"; // the CPU engine can check the results of each step
    return Program::compile(graph, device);
}

SessionOptions looking_at_all(SessionOptions options, bool check_finite) {
    options.check_finite = options.check_finite || check_finite;
    return options;
}

TensorView dense(std::span<float> values, const Shape &shape) {
    return TensorView::dense(values.data(), DType::float32, shape);
}

TensorView dense(AlignedBuffer<float> &buffer, const Shape &shape) {
    return dense(std::span(buffer.data(), buffer.size()), shape);
}

/// Return the time of a step in nanoseconds.
std::int64_t time_of_step(Session &session, std::span<const TensorView> given,
                          std::span<const TensorView> made) {
    const auto begun = std::chrono::steady_clock::now();
    session.run(given, made);
    return (std::chrono::steady_clock::now() - begun).count();
}

/// Return the time of a step on the CPU engine, after one that prepares memory. If already the first one is
/// clearly slower than the device, and long, there is no second one: a step may take minutes.
std::int64_t time_of_step_on_cpu(Session &session, std::span<const TensorView> given,
                                 std::span<const TensorView> made, std::int64_t on_device) {
    constexpr std::int64_t clearly = 4;
    const std::int64_t first = time_of_step(session, given, made);
    if (first > clearly * on_device && std::chrono::nanoseconds(first) > warm_up_time) return first;
    return std::min(first, time_of_step(session, given, made));
}

/// Return the shortest time of a step while the device works for warm_up_time.
std::int64_t warm_time_of_step(Session &session, std::span<const TensorView> given,
                               std::span<const TensorView> made) {
    auto best = std::chrono::nanoseconds::max();
    for (std::chrono::nanoseconds all{0}; all < warm_up_time;) {
        const auto begun = std::chrono::steady_clock::now();
        session.run(given, made);
        const std::chrono::nanoseconds time = std::chrono::steady_clock::now() - begun;
        best = std::min(best, time);
        all += time;
    }
    return best.count();
}

bool is_statistics(const TrainingVariable &variable) {
    return !variable.layer.empty() && variable.changes() && variable.role == statistics_role;
}
/// True for a trained weight of the network.
bool is_weight(const TrainingVariable &variable) {
    return !variable.layer.empty() && variable.changes() && variable.role != statistics_role;
}

} // namespace

Trainer::Values::Values(const TrainingVariable &variable)
    : count_(static_cast<std::size_t>(variable.shape.elements())),
      now_(PageMemory::allocate(count_ * sizeof(float))) {
    if (variable.changes()) next_ = PageMemory::allocate(count_ * sizeof(float));
    std::copy(variable.first.begin(), variable.first.end(), now().begin());
}

Trainer::Trainer(const Graph &network, const TrainingOptions &options, const CompileOptions &device,
                 const SessionOptions &session)
    : network_(network), options_(options), device_(device), training_(make_training_graph(network, options)),
      prediction_shape_(training_.graph.shape(training_.graph.outputs()[1])),
      rates_(2 * training_.missed_updates.size()),
      program_(compile_training(training_.graph, device, options)), session_options_(session),
      session_(std::make_unique<Session>(program_, looking_at_all(session, options.check_finite))) {
    if (training_.update)
        update_ = std::make_unique<Session>(compile_training(*training_.update, device, options),
                                            looking_at_all(session, options.check_finite));
    for (TrainingVariable &variable : training_.variables) {
        values_.emplace_back(variable);
        if (variable.first.empty() && !variable.layer.empty())
            weight_of(variable).read(0, values_.back().now());
        // The weights share the trainer's memory from here on, so the original memory need not be kept.
        if (is_weight(variable))
            network_.set_weight(variable.layer, variable.role,
                                values_.back().weight(weight_of(variable).shape()));
        // Frees the memory; assigning an empty vector would keep it.
        std::vector<float>().swap(variable.first);
    }
    network_.forget_quantizations(); // they were valid for the original weights
}

WeightTensor Trainer::Values::weight(const Shape &shape) const {
    return WeightTensor(shape, WeightType::float32, std::shared_ptr<const std::byte>(now_, now_->data()));
}

const WeightTensor &Trainer::weight_of(const TrainingVariable &variable) const {
    return network_.producer(network_.find(variable.layer)).weights.at(variable.role);
}

void Trainer::set_steps(std::int64_t steps) {
    if (steps < 0 || steps >= max_steps)
        fail(ErrorKind::parameter, {"training: steps must be 0 to ", max_steps - 1, ", got ", steps});
    steps_ = steps;
}

std::span<float> Trainer::values(std::string_view name) {
    for (std::size_t i = 0; i < values_.size(); ++i)
        if (training_.variables[i].name == name) return values_[i].now();
    fail(ErrorKind::parameter, {"training: there is no variable ", quoted(name)});
}

void Trainer::set_rates(float learning_rate) {
    if (!std::isfinite(learning_rate) || learning_rate < 0.0f)
        fail(ErrorKind::parameter,
             {"training: the learning rate must be finite and at least 0, got ", learning_rate});
    const OptimizerOptions &optimizer = options_.optimizer;
    for (std::size_t i = 0; i < training_.missed_updates.size(); ++i) {
        float &step = rates_[2 * i + 1];
        rates_[2 * i] = step = learning_rate;
        if (optimizer.kind != OptimizerKind::adam) continue;
        const std::int64_t seen = updates() - training_.missed_updates[i];
        if (seen < 0)
            fail(ErrorKind::state, {"training: a layer missed ", training_.missed_updates[i],
                                    " updates, but there have been only ", updates()});
        // The number of updates that the moments will have had, including this one. Adam corrects for moments
        // that began at zero.
        const auto time = static_cast<double>(seen + 1);
        const double first = 1.0 - std::pow(optimizer.beta1, time),
                     second = 1.0 - std::pow(optimizer.beta2, time);
        step = static_cast<float>(learning_rate * std::sqrt(second) / first);
    }
    step_[0] = static_cast<float>(steps_);
}

void Trainer::give_rates(std::vector<TensorView> &inputs) {
    for (std::size_t i = 0; i < training_.missed_updates.size(); ++i)
        inputs.push_back(dense(std::span(rates_.data() + 2 * i, 2), {1, 2}));
}

void Trainer::require_finite_loss(double loss, std::span<const TensorView> inputs,
                                  std::span<const TensorView> outputs) {
    if (std::isfinite(loss)) return;
    std::string where;
    try { // repeat the step on the CPU, with a check of each layer, to name the first wrong one
        CompileOptions cpu;
        cpu.device = "cpu";
        cpu.precision = options_.precision == "bfloat16" ? "bfloat16" : "float32"; // float16 needs a GPU
        Session(Program::compile(training_.graph, cpu), looking_at_all(session_options_, true))
            .run(inputs, outputs);
    } catch (const Error &error) {
        where = concat({": ", error.what()});
    }
    fail_step(concat({" the loss is ", (std::isnan(loss) ? "NaN" : "infinite"), where,
                      ". A smaller learning rate, or limits of the gradient, may help"}));
}

void Trainer::fail_step(const std::string &what) const {
    fail(ErrorKind::state,
         {"training: in step ", steps_, what, "; the weights are those of before the step"});
}

void Trainer::require_step(std::span<const TensorView> inputs, const TensorView &labels) const {
    if (steps_ + 1 >= max_steps)
        fail(ErrorKind::state, {"training: there are at most ", max_steps - 1, " steps"});
    const std::size_t expected = training_.network_inputs + (options_.weighted ? 1 : 0);
    if (inputs.size() != expected)
        fail(ErrorKind::shape,
             {"training: the network takes ", training_.network_inputs, " inputs",
              options_.weighted ? ", and then weights of the losses" : "", ", got ", inputs.size()});
    if (labels.shape.rank() > 0 && labels.shape[0] == 0)
        fail(ErrorKind::shape, "training: a step takes at least one image, got labels of 0");
    const auto require_prediction = [&](const char *what, const Shape &shape) {
        if (shape.rank() != prediction_shape_.rank() || !prediction_shape_.admits(shape))
            fail(ErrorKind::shape, {"training: ", what, " must have the shape of the prediction, ",
                                    prediction_shape_.text(), ", got ", shape.text()});
    };
    require_prediction("labels", labels.shape);
    if (options_.weighted) require_prediction("weights", inputs.back().shape);
}

/// Make the new values of all variables, which a step or an update has written, the current ones.
void Trainer::swap_values(int TrainingVariable::*output) {
    for (std::size_t i = 0; i < values_.size(); ++i)
        if (training_.variables[i].*output >= 0) values_[i].swap();
}

void Trainer::choose_engine(std::span<const TensorView> given, std::span<const TensorView> made) {
    const bool cpu_can = options_.precision == "float32" || options_.precision == "bfloat16";
    const bool is_cpu = program_->backend().name() == std::string_view("cpu");
    if (is_cpu || !cpu_can || !program_->is_automatic() || !preflight_compares_times()) return;
    // A step reads the current values and writes the next ones, so it may run several times.
    CompileOptions options = device_;
    options.precision = options_.precision;
    BackendChoice cpu = choose_backend("cpu", options.precision);
    session_->run(given, made); // prepares memory
    std::int64_t on_device = time_of_step(*session_, given, made);
    std::int64_t on_cpu = 0;
    try {
        Session other(Program::compile(training_.graph, cpu, options),
                      looking_at_all(session_options_, options_.check_finite));
        on_cpu = time_of_step_on_cpu(other, given, made, on_device);
    } catch (const Error &error) { // for example, because it needs more memory than it may use
        log(LogLevel::information,
            concat({"this training stays on device ", quoted(program_->backend().device_name()),
                    ", because the CPU engine cannot run a step: ", error.what()}));
        return;
    }
    if (on_device > on_cpu) on_device = std::min(on_device, warm_time_of_step(*session_, given, made));
    if (on_device <= on_cpu) return;
    cpu.reason = concat({"device ", quoted(program_->backend().device_name()),
                         " is not used for this training: the CPU engine ran a step in ",
                         milliseconds(on_cpu), ", the device in ", milliseconds(on_device)});
    log(LogLevel::information, cpu.reason);
    const SessionOptions looking = looking_at_all(session_options_, options_.check_finite);
    std::shared_ptr<Program> program = Program::compile(training_.graph, cpu, options);
    auto session = std::make_unique<Session>(program, looking);
    if (update_)
        update_ =
            std::make_unique<Session>(Program::compile(*training_.update, std::move(cpu), options), looking);
    // All of this may fail, and then the training keeps a session.
    program_ = std::move(program);
    session_ = std::move(session);
}

/// Run one step. With check_finite, the session throws an error for a result that is not finite.
void Trainer::run_step(std::span<const TensorView> given, std::span<const TensorView> made) {
    try {
        if (!std::exchange(has_chosen_, true)) choose_engine(given, made);
        session_->run(given, made);
    } catch (const Error &error) {
        if (error.kind() != ErrorKind::parameter || !options_.check_finite) throw;
        fail_step(concat({": ", error.what()}));
    }
}

/// Compute new weights from the sums of gradients, and set these sums to zero.
void Trainer::update_weights(Session &update) {
    std::vector<TensorView> given, made;
    give_rates(given);
    for (std::size_t i = 0; i < values_.size(); ++i) {
        const TrainingVariable &variable = training_.variables[i];
        given.push_back(dense(values_[i].now(), variable.shape));
        if (variable.update_output >= 0) made.push_back(dense(values_[i].next(), variable.shape));
    }
    try {
        update.run(given, made);
    } catch (const Error &error) {
        swap_values(&TrainingVariable::output); // go back to the sums from before this step
        if (error.kind() != ErrorKind::parameter || !options_.check_finite) throw;
        fail_step(concat({": ", error.what()}));
    }
    swap_values(&TrainingVariable::update_output);
    for (std::size_t i = 0; i < values_.size(); ++i)
        if (std::string_view(training_.variables[i].name).ends_with(sum_suffix))
            std::ranges::fill(values_[i].now(), 0.0f);
}

Trainer::StepTensors Trainer::step_tensors(std::span<const TensorView> inputs, const TensorView &labels,
                                           const TensorView *prediction, float &loss) {
    std::vector<TensorView> given(inputs.begin(),
                                  inputs.begin() + static_cast<std::ptrdiff_t>(training_.network_inputs));
    given.push_back(labels);
    if (options_.weighted) given.push_back(inputs.back());
    if (!training_.update) give_rates(given);
    given.push_back(dense(step_, {1, 1}));
    const auto elements = static_cast<std::size_t>(labels.shape.elements());
    if (prediction_.size() < elements) prediction_ = AlignedBuffer<float>(elements);
    std::vector<TensorView> made{TensorView::dense(&loss, DType::float32, {1, 1}),
                                 prediction ? *prediction : dense(prediction_, labels.shape)};
    for (std::size_t i = 0; i < values_.size(); ++i) {
        const TrainingVariable &variable = training_.variables[i];
        given.push_back(dense(values_[i].now(), variable.shape));
        if (variable.output >= 0) made.push_back(dense(values_[i].next(), variable.shape));
    }
    return {std::move(given), std::move(made)};
}

Profile Trainer::profile(std::span<const TensorView> inputs, const TensorView &labels, int runs) {
    require_step(inputs, labels);
    set_rates(0.0f);
    float loss = 0.0f;
    const auto [given, made] = step_tensors(inputs, labels, nullptr, loss);
    // The new values are never swapped in, so profiling changes no weights.
    return session_->profile(given, made, runs);
}

double Trainer::step(std::span<const TensorView> inputs, const TensorView &labels, float learning_rate,
                     const TensorView *prediction) {
    require_step(inputs, labels);
    set_rates(learning_rate);
    float loss = 0.0f;
    const auto [given, made] = step_tensors(inputs, labels, prediction, loss);
    run_step(given, made);
    require_finite_loss(static_cast<double>(loss), given, made);
    swap_values(&TrainingVariable::output);
    if (update_ && (steps_ + 1) % options_.accumulate == 0) update_weights(*update_);
    ++steps_;
    return static_cast<double>(loss);
}

std::span<const float> Trainer::present(std::string_view name) const {
    for (std::size_t i = 0; i < values_.size(); ++i)
        if (training_.variables[i].name == name) return values_[i].now();
    return {};
}

Graph Trainer::network(bool averaged) const {
    if (averaged && !options_.averages())
        fail(ErrorKind::parameter, {"training: there are no averages of the weights; average_rate is 0"});
    Graph result = network_;
    for (std::size_t i = 0; i < values_.size(); ++i) {
        const TrainingVariable &variable = training_.variables[i];
        if (!is_weight(variable) && !is_statistics(variable)) continue;
        std::span<const float> values = present(variable.name);
        const std::span<const float> average = present(variable.name + average_suffix);
        if (averaged && !average.empty()) values = average;
        const float *first = values.data(), *end = first + values.size();
        if (is_weight(variable)) {
            result.set_weight(variable.layer, variable.role,
                              WeightTensor::from_floats(weight_of(variable).shape(), {first, end}));
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
