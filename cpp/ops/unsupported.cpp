#include "ops/unsupported.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <variant>

#include "core/text.h"
#include "ops/fields.h"

namespace mpscnn::ops {

namespace {

using Refused = std::optional<std::string>;

Refused refuse_if(bool refused, const std::string &value) { return refused ? Refused(value) : std::nullopt; }

// ---- Tensors ----

Refused many_channels(const Shape &shape) {
    return refuse_if(shape.back() > 4 * metal_limits::slices, std::to_string(shape.back()));
}

/// Check the height and width of the texture for a tensor. All axes before the last two count as rows.
Refused large_image(const Shape &shape) {
    if (shape.rank() < 3) return std::nullopt;
    std::int64_t rows = 1;
    for (int axis = 1; axis < shape.rank() - 2 && rows <= metal_limits::extent; ++axis)
        // A free extent counts as 1, because it is checked again when it is known.
        rows *= std::max<std::int64_t>(shape[axis], 1);
    return refuse_if(std::max(rows, shape[shape.rank() - 2]) > metal_limits::extent, shape.text());
}

Refused many_elements(const Shape &shape) {
    const Shape image = shape.with_batch(1);
    return refuse_if(image.fixed() && image.elements() > metal_limits::elements, shape.text());
}

// ---- Layers ----

/// Return the layer's operation. Only rows of the table that are about this operation may call this.
template <class Op> const Op &as(const LayerUse &layer) { return layer.operation.as<Op>(); }

Refused number_beyond_half(const LayerUse &layer) {
    const std::int64_t channels = layer.inputs[0].back();
    return refuse_if(layer.half && channels > 2049, std::to_string(channels));
}

/// Refuse variables in operations whose weights engines cannot read again in each run.
Refused reads_other_variables(const LayerUse &layer) {
    const bool packs = layer.operation.is<Convolution>() || layer.operation.is<FullyConnected>() ||
                       layer.operation.is<GroupNormalization>() || layer.operation.is<LayerNormalization>() ||
                       layer.operation.is<Lstm>() || layer.operation.is<Gru>() ||
                       (layer.operation.is<BatchNormalization>() && layer.inputs.size() == 2);
    const bool has_slopes = layer.activation && layer.activation->kind == NeuronKind::prelu;
    return refuse_if(layer.reads_variables && (!packs || has_slopes), "variables");
}

Refused packs_halves(const LayerUse &layer) {
    return refuse_if(layer.reads_variables && (layer.half || layer.int8), "variables");
}

bool is_function_of_integers(const Neuron &neuron) {
    switch (neuron.kind) {
    case NeuronKind::relu:
    case NeuronKind::linear:
    case NeuronKind::sigmoid:
    case NeuronKind::hard_sigmoid:
    case NeuronKind::tanh:
    case NeuronKind::absolute:
    case NeuronKind::softplus:
    case NeuronKind::softsign:
    case NeuronKind::elu:
    case NeuronKind::gelu:
    case NeuronKind::hard_swish:
    case NeuronKind::swish:
    case NeuronKind::mish:
    case NeuronKind::gelu_tanh:
    case NeuronKind::erf:
        return true;
    default:
        return has_limits_only(neuron);
    }
}

/// True if each operand's axis has the extent of the result, or has extent 1 and is broadcast.
bool has_whole_axes(Arithmetic arithmetic, const InputShapes &inputs) {
    const auto is_whole = [](std::int64_t &stride, const Shape &shape, int from_end) {
        const bool one = from_end > shape.rank() || shape[shape.rank() - from_end] == 1;
        return std::exchange(stride, 1) == 1 || one;
    };
    const bool whole = is_whole(arithmetic.primary_stride_channels, inputs[0], 1) &&
                       is_whole(arithmetic.primary_stride_x, inputs[0], 2) &&
                       is_whole(arithmetic.primary_stride_y, inputs[0], 3) &&
                       is_whole(arithmetic.secondary_stride_channels, inputs[1], 1) &&
                       is_whole(arithmetic.secondary_stride_x, inputs[1], 2) &&
                       is_whole(arithmetic.secondary_stride_y, inputs[1], 3);
    return whole && arithmetic.is_plain();
}

/// True for operations that move elements, for which byte kernels exist, or that only change the shape.
template <class Op> constexpr bool moves_elements(const Op &) {
    return std::is_same_v<Op, ChannelShuffle> || std::is_same_v<Op, Gather> || std::is_same_v<Op, Reshape> ||
           std::is_same_v<Op, Slice> || std::is_same_v<Op, Tile> || std::is_same_v<Op, Transpose>;
}

/// True if an average or sum has more elements than sums in 32-bit integers can hold.
bool has_larger_sum(const LayerUse &layer) {
    constexpr std::int64_t maximum = 1 << 23;
    const Shape &source = layer.inputs[0];
    if (const auto *pooling = layer.operation.get_if<Pooling>()) {
        const std::int64_t pixels = pooling->global
                                        ? source[1] * source[2]
                                        : pooling->window.kernel_height * pooling->window.kernel_width;
        return pooling->kind == PoolingKind::average && pixels > maximum;
    }
    if (!layer.operation.is<Reduction>()) return false;
    for (int axis = 1; axis < layer.inputs[0].rank(); ++axis)
        if (layer.output[axis] == 1 && source[axis] > maximum) return true;
    return false;
}

/// True if the sampling positions depend on the extents of source and result only, as in TensorFlow Lite.
bool reads_by_extents(const Resize &resize, const LayerUse &layer) {
    const auto axis = [&](int index, std::int64_t extent, double scale, double magnification, double offset) {
        const bool is_exact =
            extent > 0 || std::floor(scale) == scale ||
            static_cast<double>(layer.output[index]) == static_cast<double>(layer.inputs[0][index]) * scale;
        return is_exact && magnification == 0.0 && offset == 0.0;
    };
    return resize.edge == EdgeRule::clamp && resize.alignment != ResizeAlignment::pytorch_half_pixel &&
           axis(1, resize.height, resize.scale_y, resize.magnification_y, resize.offset_y) &&
           axis(2, resize.width, resize.scale_x, resize.magnification_x, resize.offset_x);
}

Refused lacks_integers(const LayerUse &layer) {
    return refuse_if(layer.int8 && !layer.quantized,
                     "a tensor without; mpscnn quantize makes a network of integers, or compute in float32");
}

/// Refuse int8 where engines do not compute in integers.
Refused not_of_integers(const LayerUse &layer) {
    if (!layer.int8) return std::nullopt;
    if (layer.activation && !has_limits_only(*layer.activation))
        return Refused("another activation than relu, relu6 or clamp");
    const auto is_computed = [&]<class Op>(const Op &operation) {
        if constexpr (std::is_same_v<Op, Addition> || std::is_same_v<Op, Subtraction> ||
                      std::is_same_v<Op, Multiplication>)
            return has_whole_axes(operation, layer.inputs);
        else if constexpr (std::is_same_v<Op, Neuron>)
            return is_function_of_integers(operation);
        else if constexpr (std::is_same_v<Op, Resize>)
            return reads_by_extents(operation, layer) &&
                   (operation.kind == ResizeKind::bilinear ||
                    (operation.kind == ResizeKind::nearest &&
                     operation.rounding == ResizeRounding::by_alignment));
        else if constexpr (std::is_same_v<Op, Pooling>)
            return (operation.kind == PoolingKind::average || operation.kind == PoolingKind::max) &&
                   operation.edge == EdgeRule::exclude && !operation.count_padding &&
                   operation.zero_pad_x == 0 && operation.zero_pad_y == 0;
        else if constexpr (std::is_same_v<Op, Reduction>)
            return operation.kind == ReductionKind::mean || operation.kind == ReductionKind::sum;
        else if constexpr (std::is_same_v<Op, Padding>)
            return operation.mode == PaddingMode::constant_ && operation.values.empty();
        else if constexpr (std::is_same_v<Op, LayerNormalization>)
            return operation.norm == VectorNorm::l2_norm && operation.epsilon_rule == EpsilonRule::minimum &&
                   operation.epsilon <= 1e-3f; // TensorFlow Lite's minimum, which its integers ignore
        else
            return std::is_same_v<Op, Convolution> || std::is_same_v<Op, FullyConnected> ||
                   std::is_same_v<Op, Softmax> || std::is_same_v<Op, LogSoftmax> ||
                   std::is_same_v<Op, MatrixProduct> || std::is_same_v<Op, Constant> ||
                   std::is_same_v<Op, Concatenation> || moves_elements(operation);
    };
    constexpr std::int64_t max_exponentials = 4096; // their sum has 12 bits before the binary point
    if (layer.operation.is<Softmax>() && layer.inputs[0][layer.inputs[0].rank() - 1] > max_exponentials)
        return Refused("a softmax of more than 4096 channels");
    if (layer.operation.is<LogSoftmax>() && layer.inputs[0][layer.inputs[0].rank() - 1] >= max_exponentials)
        return Refused("a logarithm of a softmax of more than 4095 channels");
    constexpr std::int64_t max_squares = std::numeric_limits<std::int32_t>::max() / (255 * 255);
    if (layer.operation.is<LayerNormalization>() && layer.inputs[0][layer.inputs[0].rank() - 1] > max_squares)
        return Refused("a unit norm of more than 33025 channels");
    if (const auto *product = layer.operation.get_if<MatrixProduct>()) {
        const int last = layer.inputs[0].rank() - 1;
        if (layer.inputs[0][product->transpose_first ? last - 1 : last] > max_squares)
            return Refused("a product of matrices whose sums have more than 33025 terms");
        if (product->scale != 1.0f) return Refused("a product of matrices with a factor");
    }
    if (has_larger_sum(layer)) return Refused("a mean or sum of more than 8388608 elements");
    if (layer.operation.is<Concatenation>() && layer.inputs[0].rank() > 4)
        return Refused("a concatenation of more than four axes");
    return refuse_if(!layer.operation.visit(is_computed), std::string(info_of(layer.operation).name));
}

/// The largest number of positions in a window, because a GPU counts them with 32 bits.
constexpr std::int64_t widest_window = 1 << 29;

template <class Op> Refused wide_window(const LayerUse &layer) {
    const Window &window = as<Op>(layer).window;
    const std::int64_t rows = (window.kernel_height - 1) * window.dilation_y + 1,
                       columns = (window.kernel_width - 1) * window.dilation_x + 1;
    return refuse_if(std::max(rows, columns) > widest_window, concat({rows, " x ", columns}));
}

/// Check the number of units: a threadgroup's memory of 32 KiB holds the states of a sequence.
Refused many_units(const LayerUse &layer) {
    const std::int64_t units = layer.output.back();
    return refuse_if(units > 2048, std::to_string(units));
}

Refused wide_transposed_window(const LayerUse &layer) {
    const TransposedWindow &window = as<TransposedConvolution>(layer).window;
    const std::int64_t rows = (window.kernel_height - 1) * window.dilation_y + 1,
                       columns = (window.kernel_width - 1) * window.dilation_x + 1;
    return refuse_if(std::max(rows, columns) > widest_window, concat({rows, " x ", columns}));
}

Refused many_subpixel_channels(const LayerUse &layer) {
    const std::int64_t channels = as<SubpixelConvolution>(layer).convolution_channels();
    return refuse_if(channels > 4 * metal_limits::slices, std::to_string(channels));
}

// ---- Sessions ----

Refused looks_into_layers(const SessionUse &session) { return refuse_if(session.check_finite, "true"); }

// ---- Programs ----

Refused products_of_bfloat16(const ProgramUse &program) {
    return refuse_if(program.bfloat16 && !program.why_no_bfloat16.empty(),
                     "bfloat16: " + std::string(program.why_no_bfloat16));
}

Refused int8_programs(const ProgramUse &program) { return refuse_if(program.int8, "int8"); }

Refused direct_sums(const ProgramUse &program) { return refuse_if(!program.winograd, "false"); }

Refused weights_in_bytes(const ProgramUse &program) { return refuse_if(program.byte_weights, "int8"); }

Refused sums_in_halves(const ProgramUse &program) { return refuse_if(program.half_sums, "float16"); }

constexpr const char *metal_window = "at most 536870912 rows and columns from the first tap to the last";

/// A check of a tensor shape, layer, session or program by one row of the table. It returns the refused value
/// as text, or nothing if the row allows it.
template <class Use> using RefusedValue = std::optional<std::string> (*)(const Use &);

/// A row of the table: the engine supports only `allowed` values of `field` in an operation.
struct UnsupportedFeature {
    std::string_view engine;    ///< empty: every engine
    std::string_view operation; ///< empty: every operation
    const char *field;
    const char *allowed;
    std::variant<RefusedValue<Shape>, RefusedValue<LayerUse>, RefusedValue<SessionUse>,
                 RefusedValue<ProgramUse>>
        refused;
};

/// If two rows refuse the same combination, the first one gives the reason.
constexpr UnsupportedFeature unsupported_features[] = {
    {"", "argument", "feature channels", "at most 2049 in float16, whose whole numbers end at 2048",
     number_beyond_half},
    {"", "top_k", "feature channels", "at most 2049 in float16, whose whole numbers end at 2048",
     number_beyond_half},
    {"", "", "precision", "float32 or float16 on devices without bf16 dot products", products_of_bfloat16},

    {"cpu", "", "tensors in int8",
     "integers with a scale, as those of quantised TensorFlow Lite files, or kept in float32",
     lacks_integers},

    {"cpu", "", "layers in int8",
     "convolutions and dense layers with uint8 weights, additions, subtractions, multiplications, average "
     "and max poolings, means, sums, bilinear and nearest resizes, borders of one number, softmax and its "
     "logarithm, unit norms of order 2 without gamma and beta, concatenations, relu, relu6, clamp, leaky "
     "relu, sigmoid, hard sigmoid, tanh, absolute, softplus, "
     "softsign, elu, gelu, hard swish, swish, mish, erf and linear, reshapes, transposes, channel shuffles, "
     "slices, gathers, tiles and constants, as TensorFlow Lite has them; others kept in float32",
     not_of_integers},

    {"", "", "weights",
     "constants; or those of a convolution, dense layer, group or layer normalization, LSTM, GRU, or batch "
     "normalization by statistics that are an input, without slopes of its activation",
     reads_other_variables},

    {"cpu", "", "weights", "constants unless in float32 or bfloat16", packs_halves},

    {"metal", "", "precision", "float32 or float16; the CPU computes in int8, too", int8_programs},
    {"metal", "", "winograd", "true: MPS chooses how it computes a convolution (on the CPU it may be false)",
     direct_sums},
    {"metal", "", "feature channels", "at most 8192", many_channels},
    {"metal", "", "rows and columns", "at most 16384", large_image},
    {"metal", "", "elements of one image", "at most 2147483648", many_elements},
    {"metal", "", "check_finite",
     "false: `mpscnn compare MODEL MODEL@metal` finds the layer (the CPU checks results)", looks_into_layers},

    {"metal", "binary_convolution", "window", metal_window, wide_window<BinaryConvolution>},
    {"metal", "convolution", "window", metal_window, wide_window<Convolution>},
    {"metal", "gru", "units", "at most 2048", many_units},
    {"metal", "pooling", "window", metal_window, wide_window<Pooling>},
    {"metal", "subpixel_convolution", "channels of the convolution", "at most 8192", many_subpixel_channels},
    {"metal", "subpixel_convolution", "window", metal_window, wide_window<SubpixelConvolution>},
    {"metal", "transposed_convolution", "window", metal_window, wide_transposed_window},

    {"coreml", "", "precision", "float32 or float16; the CPU computes in int8, too", int8_programs},
    {"coreml", "", "winograd",
     "true: Core ML chooses how it computes a convolution (on the CPU it may be false)", direct_sums},
    {"coreml", "", "weights", "auto: the program has weights of its precision", weights_in_bytes},
    {"coreml", "", "accumulate_dtype", "auto or float32: Core ML chooses the type of its sums",
     sums_in_halves},
    {"coreml", "", "check_finite",
     "false: `mpscnn compare MODEL MODEL@coreml` finds the layer (the CPU checks results)",
     looks_into_layers},
};

/// Return the reason of the first row that refuses this use, or nothing.
template <class Use>
std::optional<std::string> first_unsupported(std::string_view engine, std::string_view operation,
                                             const Use &use) {
    for (const UnsupportedFeature &row : unsupported_features) {
        const auto *refused = std::get_if<RefusedValue<Use>>(&row.refused);
        if (!refused || (!row.engine.empty() && row.engine != engine)) continue;
        if (!row.operation.empty() && row.operation != operation) continue;
        if (const Refused value = (*refused)(use))
            return concat({row.field, " must be ", row.allowed, ", got ", *value});
    }
    return std::nullopt;
}

} // namespace

bool has_limits_only(const Neuron &neuron) {
    switch (neuron.kind) {
    case NeuronKind::none:
    case NeuronKind::clamp:
        return true;
    case NeuronKind::relu:
    case NeuronKind::relun:
        return neuron.a == 0.0f;
    default:
        return false;
    }
}

std::optional<std::string> why_unsupported(std::string_view engine, const Shape &tensor) {
    return first_unsupported(engine, {}, tensor);
}

std::optional<std::string> why_unsupported(std::string_view engine, const LayerUse &layer) {
    const std::string_view operation = info_of(layer.operation).name;
    return first_unsupported(engine, operation, layer);
}

std::optional<std::string> why_unsupported(std::string_view engine, const SessionUse &session) {
    return first_unsupported(engine, {}, session);
}

std::optional<std::string> why_unsupported(std::string_view engine, const ProgramUse &program) {
    return first_unsupported(engine, {}, program);
}

Json describe_unsupported_features() {
    Json table = Json::array();
    for (const UnsupportedFeature &feature : unsupported_features) {
        Json row = Json::object();
        row.set("engine", feature.engine.empty() ? "any" : feature.engine);
        row.set("operation", feature.operation.empty() ? "any" : feature.operation);
        row.set("field", feature.field);
        row.set("allowed", feature.allowed);
        table.push_back(std::move(row));
    }
    return table;
}

} // namespace mpscnn::ops
