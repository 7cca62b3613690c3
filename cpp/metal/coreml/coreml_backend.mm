#include "metal/coreml/coreml_backend.h"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <optional>

#include "core/log.h"
#include "core/platform.h"
#include "core/text.h"
#include "metal/coreml/model.h"
#include "metal/coreml/patience.h"
#include "ops/op_list.h"

namespace mpscnn::coreml {

namespace {

using engine::Precision;
using engine::TensorView;

/// A name of compute units. The numbers are used, because headers before those of macOS 13 lack the last one.
struct Units {
    const char *name;
    int number;
};
constexpr std::array<Units, 4> all_units{
    {{"all", 2}, {"cpuAndNeuralEngine", 3}, {"cpuAndGPU", 1}, {"cpuOnly", 0}}};
constexpr int neural_engine = 3;

Units units_named(const std::string &name) {
    if (name.empty()) return all_units[0];
    std::string known;
    for (const Units &units : all_units) {
        if (name == units.name) return units;
        known += concat({known.empty() ? "" : ", ", units.name});
    }
    fail(ErrorKind::parameter,
         {"device coreml: compute units must be one of ", known, ", got ", quoted(name)});
}

/// Return the fork generation of the process in which Core ML was first used.
unsigned first_process() {
    static const unsigned generation = platform::fork_generation();
    return generation;
}

std::string why_not_here() {
    if (platform::fork_generation() != first_process())
        return "this process was forked from one that used Core ML, which does not pass to children; start "
               "processes with multiprocessing's method 'spawn', or use Core ML in the child only";
    if (@available(macOS 12.0, iOS 15.0, *)) return "";
    return "Core ML runs programs from macOS 12 and iOS 15 on";
}

void require_usable() {
    if (const std::string reason = why_not_here(); !reason.empty()) fail(ErrorKind::device, reason);
}

void require_units(const Units &units) {
    if (units.number != neural_engine) return;
    if (@available(macOS 13.0, iOS 16.0, *)) return;
    fail(ErrorKind::device, "Core ML has the compute units cpuAndNeuralEngine from macOS 13 and iOS 16 on");
}

class CoremlPlan : public engine::Plan {
public:
    explicit CoremlPlan(std::shared_ptr<Model> model) : model_(std::move(model)) {}
    /// Core ML has no call that returns the memory it allocates.
    std::size_t arena_bytes() const override { return 0; }
    Model &model() const { return *model_; }

private:
    std::shared_ptr<Model> model_;
};

class CoremlExecutor : public engine::Executor {
public:
    void prepare(const engine::Plan &) override {}
    void run(const engine::Plan &plan, std::span<const TensorView> inputs,
             std::span<const TensorView> outputs) override {
        require_usable();
        static_cast<const CoremlPlan &>(plan).model().predict(inputs, outputs);
    }
    engine::ExecutionProfile profile(const engine::Plan &, std::span<const TensorView>,
                                     std::span<const TensorView>, int) override {
        fail(ErrorKind::unsupported, "profile on device 'coreml': Core ML does not report the time of each "
                                     "layer; Xcode shows a performance report of a model package");
    }
};

/// A network, and its model for each size of its inputs.
class CoremlNetwork : public engine::LoweredGraph {
public:
    CoremlNetwork(const engine::Graph &graph, Precision precision, Units units, engine::ProgramWriter writer)
        : graph_(graph), precision_(precision), units_(units), writer_(std::move(writer)) {
        std::vector<Shape> shapes;
        for (const engine::Input &input : graph.inputs()) shapes.push_back(input.shape.with_batch(1));
        if (!std::all_of(shapes.begin(), shapes.end(), [](const Shape &shape) { return shape.fixed(); }))
            return;
        only_ = load(shapes);
        graph_.reset(); // the weights are in the program
    }

