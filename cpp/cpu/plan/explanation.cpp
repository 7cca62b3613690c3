// CpuPlan::explain describes the steps of each layer, the cost model's predictions for the other candidates,
// and the places of tensors.

#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "cpu/kernels/convolution/thread_cuts.h"
#include "cpu/machine/thread_pool.h"
#include "cpu/plan/cpu_plan.h"
#include "cpu/plan/operation.h"
#include "cpu/plan/step_description.h"

namespace mpscnn::cpu {

namespace {

std::string candidate_text(const ChainCandidate &candidate) {
    if (!candidate.together) return candidate.operations.size() == 1 ? "alone" : "each alone";
    std::string text =
        candidate.cut.band_rows > 0 ? "in bands of " + std::to_string(candidate.cut.band_rows) + " rows" : "";
    if (candidate.cut.panel_channels > 0)
        text += concat({(text.empty() ? "in panels of " : " and panels of "), candidate.cut.panel_channels,
                        " channels"});
    return text.empty() ? "all rows at once" : text;
}

/// Return a time with two decimals; the model is not more precise. Return null for a chain that the user
/// forced although it does not fit, and for kernels that the model does not cover.
Json time_json(std::optional<double> microseconds) {
    if (!microseconds || !std::isfinite(*microseconds)) return Json();
    return Json(std::round(*microseconds * 100) / 100);
}

std::string number_text(double number) {
    const auto tenths = static_cast<std::int64_t>(std::round(number * 10));
    return concat({tenths / 10, ".", tenths % 10});
}

/// Return a size for humans: "0.4 kB" or "3.2 MB".
std::string size_text(double bytes) {
    return bytes < 1e6 ? concat({number_text(bytes / 1e3), " kB"})
                       : concat({number_text(bytes / 1e6), " MB"});
}

Json layers_of(const LoweredNetwork &network, const ChainCandidate &candidate) {
    Json layers = Json::array();
    for (std::size_t operation : candidate.operations)
        for (const std::string &layer : network.operations[operation].layers) layers.push_back(layer);
    return layers;
}

Json candidate_json(const LoweredNetwork &network, const ChainCandidate &candidate) {
    Json json = Json::object();
    json.set("layers", layers_of(network, candidate));
    json.set("choice", candidate_text(candidate));
    json.set("predicted_us", time_json(candidate.microseconds));
    return json;
}

/// Say why a chain is faster: the time of its layers in separate steps, and the bytes that these would
/// exchange through memory.
std::string chain_reason(const Step &step, const ChainChoice &choice, const MachineModel &machine) {
    double bytes = 0;
    for (std::size_t i = 0; i + 1 < step.stages.size(); ++i) {
        const View &result = step.stages[i].destination;
        bytes += static_cast<double>(result.batch * result.height * result.width * result.channels *
                                     size_of(result.element));
    }
    const bool fits = bytes <= static_cast<double>(machine.l2_bytes);
    return concat({"in separate steps its layers would take ", number_text(choice.others[0].microseconds),
                   " us and pass ", size_text(bytes), " to each other, which ",
                   (fits ? "fits" : "does not fit"), " into the ",
                   size_text(static_cast<double>(machine.l2_bytes)), " of L2 that tensors may fill"});
}

/// Say why a convolution runs alone. `others` has pairs of candidates: a chain of the convolution and a
/// neighbour, and both as separate steps.
std::string alone_reason(const LoweredNetwork &network, const ChainChoice &choice) {
    if (choice.others.size() < 2) return "no chain with its neighbours fits L2";
    const ChainCandidate &chain = choice.others[0], &alone = choice.others[1];
    const std::size_t other =
        chain.operations[0] == choice.candidate.operations[0] ? chain.operations[1] : chain.operations[0];
    return concat({"as a chain with ", quoted(network.operations[other].layers[0]), ", ",
                   candidate_text(chain), ", ", number_text(chain.microseconds), " us; both alone ",
                   number_text(alone.microseconds), " us"});
}

const char *reason_without_chains(const Step &step) {
    if (step.layers.empty()) return "brings an output to where the caller wants it";
    if (step.task.is<PooledConvolutionTask>())
        return "the pooling is the single consumer of the convolution's result, which stays in L2";
    const auto *convolution = step.task.get_if<ConvolutionTask>();
    if (convolution && convolution->packed->algorithm == Algorithm::winograd)
        return "Winograd: 36 products of a tile instead of 144 (3x3) or 100 (5x5), which chains do "
               "not have";
    if (convolution && convolution->continues)
        return "its sums begin with those of one pixel, which a layer before it broadcasts";
    if (convolution && convolution->gated)
        return "its inputs are multiplied by a pixel while they are read, which chains do not do";
    return "there is no chain that it might be part of";
}

/// Return the cost model's choice for each step; empty for steps that it does not cover.
std::vector<std::optional<ChainChoice>> choices_of(const LoweredNetwork &network,
                                                   const std::vector<Shape> &shapes,
                                                   const ChainOptions &options, std::span<const Step> steps) {
    std::vector<Chain> chosen;
    std::vector<std::size_t> numbers;
    for (std::size_t i = 0; i < steps.size(); ++i) {
        const auto *chain = steps[i].task.get_if<ChainTask>();
        if (steps[i].operations.empty() || (!chain && !steps[i].task.is<ConvolutionTask>())) continue;
        const ChainCut cut = chain ? ChainCut{chain->band_rows, chain->panel_channels} : ChainCut{};
        chosen.push_back({steps[i].operations, cut});
        numbers.push_back(i);
    }
    auto compared = compare_choices(network, shapes, options, chosen);
    std::vector<std::optional<ChainChoice>> choices(steps.size());
    for (std::size_t i = 0; i < numbers.size(); ++i) choices[numbers[i]] = std::move(compared[i]);
    return choices;
}

/// Return the floating-point operations of the layer that computes each value.
std::vector<std::int64_t> flops_by_value(const engine::Graph &graph, const std::vector<Shape> &input_shapes,
                                         std::size_t values) {
    std::vector<std::int64_t> flops(values);
    const std::vector<engine::LayerSummary> summary = graph.summary(input_shapes);
    for (std::size_t i = 0; i < summary.size(); ++i)
        flops[static_cast<std::size_t>(graph.result_of(i))] = summary[i].cost.flops;
    return flops;
}

std::int64_t flops_of(const Step &step, const LoweredNetwork &network,
                      const std::vector<std::int64_t> &by_value) {
    std::int64_t flops = 0;
    for (const std::size_t operation : step.operations)
        flops += by_value[static_cast<std::size_t>(network.operations[operation].result)];
    return flops;
}

/// Lists the place and layout of each tensor.
class TensorList {
public:
    TensorList(const LoweredNetwork &network, const std::vector<Shape> &shapes, const Placement &placement,
               std::span<const Step> steps, int threads)
        : network_(network), shapes_(shapes), placement_(placement), owners_(placement.storages.size(), -1),
          kept_(shapes.size()) {
        for (const Step &step : steps) {
            if (const auto *chain = step.task.get_if<ChainTask>()) keep_between(step, *chain, threads);
            if (step.task.is<PooledConvolutionTask>()) kept(step, 0) = KeptPart{};
        }
        find_owners();
    }

