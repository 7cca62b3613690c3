#pragma once

#include <functional>
#include <map>
#include <string>

namespace mpscnn::engine {

/// The implementations of layers that a backend may use on its device. An implementation is named by its
/// operation and kernel ("pooling by MPSCNNPoolingMax"), or by an activation that this library's shaders
/// share ("activation mish"). No name contains a colon.
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
