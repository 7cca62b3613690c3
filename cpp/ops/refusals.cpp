#include "ops/refusals.h"

#include <algorithm>
#include <variant>

#include "ops/fields.h"

namespace mpscnn::ops {

namespace {

using Refused = std::optional<std::string>;

Refused refuse_if(bool refused, const std::string &value) { return refused ? Refused(value) : std::nullopt; }

// ---- Tensors ----

Refused other_rank(const Shape &shape) {
    return refuse_if(shape.rank() != 4 && shape.rank() != 2, shape.text());
}

Refused many_channels(const Shape &shape) {
    return refuse_if(shape.back() > 4 * metal_limits::slices, std::to_string(shape.back()));
}

Refused large_image(const Shape &shape) {
    return refuse_if(shape.rank() == 4 && std::max(shape[1], shape[2]) > metal_limits::extent, shape.text());
}

Refused many_elements(const Shape &shape) {
    const Shape image = shape.with_batch(1);
    return refuse_if(image.fixed() && image.elements() > metal_limits::elements, shape.text());
}

// ---- Layers ----

/// Only for rows of this operation.
template <class Op> const Op &as(const LayerUse &layer) { return std::get<Op>(layer.operation); }

Refused number_beyond_half(const LayerUse &layer) {
    const std::int64_t channels = layer.inputs[0].back();
    return refuse_if(layer.half && channels > 2049, std::to_string(channels));
}

Refused other_neuron(const Neuron &neuron) {
    using Kind = NeuronKind;
    for (Kind known : {Kind::none, Kind::relu, Kind::linear, Kind::prelu, Kind::relun})
        if (neuron.kind == known) return std::nullopt;
    return name_of(neuron.kind);
}

Refused other_neuron_layer(const LayerUse &layer) { return other_neuron(as<Neuron>(layer)); }

Refused other_activation(const LayerUse &layer) {
    return layer.activation ? other_neuron(*layer.activation) : std::nullopt;
}

/// The first parameter that is not at its default.
Refused changed_parameter(const LayerUse &layer) {
    const Json given = attributes_of(layer.operation);
    const Json usual = attributes_of(make_operation(info_of(layer.operation).name, Json::object()));
    for (const auto &[name, value] : *given.get_if<Json::Object>())
        if (!(value == usual.at(name))) return name + " " + to_text(value);
    return std::nullopt;
}

Refused channels_within_slices(const LayerUse &layer) {
    const int axis = as<Concatenation>(layer).positive_axis(layer.inputs);
    if (axis != layer.inputs[0].rank() - 1) return std::nullopt;
    for (std::size_t i = 0; i + 1 < layer.inputs.size(); ++i)
        if (const std::int64_t channels = layer.inputs[i].back(); channels % 4 != 0)
            return std::to_string(channels) + " channels of input " + std::to_string(i);
    return std::nullopt;
}

Refused groups_within_slices(const LayerUse &layer) {
    const auto &convolution = as<Convolution>(layer);
    if (convolution.groups == 1 || convolution.depthwise(layer.inputs)) return std::nullopt;
    const std::int64_t in = layer.inputs[0].back() / convolution.groups,
                       out = convolution.output_channels / convolution.groups;
    return refuse_if(in % 4 != 0 || out % 4 != 0, std::to_string(convolution.groups) + " groups of " +
                                                      std::to_string(in) + " input and " +
                                                      std::to_string(out) + " output channels");
}

/// MPSCNNConvolutionDescriptor takes a PReLU only in a way whose documentation contradicts itself.
Refused fused_prelu(const LayerUse &layer) {
    const auto *convolution = std::get_if<Convolution>(&layer.operation);
    const bool own_shader = convolution && convolution->depthwise(layer.inputs);
    return refuse_if(!own_shader && layer.activation && layer.activation->kind == NeuronKind::prelu, "prelu");
}

template <class Op> Refused wide_window(const LayerUse &layer) {
    const Window &window = as<Op>(layer).window;
    const std::int64_t rows = (window.kernel_height - 1) * window.dilation_y + 1,
                       columns = (window.kernel_width - 1) * window.dilation_x + 1;
    return refuse_if(std::max(rows, columns) > (1 << 29),
                     std::to_string(rows) + " x " + std::to_string(columns));
}

Refused other_pooling(const LayerUse &layer) {
    const PoolingKind kind = as<Pooling>(layer).kind;
    return refuse_if(kind != PoolingKind::max && kind != PoolingKind::average, name_of(kind));
}

Refused stated_edge(const LayerUse &layer) {
    const EdgeRule edge = as<Pooling>(layer).edge;
    return refuse_if(edge != EdgeRule::exclude, name_of(edge));
}

Refused zeros_in_divisor(const LayerUse &layer) {
    const auto &pooling = as<Pooling>(layer);
    return refuse_if(pooling.zero_pad_y != 0 || pooling.zero_pad_x != 0,
                     std::to_string(pooling.zero_pad_y) + " and " + std::to_string(pooling.zero_pad_x));
}

/// (height, width, channels) of the image that holds a tensor of 2 or 4 axes.
Shape image_of(const Shape &shape) {
    return shape.rank() == 4 ? Shape{shape[1], shape[2], shape[3]} : Shape{1, 1, shape.back()};
}

/// Dense layers take an image of any shape: they see its elements in row-major order.
Refused rearranged_image(const LayerUse &layer) {
    const Shape given = image_of(layer.inputs[0]);
    const int rank = layer.output.rank();
    const bool same_image = (rank == 4 || rank == 2) && given == image_of(layer.output);
    return refuse_if(!given.fixed() || !(same_image || layer.only_dense_reads),
                     layer.inputs[0].text() + " to " + layer.output.text());
}

// ---- Sessions ----

Refused looks_into_layers(const SessionUse &session) { return refuse_if(session.check_finite, "true"); }

constexpr const char *metal_neurons = "none, relu, linear, prelu or relun";
constexpr const char *metal_window = "at most 536870912 rows and columns from the first tap to the last";

/// What of a combination a row refuses, as text; nothing where the row allows it. About tensors that an
/// engine holds, layers or sessions.
template <class Use> using RefusedValue = std::optional<std::string> (*)(const Use &);

/// A row: the engine takes `field` of an operation only as `allowed` says.
struct Refusal {
    std::string_view engine;    ///< empty: every engine
    std::string_view operation; ///< empty: every operation
    const char *field;
    const char *allowed;
    std::variant<RefusedValue<Shape>, RefusedValue<LayerUse>, RefusedValue<SessionUse>> refused;
};

/// Of two rows that both refuse a combination the first gives the reason.
constexpr Refusal refusals[] = {
    {"", "argument", "feature channels", "at most 2049 in float16, whose whole numbers end at 2048",
     number_beyond_half},

    {"metal", "", "tensors", "(n, height, width, channels) or (n, features)", other_rank},
    {"metal", "", "feature channels", "at most 8192", many_channels},
    {"metal", "", "rows and columns", "at most 16384", large_image},
    {"metal", "", "elements of one image", "at most 2147483648", many_elements},
    {"metal", "", "check_finite", "false: results within a command buffer cannot be looked at (the CPU can)",
     looks_into_layers},
    {"metal", "", "activation", metal_neurons, other_activation},

    {"metal", "add", "parameters", "at their defaults", changed_parameter},
    {"metal", "concatenation", "channels joined",
     "a multiple of 4 in each input but the last, so that they begin in a slice", channels_within_slices},
    {"metal", "convolution", "groups",
     "1, all input channels (depthwise), or of multiples of 4 input and output channels",
     groups_within_slices},
    {"metal", "convolution", "activation", "another than prelu unless depthwise", fused_prelu},
    {"metal", "convolution", "window", metal_window, wide_window<Convolution>},
    {"metal", "fully_connected", "activation", "another than prelu", fused_prelu},
    {"metal", "neuron", "kind", metal_neurons, other_neuron_layer},
    {"metal", "pooling", "kind", "max or average", other_pooling},
    {"metal", "pooling", "edge", "exclude", stated_edge},
    {"metal", "pooling", "zero_pad_y and zero_pad_x", "0", zeros_in_divisor},
    {"metal", "pooling", "window", metal_window, wide_window<Pooling>},
    {"metal", "reshape", "shape", "that of the same image, or one that only fully_connected reads",
     rearranged_image},
};

/// The reason of the first row about such a use.
template <class Use>
std::optional<std::string> first_refusal(std::string_view engine, std::string_view operation,
                                         const Use &use) {
    for (const Refusal &row : refusals) {
        const auto *refused = std::get_if<RefusedValue<Use>>(&row.refused);
        if (!refused || (!row.engine.empty() && row.engine != engine)) continue;
        if (!row.operation.empty() && row.operation != operation) continue;
        if (const Refused value = (*refused)(use))
            return std::string(row.field) + " must be " + row.allowed + ", got " + *value;
    }
    return std::nullopt;
}

Json describe_row(std::string_view engine, std::string_view operation) {
    Json row = Json::object();
    row.set("engine", engine.empty() ? "any" : engine);
    row.set("operation", operation.empty() ? "any" : operation);
    return row;
}

} // namespace

std::optional<std::string> refusal(std::string_view engine, const Shape &tensor) {
    return first_refusal(engine, {}, tensor);
}

std::optional<std::string> refusal(std::string_view engine, const LayerUse &layer) {
    const std::string_view operation = info_of(layer.operation).name;
    if (is_missing(engine, operation))
        return "this engine does not have the operation; the CPU engine has all";
    return first_refusal(engine, operation, layer);
}

std::optional<std::string> refusal(std::string_view engine, const SessionUse &session) {
    return first_refusal(engine, {}, session);
}

Json describe_refusals() {
    Json table = Json::array();
    for (const MissingOperation &missing : missing_operations)
        table.push_back(describe_row(missing.engine, missing.operation));
    for (const Refusal &refusal : refusals) {
        Json row = describe_row(refusal.engine, refusal.operation);
        row.set("field", refusal.field);
        row.set("allowed", refusal.allowed);
        table.push_back(std::move(row));
    }
    return table;
}

} // namespace mpscnn::ops
