#include "engine/run/network_check.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <thread>
#include <utility>

#include "core/child_process.h"
#include "core/platform.h"
#include "core/text.h"
#include "engine/backend/written_program.h"
#include "engine/run/preflight.h"
#include "engine/trust/check_process.h"
#include "engine/trust/self_check.h"

namespace mpscnn::engine {

namespace {

/// Each engine runs in this many blocks, and both take turns, so that a busy moment of the machine meets
/// both. The runs of a block are timed until there are this many, or until they take this long.
constexpr int blocks = 4, runs_of_block = 5;
constexpr std::chrono::nanoseconds time_of_block = std::chrono::milliseconds(75);

/// Roundings may add up over the layers of a network to this many times the distance between the CPU engine's
/// results in float16 and in float32.
constexpr float roundings = 4;

/// The inputs of a network: noise in [0, 1], like the pixels of images.
class Images {
public:
    Images(const Graph &graph, const std::vector<Shape> &shapes) {
        for (std::size_t i = 0; i < shapes.size(); ++i) {
            const auto seed = static_cast<std::uint32_t>(i + 1);
            std::vector<float> &values = values_.emplace_back(self_check_noise(shapes[i].elements(), seed));
            for (float &value : values) value = std::fabs(value);
        }
        for (std::size_t i = 0; i < shapes.size(); ++i)
            views_.push_back(TensorView::dense(values_[i].data(), DType::float32, shapes[i]));
        const std::vector<Shape> all = graph.infer_shapes(shapes);
        for (const ValueId output : graph.outputs())
            output_shapes.push_back(all[static_cast<std::size_t>(output)]);
    }

    std::span<const TensorView> views() const { return views_; }
    std::vector<Shape> output_shapes;

private:
    std::vector<std::vector<float>> values_;
    std::vector<TensorView> views_;
};

using Results = std::vector<std::vector<float>>;

/// A network on one backend, with memory for its results.
class Subject {
public:
    Subject(const Graph &graph, std::shared_ptr<const Backend> backend, Precision precision,
            const CompileOptions &options, const Images &images)
        : session_(Program::compile(graph, {std::move(backend), precision, "", ""}, options), {}),
          images_(images) {
        for (const Shape &shape : images.output_shapes)
            // NaN shows elements that the engine does not write.
            results_.emplace_back(static_cast<std::size_t>(shape.elements()), std::nanf(""));
        for (std::size_t i = 0; i < results_.size(); ++i)
            outputs_.push_back(
                TensorView::dense(results_[i].data(), DType::float32, images.output_shapes[i]));
        session_.run(images_.views(), outputs_);
    }

    const Results &results() const { return results_; }

    std::chrono::nanoseconds time_of_run() {
        const auto begin = std::chrono::steady_clock::now();
        session_.run(images_.views(), outputs_);
        return std::chrono::steady_clock::now() - begin;
    }
    /// Run for some time without measuring.
    void warm_up() {
        for (std::chrono::nanoseconds all{0}; all < warm_up_time;) all += time_of_run();
    }
    /// Run a block, and return the shortest time of a run until now.
    std::int64_t best_time() {
        std::chrono::nanoseconds all{0};
        for (int i = 0; i < runs_of_block && all < time_of_block; ++i) {
            const std::chrono::nanoseconds time = time_of_run();
            best_ = std::min(best_, time);
            all += time;
        }
        return std::max<std::int64_t>(best_.count(), 1);
    }

private:
    std::chrono::nanoseconds best_ = std::chrono::nanoseconds::max();
    Session session_;
    const Images &images_;
    Results results_;
    std::vector<TensorView> outputs_;
};

/// True if small differences may change results as a whole: an index of the largest element, or elements at
/// computed positions.
bool has_positions(const Graph &graph) {
    return std::any_of(graph.nodes().begin(), graph.nodes().end(), [](const Node &node) {
        return node.operation.is<ops::Argument>() || node.operation.is<ops::TopK>() ||
               node.operation.is<ops::TakeAlongAxis>();
    });
}

/// The results of the CPU engine: in float32, and in float16 if it supports the network in that.
struct RightResults {
    Results values, halves;

