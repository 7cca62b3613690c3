// Tests of gradients of whole graphs, with every differentiable operation, against finite differences.

#include "engine/graph/differentiation.h"

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "tests/cpp/check.h"
#include "tests/engine/small_network.h"

using namespace small;

namespace {

/// A layer whose inputs and weights are variables.
struct Layer {
    ops::Operation operation;
    std::vector<Shape> inputs;
    std::map<std::string, Shape> weights = {};
};

struct LayerGraph {
    engine::Graph graph;
    std::vector<ValueId> variables; ///< inputs, then weights, then additional operands
    ValueId result = 0;
};

LayerGraph graph_of(const Layer &layer, const std::vector<Shape> &more = {}) {
    LayerGraph made;
    std::vector<ValueId> inputs;
    const auto add = [&](const std::string &name, const Shape &shape) {
        made.variables.push_back(made.graph.add_variable(name, shape));
        return made.variables.back();
    };
    for (const Shape &shape : layer.inputs) inputs.push_back(add("x" + std::to_string(inputs.size()), shape));
    std::map<std::string, ValueId> weights;
    for (const auto &[role, shape] : layer.weights) weights[role] = add(role, shape);
    for (const Shape &shape : more) add("given", shape);
    made.result = made.graph.add_node("layer", layer.operation, inputs);
    for (const auto &[role, variable] : weights) made.graph.use_variable(made.result, role, variable);
    return made;
}

double dot(const Array &a, const Array &b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.values.size(); ++i)
        sum += static_cast<double>(a.values[i]) * static_cast<double>(b.values[i]);
    return sum;
}

/// values + step * direction
Array moved(Array values, const Array &direction, float step) {
    for (std::size_t i = 0; i < values.values.size(); ++i) values.values[i] += step * direction.values[i];
    return values;
}

/// Return the difference between a layer's slopes along random directions and those that follow from its
/// gradients, relative to the magnitude of all terms.
double slope_error(const Layer &layer, float step = 1.0f / 64) {
    const auto backend = cpu::make_cpu_backend();
    LayerGraph forward = graph_of(layer);
    forward.graph.mark_output(forward.result);
    const Shape result = forward.graph.shape(forward.result);
    LayerGraph backward = graph_of(layer, {result});
    const std::vector<ValueId> wanted(backward.variables.begin(), backward.variables.end() - 1);
    const auto gradients =
        engine::differentiate(backward.graph, backward.result, backward.variables.back(), wanted);
    if (gradients.size() != wanted.size()) return INFINITY;
    for (const auto &entry : gradients) backward.graph.mark_output(entry.second);

    Arrays values;
    for (const ValueId variable : backward.variables)
        values.push_back(
            random_array(backward.graph.shape(variable), static_cast<std::uint32_t>(values.size() + 1)));
    const Array given = values.back();
    const Arrays computed = run(*backend, backward.graph, values);
    values.pop_back();

    double worst = 0;
    std::size_t next = 0;
    for (const auto &entry : gradients) { // in the order of the variables
        const auto index = static_cast<std::size_t>(entry.first);
        const Array direction = random_array(values[index].shape, 77);
        Arrays above = values, below = values;
        above[index] = moved(values[index], direction, step);
        below[index] = moved(values[index], direction, -step);
        const double slope = (dot(run(*backend, forward.graph, above)[0], given) -
                              dot(run(*backend, forward.graph, below)[0], given)) /
                             (2 * static_cast<double>(step));
        Array sizes = computed[next];
        for (float &value : sizes.values) value = std::fabs(value);
        Array lengths = direction;
        for (float &value : lengths.values) value = std::fabs(value);
        worst =
            std::max(worst, std::fabs(slope - dot(computed[next], direction)) / (1 + dot(sizes, lengths)));
        ++next;
    }
    return worst;
}

const Shape image{2, 5, 6, 8};

} // namespace

