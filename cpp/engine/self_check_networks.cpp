#include "engine/self_check.h"

#include <cmath>
#include <optional>
#include <string>

#include "core/json.h"
#include "core/text.h"
#include "ops/op_list.h"

namespace mpscnn::engine {

namespace {

/// A layer as a node of a model file has it; what begins with "activation" is attached to it. `inputs` images
/// of the same extents, which are odd and whose channels do not fill their last slice unless said otherwise.
struct CheckedLayer {
    const char *name, *operation, *attributes;
    const char *activation = nullptr;
    std::int64_t height = 7, width = 5, channels = 6;
    int inputs = 1;
};

// Names are those of messages: what a user reads if a device computes the layer wrongly.
constexpr CheckedLayer checked_layers[] = {
    // Windows: odd, even, dilated, strided, one-sided padding.
    {"convolution", "convolution",
     R"({"output_channels":9,"kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"same"})"},
    {"convolution, even window", "convolution",
     R"({"output_channels":9,"kernel_height":4,"kernel_width":2,"padding":"same"})"},
    {"convolution, padding on one side", "convolution",
     R"({"output_channels":5,"kernel_height":2,"kernel_width":3,"padding":"explicit","pad_top":2,"pad_left":1})"},
    {"convolution, dilated", "convolution",
     R"({"output_channels":9,"kernel_height":3,"kernel_width":2,"dilation_y":2,"dilation_x":3,"padding":"same"})"},
    {"convolution, groups of 4 channels", "convolution",
     R"({"output_channels":16,"kernel_height":3,"kernel_width":3,"groups":2,"padding":"same"})", nullptr, 7,
     5, 8},
    {"convolution, groups of 3 channels", "convolution",
     R"({"output_channels":4,"kernel_height":3,"kernel_width":3,"groups":2,"padding":"same"})"},
    {"pointwise convolution", "convolution", R"({"output_channels":7})"},
    // The size from which implementations like to choose Winograd's algorithm.
    {"convolution, large", "convolution",
     R"({"output_channels":40,"kernel_height":3,"kernel_width":3,"padding":"same"})", nullptr, 37, 51, 32},
    {"convolution, wide", "convolution",
     R"({"output_channels":8,"kernel_height":7,"kernel_width":7,"stride_y":2,"stride_x":2,"padding":"same"})",
     nullptr, 129, 131, 3},
    {"depthwise convolution", "convolution",
     R"({"output_channels":6,"kernel_height":3,"kernel_width":3,"padding":"same","groups":6})"},
    {"depthwise convolution, even window", "convolution",
     R"({"output_channels":12,"kernel_height":2,"kernel_width":4,"stride_x":3,"padding":"same","groups":6})"},
    {"depthwise convolution, large", "convolution",
     R"({"output_channels":33,"kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"same","groups":33})",
     R"({"kind":"relun","a":0.0,"b":6.0})", 65, 67, 33},
    {"transposed convolution", "transposed_convolution",
     R"({"output_channels":5,"kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2})"},
    {"transposed convolution, even window", "transposed_convolution",
     R"({"output_channels":5,"kernel_height":4,"kernel_width":2,"stride_y":2,"stride_x":3,"padding":"same"})"},
    {"transposed convolution, groups", "transposed_convolution",
     R"({"output_channels":4,"kernel_height":2,"kernel_width":3,"groups":2,"dilation_x":2})"},
    {"dense layer", "fully_connected", R"({"outputs":5})"},
    {"dense layer, large", "fully_connected", R"({"outputs":1001})", nullptr, 7, 7, 36},
    {"subpixel convolution", "subpixel_convolution",
     R"({"output_channels":3,"scale":2,"kernel_height":3,"kernel_width":3,"padding":"same"})"},
    {"binary convolution", "binary_convolution",
     R"({"output_channels":5,"kernel_height":3,"kernel_width":3,"padding":"same"})"},
    {"binary dense layer", "binary_fully_connected", R"({"outputs":5})"},
    // Neurons in a convolution: those that MPS attaches, and those that follow as a shader.
    {"convolution with relu", "convolution", R"({"output_channels":5,"kernel_height":3,"kernel_width":3})",
     R"({"kind":"relu","a":0.25})"},
    {"convolution with relun", "convolution", R"({"output_channels":5,"kernel_height":3,"kernel_width":3})",
     R"({"kind":"relun","a":0.5,"b":1.5})"},
    {"convolution with linear", "convolution", R"({"output_channels":5,"kernel_height":3,"kernel_width":3})",
     R"({"kind":"linear","a":-0.5,"b":2.0})"},
    {"convolution with sigmoid", "convolution", R"({"output_channels":5,"kernel_height":3,"kernel_width":3})",
     R"({"kind":"sigmoid"})"},
    {"convolution with hard_sigmoid", "convolution",
     R"({"output_channels":5,"kernel_height":3,"kernel_width":3})",
     R"({"kind":"hard_sigmoid","a":0.2,"b":0.5})"},
    {"convolution with tanh", "convolution", R"({"output_channels":5,"kernel_height":3,"kernel_width":3})",
     R"({"kind":"tanh","a":1.5,"b":0.5})"},
    {"convolution with absolute", "convolution",
     R"({"output_channels":5,"kernel_height":3,"kernel_width":3})", R"({"kind":"absolute"})"},
    {"convolution with softplus", "convolution",
     R"({"output_channels":5,"kernel_height":3,"kernel_width":3})", R"({"kind":"softplus","a":1.0,"b":1.0})"},
    {"convolution with softsign", "convolution",
     R"({"output_channels":5,"kernel_height":3,"kernel_width":3})", R"({"kind":"softsign"})"},
    {"convolution with elu", "convolution", R"({"output_channels":5,"kernel_height":3,"kernel_width":3})",
     R"({"kind":"elu","a":1.0})"},
    {"convolution with prelu", "convolution", R"({"output_channels":5,"kernel_height":3,"kernel_width":3})",
     R"({"kind":"prelu"})"},
    {"convolution with gelu", "convolution", R"({"output_channels":5,"kernel_height":3,"kernel_width":3})",
     R"({"kind":"gelu"})"},
    {"convolution with hard_swish", "convolution",
     R"({"output_channels":5,"kernel_height":3,"kernel_width":3})", R"({"kind":"hard_swish"})"},
    {"convolution with swish", "convolution", R"({"output_channels":5,"kernel_height":3,"kernel_width":3})",
     R"({"kind":"swish","b":1.5})"},
    {"convolution with mish", "convolution", R"({"output_channels":5,"kernel_height":3,"kernel_width":3})",
     R"({"kind":"mish"})"},
    {"convolution with gelu_tanh", "convolution",
     R"({"output_channels":5,"kernel_height":3,"kernel_width":3})", R"({"kind":"gelu_tanh"})"},
    {"convolution with clamp", "convolution", R"({"output_channels":5,"kernel_height":3,"kernel_width":3})",
     R"({"kind":"clamp","a":-0.25,"b":0.5})"},
    {"activation sign", "neuron", R"({"kind":"sign"})"},
    {"activation floor", "neuron", R"({"kind":"floor"})"},
    {"activation ceil", "neuron", R"({"kind":"ceil"})"},
    {"activation round", "neuron", R"({"kind":"round"})"},
    {"convolution with erf", "convolution", R"({"output_channels":5,"kernel_height":3,"kernel_width":3})",
     R"({"kind":"erf"})"},
    {"pointwise convolution with power", "convolution", R"({"output_channels":5})",
     R"({"kind":"power","a":0.25,"b":4.0,"c":1.5})"},
    {"pointwise convolution with exponential", "convolution", R"({"output_channels":5})",
     R"({"kind":"exponential","a":0.5,"b":0.0,"c":-1.0})"},
    {"pointwise convolution with logarithm", "convolution", R"({"output_channels":5})",
     R"({"kind":"logarithm","a":0.25,"b":4.0,"c":-1.0})"},
    {"activation", "neuron", R"({"kind":"sigmoid"})"},
    // Poolings.
    {"maximum at edges", "pooling",
     R"({"kind":"max","kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"same"})"},
    {"average at edges", "pooling",
     R"({"kind":"average","kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"same"})"},
    {"norm at edges", "pooling",
     R"({"kind":"l2_norm","kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"same"})"},
    {"maximum, even window", "pooling",
     R"({"kind":"max","kernel_height":2,"kernel_width":4,"stride_y":2,"stride_x":1,"padding":"same"})"},
    {"average, even window", "pooling",
     R"({"kind":"average","kernel_height":2,"kernel_width":4,"padding":"same"})"},
    {"norm, even window", "pooling", R"({"kind":"l2_norm","kernel_height":2,"kernel_width":4})"},
    {"maximum, dilated", "pooling",
     R"({"kind":"max","kernel_height":2,"kernel_width":2,"dilation_y":2,"dilation_x":3})"},
    {"maximum, zeros outside", "pooling",
     R"({"kind":"max","kernel_height":3,"kernel_width":3,"padding":"same","edge":"zero"})"},
    {"average, zeros outside", "pooling",
     R"({"kind":"average","kernel_height":3,"kernel_width":3,"padding":"same","edge":"zero"})"},
    {"average of the image", "pooling", R"({"kind":"average","global":true})", nullptr, 9, 11, 21},
    {"maximum, large", "pooling",
     R"({"kind":"max","kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"same"})",
     nullptr, 65, 67, 33},
    // Normalizations and softmax.
    {"softmax", "softmax", "{}"},
    {"softmax, large", "softmax", "{}", nullptr, 1, 3, 1001},
    {"logarithmic softmax", "log_softmax", "{}"},
    {"cross-channel normalization", "cross_channel_normalization",
     R"({"kernel_size":5,"alpha":0.5,"beta":0.75,"delta":2.0})"},
    {"cross-channel normalization, even size", "cross_channel_normalization",
     R"({"kernel_size":4,"alpha":0.5,"beta":0.75,"delta":2.0})"},
    {"spatial normalization", "spatial_normalization",
     R"({"kernel_height":3,"kernel_width":3,"alpha":0.5,"beta":0.75,"delta":2.0})"},
    {"spatial normalization, even size", "spatial_normalization",
     R"({"kernel_height":4,"kernel_width":4,"alpha":0.5,"beta":0.75,"delta":2.0})"},
    {"local contrast normalization", "local_contrast_normalization",
     R"({"kernel_height":3,"kernel_width":3,"alpha":0.5,"beta":0.75,"delta":2.0,"p0":0.5,"pm":0.25,"ps":2.0})"},
    {"local contrast normalization, even size", "local_contrast_normalization",
     R"({"kernel_height":4,"kernel_width":4,"alpha":0.5,"beta":0.75,"delta":2.0})"},
    {"batch normalization", "batch_normalization", "{}"},
    {"statistics of a batch", "batch_statistics", "{}"},
    {"group normalization", "group_normalization", R"({"groups":2})"},
    {"layer normalization", "layer_normalization", "{}"},
    // What moves, resizes and combines images.
    {"resize", "resize", R"({"height":9,"width":12})"},
    {"nearest resize by whole factors", "resize", R"({"kind":"nearest","scale_y":3.0,"scale_x":2.0})"},
    {"padding", "padding", R"({"top":1,"right":2,"back":3,"value":0.5})"},
    {"slice", "slice", R"({"top":1,"left":2,"front":1,"height":4,"width":3,"channels":5})"},
    {"slice, backward", "slice", R"({"top":-1,"front":5,"stride_y":-2,"stride_x":2,"stride_channels":-1})"},
    {"gather", "gather", R"({"indices":[5,0,0,3,2,1,4]})"},
    {"tile", "tile", R"({"rows":2,"columns":3,"channels":2})"},
    {"constant", "constant", R"({"shape":[7,5,6]})"},
    {"transpose", "transpose", R"({"axes":[3,1,2]})"},
    {"channel shuffle", "channel_shuffle", R"({"groups":2})"},
    {"matrix product", "matrix_product", R"({"transpose_second":true,"scale":0.5})", nullptr, 7, 5, 6, 2},
    {"matrix product, first transposed", "matrix_product", R"({"transpose_first":true})", nullptr, 7, 5, 6,
     2},
    {"reshape", "reshape", R"({"shape":[5,6,7]})"},
    {"depth to space", "depth_to_space", R"({"scale":2})", nullptr, 7, 5, 12},
    {"concatenation", "concatenation", "{}", nullptr, 7, 5, 6, 2},
    {"sum", "add", R"({"secondary_scale":0.5})", R"({"kind":"relu","a":0.0})", 7, 5, 6, 2},
    {"difference", "subtract", R"({"bias":0.25})", nullptr, 7, 5, 6, 2},