    /// Return how far an output's results in float16 are from those in float32.
    float distance(std::size_t output) const {
        float distance = 0;
        if (halves.empty()) return distance;
        for (std::size_t i = 0; i < values[output].size(); ++i)
            if (const float apart = std::fabs(values[output][i] - halves[output][i]); std::isfinite(apart))
                distance = std::max(distance, apart);
        return distance;
    }
    /// True if an element is a number. Devices promise nothing about NaN and infinities.
    bool is_finite(std::size_t output, std::size_t element, Precision precision) const {
        return std::isfinite(values[output][element]) &&
               (precision != Precision::float16 || halves.empty() || std::isfinite(halves[output][element]));
    }
};

/// Return the difference between an output of the device and the right one, or nothing. The promise of
/// docs/metal.md is about a layer. How far the errors of layers grow within this network is estimated by the
/// roundings of float16.
std::optional<std::string> difference(const std::vector<float> &given, const RightResults &right,
                                      std::size_t output, const Shape &shape, Precision precision,
                                      bool positions) {
    const std::vector<float> &wanted = right.values[output];
    float largest = 0;
    for (const float value : wanted)
        if (std::isfinite(value)) largest = std::max(largest, std::fabs(value));
    const float allowed = self_check_tolerance * largest + roundings * right.distance(output);
    std::size_t wrong = 0, first = 0;
    for (std::size_t i = wanted.size(); i-- > 0;) {
        if (!right.is_finite(output, i, precision)) continue;
        if (std::fabs(given[i] - wanted[i]) <= allowed) continue; // false for NaN
        first = i;
        ++wrong;
    }
    if (wrong == 0 || (positions && 2 * wrong <= wanted.size())) return std::nullopt;
    return concat({"result ", position_text(shape, first), " is ", given[first], ", on the CPU ",
                   wanted[first], " (", wrong, " of ", wanted.size(), " differ)"});
}

/// Return the results of the CPU engine in a precision, or none if it does not support the network in that.
Results results_if_supported(const Graph &graph, const std::shared_ptr<const Backend> &backend,
                             Precision precision, const CompileOptions &options, const Images &images) {
    try {
        return Subject(graph, backend, precision, options, images).results();
    } catch (const Error &error) {
        if (error.kind() != ErrorKind::unsupported) throw;
        return {};
    }
}

/// Reports that the process goes on, while Core ML loads and first runs a network: each is one call, and the
/// compiler of the neural engine may take minutes. The backend itself ends each wait after coreml_limit().
class Heartbeat {
public:
    explicit Heartbeat(CheckReport &report) : thread_([this, &report] { beat(report); }) {}
    ~Heartbeat() {
        {
            const std::lock_guard lock(mutex_);
            ended_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }
    Heartbeat(const Heartbeat &) = delete;
    Heartbeat &operator=(const Heartbeat &) = delete;

private:
    void beat(CheckReport &report) {
        constexpr std::chrono::milliseconds pause(300);
        std::unique_lock lock(mutex_);
        while (!changed_.wait_for(lock, pause, [&] { return ended_; })) report.go_on();
    }
    std::mutex mutex_;
    std::condition_variable changed_;
    bool ended_ = false;
    std::thread thread_; ///< the last member, because it uses the others
};

/// Compares the results of both engines, and measures their times.
class NetworkCheck {
public:
    NetworkCheck(Graph graph, std::vector<Shape> shapes, const NetworkRequest &request, CheckReport &report)
        : graph_(std::move(graph)), shapes_(std::move(shapes)), options_(request.options),
          precision_(request.precision()), cold_(request.cold), images_(graph_, shapes_), report_(report) {}

