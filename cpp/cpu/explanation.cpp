// CpuPlan::explain: what became of each layer, and what the cost model thinks of the other ways.

#include <cmath>
#include <map>

#include "cpu/cpu_plan.h"
#include "cpu/thread_pool.h"

namespace mpscnn::cpu {

namespace {

std::string way_text(const ChainWay &way) {
    if (!way.together) return way.operations.size() == 1 ? "alone" : "each alone";
    std::string text =
        way.cut.band_rows > 0 ? "in bands of " + std::to_string(way.cut.band_rows) + " rows" : "";
    if (way.cut.panel_channels > 0)
        text += (text.empty() ? "in panels of " : " and panels of ") +
                std::to_string(way.cut.panel_channels) + " channels";
    return text.empty() ? "all rows at once" : text;
}

/// Two digits behind the point are more than the model knows. Nothing for a chain that was forced though it
/// does not fit: what that takes the model does not say.
Json time_json(double microseconds) {
    return std::isfinite(microseconds) ? Json(std::round(microseconds * 100) / 100) : Json(nullptr);
}

std::string number_text(double number) {
    const auto tenths = static_cast<std::int64_t>(std::round(number * 10));
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10);
}

Json layers_of(const LoweredNetwork &network, const ChainWay &way) {
    Json layers = Json::array();
    for (std::size_t operation : way.operations)
        for (const std::string &layer : network.operations[operation].layers) layers.push_back(layer);
    return layers;
}

Json way_json(const LoweredNetwork &network, const ChainWay &way) {
    Json json = Json::object();
    json.set("layers", layers_of(network, way));
    json.set("choice", way_text(way));
    json.set("predicted_us", time_json(way.microseconds));
    return json;
}

/// Of a chain: what its layers alone would take, and what they would leave in memory for each other.
std::string chain_reason(const Step &step, const ChainChoice &choice, const MachineModel &machine) {
    double bytes = 0;
    for (std::size_t i = 0; i + 1 < step.stages.size(); ++i) {
        const View &result = step.stages[i].destination;
        bytes += static_cast<double>(result.batch * result.height * result.width * result.channels) *
                 sizeof(float);
    }
    const bool near = bytes <= static_cast<double>(machine.near_bytes);
    return "alone its layers would take " + number_text(choice.others[0].microseconds) +
           " us and hand each other " + number_text(bytes / 1e6) + " MB, which " +
           (near ? "fit" : "do not fit") + " the " +
           number_text(static_cast<double>(machine.near_bytes) / 1e6) +
           " MB counted on of a core's own cache";
}

/// Of a convolution alone, whose other ways come in pairs: as a chain with a neighbour, and both alone.
std::string alone_reason(const LoweredNetwork &network, const ChainChoice &choice) {
    if (choice.others.size() < 2) return "no chain with its neighbours fits a core's own cache";
    const ChainWay &chain = choice.others[0], &alone = choice.others[1];
    const std::size_t other =
        chain.operations[0] == choice.way.operations[0] ? chain.operations[1] : chain.operations[0];
    return "as a chain with " + quoted(network.operations[other].layers[0]) + ", " + way_text(chain) + ", " +
           number_text(chain.microseconds) + " us; both alone " + number_text(alone.microseconds) + " us";
}

const char *reason_without_chains(const Step &step) {
    if (step.layers.empty()) return "brings an output to where the caller wants it";
    const auto *convolution = std::get_if<ConvolutionTask>(&step.task);
    if (convolution && convolution->packed->fast)
        return "fast_matmul: seven products of half the size instead of eight, which chains do not have";
    if (convolution && convolution->packed->winograd)
        return "minimal filtering: 36 products of a tile instead of 144 (3x3) or 100 (5x5), which chains do "
               "not have";
    if (convolution && convolution->continues)
        return "its sums begin with those of one pixel, which a layer before it enlarges";
    return "there is no chain that it might be part of";
}

} // namespace

Json CpuPlan::explain(int threads) const {
    if (threads == 0) threads = ThreadPool::automatic_threads();
    const CpuPlan &plan = variant({.threads = threads});
    const MachineModel machine = machine_model(*network_, threads);
    std::vector<ChainChoice> choices;
    find_chains(*network_, network_->graph.infer_shapes(input_shapes_), plan.options_, &choices);
    std::map<std::string, const ChainChoice *> choice_of; // by the first layer, whose name is its own
    for (const ChainChoice &choice : choices)
        choice_of[network_->operations[choice.way.operations[0]].layers[0]] = &choice;

    Json steps = Json::array();
    for (const Step &step : plan.steps()) {
        Json json = Json::object();
        json.set("layers", step.layers);
        json.set("kernel", step.kernel());
        const auto found = step.layers.empty() ? choice_of.end() : choice_of.find(step.layers[0]);
        if (found == choice_of.end()) {
            json.set("choice", "alone");
            json.set("predicted_us", nullptr);
            json.set("reason", reason_without_chains(step));
            json.set("alternatives", Json::array());
        } else {
            const ChainChoice &choice = *found->second;
            json.set("choice", way_text(choice.way));
            json.set("predicted_us", time_json(choice.way.microseconds));
            json.set("reason", choice.way.together ? chain_reason(step, choice, machine)
                                                   : alone_reason(*network_, choice));
            Json others = Json::array();
            for (const ChainWay &way : choice.others) others.push_back(way_json(*network_, way));
            json.set("alternatives", std::move(others));
        }
        steps.push_back(std::move(json));
    }
    Json explanation = Json::object();
    explanation.set("threads", threads);
    explanation.set("instruction_set", network_->kernels->name);
    explanation.set("near_bytes", machine.near_bytes);
    explanation.set("far_bytes", machine.far_bytes);
    explanation.set("arena_bytes", static_cast<std::int64_t>(plan.arena_bytes()));
    explanation.set("steps", std::move(steps));
    return explanation;
}

} // namespace mpscnn::cpu