TEST(recurrent_layers_have_gradients) {
    const Shape state{2, 1, 3, 5};
    constexpr float step = 1.0f / 256; // their slopes change fast
    for (const bool reverse : {false, true}) {
        ops::Lstm lstm;
        lstm.reverse = reverse;
        const std::map<std::string, Shape> weight{{"weight", {20, 5}}};
        CHECK(slope_error({lstm, {{2, 4, 3, 20}}, weight}, step) < 1e-3);
        CHECK(slope_error({lstm, {{2, 4, 3, 20}, state, state}, weight}, step) < 1e-3);
        CHECK(slope_error({lstm, {{2, 1, 3, 20}, state, state}, weight}, step) < 1e-3);
        ops::Gru gru;
        gru.reverse = reverse;
        std::map<std::string, Shape> weights{{"weight", {15, 5}}, {"bias", {1, 5}}};
        CHECK(slope_error({gru, {{2, 4, 3, 15}}, weights}, step) < 1e-3);
        CHECK(slope_error({gru, {{2, 4, 3, 15}, state}, weights}, step) < 1e-3);
        gru.reset_after = false;
        weights.erase("bias");
        CHECK(slope_error({gru, {{2, 4, 3, 15}}, weights}, step) < 1e-3);
        CHECK(slope_error({gru, {{2, 4, 3, 15}, state}, weights}, step) < 1e-3);
    }
    // The other functions whose derivatives follow from their results.
    ops::Lstm other;
    other.gate = {NeuronKind::hard_sigmoid, 0.03125f, 0.5f};
    other.candidate = {NeuronKind::tanh, 1.5f, 0.5f};
    other.output = {NeuronKind::linear, 0.5f, 0.25f};
    CHECK(slope_error({other, {{2, 4, 3, 20}, state, state}, {{"weight", {20, 5}}}}, step) < 1e-3);
    other.candidate = {NeuronKind::softplus, 1.0f, 1.0f};
    const Layer refused{other, {{2, 4, 3, 20}}, {{"weight", {20, 5}}}};
    CHECK_THROWS(slope_error(refused), ErrorKind::unsupported, "softplus");
}

TEST(normalizations_have_gradients) {
    const std::map<std::string, Shape> scaled{{"gamma", {1, 8}}, {"beta", {1, 8}}};
    ops::GroupNormalization groups;
    groups.groups = 2;
    groups.epsilon = 0.5f;
    ops::LayerNormalization layers;
    layers.epsilon = 0.5f;
    ops::CrossChannelNormalization neighbours;
    neighbours.beta = 0.75f;
    CHECK(slope_error({groups, {image}, scaled}) < 1e-3);
    CHECK(slope_error({groups, {image}}) < 1e-3);
    CHECK(slope_error({layers, {image}, scaled}) < 1e-3);
    CHECK(slope_error({layers, {image}}) < 1e-3);
    CHECK(slope_error({neighbours, {image}}) < 1e-3);
}

TEST(moves_have_gradients) {
    ops::Padding padding;
    padding.top = 2, padding.left = -1, padding.front = 3, padding.back = -2, padding.value = 4.0f;
    ops::Slice slice;
    slice.top = 1, slice.height = 2, slice.left = -3, slice.channels = 5;
    ops::Resize resize;
    resize.height = 9, resize.width = 4;
    CHECK(slope_error({padding, {image}}) < 1e-4);
    CHECK(slope_error({slice, {image}}) < 1e-4);
    CHECK(slope_error({resize, {image}}) < 1e-4);
    for (const auto order : {ops::SubpixelOrder::position_major, ops::SubpixelOrder::channel_major}) {
        ops::DepthToSpace blocks;
        blocks.scale = 2;
        blocks.order = order;
        CHECK(slope_error({blocks, {image}}) < 1e-4);
    }
    ops::Tile tile;
    tile.rows = 3, tile.channels = 2;
    CHECK(slope_error({tile, {{2, 1, 6, 1}}}) < 1e-4);
    tile.columns = 2;
    CHECK(slope_error({tile, {image}}) < 1e-4);
    for (const std::int64_t axis : {1, 2, 3, -1}) {
        const ops::Gather gather{axis, {3, 0, 3, 3, 4}};
        CHECK(slope_error({gather, {image}}) < 1e-4);
    }
}

TEST(borders_that_show_the_image_have_gradients) {
    for (const auto mode :
         {ops::PaddingMode::clamp, ops::PaddingMode::mirror, ops::PaddingMode::mirror_with_edge}) {
        ops::Padding padding;
        padding.mode = mode;
        padding.top = 2, padding.bottom = 13, padding.left = -1, padding.right = 1, padding.back = 3;
        CHECK(slope_error({padding, {image}}) < 1e-4);
        CHECK(slope_error({padding, {{2, 1, 6, 1}}}) < 1e-4);
    }
}

