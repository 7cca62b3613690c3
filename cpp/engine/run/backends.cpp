#include "engine/run/backends.h"

#include <array>
#include <atomic>
#include <cstdlib>
#include <optional>

#include "core/text.h"
#include "cpu/runtime/cpu_backend.h"
#include "engine/trust/background_check.h"
#include "engine/trust/device_trust.h"
#if defined(MPSCNN_WITH_METAL)
#include "engine/run/coreml_writer.h"
#include "engine/run/network_check.h"
#include "engine/run/preflight.h"
#include "metal/coreml/coreml_backend.h"
#include "metal/run/metal_backend.h"
#endif

namespace mpscnn::engine {

namespace {

/// A backend, the reason why it was chosen, and a warning for users.
struct FoundBackend {
    std::shared_ptr<const Backend> backend;
    std::string reason, warning = {};
    bool unchecked = false;
};

#if defined(MPSCNN_WITH_METAL)
/// Return "metal", or "metal:" and the wanted device's name.
std::string name_of_metal(const std::string &wanted) { return wanted.empty() ? "metal" : "metal:" + wanted; }

FoundBackend without_refused(std::shared_ptr<const Backend> backend, const Verdict &verdict,
                             std::string reason) {
    const std::string replaced = replacement_text(*backend, verdict);
    const char *separator = "; without ";
    for (const auto &[name, why] : verdict.implementations) {
        reason += separator + name;
        separator = ", ";
    }
    return {trusted(std::move(backend), verdict), std::move(reason), replaced};
}

FoundBackend make_metal_backend(const std::string &wanted, const std::string &reason) {
    auto backend = metal::make_metal_backend(wanted);
    const Verdict verdict = verdict_when_asked(*backend, *cpu::make_cpu_backend(),
                                               installed_check_program(name_of_metal(wanted)));
    return without_refused(std::move(backend), verdict, reason);
}
/// Return the verdict on a device for "auto", or nothing before its check has ended. Without preflights,
/// nothing else shows that the device is right, so this waits for the check.
std::optional<Verdict> verdict_for(const Backend &backend) {
    if (preflights_are_on()) return verdict_so_far(backend);
    return verdict_for_auto(backend, installed_check_program("metal"));
}
FoundBackend make_automatic_backend() {
    auto backend = metal::make_metal_backend("");
    const std::optional<Verdict> known = verdict_for(*backend);
    if (!known)
        return {std::move(backend),
                "a Metal device, whose answers were checked for this network only, since "
                "its full check has not ended",
                "", true};
    const Verdict &verdict = *known;
    if (!verdict.refused.empty()) {
        const std::string why_not = refusal_text(*backend, verdict);
        return {cpu::make_cpu_backend(), why_not, verdict.tells ? why_not : ""};
    }
    return without_refused(std::move(backend), verdict,
                           skips_self_check() ? "a Metal device, whose answers were not checked, as "
                                                "MPSCNN_SKIP_SELF_CHECK says"
                                              : "a Metal device, whose answers were checked");
}
std::string check_metal_device(const std::string &wanted) {
    const auto backend = metal::make_metal_backend(wanted);
    const Verdict verdict =
        check_again(*backend, *cpu::make_cpu_backend(), installed_check_program(name_of_metal(wanted)));
    return verdict_text(*backend, verdict);
}
void check_metal_cases(const std::string &wanted, const std::string &request,
                       const std::function<void(const std::string &line)> &report) {
    const std::shared_ptr<const Backend> device = metal::make_metal_backend(wanted);
    const std::shared_ptr<const Backend> cpu = cpu::make_cpu_backend();
    if (const auto rest = background_request(request)) {
        const CheckProgram program = installed_check_program(name_of_metal(wanted));
        run_in_background(
            *device, program, *rest,
            [&](const std::string &network) { return requested_network(device, network, program); }, report);
    } else if (const auto network = NetworkRequest::parse(request))
        run_requested_network(device, cpu, *network, report);
    else
        run_requested_cases(*device, *cpu, request, report);
}
FoundBackend make_native_backend(void *device, void *queue, const std::string &reason) {
    auto backend = metal::make_native_backend(device, queue);
    // The check does not use the caller's queue, which may wait for work that is not committed yet.
    const auto asked = metal::make_native_backend(device ? device : metal::device_of(queue), nullptr);
    const Verdict verdict = verdict_when_asked(*asked, *cpu::make_cpu_backend(),
                                               installed_check_program(name_of_metal(asked->device_name())));
    return without_refused(std::move(backend), verdict, reason);
}
FoundBackend make_coreml_backend(const std::string &units, const std::string &reason) {
    return {coreml::make_coreml_backend(units, coreml_writer()), reason};
}
std::string compile_package(const std::string &package) { return coreml::compile(package); }
/// Run a network on Core ML and on the CPU engine. The library that asks for this has written the program.
void check_coreml_network(const std::string &units, const std::string &request,
                          const std::function<void(const std::string &line)> &report) {
    const auto network = NetworkRequest::parse(request);
    if (!network || !network->program)
        fail(ErrorKind::parameter, "request: Core ML needs a network and its program");
    const auto device = coreml::make_coreml_backend(
        units, [program = *network->program](const WriteRequest &) { return program; });
    run_requested_network(device, cpu::make_cpu_backend(), *network, report);
}
std::vector<DeviceDescription> list_apple_devices() {
    std::vector<DeviceDescription> devices = metal::list_devices();
    devices.push_back(coreml::describe_device());
    return devices;
}
#else
#if defined(__APPLE__)
constexpr const char *why_not_metal = "this build of mpscnn has no Metal engine",
                     *why_not_coreml = "this build of mpscnn has no Metal engine, and so no Core ML";
#else
constexpr const char *why_not_metal = "no Metal device on this machine (Linux)",
                     *why_not_coreml = "Core ML is a part of macOS, and this machine runs Linux";
#endif
FoundBackend make_metal_backend(const std::string &, const std::string &) {
    fail(ErrorKind::device, why_not_metal);
}
FoundBackend make_automatic_backend() { fail(ErrorKind::device, why_not_metal); }
std::string check_metal_device(const std::string &) { fail(ErrorKind::device, why_not_metal); }
void check_metal_cases(const std::string &, const std::string &,
                       const std::function<void(const std::string &)> &) {
    fail(ErrorKind::device, why_not_metal);
}
FoundBackend make_native_backend(void *, void *, const std::string &) {
    fail(ErrorKind::unsupported, "Metal devices of the caller's: this build of mpscnn has no Metal engine");
}
FoundBackend make_coreml_backend(const std::string &, const std::string &) {
    fail(ErrorKind::device, why_not_coreml);
}
std::string compile_package(const std::string &) { fail(ErrorKind::device, why_not_coreml); }
void check_coreml_network(const std::string &, const std::string &,
                          const std::function<void(const std::string &)> &) {
    fail(ErrorKind::device, why_not_coreml);
}
std::vector<DeviceDescription> list_apple_devices() {
    return {{"metal", "", why_not_metal}, {"coreml", "", why_not_coreml}};
}
#endif

/// A device name in two parts: "metal:Apple M2" is the device "Apple M2" of backend "metal".
struct DeviceName {
    std::string backend, wanted;

