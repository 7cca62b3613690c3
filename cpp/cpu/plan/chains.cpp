#include "cpu/plan/chains.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string_view>
#include <system_error>

#include "cpu/kernels/shared/window_taps.h"
#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

namespace {

/// A cut and a maximum number of stages that MPSCNN_FUSION forces on all chains.
struct ForcedChains {
    ChainCut cut;
    std::int64_t stages = ChainTask::max_stages;
};
struct FusionSetting {
    bool none = false;
    std::optional<ForcedChains> forced;
};

/// Read one setting of MPSCNN_FUSION, such as "rows=4". Return false for any other text.
bool read_part(std::string_view part, ForcedChains &forced) {
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string_view name = part.substr(0, equals), digits = part.substr(equals + 1);
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size() || value < 0) return false;
    if (name == "rows")
        forced.cut.band_rows = value;
    else if (name == "channels")
        forced.cut.panel_channels = value;
    else if (name == "stages" && value >= 2 && value <= ChainTask::max_stages)
        forced.stages = value;
    else
        return false;
    return true;
}

FusionSetting fusion_setting() {
    const char *variable = std::getenv("MPSCNN_FUSION");
    const std::string_view text = variable ? variable : "";
    FusionSetting setting;
    if (text.empty() || text == "auto") return setting;
    if (text == "none") {
        setting.none = true;
        return setting;
    }
    setting.forced.emplace();
    for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find(',', begin), text.size());
        if (!read_part(text.substr(begin, end - begin), *setting.forced))
            fail(ErrorKind::parameter, {"MPSCNN_FUSION: expected \"auto\", \"none\" or sizes like "
                                        "\"rows=4,channels=64,stages=3\" with 2 to ",
                                        ChainTask::max_stages, " stages, got ", quoted(std::string(text))});
        begin = end + 1;
    }
    return setting;
}

/// True if, along this axis, the kernel can read every window in place, whatever rows a band begins with.
bool reads_in_place(const WindowAxis &axis, std::int64_t outputs, std::int64_t extent) {
    if (axis.kernel > 3 || axis.dilation > 1) return false; // such windows have few variants at the borders
    const bool first_has_taps = axis.before < axis.kernel;
    const bool last_has_taps = (outputs - 1) * axis.stride - axis.before < extent;
    return first_has_taps && last_has_taps;
}

bool keeps_size(const WindowAxis &axis) { return axis.kernel == 1 && axis.stride == 1 && axis.before == 0; }

/// True for a dense convolution (one group) that is computed as a matrix product.
bool is_dense_product(const PackedConvolution &packed) {
    return packed.groups == 1 && (packed.algorithm == Algorithm::gemm || packed.algorithm == Algorithm::dot);
}

/// Finds chains of convolutions, which run as one step. It searches runs: sequences in which each convolution
/// is the single consumer of the convolution before it.
class ChainFinder {
public:
    ChainFinder(const LoweredNetwork &network, const std::vector<Shape> &shapes, const ChainOptions &options,
                const FusionSetting &setting)
        : network_(network), shapes_(shapes), machine_(machine_model(network, options.threads)),
          setting_(setting), tasks_(network.operations.size()), reader_(network.operations.size()),
          uses_(static_cast<std::size_t>(network.graph.values()), 0),
          producer_(uses_.size(), network.operations.size()) {
        for (std::size_t i = 0; i < tasks_.size(); ++i)
            if (network.operations[i].operation.is<ops::Convolution>()) {
                tasks_[i] = convolution_task(network.operations[i], shapes);
                // The cost model only tests whether there is a residual, so any address will do.
                if (network.operations[i].residual) tasks_[i]->epilogue.residual = &any_residual_;
            }
        find_readers();
    }

    std::vector<Chain> run() {
        std::vector<bool> follows(tasks_.size(), false);
        for (std::size_t i = 0; i < tasks_.size(); ++i)
            if (reader_[i]) follows[*reader_[i]] = true;
        for (std::size_t i = 0; i < tasks_.size(); ++i)
            if (!follows[i] && reader_[i]) cut_run(i);
        pool_results();
        return std::move(chains_);
    }