TEST(steps_of_slices_have_gradients) {
    ops::Slice forward;
    forward.top = 1, forward.stride_y = 2, forward.stride_x = 3, forward.stride_channels = 2;
    CHECK(slope_error({forward, {image}}) < 1e-4);
    ops::Slice backward;
    backward.left = -1, backward.stride_x = -2, backward.front = -2, backward.stride_channels = -1;
    CHECK(slope_error({backward, {image}}) < 1e-4);
}

TEST(windows_of_normalizations_have_gradients) {
    for (const auto edge : {ops::EdgeRule::zero, ops::EdgeRule::clamp}) {
        ops::CentredWindow window;
        window.kernel_height = 3, window.kernel_width = 4;
        window.edge = edge;
        ops::CentredWindow placed = window;
        placed.offset_y = 2, placed.offset_x = -1, placed.height = 4, placed.width = 7;
        for (const ops::CentredWindow &used : {window, placed}) {
            ops::SpatialNormalization spatial;
            spatial.window = used;
            spatial.alpha = 0.7f, spatial.beta = 0.75f, spatial.delta = 2.0f;
            CHECK(slope_error({spatial, {image}}) < 1e-3);
            ops::LocalContrastNormalization contrast;
            contrast.window = used;
            contrast.alpha = 0.7f, contrast.delta = 1.5f;
            contrast.p0 = 0.8f, contrast.pm = 0.3f, contrast.ps = 1.2f;
            CHECK(slope_error({contrast, {image}}) < 1e-3);
        }
    }
}

TEST(arithmetic_has_gradients) {
    ops::Maximum maximum;
    maximum.primary_scale = 0.5f, maximum.secondary_scale = -2.0f, maximum.bias = 1.0f;
    CHECK(slope_error({maximum, {image, image}}) < 1e-2); // some elements cross
    ops::Minimum minimum;
    minimum.secondary_stride_x = 0;
    CHECK(slope_error({minimum, {image, {2, 5, 1, 8}}}) < 1e-2);
}

TEST(reductions_to_chosen_elements_have_gradients) {
    for (const auto axis :
         {ops::ReductionAxis::channels, ops::ReductionAxis::width, ops::ReductionAxis::height})
        for (const auto kind : {ops::ReductionKind::max, ops::ReductionKind::min, ops::ReductionKind::l2_norm,
                                ops::ReductionKind::sum_of_squares, ops::ReductionKind::log_sum_exp,
                                ops::ReductionKind::variance, ops::ReductionKind::deviation}) {
            ops::Reduction reduction;
            reduction.kind = kind;
            reduction.axis = axis;
            CHECK(slope_error({reduction, {image}}) < 1e-2);
        }
}

TEST(sums_have_gradients) {
    for (const auto axis :
         {ops::ReductionAxis::channels, ops::ReductionAxis::width, ops::ReductionAxis::height})
        for (const auto kind : {ops::ReductionKind::sum, ops::ReductionKind::mean}) {
            ops::Reduction reduction;
            reduction.kind = kind;
            reduction.axis = axis;
            if (kind == ops::ReductionKind::sum) reduction.weight = 0.5f;
            CHECK(slope_error({reduction, {image}}) < 1e-4);
        }
}

TEST(matrix_products_have_gradients) {
    for (const bool first : {false, true})
        for (const bool second : {false, true}) {
            const ops::MatrixProduct product{first, second, 0.5f};
            const Shape a = first ? Shape{2, 3, 7, 4} : Shape{2, 3, 4, 7};
            const Shape b = second ? Shape{2, 3, 5, 7} : Shape{2, 3, 7, 5};
            CHECK(slope_error({product, {a, b}}) < 1e-4);
        }
}

TEST(what_training_does_not_reach_is_refused) {
    const auto refused = [](const ops::Operation &operation, const Shape &shape, const char *message) {
        CHECK_THROWS(slope_error({operation, {shape}}), ErrorKind::unsupported, message);
    };
    ops::Reduction product;
    product.kind = ops::ReductionKind::product;
    refused(product, image, "a product");
    refused(ops::Argument{}, image, "this operation");
}
