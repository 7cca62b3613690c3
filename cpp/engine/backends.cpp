#include <array>

#include "cpu/cpu_backend.h"
#include "engine/backend.h"
#if defined(MPSCNN_WITH_METAL)
#include "metal/metal_backend.h"
#endif

namespace mpscnn::engine {

namespace {

#if defined(MPSCNN_WITH_METAL)
std::shared_ptr<const Backend> make_metal_backend() { return metal::make_metal_backend(); }
constexpr const char *why_not_metal = "Metal runs when asked for (device='metal'), since it lacks operations";
#else
#if defined(__APPLE__)
constexpr const char *why_not_metal = "this build of mpscnn has no Metal engine";
#else
constexpr const char *why_not_metal = "no Metal device on this machine (Linux)";
#endif
std::shared_ptr<const Backend> make_metal_backend() { fail(ErrorKind::device, why_not_metal); }
#endif

/// What "auto" picks for a device. Never less accurate than what the network was given as.
struct AutomaticPrecision {
    const char *device;
    Precision precision;
};
constexpr std::array<AutomaticPrecision, 2> automatic{
    {{"cpu", Precision::float32}, {"metal", Precision::float32}}};

Precision precision_for(const std::string &device, const std::string &wanted) {
    if (wanted == "auto")
        for (const auto &entry : automatic)
            if (device == entry.device) return entry.precision;
    for (Precision precision : {Precision::float32, Precision::float16})
        if (wanted == name_of(precision)) return precision;
    fail(ErrorKind::parameter, "precision must be auto, float32 or float16, got " + quoted(wanted));
}

std::shared_ptr<const Backend> make_backend(const std::string &device) {
    if (device == "cpu") return cpu::make_cpu_backend();
    try {
        return make_metal_backend();
    } catch (const Error &error) {
        fail(error.kind(), std::string(error.what()) + ". Use device='cpu' or device='auto'.");
    }
}

} // namespace

const char *name_of(Precision precision) { return precision == Precision::float32 ? "float32" : "float16"; }

void Backend::convolve(const ops::SignalConvolution &, const TensorView &, const TensorView &,
                       const TensorView &) const {
    fail(ErrorKind::unsupported, "signal_convolution: not done by " + quoted(name()) + "; use the CPU");
}

std::vector<std::string> built_backends() {
#if defined(MPSCNN_WITH_METAL)
    return {"cpu", "metal"};
#else
    return {"cpu"};
#endif
}

BackendChoice choose_backend(const std::string &device, const std::string &precision) {
    if (device != "auto" && device != "cpu" && device != "metal")
        fail(ErrorKind::parameter, "device must be auto, cpu or metal, got " + quoted(device));
    // The Metal engine refuses some operations, and "auto" must not fail where the CPU engine runs.
    const std::string chosen_device = device == "auto" ? "cpu" : device;
    const Precision chosen = precision_for(chosen_device, precision);
    std::string reason = device == "auto" ? why_not_metal : "as asked";
    if (precision == "auto") reason += std::string("; ") + name_of(chosen) + " lowers no accuracy";
    return {make_backend(chosen_device), chosen, std::move(reason)};
}

} // namespace mpscnn::engine