    CaseResult result(const std::shared_ptr<const Backend> &device,
                      const std::shared_ptr<const Backend> &cpu) {
        Subject on_cpu(graph_, cpu, precision_, options_, images_);
        report_.go_on();
        RightResults right;
        right.values =
            precision_ == Precision::float32 ? on_cpu.results() : on_cpu_in(cpu, Precision::float32);
        right.halves =
            precision_ == Precision::float16 ? on_cpu.results() : on_cpu_in(cpu, Precision::float16);
        if (right.values.empty()) right.values = on_cpu.results();
        report_.go_on();
        std::optional<Heartbeat> heartbeat;
        if (device->name() == std::string_view("coreml")) heartbeat.emplace(report_);
        Subject on_device(graph_, device, precision_, options_, images_);
        heartbeat.reset();
        report_.go_on();
        CaseResult result{CaseResult::End::right};
        for (std::size_t i = 0; i < images_.output_shapes.size(); ++i)
            if (auto wrong = difference(on_device.results()[i], right, i, images_.output_shapes[i],
                                        precision_, has_positions(graph_))) {
                result.end = CaseResult::End::wrong;
                result.reason = concat({"output ", quoted(graph_.value_name(graph_.outputs()[i])), " in ",
                                        name_of(precision_), ": ", *wrong});
                return result;
            }
        result.times = cold_ ? EngineTimes{on_cpu.time_of_run().count(), on_device.time_of_run().count()}
                             : times(on_device, on_cpu);
        return result;
    }

private:
    /// Measure both engines in turns. If the times are close, measure once more.
    EngineTimes times(Subject &on_device, Subject &on_cpu) {
        EngineTimes times;
        for (int attempt = 0; attempt < 2; ++attempt) {
            on_device.warm_up();
            for (int i = 0; i < blocks; ++i) {
                times.device = on_device.best_time();
                times.cpu = on_cpu.best_time();
                report_.go_on();
            }
            if (!times.are_close()) break;
        }
        return times;
    }

    Results on_cpu_in(const std::shared_ptr<const Backend> &cpu, Precision precision) const {
        CompileOptions options = options_;
        options.accumulate_dtype = "auto"; // sums in halves are for float16 only
        return results_if_supported(graph_, cpu, precision, options, images_);
    }

    Graph graph_;
    std::vector<Shape> shapes_;
    CompileOptions options_;
    Precision precision_;
    bool cold_;
    Images images_;
    CheckReport &report_;
};

/// Check a network. An error counts only if a second attempt fails, too, or if the first one took as long as
/// the backend waits for Core ML: a second wait would not end either. A network that the device does not
/// support, or that needs more memory than it may use, has no result: its compilation tells the user why.
CaseResult check_network(NetworkCheck &check, const std::shared_ptr<const Backend> &device,
                         const std::shared_ptr<const Backend> &cpu) {
    const std::chrono::nanoseconds begun = platform::awake_time();
    for (int attempt = 0;; ++attempt) try {
            return check.result(device, cpu);
        } catch (const Error &error) {
            if (error.kind() != ErrorKind::device) return {CaseResult::End::without};
            if (attempt == 0 && platform::awake_time() - begun < coreml_limit()) continue;
            std::string reason = error.what();
            std::replace(reason.begin(), reason.end(), '\n', ' ');
            return {CaseResult::End::wrong, std::move(reason)};
        }
}

} // namespace

void run_requested_network(const std::shared_ptr<const Backend> &subject,
                           const std::shared_ptr<const Backend> &reference, const NetworkRequest &request,
                           const std::function<void(const std::string &line)> &report_line) {
    CheckReport report(report_line);
    report.greet(*subject);
    Graph graph = request.take_graph();
    const auto shapes = shapes_for_preflight(graph);
    if (!shapes) fail(ErrorKind::parameter, "request: the network takes none of the usual sizes of images");
    report.begin(0);
    NetworkCheck check(std::move(graph), *shapes, request, report);
    Implementations::Reasons refused;
    for (const std::string &name : request.refused) refused.emplace(name, "as the library says");
    const auto restricted = subject->with(Implementations(std::move(refused)));
    report.finish(check_network(check, restricted ? restricted : subject, reference));
    report.end();
}

} // namespace mpscnn::engine
