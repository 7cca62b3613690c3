#pragma once

#include <functional>
#include <map>
#include <string>

namespace mpscnn::engine {

/// Which implementations of layers a backend may take on its device. An implementation has a name that says
/// the operation and the kernel ("pooling by MPSCNNPoolingMax"), or is an activation that the device's own
/// kernels share ("activation mish"). No name holds a colon.
class Implementations {
public:
    /// Reasons by name.
    using Reasons = std::map<std::string, std::string>;
    using Listener = std::function<void(const std::string &name)>;

    Implementations() = default;
    /// `listener` hears of each implementation before it is made.
    explicit Implementations(Reasons refused, Listener listener = {});

    /// Those that must not be taken, since their answers were wrong or did not come.
    const Reasons &refused() const { return refused_; }
    bool may_take(const std::string &name) const { return !refused_.contains(name); }
    /// Notes that `layer` is about to be computed so. Throws UnsupportedError for a refused one.
    void take(const std::string &name, const std::string &layer) const;

private:
    Reasons refused_;
    Listener listener_;
};

} // namespace mpscnn::engine