    /// Return the cost model's choice for adjacent operations of a run. They are a chain with this cut, or
    /// one operation alone.
    std::optional<ChainChoice> choice_of(const Chain &chosen) const {
        std::vector<std::size_t> run = run_through(chosen.operations.front());
        if (run.size() < 2) return std::nullopt;
        const auto first = std::find(run.begin(), run.end(), chosen.operations.front());
        const auto begin = static_cast<std::size_t>(first - run.begin());
        std::vector<ConvolutionTask> stages;
        for (std::size_t operation : run) stages.push_back(*tasks_[operation]);
        return make_choice(run, stages, begin, begin + chosen.operations.size(), chosen.cut);
    }

private:
    /// Return the longest run that contains the operation. In a run, each operation is the single consumer of
    /// the one before it.
    std::vector<std::size_t> run_through(std::size_t operation) const {
        const auto before = [&](std::size_t reader) -> std::optional<std::size_t> {
            for (std::size_t i = 0; i < reader_.size(); ++i)
                if (reader_[i] == reader) return i;
            return std::nullopt;
        };
        std::vector<std::size_t> run{operation};
        while (const auto earlier = before(run.front())) run.insert(run.begin(), *earlier);
        while (reader_[run.back()]) run.push_back(*reader_[run.back()]);
        return run;
    }

    bool may_begin(std::size_t i) const {
        const FusedOperation &operation = network_.operations[i];
        if (!tasks_[i] || operation.broadcast || operation.gate || operation.half_sums ||
            !operation.variables.empty())
            return false;
        const ConvolutionTask &task = *tasks_[i];
        const PackedConvolution &packed = *task.packed;
        if ((packed.element == Element::bfloat16) != is_bfloat16()) return false;
        if (packed.is_depthwise()) return packed.outputs == packed.groups;
        return is_dense_product(packed) &&
               reads_in_place(task.vertical, task.destination.height, task.source.height) &&
               reads_in_place(task.horizontal, task.destination.width, task.source.width);
    }
    /// True if the tensors between the stages of a chain are bfloat16.
    bool is_bfloat16() const { return network_.precision == engine::Precision::bfloat16; }
    bool may_follow(std::size_t i) const {
        return may_begin(i) && (tasks_[i]->packed->is_depthwise() ||
                                (keeps_size(tasks_[i]->vertical) && keeps_size(tasks_[i]->horizontal)));
    }

    void find_readers() {
        const auto use = [&](engine::ValueId value) { ++uses_[index(value)]; };
        for (std::size_t i = 0; i < tasks_.size(); ++i) {
            const FusedOperation &operation = network_.operations[i];
            for (engine::ValueId value : operation.inputs) use(value);
            if (operation.residual) use(*operation.residual);
            if (operation.broadcast) use(operation.broadcast->value);
            if (operation.gate) use(*operation.gate);
            for (const auto &variable : operation.variables) use(variable.second);
            producer_[index(operation.result)] = i;
        }
        for (engine::ValueId value : network_.graph.outputs()) use(value);
        for (std::size_t i = 0; i < tasks_.size(); ++i) {
            if (!may_follow(i)) continue;
            const std::size_t input = index(network_.operations[i].inputs[0]);
            if (uses_[input] == 1 && producer_[input] < tasks_.size() && may_begin(producer_[input]))
                reader_[producer_[input]] = i;
        }
    }

    /// The fastest division into steps for the first operations of a run. The last step begins with operation
    /// `begin` and has the cut `cut`. `time` is the predicted time of all these steps.
    struct Prefix {
        double time;
        std::size_t begin;
        ChainCut cut;
    };

