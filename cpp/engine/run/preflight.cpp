#include "engine/run/preflight.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include <unistd.h>

#include "core/cache_directory.h"
#include "core/log.h"
#include "core/text.h"
#include "engine/file/model_file.h"
#include "engine/run/network_check.h"
#include "engine/run/network_request.h"
#include "engine/run/replaced_layers.h"
#include "engine/run/staged_graph.h"
#include "engine/trust/check_record.h"
#include "engine/trust/device_trust.h"

namespace mpscnn::engine {

namespace {

constexpr const char *preflight_variable = "MPSCNN_PREFLIGHT";

/// The choices that a preflight makes.
enum class Preflight { off, results, results_and_times };

Preflight preflight_of_environment() {
    const char *value = std::getenv(preflight_variable);
    const std::string_view text = value ? value : "";
    if (text.empty() || text == "on")
        return skips_self_check() ? Preflight::off : Preflight::results_and_times;
    if (text == "results") return skips_self_check() ? Preflight::off : Preflight::results;
    if (text == "off") return Preflight::off;
    fail(ErrorKind::parameter, {preflight_variable, " must be on, results or off, got ", quoted(text)});
}

/// A network with its weights in the system's directory for temporary files. The check program deletes the
/// file as soon as it has opened it, so that none is left if this process is killed.
class NetworkFile {
public:
    /// Throws std::system_error if the file cannot be written.
    explicit NetworkFile(const Graph &graph)
        : path_((std::filesystem::temp_directory_path() / "mpscnn_network_XXXXXX").string()) {
        const int descriptor = mkstemp(path_.data());
        if (descriptor < 0) throw std::system_error(errno, std::generic_category());
        const std::unique_ptr<std::FILE, int (*)(std::FILE *)> file(fdopen(descriptor, "wb"), &std::fclose);
        bool written = file != nullptr;
        ModelFile model;
        model.graph = graph;
        model.write([&](std::string_view piece) {
            written = written && std::fwrite(piece.data(), 1, piece.size(), file.get()) == piece.size();
        });
        if (written && std::fflush(file.get()) == 0) return;
        const int reason = errno;
        std::remove(path_.c_str());
        throw std::system_error(reason, std::generic_category());
    }
    ~NetworkFile() {
        if (!path_.empty()) std::remove(path_.c_str());
    }
    NetworkFile(const NetworkFile &) = delete;
    NetworkFile &operator=(const NetworkFile &) = delete;

    const std::string &path() const { return path_; }
    /// Leave the file to the process that reads it.
    void leave() { path_.clear(); }

private:
    std::string path_;
};

/// Return whether a file can hold a network, and one run tells whether its results are right.
bool can_be_checked(const Graph &graph) { return !has_custom_layers(graph) && !is_in_training(graph); }

/// Return the text that identifies a network on a device: its layers without the values of weights, the
/// shapes of the run, and all options that results or times depend on.
std::string identity_of(const Graph &graph, const std::vector<Shape> &shapes, const NetworkRequest &request) {
    std::string run = to_text(graph.to_json());
    for (const Shape &shape : shapes) run += shape.text();
    NetworkRequest without_file = request;
    without_file.file.clear();
    without_file.cold = false;
    without_file.program = {};
    return concat({"network ", quoted(graph.name()), ", ", request.options.precision, ", ",
                   hashed_name(run + without_file.text())});
}

NetworkRequest request_for(const BackendChoice &choice, const CompileOptions &options) {
    NetworkRequest request{"", options, {}, {}, false};
    request.options.precision = name_of(choice.precision);
    for (const auto &[name, reason] : choice.backend->implementations().refused())
        request.refused.push_back(name);
    return request;
}

/// Compare times, as in "the CPU engine ran it in 2 ms, the device in 5 ms".
std::string text_of(const EngineTimes &times) {
    return concat({"the CPU engine ran an image in ", milliseconds(times.cpu), ", the device in ",
                   milliseconds(times.device),
                   times.cold ? " before its clock had risen; later programs take times that are measured in "
                                "the background"
                              : ""});
}

std::string not_used_text(const BackendChoice &choice, const Graph &graph, const std::string &reason) {
    return concat({"device ", quoted(choice.backend->device_name()), " is not used for network ",
                   quoted(graph.name()), ": ", reason});
}

/// Describe how a check of the network can be repeated or left out.
std::string remedy_text() {
    return concat({". `mpscnn-check` forgets this result, so that it is checked again; ", preflight_variable,
                   "=off uses the device all the same"});
}

BackendChoice cpu_instead(const CompileOptions &options, std::string reason, std::string warning) {
    BackendChoice cpu = choose_backend("cpu", options.precision);
    cpu.reason = std::move(reason);
    cpu.warning = std::move(warning);
    cpu.automatic = true;
    return cpu;
}

Verdict verdict_on(const BackendChoice &choice, const Graph &graph, const std::vector<Shape> &shapes,
                   NetworkRequest request, const CheckProgram &check, const PreflightWriter &write) {
    // The check's process would hide a wrong limit.
    if (choice.backend->name() == std::string_view("coreml")) static_cast<void>(coreml_limit());
    std::optional<NetworkFile> file;
    CheckedNetwork network{graph.name(), identity_of(graph, shapes, request),
                           [&] {
                               if (write) request.program = write(shapes);
                               file.emplace(graph);
                               request.file = file->path();
                               return request.text();
                           },
                           request.cold};
    try {
        return verdict_on_network(*choice.backend, network, check);
    } catch (const std::system_error &error) {
        log(LogLevel::information, concat({"network ", quoted(graph.name()),
                                           " is not checked: its file cannot be written: ", error.what()}));
        return {};
    }
}

/// Return the verdict on a network that is known, or that a process in the background finds in time. Each
/// network is waited for once in this process.
BackgroundResult result_of_preflight(const BackendChoice &choice, const Graph &graph,
                                     const std::vector<Shape> &shapes, const CompileOptions &options,
                                     const CheckProgram &check) {
    static std::mutex &mutex = *new std::mutex;
    // Networks without a verdict on record, which a process in the background may write later.
    static auto &waited = *new std::map<std::string, BackgroundResult>;
    NetworkRequest request = request_for(choice, options);
    const std::string identity = identity_of(graph, shapes, request);
    if (auto known = known_verdict(*choice.backend, identity)) return {std::move(known), ""};
    const std::lock_guard lock(mutex);
    const std::string key = concat({choice.backend->identity(), "\n", identity});
    if (const auto found = waited.find(key); found != waited.end()) return found->second;
    std::optional<NetworkFile> file;
    BackgroundResult result;
    try {
        result = check_in_background(
            *choice.backend, check,
            [&] {
                file.emplace(graph);
                request.file = file->path();
                return request.text();
            },
            concat({"network ", quoted(graph.name()), " on ", choice.backend->device_name()}));
    } catch (const std::system_error &error) {
        result = {std::nullopt, concat({"its file cannot be written: ", error.what()}), false};
    }
    if (result.verdict && !result.verdict->times.cold)
        keep_verdict(*choice.backend, identity, *result.verdict);
    else
        waited.emplace(key, result);
    // The process in the background goes on, and may not have read the file yet.
    if (file && result.begun && !result.verdict) file->leave();
    return result;
}

} // namespace

std::string milliseconds(std::int64_t nanoseconds) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3g ms", static_cast<double>(nanoseconds) / 1e6);
    return text;
}

