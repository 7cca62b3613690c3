#include <algorithm>

#include "engine/program.h"
#include "engine/support.h"

namespace mpscnn::engine {

namespace {

/// Holds a session for one caller; a second one is refused rather than made to wait.
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

struct MemoryRange {
    const std::byte *first, *behind;
};

MemoryRange range_of(const TensorView &view) {
    const auto *first = static_cast<const std::byte *>(view.data);
    const std::byte *last = first;
    for (int axis = 0; axis < view.shape.rank(); ++axis) {
        const std::ptrdiff_t reach = (view.shape[axis] - 1) * view.strides[static_cast<std::size_t>(axis)];
        (reach < 0 ? first : last) += reach;
    }
    return {first, last + size_of(view.type)};
}

bool overlap(const TensorView &a, const TensorView &b) {
    const MemoryRange x = range_of(a), y = range_of(b);
    return x.first < y.behind && y.first < x.behind;
}

bool repeats_elements(const TensorView &view) {
    for (int axis = 0; axis < view.shape.rank(); ++axis)
        if (view.shape[axis] > 1 && view.strides[static_cast<std::size_t>(axis)] == 0) return true;
    return false;
}

/// Messages are made only when something is wrong: a run must not allocate.
void require_floats(const char *role, const std::vector<Port> &ports, std::span<const TensorView> views) {
    for (std::size_t i = 0; i < std::min(ports.size(), views.size()); ++i) {
        const TensorView &view = views[i];
        if (view.type != DType::float32 && view.type != DType::float16)
            fail(ErrorKind::shape, std::string(role) + " " + quoted(ports[i].name) +
                                       ": expected float32 or float16 elements, got " + name_of(view.type));
        if (!view.data)
            fail(ErrorKind::parameter, std::string(role) + " " + quoted(ports[i].name) + ": no memory given");
    }
}

} // namespace

TensorView TensorView::dense(void *data, DType type, const Shape &shape) {
    TensorView view{data, type, shape, {}};
    auto stride = static_cast<std::ptrdiff_t>(size_of(type));
    for (int axis = shape.rank(); axis-- > 0;) {
        view.strides[static_cast<std::size_t>(axis)] = stride;
        stride *= shape[axis];
    }
    return view;
}

bool TensorView::is_dense() const {
    const TensorView wanted = dense(data, type, shape);
    for (int axis = 0; axis < shape.rank(); ++axis) {
        const auto i = static_cast<std::size_t>(axis);
        if (shape[axis] > 1 && strides[i] != wanted.strides[i]) return false;
    }
    return true;
}

Session::Session(std::shared_ptr<Program> program, const SessionOptions &options)
    : program_(std::move(program)) {
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
    executor_->prepare(*planned->plan);
    current_ = planned;
    return *current_;
}

void Session::check_outputs(const Program::Planned &planned, std::span<const TensorView> inputs,
                            std::span<const TensorView> outputs) const {
    const auto &ports = program_->outputs();
    if (outputs.size() != ports.size())
        fail(ErrorKind::shape, "network " + quoted(program_->name()) + " has " +
                                   std::to_string(ports.size()) + " outputs, got memory for " +
                                   std::to_string(outputs.size()));
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        if (!(outputs[i].shape == planned.output_shapes[i]))
            fail(ErrorKind::shape, "output " + quoted(ports[i].name) + ": expected " +
                                       planned.output_shapes[i].text() + ", got " + outputs[i].shape.text());
        if (repeats_elements(outputs[i]))
            fail(ErrorKind::parameter, "output " + quoted(ports[i].name) +
                                           ": a stride of 0 gives several results one place in memory");
        const bool over_input = std::any_of(inputs.begin(), inputs.end(), [&](const TensorView &input) {
            return overlap(input, outputs[i]);
        });
        const bool over_output =
            std::any_of(outputs.begin(), outputs.begin() + static_cast<std::ptrdiff_t>(i),
                        [&](const TensorView &other) { return overlap(other, outputs[i]); });
        if (over_input || over_output)
            fail(ErrorKind::parameter, "output " + quoted(ports[i].name) + ": its memory overlaps " +
                                           (over_input ? "an input's" : "another output's"));
    }
}

const Program::Planned &Session::checked_plan(std::span<const TensorView> inputs,
                                              std::span<const TensorView> outputs) {
    require_floats("input", program_->inputs(), inputs);
    require_floats("output", program_->outputs(), outputs);
    const Program::Planned &planned = planned_for(inputs);
    check_outputs(planned, inputs, outputs);
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
                      [request](std::exception_ptr failure) { request->finish(std::move(failure)); });
    return request;
}

} // namespace mpscnn::engine
