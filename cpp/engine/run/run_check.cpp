#include "engine/run/run_check.h"

#include <algorithm>
#include <array>
#include <vector>

namespace mpscnn::engine {

namespace {

bool repeats_elements(const TensorView &view) {
    for (int axis = 0; axis < view.shape.rank(); ++axis)
        if (view.shape[axis] > 1 && view.strides[static_cast<std::size_t>(axis)] == 0) return true;
    return false;
}

/// Throws unless all tensors are float32 or float16. Messages are only built for errors, because a run must
/// not allocate memory.
void require_floats(const char *role, const std::vector<Port> &ports, std::span<const TensorView> views) {
    for (std::size_t i = 0; i < std::min(ports.size(), views.size()); ++i) {
        const TensorView &view = views[i];
        if (view.type != DType::float32 && view.type != DType::float16)
            fail(ErrorKind::shape, {role, " ", quoted(ports[i].name),
                                    ": expected float32 or float16 elements, got ", name_of(view.type)});
        if (!view.data) fail(ErrorKind::parameter, {role, " ", quoted(ports[i].name), ": no memory given"});
    }
}

/// The memory of an input or output.
struct PortRange {
    MemoryRange memory;
    std::size_t index;
    bool output;
};

MemoryRange range_of(const char *role, const Port &port, const TensorView &view) {
    const auto range = view.memory_range();
    if (!range)
        fail(ErrorKind::parameter,
             {role, " ", quoted(port.name), ": its strides lead beyond the ends of memory"});
    return *range;
}

/// Throws if an output overlaps an input or another output. Inputs may overlap each other. Ranges are sorted
/// by their beginnings, and each one is compared only with the input and the output before it that reach
/// farthest. With tens of thousands of outputs, comparing all pairs would take longer than a run.
void require_apart(std::span<PortRange> ranges, const std::vector<Port> &outputs) {
    std::sort(ranges.begin(), ranges.end(),
              [](const PortRange &a, const PortRange &b) { return a.memory.first < b.memory.first; });
    const PortRange *farthest[2] = {}; // the range that reaches farthest, among inputs and among outputs
    const auto reaches = [&](bool output, const PortRange &range) {
        return farthest[output] && farthest[output]->memory.behind > range.memory.first;
    };
    for (const PortRange &range : ranges) {
        const bool over_output = reaches(true, range), over_input = range.output && reaches(false, range);
        if (over_output || over_input) {
            const PortRange &output = range.output ? range : *farthest[true];
            const bool with_output = over_output && range.output;
            fail(ErrorKind::parameter,
                 {"output ", quoted(outputs[output.index].name), ": its memory overlaps ",
                  (with_output ? "another output's" : "an input's")});
        }
        const PortRange *&last = farthest[range.output];
        if (!last || last->memory.behind < range.memory.behind) last = &range;
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
    // Up to a usual number of tensors, ranges are on the stack, because a run must not allocate memory.
    const std::size_t tensors = inputs.size() + outputs.size();
    std::array<PortRange, 16> few;
    std::vector<PortRange> many(tensors > few.size() ? tensors : 0);
    const std::span<PortRange> ranges(many.empty() ? few.data() : many.data(), tensors);
    std::size_t count = 0;
    for (std::size_t i = 0; i < inputs.size(); ++i)
        ranges[count++] = {range_of("input", program.inputs()[i], inputs[i]), i, false};
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        if (!(outputs[i].shape == planned.output_shapes[i]))
            fail(ErrorKind::shape, {"output ", quoted(ports[i].name), ": expected ",
                                    planned.output_shapes[i].text(), ", got ", outputs[i].shape.text()});
        if (repeats_elements(outputs[i]))
            fail(ErrorKind::parameter, {"output ", quoted(ports[i].name),
                                        ": a stride of 0 gives several results one place in memory"});
        ranges[count++] = {range_of("output", ports[i], outputs[i]), i, true};
    }
    require_apart(ranges, ports);
}

} // namespace mpscnn::engine
