#pragma once

#include <functional>
#include <map>
#include <string>

namespace mpscnn::engine {

/// The implementations of layers that a backend may use on its device. The name of an implementation has one
/// of three forms: operation and kernel ("pooling by MPSCNNPoolingMax"), an activation that this library's
/// shaders share ("activation mish"), or an activation that an MPS kernel applies ("activation relu in
/// MPSCNNConvolution"). The words "training" or "own" before a name mark kernels on arrays. No name contains
/// a colon.
class Implementations {
public:
    /// The reason why each implementation is refused, by the implementation's name.
    using Reasons = std::map<std::string, std::string>;
    using Listener = std::function<void(const std::string &name)>;

    Implementations() = default;
    /// `listener` is called with the name of each implementation before the backend prepares it.
    explicit Implementations(Reasons refused, Listener listener = {});

    /// Return the implementations that must not be used, because their results were wrong or missing.
    const Reasons &refused() const { return refused_; }
    bool may_take(const std::string &name) const { return !refused_.contains(name); }
    /// Tell the listener that `layer` uses an implementation. Throws UnsupportedError for a refused one.
    void take(const std::string &name, const std::string &layer) const;

private:
    Reasons refused_;
    Listener listener_;
};

} // namespace mpscnn::engine
