#include "engine/backend/support.h"

#include "core/text.h"
#include "ops/unsupported.h"

namespace mpscnn::engine {

namespace {

bool is_reshape(const Node &node) { return node.operation.is<ops::Reshape>(); }

[[noreturn]] void refuse(const std::string &what, const std::string &engine, const std::string &reason) {
    fail(ErrorKind::unsupported, {what, " on device ", quoted(engine), ": ", reason});
}

/// Asks the table of unsupported features (ops/unsupported.h) about the layers and values of one graph, for
/// one engine.
class Inquiry {
public:
    Inquiry(const Graph &graph, const std::vector<Shape> &shapes, const std::string &engine,
            Precision precision)
        : graph_(graph), shapes_(shapes), engine_(engine), precision_(precision) {}

    void ask_about_inputs() const {
        for (std::size_t i = 0; i < graph_.inputs().size(); ++i)
            if (const auto reason = why_too_large(static_cast<ValueId>(i)))
                refuse("input " + quoted(graph_.inputs()[i].name), engine_, *reason);
    }

    void ask_about_node(std::size_t index) const {
        const Node &node = graph_.nodes()[index];
        const ValueId result = graph_.result_of(index);
        std::optional<std::string> reason = why_too_large(result);
        if (!reason) reason = why_unsupported(node, result);
        if (!reason) return;
        refuse(concat({"layer ", quoted(node.name), " (", ops::info_of(node.operation).name, ")"}), engine_,
               *reason);
    }

private:
    std::optional<std::string> why_too_large(ValueId value) const {
        if (!is_batch(value)) return std::nullopt;
        return ops::why_unsupported(engine_, shape(value));
    }

    /// True if a tensor is a batch of images, so that an engine's limits on images apply (the table of
    /// ops/unsupported.h). Variables and tensors that training makes are no batches of images. Neither is the
    /// result of a reshape that only dense layers read: they read its elements in row-major order, so it is
    /// never stored as an image.
    bool is_batch(ValueId value) const {
        if (graph_.shape(value)[0] != Shape::any) return false;
        if (graph_.is_input(value)) return true;
        const Node &node = graph_.producer(value);
        if (ops::info_of(node.operation).for_training) return false;
        return !is_reshape(node) || !graph_.only_dense_layers_read(value);
    }

    const Shape &shape(ValueId value) const { return shapes_[static_cast<std::size_t>(value)]; }

    std::optional<std::string> why_unsupported(const Node &node, ValueId result) const {
        std::vector<Shape> inputs;
        const bool reads = !node.operation.is<ops::Constant>();
        bool quantized = graph_.quantization(result).has_value();
        for (ValueId value : node.inputs) {
            inputs.push_back(shape(value));
            quantized &= !reads || graph_.quantization(value).has_value();
        }
        // Custom layers, which are functions of the calling program, compute in float32 in every precision.
        const bool kept = node.keep_float32 && !node.operation.is<ops::Custom>();
        return ops::why_unsupported(engine_, ops::LayerUse{.operation = node.operation,
                                                           .inputs = inputs,
                                                           .output = shape(result),
                                                           .activation = node.activation,
                                                           .half = precision_ == Precision::float16,
                                                           .int8 = precision_ == Precision::int8 && !kept,
                                                           .quantized = quantized,
                                                           .reads_variables = !node.variables.empty()});
    }

    const Graph &graph_;
    const std::vector<Shape> &shapes_;
    const std::string &engine_;
    Precision precision_;
};

} // namespace

void require_supported(const Graph &graph, const std::vector<Shape> &shapes, const std::string &engine,
                       Precision precision) {
    const Inquiry inquiry(graph, shapes, engine, precision);
    inquiry.ask_about_inputs();
    for (std::size_t i = 0; i < graph.nodes().size(); ++i) inquiry.ask_about_node(i);
}

void require_supported(const Backend &backend, const ProgramChoices &choices, const std::string &network) {
    const std::string why_no_bfloat16 = backend.why_no_bfloat16();
    const ops::ProgramUse use{.bfloat16 = choices.precision == Precision::bfloat16,
                              .why_no_bfloat16 = why_no_bfloat16,
                              .int8 = choices.precision == Precision::int8,
                              .winograd = choices.winograd,
                              .byte_weights = choices.byte_weights,
                              .half_sums = choices.sums == Sums::float16};
    if (const auto reason = ops::why_unsupported(backend.name(), use))
        refuse("network " + quoted(network), backend.name(), *reason);
}

void require_supported(const SessionOptions &options, const std::string &network, const std::string &engine) {
    if (const auto reason = ops::why_unsupported(engine, ops::SessionUse{options.check_finite}))
        refuse("session of network " + quoted(network), engine, *reason);
}

bool uses_processor(const Backend &backend) { return std::string_view(backend.name()) == "cpu"; }

} // namespace mpscnn::engine