    explicit DeviceName(const std::string &text)
        : backend(text.substr(0, text.find(':'))),
          wanted(backend.size() == text.size() ? "" : text.substr(backend.size() + 1)) {}
};

/// The precision that "auto" picks for a device. It is never less accurate than the precision of the network.
struct AutomaticPrecision {
    const char *device;
    Precision precision;
};
constexpr std::array<AutomaticPrecision, 3> automatic{
    {{"cpu", Precision::float32}, {"metal", Precision::float32}, {"coreml", Precision::float32}}};

Precision precision_for(const std::string &device, const std::string &wanted) {
    if (wanted == "auto")
        for (const auto &entry : automatic)
            if (device == entry.device) return entry.precision;
    for (Precision precision : all_precisions)
        if (wanted == name_of(precision)) return precision;
    fail(ErrorKind::parameter,
         {"precision must be auto, float32, float16, bfloat16 or int8, got ", quoted(wanted)});
}

BackendChoice choice_of(FoundBackend found, const std::string &precision) {
    const Precision chosen = precision_for(found.backend->name(), precision);
    if (precision == "auto") found.reason += concat({"; ", name_of(chosen), " lowers no accuracy"});
    BackendChoice choice{std::move(found.backend), chosen, std::move(found.reason), std::move(found.warning)};
    choice.unchecked = found.unchecked;
    return choice;
}

/// Split a device name into its parts. Throws ParameterError for invalid names, whichever devices this
/// machine has.
DeviceName require_device_name(const std::string &device) {
    DeviceName name(device);
    if ((device != "cpu" && name.backend != "metal" && name.backend != "coreml") || device.ends_with(':'))
        fail(ErrorKind::parameter,
             {"device must be auto, cpu, metal, metal: with a device's name or registry id "
              "behind it, coreml, or coreml: with compute units behind it, got ",
              quoted(device)});
    return name;
}

FoundBackend automatic_backend(Use use) {
    try {
        FoundBackend found = make_automatic_backend();
        if (!found.unchecked || use == Use::network) return found;
        return {cpu::make_cpu_backend(), begin_check(*found.backend), ""};
    } catch (const Error &error) {
        if (error.kind() != ErrorKind::device) throw;
        return {cpu::make_cpu_backend(), error.what(), ""};
    }
}

FoundBackend open_apple_backend(const DeviceName &device, const std::string &reason) {
    return device.backend == "coreml" ? make_coreml_backend(device.wanted, reason)
                                      : make_metal_backend(device.wanted, reason);
}

FoundBackend make_backend(const DeviceName &device, const std::string &reason) {
    if (device.backend == "cpu") return {cpu::make_cpu_backend(), reason};
    try {
        return open_apple_backend(device, reason);
    } catch (const Error &error) {
        fail(error.kind(), {error.what(), ". Use device='cpu' or device='auto'."});
    }
}

} // namespace

std::vector<std::string> built_backends() {
#if defined(MPSCNN_WITH_METAL)
    return {"cpu", "metal", "coreml"};
#else
    return {"cpu"};
#endif
}

namespace {

DeviceDescription describe_cpu() {
    try {
        const auto cpu = cpu::make_cpu_backend();
        return {"cpu", cpu->device_name(), "", cpu->why_no_bfloat16(), cpu->bfloat16_sums()};
    } catch (const Error &error) {
        if (error.kind() != ErrorKind::device) throw;
        return {"cpu", "", error.what()};
    }
}

} // namespace

std::vector<DeviceDescription> list_devices() {
    std::vector<DeviceDescription> devices{describe_cpu()};
    for (DeviceDescription &device : list_apple_devices()) {
        device.no_bfloat16 = Backend::no_bfloat16;
        devices.push_back(std::move(device));
    }
    return devices;
}

std::string begin_check(const Backend &device) {
    static std::atomic_flag begun;
    std::string why = full_check_runs;
    if (!begun.test_and_set()) {
        const auto program = installed_check_program(device.name());
        why = check_in_background(device, program, {}, device.device_name()).why_none;
    }
    return concat({"device ", quoted(device.device_name()), " is not used yet: ", why});
}

BackendChoice choose_backend(const std::string &asked, const std::string &precision, Use use) {
    const char *instead = asked == "auto" ? std::getenv("MPSCNN_DEVICE") : nullptr;
    const std::string device = instead && *instead ? instead : asked;
    if (device == "auto") {
        BackendChoice choice = choice_of(automatic_backend(use), precision);
        choice.automatic = true;
        return choice;
    }
    const DeviceName name = require_device_name(device);
    precision_for(name.backend, precision); // throws for a wrong precision before any device is looked for
    return choice_of(make_backend(name, device == asked ? "as asked" : "as MPSCNN_DEVICE says"), precision);
}

BackendChoice choose_apple_backend(const std::string &device, const std::string &precision) {
    return choice_of(open_apple_backend(require_device_name(device), "chosen by auto"), precision);
}

BackendChoice choose_native_backend(void *device, void *queue, const std::string &precision) {
    precision_for("metal", precision); // throws for a wrong precision before the device is opened
    return choice_of(make_native_backend(device, queue, "the Metal device that was given"), precision);
}

namespace {

/// Return the device's part of a name such as "metal:Apple M2". Throws ParameterError for "auto" and "cpu",
/// which are not checked.
std::string checked_device(const std::string &device) {
    if (device == "auto")
        fail(ErrorKind::parameter,
             "device must be metal, or metal: with a device's name, to be checked; got 'auto'");
    const DeviceName name = require_device_name(device);
    if (name.backend == "cpu")
        fail(ErrorKind::parameter,
             "device 'cpu' is what others are compared with; `mpscnn verify --device cpu` compares its "
             "instruction sets");
    if (name.backend == "coreml")
        fail(ErrorKind::parameter,
             "device 'coreml' has no check; `mpscnn compare MODEL MODEL@coreml` compares the "
             "layers of a network with the CPU engine's");
    return name.wanted;
}

} // namespace

std::string check_device(const std::string &device) { return check_metal_device(checked_device(device)); }

std::string compile_coreml_package(const std::string &package) { return compile_package(package); }

void check_cases(const std::string &device, const std::string &request,
                 const std::function<void(const std::string &line)> &report) {
    // The library ends a process that writes nothing for too long, and takes that as the result. So this
    // process waits without a limit of its own.
    setenv("MPSCNN_GPU_SECONDS", "0", 1);
    const DeviceName name = require_device_name(device);
    if (name.backend == "coreml") return check_coreml_network(name.wanted, request, report);
    check_metal_cases(checked_device(device), request, report);
}

} // namespace mpscnn::engine
