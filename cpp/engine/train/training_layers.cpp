#include "engine/train/training_layers.h"

#include <utility>

#include "core/text.h"

namespace mpscnn::engine {

namespace {

bool is_prelu(const ops::Operation &operation) {
    const auto *neuron = operation.get_if<ops::Neuron>();
    return neuron && neuron->kind == ops::NeuronKind::prelu;
}

ValueId add_reading(Graph &graph, const std::string &name, const ops::Operation &operation,
                    std::vector<ValueId> inputs, const std::map<std::string, ValueId> &weights) {
    const ValueId value = graph.add_node(name, operation, std::move(inputs));
    for (const auto &[role, variable] : weights) graph.use_variable(value, role, variable);
    return value;
}

/// Add a prelu as relu(x) + slope * (x - relu(x)). The product is a depthwise convolution with 1x1 windows.
/// At 0 the derivative is the slope, as in PyTorch.
ValueId add_prelu(Graph &graph, const std::string &name, ValueId x, ValueId slope) {
    const Shape given = graph.shape(x);
    std::vector<std::int64_t> extents(given.begin() + 1, given.end());
    const bool is_image = given.rank() == 4;
    if (given.rank() > 4 || (!is_image && !given.with_batch(1).fixed()))
        fail(ErrorKind::unsupported,
             {"training: layer ", quoted(name),
              ": slopes of prelu are trained for images, and for tensors of less axes "
              "and fixed extents, got ",
              given.text()});
    if (!is_image) {
        std::vector<std::int64_t> image(static_cast<std::size_t>(4 - given.rank()), 1);
        image.insert(image.end(), extents.begin(), extents.end());
        x = graph.add_node(name + ".image", ops::Reshape{.shape = image}, {x});
    }
    const ValueId positive =
        graph.add_node(name + ".positive", ops::Neuron{.kind = ops::NeuronKind::relu}, {x});
    const ValueId negative = graph.add_node(name + ".negative", ops::Subtraction{}, {x, positive});
    ops::Convolution product;
    product.output_channels = product.groups = given.back();
    const ValueId scaled = add_reading(graph, name + ".scaled", product, {negative}, {{"weight", slope}});
    const ValueId result =
        graph.add_node(is_image ? name : name + ".sum", ops::Addition{}, {positive, scaled});
    return is_image ? result : graph.add_node(name, ops::Reshape{.shape = extents}, {result});
}

/// Add a subpixel convolution as a convolution and a rearrangement of channels to pixels.
ValueId add_subpixel(Graph &graph, const std::string &name, const ops::SubpixelConvolution &subpixel,
                     std::vector<ValueId> inputs, const std::map<std::string, ValueId> &weights) {
    ops::Convolution convolution;
    convolution.output_channels = subpixel.convolution_channels();
    convolution.window = subpixel.window;
    convolution.groups = subpixel.groups;
    const ValueId channels =
        add_reading(graph, name + ".convolution", convolution, std::move(inputs), weights);
    const bool cut = subpixel.output_height > 0 || subpixel.output_width > 0;
    const ValueId pixels = graph.add_node(cut ? name + ".pixels" : name,
                                          ops::DepthToSpace{subpixel.scale, subpixel.order}, {channels});
    if (!cut) return pixels;
    return graph.add_node(name, ops::Slice{.height = subpixel.output_height, .width = subpixel.output_width},
                          {pixels});
}

/// Insert stride - 1 zeros between the elements of an axis.
ValueId spread_out(Graph &graph, const std::string &name, ValueId x, int axis, std::int64_t stride) {
    if (stride == 1) return x;
    const std::int64_t extent = graph.shape(x)[axis];
    ops::GatherGradient zeros;
    zeros.gather.axis = axis;
    zeros.extent = (extent - 1) * stride + 1;
    for (std::int64_t i = 0; i < extent; ++i) zeros.gather.indices.push_back(i * stride);
    return graph.add_node(concat({name, ".spread.", axis}), std::move(zeros), {x});
}

/// Rotate a convolution's kernel by 180 degrees.
ValueId rotated(Graph &graph, const std::string &name, ValueId weight) {
    for (const int axis : {1, 2}) {
        ops::Gather backward;
        backward.axis = axis;
        for (std::int64_t i = graph.shape(weight)[axis]; i-- > 0;) backward.indices.push_back(i);
        if (backward.indices.size() > 1)
            weight = graph.add_node(concat({name, ".rotated.", axis}), std::move(backward), {weight});
    }
    return weight;
}

/// Add a transposed convolution. It is a convolution with the rotated kernel, and its input has zeros
/// inserted between the pixels.
ValueId add_transposed(Graph &graph, const std::string &name, const ops::TransposedConvolution &transposed,
                       ValueId x, std::map<std::string, ValueId> weights) {
    const Shape input = graph.shape(x);
    if (!input.with_batch(1).fixed())
        fail(ErrorKind::unsupported,
             {"training: layer ", quoted(name),
              ": transposed convolutions are trained for inputs of fixed extents, got ", input.text()});
    const ops::TransposedWindow &window = transposed.window;
    const ops::CanonicalTransposedWindow axes =
        window.canonical(ops::TransposedConvolution::info, input[1], input[2]);
    ops::Convolution convolution;
    convolution.output_channels = transposed.output_channels;
    convolution.groups = transposed.groups;
    ops::Window &own = convolution.window;
    own.kernel_height = window.kernel_height, own.kernel_width = window.kernel_width;
    own.dilation_y = window.dilation_y, own.dilation_x = window.dilation_x;
    own.padding = ops::PaddingPolicy::explicit_;
    const auto place = [](const ops::TransposedAxis &axis, std::int64_t extent, std::int64_t &before,
                          std::int64_t &after) {
        const std::int64_t reach = (axis.kernel - 1) * axis.dilation + 1;
        const std::int64_t spread = (extent - 1) * axis.stride + 1;
        before = reach - 1 - axis.before;
        after = axis.output - spread + reach - 1 - before;
    };
    place(axes.vertical, input[1], own.pad_top, own.pad_bottom);
    place(axes.horizontal, input[2], own.pad_left, own.pad_right);
    x = spread_out(graph, name, x, 1, window.stride_y);
    x = spread_out(graph, name, x, 2, window.stride_x);
    if (transposed.kernel_use == ops::KernelUse::scatter)
        weights["weight"] = rotated(graph, name, weights.at("weight"));
    return add_reading(graph, name, convolution, {x}, weights);
}

/// Return an elementwise operation whose second input has one number for each channel.
template <class Op> Op of_channels(const Shape &shape) {
    Op operation;
    if (shape.rank() > 2) operation.secondary_stride_x = 0;
    if (shape.rank() > 3) operation.secondary_stride_y = 0;
    return operation;
}

/// Add a constant with one number for each channel, which is the same for each image.
ValueId add_constant(Graph &graph, const std::string &name, const Shape &like, ValueId batch,
                     const std::vector<double> &each) {
    ops::Constant constant;
    constant.shape.assign(static_cast<std::size_t>(like.rank() - 1), 1);
    constant.shape.back() = static_cast<std::int64_t>(each.size());
    const Shape shape(constant.shape);
    const ValueId value = graph.add_node(name, std::move(constant), {batch});
    graph.adopt_weights(
        value, {{"value", WeightTensor::from_floats(shape, std::vector<float>(each.begin(), each.end()))}});
    return value;
}

/// Add a constant whose value is trained. It is a dense layer with a single input feature, which is 1.
/// Multiplying by 1 changes no bit, and the weights' gradient is the sum over the images.
ValueId add_learnt_constant(Graph &graph, const std::string &name, const ops::Constant &constant,
                            ValueId batch, ValueId value) {
    ops::Constant feature;
    feature.shape = {1};
    const ValueId one = graph.add_node(name + ".one", std::move(feature), {batch});
    graph.adopt_weights(one, {{value_role, WeightTensor::from_floats({1}, {1.0f})}});
    ops::FullyConnected dense;
    dense.outputs = graph.shape(value)[0];
    const bool is_flat = constant.shape.size() == 1;
    const ValueId flat =
        add_reading(graph, is_flat ? name : name + ".flat", dense, {one}, {{"weight", value}});
    return is_flat ? flat : graph.add_node(name, ops::Reshape{.shape = constant.shape}, {flat});
}

bool is_learnt_normalization(const Node &layer) {
    const auto *normalization = layer.operation.get_if<ops::BatchNormalization>();
    return normalization && !normalization->fixed;
}

} // namespace

bool trains_weights(const Node &layer) {
    const ops::Operation &operation = layer.operation;
    const bool is_learnt_constant = operation.is<ops::Constant>() && layer.learns.value_or(false);
    const bool own = operation.is<ops::Convolution>() || operation.is<ops::FullyConnected>() ||
                     operation.is<ops::SubpixelConvolution>() || operation.is<ops::TransposedConvolution>() ||
                     is_learnt_normalization(layer) || is_learnt_constant ||
                     operation.is<ops::GroupNormalization>() || operation.is<ops::LayerNormalization>() ||
                     operation.is<ops::Lstm>() || operation.is<ops::Gru>();
    const bool slopes_alone = layer.weights.size() == 1 && layer.weights.count(slope_role) == 1;
    return own || slopes_alone;
}

Shape trained_shape(const std::string &role, const Shape &weight) {
    if (role == value_role) return {weight.elements(), 1};
    return role == slope_role ? Shape{weight.elements(), 1, 1, 1} : variable_shape(weight);
}

ValueId add_fixed_normalization(Graph &graph, const std::string &name, const Node &layer, ValueId x,
                                ValueId batch) {
    const auto &normalization = layer.operation.as<ops::BatchNormalization>();
    const Shape shape = graph.shape(x);
    if (shape.rank() > 4)
        fail(ErrorKind::unsupported, {"training: layer ", quoted(name),
                                      ": a batch normalization that does not learn is trained through ",
                                      "with at most four axes, got ", shape.text()});
    const auto channels = static_cast<std::size_t>(shape.back());
    const ops::ScaleShift line = normalization.scale_and_shift(
        layer.weights.at("mean").values(), layer.weights.at("variance").values(),
        layer.weight_or("gamma", channels, 1.0f), layer.weight_or("beta", channels, 0.0f));
    const ValueId scale = add_constant(graph, name + ".scale", shape, batch, line.scale);
    const ValueId shift = add_constant(graph, name + ".shift", shape, batch, line.shift);
    const ValueId scaled =
        graph.add_node(name + ".scaled", of_channels<ops::Multiplication>(shape), {x, scale});
    return graph.add_node(name, of_channels<ops::Addition>(shape), {scaled, shift});
}

ValueId add_trained_layer(Graph &graph, const std::string &name, const ops::Operation &operation,
                          std::vector<ValueId> inputs, const std::map<std::string, ValueId> &weights) {
    if (weights.empty()) return graph.add_node(name, operation, std::move(inputs));
    if (is_prelu(operation)) return add_prelu(graph, name, inputs[0], weights.at(slope_role));
    if (const auto *constant = operation.get_if<ops::Constant>())
        return add_learnt_constant(graph, name, *constant, inputs[0], weights.at(value_role));
    std::map<std::string, ValueId> own = weights;
    own.erase(slope_role); // the slope belongs to the activation that is added after this layer
    if (const auto *subpixel = operation.get_if<ops::SubpixelConvolution>())
        return add_subpixel(graph, name, *subpixel, std::move(inputs), own);
    if (const auto *transposed = operation.get_if<ops::TransposedConvolution>())
        return add_transposed(graph, name, *transposed, inputs[0], std::move(own));
    return add_reading(graph, name, operation, std::move(inputs), own);
}

} // namespace mpscnn::engine