bool preflight_compares_times() { return preflight_of_environment() == Preflight::results_and_times; }

std::optional<Verdict> verdict_of_preflight(const BackendChoice &choice, const Graph &graph,
                                            const CompileOptions &options, const CheckProgram &check,
                                            const PreflightWriter &write, bool cold) {
    if (preflight_of_environment() == Preflight::off || !can_be_checked(graph)) return std::nullopt;
    const auto shapes = shapes_for_preflight(graph);
    if (!shapes) return std::nullopt;
    NetworkRequest request = request_for(choice, options);
    request.cold = cold;
    return verdict_on(choice, graph, *shapes, std::move(request), check, write);
}

bool preflights_are_on() { return preflight_of_environment() != Preflight::off; }

NetworkChecker requested_network(std::shared_ptr<const Backend> device, const std::string &text,
                                 const CheckProgram &check) {
    const auto request = NetworkRequest::parse(text);
    if (!request) fail(ErrorKind::parameter, "request: a check in the background needs a network");
    const auto graph = std::make_shared<const Graph>(request->take_graph());
    Verdict known;
    for (const std::string &name : request->refused)
        known.implementations.emplace(name, "as the library says");
    return [choice = BackendChoice{trusted(std::move(device), known), request->precision(), ""}, graph,
            options = request->options,
            check](bool cold) { return verdict_of_preflight(choice, *graph, options, check, {}, cold); };
}

BackendChoice after_preflight(BackendChoice choice, const Graph &graph, const CompileOptions &options,
                              const CheckProgram &check) {
    const bool is_checked = preflights_are_on() && can_be_checked(graph);
    const auto shapes = is_checked ? shapes_for_preflight(graph) : std::nullopt;
    if (!shapes)
        return choice.unchecked ? cpu_instead(options, begin_check(*choice.backend), "") : std::move(choice);
    const BackgroundResult result = result_of_preflight(choice, graph, *shapes, options, check);
    const auto &verdict = result.verdict;
    if (!verdict) {
        if (!result.begun && !choice.unchecked) return choice;
        const std::string text = not_used_text(choice, graph, result.why_none);
        return cpu_instead(options, text, result.begun ? "" : text);
    }
    if (!verdict->refused.empty()) {
        const std::string text = not_used_text(choice, graph, verdict->refused) + remedy_text();
        return cpu_instead(options, text, text);
    }
    if (!verdict->times.measured()) {
        if (!choice.unchecked) return choice;
        return cpu_instead(options, not_used_text(choice, graph, full_check_runs), "");
    }
    const std::string times = text_of(verdict->times);
    if (preflight_compares_times() && verdict->times.cpu < verdict->times.device)
        return cpu_instead(options, not_used_text(choice, graph, times), "");
    choice.reason += concat({"; ", times});
    choice.time = verdict->times.device;
    return choice;
}

BackendChoice with_recorded_warning(BackendChoice choice, const Graph &graph, const CompileOptions &options) {
    if (!has_networks_on_record() || preflight_of_environment() == Preflight::off || !can_be_checked(graph))
        return choice;
    const auto shapes = shapes_for_preflight(graph);
    if (!shapes) return choice;
    const std::string identity = identity_of(graph, *shapes, request_for(choice, options));
    const auto verdict = known_verdict(*choice.backend, identity);
    if (!verdict || verdict->refused.empty()) return choice;
    if (!choice.warning.empty()) choice.warning += "; ";
    choice.warning +=
        concat({"network ", quoted(graph.name()), " runs on device ", quoted(choice.backend->device_name()),
                " as asked, but its check there has failed: ", verdict->refused});
    return choice;
}

} // namespace mpscnn::engine
