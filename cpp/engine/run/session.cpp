#include <algorithm>

#include "engine/backend/support.h"
#include "engine/run/profile.h"
#include "engine/run/run_check.h"

namespace mpscnn::engine {

namespace {

/// Marks a session as used by one caller; a second caller gets an error instead of waiting.
class Occupation {
public:
    explicit Occupation(std::atomic<bool> &busy) : busy_(busy) {
        if (busy_.exchange(true, std::memory_order_acquire))
            fail(ErrorKind::state,
                 "this session is running in another thread already; a session serves one caller at a "
                 "time. Make one session per thread: they share the program and its weights");
    }
    ~Occupation() { busy_.store(false, std::memory_order_release); }
    Occupation(const Occupation &) = delete;
    Occupation &operator=(const Occupation &) = delete;

private:
    std::atomic<bool> &busy_;
};

} // namespace

Session::Session(std::shared_ptr<Program> program, const SessionOptions &options)
    : program_(std::move(program)),
      max_memory_(options.max_memory > 0 ? options.max_memory : program_->max_memory()) {
    require_supported(options, program_->name(), program_->backend().name());
    executor_ = program_->lowered().executor(options);
}

const Program::Planned &Session::planned_for(std::span<const TensorView> inputs) {
    const auto same_shape = [](const TensorView &view, const Shape &shape) { return view.shape == shape; };
    if (current_ && std::equal(inputs.begin(), inputs.end(), current_->input_shapes.begin(),
                               current_->input_shapes.end(), same_shape))
        return *current_;
    std::vector<Shape> shapes;
    for (const TensorView &input : inputs) shapes.push_back(input.shape);
    const auto planned = program_->plan_for(shapes);
    program_->require_memory(*planned, max_memory_);
    executor_->prepare(*planned->plan);
    current_ = planned;
    return *current_;
}

const Program::Planned &Session::checked_plan(std::span<const TensorView> inputs,
                                              std::span<const TensorView> outputs) {
    check_elements(*program_, inputs, outputs);
    const Program::Planned &planned = planned_for(inputs);
    check_outputs(*program_, planned, inputs, outputs);
    return planned;
}

void Session::run(std::span<const TensorView> inputs, std::span<const TensorView> outputs) {
    const Occupation occupation(busy_);
    executor_->run(*checked_plan(inputs, outputs).plan, inputs, outputs);
}

std::shared_ptr<Request> Session::submit(std::span<const TensorView> inputs,
                                         std::span<const TensorView> outputs) {
    const Occupation occupation(busy_);
    const Program::Planned &planned = checked_plan(inputs, outputs);
    auto request = std::make_shared<Request>();
    executor_->submit(*planned.plan, inputs, outputs,
                      [request](Failure failure) { request->finish(std::move(failure)); });
    return request;
}

void Session::prepare(std::span<const TensorView> inputs) {
    const Occupation occupation(busy_);
    planned_for(inputs);
}

void Session::share(std::int64_t items, std::int64_t chunk, const RangeWork &work) {
    const Occupation occupation(busy_);
    executor_->share(items, chunk, work);
}

Profile Session::profile(std::span<const TensorView> inputs, std::span<const TensorView> outputs, int runs) {
    const Occupation occupation(busy_);
    const Program::Planned &planned = checked_plan(inputs, outputs);
    return make_profile(*program_, planned.input_shapes,
                        executor_->profile(*planned.plan, inputs, outputs, runs));
}

void Session::encode(void *commands, void *inputs, void *outputs) {
    const Occupation occupation(busy_);
    program_->require_one_stage();
    const auto run = program_->backend().native_run(inputs, program_->inputs());
    const auto planned = program_->plan_for(run->input_shapes());
    const std::shared_ptr<const Plan> plan(planned, planned->plan.get());
    run->encode(plan, commands, outputs, program_->outputs());
}

} // namespace mpscnn::engine
