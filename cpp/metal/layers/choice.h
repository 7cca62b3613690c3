#pragma once

#include <memory>
#include <string>

#include "engine/backend/backend.h"
#include "engine/graph/graph.h"
#include "ops/neuron.h"

namespace mpscnn::metal {

/// Decides which kernels may compute a layer on this device (engine/backend/implementations.h). A kernel is a
/// class of MPS or a shader. A layer calls may_take before it makes a kernel that another one could replace.
/// It calls take for each kernel that it makes, which records the use.
class Choice {
public:
    /// Kernels have different names in each scope. Training runs on arrays (`arrays`), and inference on
    /// images (`images`). Inference also runs the library's own kernels on arrays (`own`) if the program asks
    /// for them.
    enum class Scope { images, arrays, own };

    Choice(std::shared_ptr<const engine::Implementations> all, const engine::Node &node, Scope scope);

    /// Return whether a kernel may be used, together with the activation that the shader applies.
    bool may_take(const std::string &kernel, ops::NeuronKind activation = ops::NeuronKind::none) const;
    /// Record that the layer uses a kernel. Throws UnsupportedError for a kernel or an activation that may
    /// not be used.
    void take(const std::string &kernel, ops::NeuronKind activation = ops::NeuronKind::none) const;

    /// Return whether a kernel of MPS may be used, together with the activation that MPS applies.
    bool may_fuse(ops::NeuronKind activation, const std::string &kernel) const;
    void fuse(ops::NeuronKind activation, const std::string &kernel) const;

private:
    std::string kernel_name(const std::string &kernel) const;
    std::string activation_name(ops::NeuronKind activation) const;
    std::string fused_name(ops::NeuronKind activation, const std::string &kernel) const;

    std::shared_ptr<const engine::Implementations> all_;
    std::string layer_, operation_, scope_;
};

} // namespace mpscnn::metal