    std::unique_ptr<engine::Plan> plan(const std::vector<Shape> &input_shapes) const override {
        return std::make_unique<CoremlPlan>(only_ ? only_ : model_for(input_shapes));
    }
    std::unique_ptr<engine::Executor> executor(const engine::SessionOptions &) const override {
        return std::make_unique<CoremlExecutor>();
    }
    std::size_t weight_bytes() const override {
        const std::lock_guard lock(mutex_);
        return static_cast<std::size_t>(weight_bytes_);
    }

private:
    std::shared_ptr<Model> model_for(const std::vector<Shape> &input_shapes) const {
        std::vector<Shape> shapes;
        for (const Shape &shape : input_shapes) shapes.push_back(shape.with_batch(1));
        {
            const std::lock_guard lock(mutex_);
            if (auto known = models_[shapes].lock()) return known;
        }
        std::shared_ptr<Model> model = load(shapes);
        const std::lock_guard lock(mutex_);
        std::erase_if(models_, [](const auto &entry) { return entry.second.expired(); });
        models_[shapes] = model;
        return model;
    }

    /// Load the program that the writer has for these shapes. If Core ML does not load it, it may be damaged,
    /// so it is written once more.
    std::shared_ptr<Model> load(const std::vector<Shape> &shapes) const {
        require_usable();
        engine::WriteRequest request{*graph_, shapes, precision_};
        for (;;) {
            engine::WrittenProgram written = writer_(request);
            try {
                auto model = Model::load(std::move(written), static_cast<MLComputeUnits>(units_.number));
                const std::lock_guard lock(mutex_);
                weight_bytes_ = std::max(weight_bytes_, model->weight_bytes());
                return model;
            } catch (const PatienceEnded &) {
                throw;
            } catch (const Error &error) {
                if (request.again || error.kind() != ErrorKind::device) throw;
                log(LogLevel::information, concat({error.what(), "; it is written again"}));
                request.again = true;
            }
        }
    }

    std::optional<engine::Graph> graph_;
    Precision precision_;
    Units units_;
    engine::ProgramWriter writer_;
    std::shared_ptr<Model> only_; ///< the model of a network that takes one size
    mutable std::mutex mutex_;
    mutable std::uint64_t weight_bytes_ = 0;
    /// Models of other networks. Plans keep them.
    mutable std::map<std::vector<Shape>, std::weak_ptr<Model>> models_;
};

constexpr const char *in_training = ": networks in training run on the devices 'cpu' and 'metal'";

void require_inference(const engine::Graph &graph) {
    for (const engine::Input &input : graph.inputs())
        if (input.is_variable)
            fail(ErrorKind::unsupported, {"input ", quoted(input.name), " on device 'coreml'", in_training});
    for (const engine::Node &node : graph.nodes())
        if (ops::info_of(node.operation).for_training)
            fail(ErrorKind::unsupported,
                 {"layer ", quoted(node.name), " (", ops::info_of(node.operation).name,
                  ") on device 'coreml'", in_training});
}

class CoremlBackend : public engine::Backend {
public:
    CoremlBackend(Units units, engine::ProgramWriter writer) : units_(units), writer_(std::move(writer)) {}

    const char *name() const override { return "coreml"; }
    std::string device_name() const override {
        return concat({"Core ML on ", platform::processor_name(), ", compute units ", units_.name});
    }
    std::string identity() const override { return concat({device_name(), ", ", platform::system_build()}); }
    std::unique_ptr<engine::LoweredGraph> lower(const engine::Graph &graph,
                                                const engine::LowerOptions &options) const override {
        require_inference(graph);
        if (units_.number == neural_engine && options.precision != Precision::float16)
            fail(ErrorKind::unsupported, {"network ", quoted(graph.name()),
                                          " on device 'coreml': the neural engine computes in "
                                          "float16: give precision 'float16'"});
        return std::make_unique<CoremlNetwork>(graph, options.precision, units_, writer_);
    }

private:
    Units units_;
    engine::ProgramWriter writer_;
};

} // namespace

std::shared_ptr<const engine::Backend> make_coreml_backend(const std::string &units,
                                                           engine::ProgramWriter writer) {
    const Units chosen = units_named(units);
    require_usable();
    require_units(chosen);
    return std::make_shared<CoremlBackend>(chosen, std::move(writer));
}

engine::DeviceDescription describe_device() {
    engine::DeviceDescription described{"coreml", "", why_not_here()};
    if (!described.reason.empty()) return described;
    described.description = concat({"Core ML on ", platform::processor_name()});
    Json names = Json::array();
    for (const Units &units : all_units) names.push_back(units.name);
    described.properties.set("compute_units", std::move(names));
    return described;
}

std::string compile(const std::string &package) {
    require_usable();
    return compile_package(package);
}

} // namespace mpscnn::coreml