    /// Return the list. Tensors that fused kernels keep only in registers are not in it.
    Json json() const {
        Json tensors = Json::array();
        for (std::size_t value = 0; value < shapes_.size(); ++value)
            if (placement_.regions[value].storage >= 0 || kept_[value])
                tensors.push_back(tensor_json(static_cast<engine::ValueId>(value)));
        return tensors;
    }

private:
    /// The part of a tensor that a chain keeps in scratch memory at a time. If `rows` is 0, their number is
    /// not known before the run. If `panel_channels` is 0, the part has all channels.
    struct KeptPart {
        std::int64_t rows = 0, panel_channels = 0;
    };

    std::optional<KeptPart> &kept(const Step &step, std::size_t stage) {
        return kept_[static_cast<std::size_t>(network_.operations[step.operations[stage]].result)];
    }

    void keep_between(const Step &step, const ChainTask &chain, int threads) {
        const std::vector<ConvolutionTask> &stages = step.stages;
        const std::int64_t height = stages.back().destination.height;
        const ChainBands bands = chain_bands(stages.data(), static_cast<std::int64_t>(stages.size()), height,
                                             chain.band_rows, threads);
        std::int64_t rows = min(bands.max_rows(), height);
        for (std::size_t s = stages.size() - 1; s-- > 0;) {
            const ConvolutionTask &own = stages[s], &reader = stages[s + 1];
            rows = source_rows(reader, rows, own.destination.height);
            const bool in_panels = reader.packed->is_depthwise() && !own.packed->is_depthwise() &&
                                   chain.panel_channels < own.destination.channels;
            kept(step, s) = KeptPart{rows, in_panels ? chain.panel_channels : 0};
        }
    }

