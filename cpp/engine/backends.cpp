#include <array>

#include "cpu/cpu_backend.h"
#include "engine/backend.h"

namespace mpscnn::engine {

namespace {

#if defined(__APPLE__)
constexpr const char *no_metal = "this build of mpscnn has no Metal engine";
#else
constexpr const char *no_metal = "no Metal device on this machine (Linux)";
#endif

/// What "auto" picks for a device. Never less accurate than what the network was given as.
struct AutomaticPrecision {
    const char *device;
    Precision precision;
};
constexpr std::array<AutomaticPrecision, 1> automatic{{{"cpu", Precision::float32}}};

Precision precision_for(const std::string &device, const std::string &wanted) {
    if (wanted == "auto")
        for (const auto &entry : automatic)
            if (device == entry.device) return entry.precision;
    for (Precision precision : {Precision::float32, Precision::float16})
        if (wanted == name_of(precision)) return precision;
    fail(ErrorKind::parameter, "precision must be auto, float32 or float16, got " + quoted(wanted));
}

} // namespace

const char *name_of(Precision precision) { return precision == Precision::float32 ? "float32" : "float16"; }

void Backend::convolve(const ops::SignalConvolution &, const TensorView &, const TensorView &,
                       const TensorView &) const {
    fail(ErrorKind::unsupported, "signal_convolution: not done by " + quoted(name()) + "; use the CPU");
}

BackendChoice choose_backend(const std::string &device, const std::string &precision) {
    if (device == "metal")
        fail(ErrorKind::device, std::string(no_metal) + ". Use device='cpu' or device='auto'.");
    if (device != "auto" && device != "cpu")
        fail(ErrorKind::parameter, "device must be auto, cpu or metal, got " + quoted(device));
    const Precision chosen = precision_for("cpu", precision);
    std::string reason = device == "auto" ? no_metal : "as asked";
    if (precision == "auto") reason += std::string("; ") + name_of(chosen) + " is exact on the CPU";
    return {cpu::make_cpu_backend(), chosen, std::move(reason)};
}

} // namespace mpscnn::engine
