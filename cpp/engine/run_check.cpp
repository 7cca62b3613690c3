#include "engine/run_check.h"

#include <algorithm>

namespace mpscnn::engine {

namespace {

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
            fail(ErrorKind::shape, {role, " ", quoted(ports[i].name),
                                    ": expected float32 or float16 elements, got ", name_of(view.type)});
        if (!view.data) fail(ErrorKind::parameter, {role, " ", quoted(ports[i].name), ": no memory given"});
    }
}

} // namespace

void check_elements(const Program &program, std::span<const TensorView> inputs,
                    std::span<const TensorView> outputs) {
    require_floats("input", program.inputs(), inputs);
    require_floats("output", program.outputs(), outputs);
}

void check_outputs(const Program &program, const Program::Planned &planned,
                   std::span<const TensorView> inputs, std::span<const TensorView> outputs) {
    const auto &ports = program.outputs();
    if (outputs.size() != ports.size())
        fail(ErrorKind::shape, {"network ", quoted(program.name()), " has ", ports.size(),
                                " outputs, got memory for ", outputs.size()});
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        if (!(outputs[i].shape == planned.output_shapes[i]))
            fail(ErrorKind::shape, {"output ", quoted(ports[i].name), ": expected ",
                                    planned.output_shapes[i].text(), ", got ", outputs[i].shape.text()});
        if (repeats_elements(outputs[i]))
            fail(ErrorKind::parameter, {"output ", quoted(ports[i].name),
                                        ": a stride of 0 gives several results one place in memory"});
        const bool over_input = std::any_of(inputs.begin(), inputs.end(), [&](const TensorView &input) {
            return overlap(input, outputs[i]);
        });
        const bool over_output =
            std::any_of(outputs.begin(), outputs.begin() + static_cast<std::ptrdiff_t>(i),
                        [&](const TensorView &other) { return overlap(other, outputs[i]); });
        if (over_input || over_output)
            fail(ErrorKind::parameter, {"output ", quoted(ports[i].name), ": its memory overlaps ",
                                        (over_input ? "an input's" : "another output's")});
    }
}

} // namespace mpscnn::engine