    Json tensor_json(engine::ValueId value) const {
        const auto index = static_cast<std::size_t>(value);
        const Region &region = placement_.regions[index];
        const Shape &shape = shapes_[index];
        Json json = Json::object();
        json.set("name", network_.graph.value_name(value));
        json.set("shape", std::vector<std::int64_t>(shape.begin(), shape.end()));
        if (region.storage < 0) {
            json.set("memory", "chain");
            json.set("rows", kept_[index]->rows);
            json.set("panel_channels", kept_[index]->panel_channels);
            return json;
        }
        constexpr const char *homes[] = {"arena", "input", "output"};
        const Storage &storage = placement_.storages[static_cast<std::size_t>(region.storage)];
        json.set("memory", homes[static_cast<int>(storage.home)]);
        if (storage.home == Storage::Home::arena)
            json.set("pixel_pitch", region.bind({.strides = storage.strides}, storage).pixel_stride);
        const engine::ValueId owner = owners_[static_cast<std::size_t>(region.storage)];
        json.set("within", owner == value ? Json() : Json(network_.graph.value_name(owner)));
        return json;
    }

    void find_owners() {
        for (std::size_t value = 0; value < placement_.regions.size(); ++value) {
            const Region &region = placement_.regions[value];
            if (region.storage < 0) continue;
            const auto storage = static_cast<std::size_t>(region.storage);
            if (owners_[storage] < 0 && region.extents == placement_.storages[storage].extents)
                owners_[storage] = static_cast<engine::ValueId>(value);
        }
    }

    const LoweredNetwork &network_;
    const std::vector<Shape> &shapes_;
    const Placement &placement_;
    /// For each storage, the tensor that it was made for: the first one that covers the whole storage.
    std::vector<engine::ValueId> owners_;
    std::vector<std::optional<KeptPart>> kept_; ///< by value
};

} // namespace

Json CpuPlan::explain(int threads) const {
    if (threads == 0) threads = ThreadPool::automatic_threads();
    const CpuPlan &plan = variant({.threads = threads});
    const MachineModel machine = machine_model(*network_, threads);
    const std::vector<Shape> shapes = network_->graph.infer_shapes(input_shapes_);
    const auto choices = choices_of(*network_, shapes, plan.options_, plan.steps());
    const std::vector<std::int64_t> flops = flops_by_value(network_->graph, input_shapes_, shapes.size());

    Json steps = Json::array();
    for (std::size_t i = 0; i < plan.steps().size(); ++i) {
        const Step &step = plan.steps()[i];
        const std::optional<ChainChoice> &choice = choices[i];
        std::string chosen, reason;
        std::optional<double> time;
        Json others = Json::array();
        if (choice) {
            chosen = candidate_text(choice->candidate);
            time = choice->candidate.microseconds;
            reason = choice->candidate.together ? chain_reason(step, *choice, machine)
                                                : alone_reason(*network_, *choice);
            for (const ChainCandidate &other : choice->others)
                others.push_back(candidate_json(*network_, other));
        } else {
            chosen = step.task.is<PooledConvolutionTask>() ? "with its pooling" : "alone";
            time = predicted_step(machine, step, plan.storages(), flops_of(step, *network_, flops));
            reason = reason_without_chains(step);
        }
        Json json = Json::object();
        json.set("layers", step.layers);
        json.set("kernel", kind_of(step));
        json.set("choice", std::move(chosen));
        json.set("predicted_us", time_json(time));
        json.set("reason", std::move(reason));
        json.set("alternatives", std::move(others));
        steps.push_back(std::move(json));
    }
    Json explanation = Json::object();
    explanation.set("threads", threads);
    explanation.set("precision", engine::name_of(network_->precision));
    explanation.set("instruction_set", network_->kernels->name);
    explanation.set("l2_bytes", machine.l2_bytes);
    explanation.set("last_level_bytes", machine.last_level_bytes);
    explanation.set("arena_bytes", static_cast<std::int64_t>(plan.arena_bytes()));
    explanation.set("steps", std::move(steps));
    explanation.set("tensors", TensorList(*network_, shapes, plan.placement_, plan.steps(), threads).json());
    return explanation;
}

} // namespace mpscnn::cpu