#define MPSCNN_ARITHMETIC(NAME, TYPE, SUMMARY) {"plain " #NAME, #NAME, "{}", nullptr, 7, 5, 6, 2},
    FOR_EACH_ARITHMETIC(MPSCNN_ARITHMETIC)
#undef MPSCNN_ARITHMETIC
    // Of noise no two numbers are equal, and none is 0.
    {"equal everywhere", "equal", R"({"primary_scale":0.0,"secondary_scale":0.0})", nullptr, 7, 5, 6, 2},
    {"masked out by zeros", "mask_out", R"({"primary_scale":0.0})", nullptr, 7, 5, 6, 2},
    {"quotient", "divide", R"({"secondary_scale":2.0,"maximum":4.0,"minimum":-4.0})", nullptr, 7, 5, 6, 2},
    {"largest channel", "argument", "{}"},
    {"mean of rows", "reduction", R"({"kind":"mean","axis":"height"})"},
    {"sum of channels", "reduction", R"({"kind":"sum","axis":"channels"})"},
    {"norm of columns", "reduction", R"({"kind":"l2_norm","axis":"width"})"},
    {"product of channels", "reduction", R"({"kind":"product","axis":"channels"})"},
    {"weighted sum", "weighted_reduction", "{}", nullptr, 7, 5, 6, 2},
    {"dropout", "dropout", R"({"training":true,"seed":3})"},
};