    void cut_run(std::size_t first) {
        std::vector<std::size_t> run{first};
        while (reader_[run.back()]) run.push_back(*reader_[run.back()]);
        std::vector<ConvolutionTask> stages;
        for (std::size_t operation : run) stages.push_back(*tasks_[operation]);
        std::vector<Prefix> prefixes{{0, 0, {}}};
        for (std::size_t end = 1; end <= run.size(); ++end)
            prefixes.push_back(best_prefix(prefixes, stages, end));
        for (std::size_t end = run.size(); end > 0; end = prefixes[end].begin) {
            const std::size_t begin = prefixes[end].begin;
            if (end - begin > 1)
                chains_.push_back({{run.begin() + static_cast<std::ptrdiff_t>(begin),
                                    run.begin() + static_cast<std::ptrdiff_t>(end)},
                                   prefixes[end].cut});
        }
    }

    ChainCandidate alone(std::span<const std::size_t> run, std::span<const ConvolutionTask> stages) const {
        ChainCandidate candidate;
        candidate.operations.assign(run.begin(), run.end());
        for (const ConvolutionTask &stage : stages)
            candidate.microseconds += predicted_alone(machine_, stage);
        return candidate;
    }

    /// Return the cost model's choice for the operations [begin, end) of a run. A single operation is
    /// compared with chains of two that contain it.
    ChainChoice make_choice(std::span<const std::size_t> run, std::span<const ConvolutionTask> stages,
                            std::size_t begin, std::size_t end, const ChainCut &cut) const {
        const std::size_t length = end - begin;
        const auto own = stages.subspan(begin, length);
        ChainChoice choice{alone(run.subspan(begin, length), own), {}};
        if (length > 1) {
            choice.others.push_back(choice.candidate);
            choice.candidate.together = true;
            choice.candidate.cut = cut;
            choice.candidate.microseconds = predicted_chain(machine_, own, cut);
            for (const ChainPrediction &other : best_chains(machine_, own))
                if (!(other.cut == cut))
                    choice.others.push_back({choice.candidate.operations, true, other.cut, other.time});
        } else {
            for (const std::size_t first : {begin, begin - 1}) {
                if (first >= run.size() || first + 2 > run.size()) continue;
                const ChainPrediction chain = best_chain(machine_, stages.subspan(first, 2));
                if (!std::isfinite(chain.time)) continue;
                const auto both = run.subspan(first, 2);
                choice.others.push_back({{both.begin(), both.end()}, true, chain.cut, chain.time});
                choice.others.push_back(alone(both, stages.subspan(first, 2)));
            }
        }
        return choice;
    }

    Prefix best_prefix(const std::vector<Prefix> &prefixes, std::span<const ConvolutionTask> stages,
                       std::size_t end) const {
        const std::size_t maximum = setting_.forced ? static_cast<std::size_t>(setting_.forced->stages) : 5;
        Prefix best{prefixes[end - 1].time + predicted_alone(machine_, stages[end - 1]), end - 1, {}};
        for (std::size_t length = 2; length <= std::min(maximum, end); ++length) {
            const std::size_t begin = end - length;
            const auto own = stages.subspan(begin, length);
            if (setting_.forced) { // With forced chains, prefer the fewest chains.
                if (prefixes[begin].time < best.time || length > end - best.begin)
                    best = {prefixes[begin].time, begin, setting_.forced->cut};
                continue;
            }
            const ChainPrediction chain = best_chain(machine_, own);
            if (prefixes[begin].time + chain.time < best.time)
                best = {prefixes[begin].time + chain.time, begin, chain.cut};
        }
        return best;
    }

