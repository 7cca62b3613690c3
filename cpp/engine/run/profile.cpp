#include "engine/run/profile.h"

#include <cmath>
#include <map>
#include <set>

#include "core/text.h"

namespace mpscnn::engine {

namespace {

constexpr double nanoseconds_in_millisecond = 1e6, nanoseconds_in_microsecond = 1e3;

/// Return the numbers of the steps that compute each node, in order, by the node's name.
std::map<std::string, std::vector<std::size_t>> steps_by_layer(const std::vector<StepDescription> &steps) {
    std::map<std::string, std::vector<std::size_t>> computing;
    for (std::size_t i = 0; i < steps.size(); ++i)
        for (const std::string &layer : steps[i].layers) computing[layer].push_back(i);
    return computing;
}

/// Return flops * share; for share 1 the result is exact.
std::int64_t part_of(std::int64_t flops, double share) {
    return share == 1 ? flops : std::llround(static_cast<double>(flops) * share);
}

void append(std::vector<std::string> &names, const std::vector<std::string> &more) {
    names.insert(names.end(), more.begin(), more.end());
}

std::string joined(const std::vector<std::string> &names) {
    std::string text;
    for (const std::string &name : names) text += (text.empty() ? "" : " + ") + name;
    return text;
}

Json milliseconds(double nanoseconds) { return Json(nanoseconds / nanoseconds_in_millisecond); }

Json json_of(const std::vector<Shape> &shapes) {
    Json list = Json::array();
    for (const Shape &shape : shapes)
        list.push_back(Json(std::vector<std::int64_t>(shape.begin(), shape.end())));
    return list;
}

Json json_of_step(const Profile &profile, std::size_t index) {
    const StepDescription &description = profile.execution.steps[index];
    Json times = Json::array();
    for (const RunTimes &run : profile.execution.runs) times.push_back(milliseconds(run.steps[index]));
    Json step = Json::object();
    step.set("layers", profile.steps[index].layers);
    step.set("part_of", profile.steps[index].part_of);
    step.set("kind", description.kind);
    step.set("kernel", description.kernel);
    step.set("flops", profile.steps[index].flops);
    step.set("bytes", description.bytes);
    step.set("milliseconds", std::move(times));
    return step;
}

Json json_of_peak(const std::optional<Peak> &peak) {
    if (!peak) return Json();
    Json result = Json::object();
    result.set("one_thread", peak->one_thread);
    result.set("all_threads", peak->all_threads);
    return result;
}

/// Writes the events of one run in Chrome's trace event format.
class Trace {
public:
    explicit Trace(const Profile &profile)
        : profile_(profile), run_(profile.execution.runs[profile.execution.fastest]) {}

    Json events() {
        name("process_name", row_of(WorkSpan::all_threads),
             concat({profile_.network, " on ", profile_.device_name}));
        std::set<int> named;
        for (const WorkSpan &work : run_.work) {
            const std::string text =
                work.thread == WorkSpan::all_threads ? "steps" : "thread " + std::to_string(work.thread);
            if (named.insert(work.thread).second) name("thread_name", row_of(work.thread), text);
            add(work.step, row_of(work.thread), work.time);
        }
        return std::move(events_);
    }

private:
    static constexpr int process = 1;
    static int row_of(int thread) { return thread + 1; }

    static Json event(const char *phase, std::string name, int row) {
        Json result = Json::object();
        result.set("name", std::move(name));
        result.set("ph", phase);
        result.set("pid", process);
        result.set("tid", row);
        return result;
    }

    void name(const char *what, int row, std::string text) {
        Json arguments = Json::object(), result = event("M", what, row);
        arguments.set("name", std::move(text));
        result.set("args", std::move(arguments));
        events_.push_back(std::move(result));
    }

    void add(std::size_t step, int row, const TimeSpan &time) {
        const StepDescription &description = profile_.execution.steps[step];
        Json arguments = Json::object(), result = event("X", name_of(step), row);
        result.set("cat", description.kind);
        result.set("ts", static_cast<double>(time.begin) / nanoseconds_in_microsecond);
        result.set("dur", static_cast<double>(time.duration()) / nanoseconds_in_microsecond);
        arguments.set("kernel", description.kernel);
        arguments.set("flops of the step", profile_.steps[step].flops);
        arguments.set("bytes of the step", description.bytes);
        result.set("args", std::move(arguments));
        events_.push_back(std::move(result));
    }

    std::string name_of(std::size_t step) const {
        const std::vector<std::string> &layers = profile_.execution.steps[step].layers;
        return layers.empty() ? profile_.execution.steps[step].kernel : joined(layers);
    }

    const Profile &profile_;
    const RunTimes &run_;
    Json events_ = Json::array();
};

} // namespace

Profile make_profile(const Program &program, const std::vector<Shape> &input_shapes,
                     ExecutionProfile execution) {
    Profile profile{program.name(),
                    program.backend().name(),
                    program.backend().device_name(),
                    name_of(program.precision()),
                    input_shapes,
                    std::move(execution),
                    {},
                    {}};
    const std::vector<StepDescription> &steps = profile.execution.steps;
    profile.steps.resize(steps.size());
    const auto computing = steps_by_layer(steps);
    for (const LayerSummary &layer : program.graph().summary(input_shapes)) {
        const std::vector<std::string> layers = program.layers_of(layer.name);
        const auto found = computing.find(layer.name);
        if (found == computing.end()) {
            append(profile.layers_without_step, layers);
            continue;
        }
        for (auto step = found->second.begin(); step != found->second.end(); ++step) {
            const auto next = step + 1;
            const bool last = next == found->second.end();
            append(last ? profile.steps[*step].layers : profile.steps[*step].part_of, layers);
            if (last || steps[*next].part != steps[*step].part)
                profile.steps[*step].flops += part_of(layer.cost.flops, steps[*step].share_of_batch);
        }
    }
    return profile;
}

Json to_json(const Profile &profile) {
    const ExecutionProfile &execution = profile.execution;
    Json times = Json::array(), steps = Json::array();
    for (const RunTimes &run : execution.runs)
        times.push_back(milliseconds(static_cast<double>(run.duration)));
    for (std::size_t i = 0; i < profile.steps.size(); ++i) steps.push_back(json_of_step(profile, i));
    Json result = Json::object();
    result.set("network", profile.network);
    result.set("device", profile.device);
    result.set("device_name", profile.device_name);
    result.set("precision", profile.precision);
    result.set("instruction_set",
               execution.instruction_set.empty() ? Json() : Json(execution.instruction_set));
    result.set("threads", execution.threads == 0 ? Json() : Json(execution.threads));
    result.set("peak_flops_per_second", json_of_peak(execution.peak));
    result.set("inputs", json_of(profile.input_shapes));
    result.set("milliseconds", std::move(times));
    result.set("steps", std::move(steps));
    result.set("layers_without_step", profile.layers_without_step);
    return result;
}

Json chrome_trace(const Profile &profile) {
    Json result = Json::object();
    result.set("traceEvents", Trace(profile).events());
    result.set("displayTimeUnit", "ms");
    return result;
}

} // namespace mpscnn::engine