/// Variances and the like must be above a limit, which 0.5 to 1.5 are.
std::vector<float> weight_values(const ops::WeightSpec &spec, std::uint32_t seed) {
    std::vector<float> values = self_check_noise(spec.shape.elements(), seed);
    if (spec.lowest >= 0)
        for (float &value : values) value = std::fabs(value) + 0.5f;
    return values;
}

void fill_weights(Graph &graph) {
    for (std::size_t i = 0; i < graph.nodes().size(); ++i)
        for (const ops::WeightSpec &spec : graph.weight_specs(i))
            graph.set_weight(graph.nodes()[i].name, spec.role,
                             WeightTensor::from_floats(
                                 spec.shape, weight_values(spec, static_cast<std::uint32_t>(7 + i))));
}

Graph network_of(const CheckedLayer &layer) {
    Graph graph(concat({"self-check: ", layer.name}));
    std::vector<ValueId> images;
    for (int i = 0; i < layer.inputs; ++i)
        images.push_back(
            graph.add_input(concat({"image ", i}), {Shape::any, layer.height, layer.width, layer.channels}));
    std::optional<ops::Neuron> activation;
    if (layer.activation) activation = ops::make_neuron(parse_json(layer.activation));
    graph.mark_output(graph.add_node(
        layer.name, ops::make_operation(layer.operation, parse_json(layer.attributes)), images, activation));
    fill_weights(graph);
    return graph;
}

} // namespace

std::vector<float> self_check_noise(std::int64_t count, std::uint32_t seed) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float &value : values) {
        seed = seed * 1664525u + 1013904223u;
        value = static_cast<float>(seed >> 8) / 8388608.0f - 1.0f;
    }
    return values;
}

std::vector<Graph> self_check_networks() {
    std::vector<Graph> graphs;
    for (const CheckedLayer &layer : checked_layers) graphs.push_back(network_of(layer));
    return graphs;
}

} // namespace mpscnn::engine