    /// Return the dense convolution whose single consumer is the pooling `i`, if pooling its result in the
    /// same step is faster.
    std::optional<std::size_t> pooled_convolution(std::size_t i) const {
        const FusedOperation &pooling = network_.operations[i];
        if (!pooling.operation.is<ops::Pooling>()) return std::nullopt;
        const std::size_t input = index(pooling.inputs[0]);
        const std::size_t convolution = producer_[input];
        if (uses_[input] != 1 || convolution == tasks_.size() || !tasks_[convolution]) return std::nullopt;
        const PackedConvolution &packed = *tasks_[convolution]->packed;
        const FusedOperation &operation = network_.operations[convolution];
        if (!is_dense_product(packed) || operation.residual || operation.broadcast || operation.gate)
            return std::nullopt;
        // With several images, the bands at the images' borders are less efficient. With one image and one
        // thread, a small result stays in L2 anyway, so computing both together gains nothing.
        const View &result = tasks_[convolution]->destination;
        const std::int64_t bytes = result.height * result.width * result.channels * 4;
        const bool gains = result.batch == 1 && (machine_.threads > 1 || bytes > machine_.l2_bytes);
        return gains || setting_.forced ? std::optional(convolution) : std::nullopt;
    }

    /// Find poolings whose windows share no rows. One step computes such a pooling and the convolution before
    /// it, unless the convolution is in a chain.
    void pool_results() {
        if (is_bfloat16()) return; // the convolution's result would have to be rounded first
        std::vector<bool> in_chain(tasks_.size(), false);
        for (const Chain &chain : chains_)
            for (std::size_t operation : chain.operations) in_chain[operation] = true;
        for (std::size_t i = 0; i < tasks_.size(); ++i) {
            const auto convolution = pooled_convolution(i);
            if (!convolution || in_chain[*convolution]) continue;
            if (!network_.operations[*convolution].variables.empty()) continue;
            if (network_.operations[*convolution].half_sums) continue;
            const FusedOperation &operation = network_.operations[i];
            const auto &pooling = operation.operation.as<ops::Pooling>();
            const WindowAxis rows = pooling_task(pooling, shapes_[index(operation.inputs[0])]).vertical;
            const std::int64_t reach = window_span(rows),
                               outputs = extents_of(shapes_[index(operation.result)]).height;
            const bool apart = reach <= rows.stride || outputs == 1;
            const bool each_has_rows = rows.before < reach && (outputs - 1) * rows.stride - rows.before <
                                                                  tasks_[*convolution]->destination.height;
            if (apart && each_has_rows) chains_.push_back({{*convolution, i}, {}});
        }
    }

    static std::size_t index(engine::ValueId value) { return static_cast<std::size_t>(value); }

    const LoweredNetwork &network_;
    const std::vector<Shape> &shapes_;
    const ConstView any_residual_;
    const MachineModel machine_;
    const FusionSetting &setting_;
    std::vector<std::optional<ConvolutionTask>> tasks_;
    /// The single consumer of each operation, if a chain may contain both.
    std::vector<std::optional<std::size_t>> reader_;
    std::vector<int> uses_; ///< for each value: the number of its consumers
    /// For each value: the operation that computes it; the number of operations if none does.
    std::vector<std::size_t> producer_;
    std::vector<Chain> chains_;
};

} // namespace

MachineModel machine_model(const LoweredNetwork &network, int threads) {
    const bool narrow = network.precision == engine::Precision::bfloat16;
    return machine_model(*network.kernels, threads, narrow ? Element::bfloat16 : Element::float32);
}

std::vector<Chain> find_chains(const LoweredNetwork &network, const std::vector<Shape> &shapes,
                               const ChainOptions &options) {
    const FusionSetting setting = fusion_setting();
    if (!options.enabled || setting.none || network.precision == engine::Precision::int8) return {};
    return ChainFinder(network, shapes, options, setting).run();
}

std::vector<std::optional<ChainChoice>> compare_choices(const LoweredNetwork &network,
                                                        const std::vector<Shape> &shapes,
                                                        const ChainOptions &options,
                                                        std::span<const Chain> chosen) {
    if (chosen.empty()) return {};
    const FusionSetting setting;
    const ChainFinder finder(network, shapes, options, setting);
    std::vector<std::optional<ChainChoice>> choices;
    for (const Chain &chain : chosen) choices.push_back(finder.choice_of(chain));
    return choices;
}

} // namespace mpscnn::cpu
