#include "ops/cases.h"

#include <algorithm>
#include <map>
#include <span>
#include <string_view>
#include <utility>

#include "core/text.h"

namespace mpscnn::ops {

namespace {

constexpr unsigned checked = Case::self_check, verified = Case::conformance, both = checked | verified,
                   trained = checked | Case::training, no_onnx = Case::no_onnx;

/// A row of the table, with JSON as text. The attributes may have alternatives: the text "a|b" stands for two
/// cases, one for each. "*" as attributes or activation stands for one case for each neuron, and "~" for one
/// case for each neuron without jumps. The name of such a case ends in its alternative. If two rows describe
/// the same case, the table has it once, with the tags of both.
struct Row {
    unsigned tags;
    const char *name, *operation, *attributes;
    const char *activation = nullptr;
    /// The default image has odd extents, and channels that do not fill the last slice (of four).
    const char *inputs = "[[7,5,6]]";
    const char *positive_inputs = "";
};

constexpr const char *two_images = "[[7,5,6],[7,5,6]]";

/// Return the tags of an elementwise operation with random inputs. `mpscnn verify` has separate cases for
/// three operations: powers of random numbers overflow a half, and random inputs have neither equal numbers
/// nor zeros.
constexpr unsigned tags_of_plain(std::string_view operation) {
    return operation == "power" || operation == "equal" || operation == "mask_out" ? checked : both;
}

/// Parameters with which neurons of these kinds are defined for random inputs and differ from the identity.
/// Kinds that are not listed have no parameters here.
constexpr const char *parameters_of_neurons[] = {
    R"({"kind":"relu","a":0.25})",
    R"({"kind":"linear","a":-0.5,"b":2.0})",
    R"({"kind":"hard_sigmoid","a":0.2,"b":0.5})",
    R"({"kind":"tanh","a":1.5,"b":0.5})",
    R"({"kind":"softplus","a":1.0,"b":1.0})",
    R"({"kind":"elu","a":1.0})",
    R"({"kind":"relun","a":0.5,"b":1.5})",
    R"({"kind":"power","a":0.0625,"b":8.0,"c":1.5})",
    R"({"kind":"exponential","a":0.5,"b":0.0,"c":-1.0})",
    R"({"kind":"logarithm","a":0.0625,"b":8.0,"c":-1.0})",
    R"({"kind":"swish","b":1.5})",
    R"({"kind":"clamp","a":-0.25,"b":0.5})",
};

/// True for functions with jumps, near which devices may differ as much as the jump is high.
constexpr bool jumps(NeuronKind kind) {
    return kind == NeuronKind::sign || kind == NeuronKind::floor || kind == NeuronKind::ceil ||
           kind == NeuronKind::round;
}

// The rows. A name appears in the message that a user reads if a device computes the layer wrongly.
constexpr Row case_rows[] = {
    // Windows: odd, even, dilated, strided, one-sided padding.
    {both, "convolution", "convolution",
     R"({"output_channels":9,"kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"same"})"},
    {both, "convolution, even window", "convolution",
     R"({"output_channels":9,"kernel_height":4,"kernel_width":2,"padding":"same"})"},
    {both, "convolution, padding on one side", "convolution",
     R"({"output_channels":5,"kernel_height":2,"kernel_width":3,"padding":"explicit","pad_top":2,"pad_left":1})"},
    {both, "convolution, dilated", "convolution",
     R"({"output_channels":9,"kernel_height":3,"kernel_width":2,"dilation_y":2,"dilation_x":3,"padding":"same"})"},
    {both, "convolution, groups of 4 channels", "convolution",
     R"({"output_channels":16,"kernel_height":3,"kernel_width":3,"groups":2,"padding":"same"})", nullptr,
     "[[7,5,8]]"},
    {both, "convolution, groups of 3 channels", "convolution",
     R"({"output_channels":4,"kernel_height":3,"kernel_width":3,"groups":2,"padding":"same"})"},
    {checked, "pointwise convolution", "convolution", R"({"output_channels":7})"},
    // A size from which implementations usually choose Winograd's algorithm.
    {both, "convolution, large", "convolution",
     R"({"output_channels":40,"kernel_height":3,"kernel_width":3,"padding":"same"})", nullptr,
     "[[37,51,32]]"},
    {both, "convolution, wide", "convolution",
     R"({"output_channels":8,"kernel_height":7,"kernel_width":7,"stride_y":2,"stride_x":2,"padding":"same"})",
     nullptr, "[[129,131,3]]"},
    {both, "depthwise convolution", "convolution",
     R"({"output_channels":6,"kernel_height":3,"kernel_width":3,"padding":"same","groups":6})"},
    {both, "depthwise convolution, even window", "convolution",
     R"({"output_channels":12,"kernel_height":2,"kernel_width":4,"stride_x":3,"padding":"same","groups":6})"},
    {checked, "convolution to few channels", "convolution",
     R"({"output_channels":3,"kernel_height":3,"kernel_width":3,"padding":"same"})", nullptr, "[[7,5,48]]"},
    {checked, "dense layer to few features", "fully_connected", R"({"outputs":2})", nullptr, "[[1,1,1280]]"},
    {checked, "depthwise convolution, large", "convolution",
     R"({"output_channels":33,"kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"same","groups":33})",
     R"({"kind":"relun","a":0.0,"b":6.0})", "[[65,67,33]]"},
    {both, "transposed convolution", "transposed_convolution",
     R"({"output_channels":5,"kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2})"},
    {both, "transposed convolution, even window", "transposed_convolution",
     R"({"output_channels":5,"kernel_height":4,"kernel_width":2,"stride_y":2,"stride_x":3,"padding":"same"})"},
    {both, "transposed convolution, groups", "transposed_convolution",
     R"({"output_channels":4,"kernel_height":2,"kernel_width":3,"groups":2,"dilation_x":2})"},
    {both, "dense layer", "fully_connected", R"({"outputs":5})"},
    {both, "dense layer, large", "fully_connected", R"({"outputs":1001})", nullptr, "[[7,7,36]]"},
    {both, "subpixel convolution", "subpixel_convolution",
     R"({"output_channels":3,"scale":2,"kernel_height":3,"kernel_width":3,"padding":"same"})"},
    {both, "binary convolution", "binary_convolution",
     R"({"output_channels":5,"kernel_height":3,"kernel_width":3,"padding":"same"})"},
    {both, "binary dense layer", "binary_fully_connected", R"({"outputs":5})"},
    // Convolutions with each neuron: some that MPS attaches to the convolution, and some that a shader
    // applies after it.
    {checked, "convolution with neuron", "convolution",
     R"({"output_channels":5,"kernel_height":3,"kernel_width":3})", "~"},
    {both, "activation sign", "neuron", R"({"kind":"sign"})"},
    {both, "activation floor", "neuron", R"({"kind":"floor"})"},
    {both, "activation ceil", "neuron", R"({"kind":"ceil"})"},
    {both, "activation round", "neuron", R"({"kind":"round"})"},
    {both, "pointwise convolution with exponential", "convolution", R"({"output_channels":5})",
     R"({"kind":"exponential","a":0.5,"b":0.0,"c":-1.0})"},
    {both, "activation", "neuron", R"({"kind":"sigmoid"})"},
    // Poolings.
    {both, "maximum at edges", "pooling",
     R"({"kind":"max","kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"same"})"},
    {both, "average at edges", "pooling",
     R"({"kind":"average","kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"same"})"},
    {both, "norm at edges", "pooling",
     R"({"kind":"l2_norm","kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"same"})"},
    {checked, "maximum, even window", "pooling",
     R"({"kind":"max","kernel_height":2,"kernel_width":4,"stride_y":2,"stride_x":1,"padding":"same"})"},
    {both, "average, even window", "pooling",
     R"({"kind":"average","kernel_height":2,"kernel_width":4,"padding":"same"})"},
    {checked, "norm, even window", "pooling", R"({"kind":"l2_norm","kernel_height":2,"kernel_width":4})"},
    {both, "maximum, dilated", "pooling",
     R"({"kind":"max","kernel_height":2,"kernel_width":2,"dilation_y":2,"dilation_x":3})"},
    {both, "maximum, zeros outside", "pooling",
     R"({"kind":"max","kernel_height":3,"kernel_width":3,"padding":"same","edge":"zero"})"},
    {both, "average, zeros outside", "pooling",
     R"({"kind":"average","kernel_height":3,"kernel_width":3,"padding":"same","edge":"zero"})"},
    {both, "average of the image", "pooling", R"({"kind":"average","global":true})", nullptr, "[[9,11,21]]"},
    {both, "maximum, large", "pooling",
     R"({"kind":"max","kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"same"})",
     nullptr, "[[65,67,33]]"},
    // Normalizations and softmax.
    {both, "softmax", "softmax", "{}"},
    {checked, "softmax, large", "softmax", "{}", nullptr, "[[1,3,1001]]"},
    {checked, "logarithmic softmax, large", "log_softmax", "{}", nullptr, "[[3,5,203]]"},
    {both, "logarithmic softmax", "log_softmax", "{}"},
    {checked, "cross-channel normalization", "cross_channel_normalization",
     R"({"kernel_size":5,"alpha":0.5,"beta":0.75,"delta":2.0})"},
    {checked, "cross-channel normalization, even size", "cross_channel_normalization",
     R"({"kernel_size":4,"alpha":0.5,"beta":0.75,"delta":2.0})"},
    {both, "spatial normalization", "spatial_normalization",
     R"({"kernel_height":3,"kernel_width":3,"alpha":0.5,"beta":0.75,"delta":2.0})"},
    {both, "spatial normalization, even size", "spatial_normalization",
     R"({"kernel_height":4,"kernel_width":4,"alpha":0.5,"beta":0.75,"delta":2.0})"},
    {both, "local contrast normalization", "local_contrast_normalization",
     R"({"kernel_height":3,"kernel_width":3,"alpha":0.5,"beta":0.75,"delta":2.0,"p0":0.5,"pm":0.25,"ps":2.0})"},
    {checked, "local contrast normalization, even size", "local_contrast_normalization",
     R"({"kernel_height":4,"kernel_width":4,"alpha":0.5,"beta":0.75,"delta":2.0})"},
    {checked, "batch normalization", "batch_normalization", "{}"},
    {both, "statistics of a batch", "batch_statistics", "{}"},
    {both, "group normalization", "group_normalization", R"({"groups":2})"},
    {checked, "layer normalization", "layer_normalization", "{}"},
    // Layers that move, resize and combine images.
    {both, "resize", "resize", R"({"height":9,"width":12})"},
    {both, "nearest resize by whole factors", "resize", R"({"kind":"nearest","scale_y":3.0,"scale_x":2.0})"},
    {both, "padding", "padding", R"({"top":1,"right":2,"back":3,"value":0.5})"},
    {both, "slice", "slice", R"({"top":1,"left":2,"front":1,"height":4,"width":3,"channels":5})"},
    {both, "slice, backward", "slice",
     R"({"top":-1,"front":5,"stride_y":-2,"stride_x":2,"stride_channels":-1})"},
    {both, "gather", "gather", R"({"indices":[5,0,0,3,2,1,4]})"},
    {both, "take along channels", "take_along_axis", "{}", nullptr, "[[7,5,6],[7,1,4]]"},
    {checked, "take along rows", "take_along_axis", R"({"axis":1})", nullptr, "[[7,5,6],[3,1,6]]"},
    {checked, "take along columns", "take_along_axis", R"({"axis":2})", nullptr, "[[1,5,6],[7,8,1]]"},
    {both, "top k", "top_k", R"({"count":3})"},
    {checked, "top k, smallest", "top_k", R"({"kind":"min","count":6})"},
    {both, "tile", "tile", R"({"rows":2,"columns":3,"channels":2})"},
    {both, "constant", "constant", R"({"shape":[7,5,6]})"},
    {both, "transpose", "transpose", R"({"axes":[3,1,2]})"},
    {both, "channel shuffle", "channel_shuffle", R"({"groups":2})"},
    {checked, "matrix product", "matrix_product", R"({"transpose_second":true,"scale":0.5})", nullptr,
     two_images},
    {checked, "matrix product, first transposed", "matrix_product", R"({"transpose_first":true})", nullptr,
     two_images},
    // Recurrent layers on sequences: 7 steps, and 5 sequences in each image.
    {both, "LSTM", "lstm", "{}", nullptr, "[[7,5,24]]"},
    {both, "LSTM with states, backward", "lstm", R"({"reverse":true})", nullptr,
     "[[7,1,28],[1,1,7],[1,1,7]]"},
    {checked, "LSTM of other functions", "lstm",
     R"({"gate":"hard_sigmoid","gate_a":0.25,"gate_b":0.5,"candidate":"softsign","output":"relu"})", nullptr,
     "[[7,5,24]]"},
    {checked, "LSTM of one unit, other functions", "lstm",
     R"({"gate":"hard_sigmoid","gate_a":0.25,"gate_b":0.5,"candidate_a":1.25,"candidate_b":0.75,"output_a":0.75,"output_b":1.25})",
     nullptr, "[[7,5,4]]"},
    {both, "GRU", "gru", "{}", nullptr, "[[7,5,18]]"},
    {checked, "GRU of one unit, other functions", "gru",
     R"({"gate":"hard_sigmoid","gate_a":0.25,"gate_b":0.5,"candidate_a":1.25,"candidate_b":0.75})", nullptr,
     "[[7,5,3]]"},
    {both, "GRU with a state, backward", "gru", R"({"reverse":true})", nullptr, "[[7,1,21],[1,1,7]]"},
    {both, "GRU that resets before", "gru", R"({"reset_after":false})", nullptr, "[[7,5,18],[1,5,6]]"},
    {both, "reshape", "reshape", R"({"shape":[5,6,7]})"},
    {both, "depth to space", "depth_to_space", R"({"scale":2})", nullptr, "[[7,5,12]]"},
    {checked, "concatenation", "concatenation", "{}", nullptr, two_images},
    {checked, "sum", "add", R"({"secondary_scale":0.5})", R"({"kind":"relu","a":0.0})", two_images},
    {both, "difference", "subtract", R"({"bias":0.25})", nullptr, two_images},
#define MPSCNN_ARITHMETIC(NAME, TYPE, SUMMARY)                                                               \
    {tags_of_plain(#NAME), "plain " #NAME, #NAME, "{}", nullptr, two_images},
    FOR_EACH_ARITHMETIC(MPSCNN_ARITHMETIC)
#undef MPSCNN_ARITHMETIC
    // The next two layers scale their inputs by 0, because random inputs have neither equal numbers nor
    // zeros.
    {both, "equal everywhere", "equal", R"({"primary_scale":0.0,"secondary_scale":0.0})", nullptr,
     two_images},
    {both, "masked out by zeros", "mask_out", R"({"primary_scale":0.0})", nullptr, two_images},
    {both, "quotient", "divide", R"({"secondary_scale":2.0,"maximum":4.0,"minimum":-4.0})", nullptr,
     two_images},
    {both, "largest channel", "argument", "{}"},
    {both, "mean of rows", "reduction", R"({"kind":"mean","axis":"height"})"},
    {both, "sum of channels", "reduction", R"({"kind":"sum","axis":"channels"})"},
    {both, "norm of columns", "reduction", R"({"kind":"l2_norm","axis":"width"})"},
    {both, "product of channels", "reduction", R"({"kind":"product","axis":"channels"})"},
    {both, "weighted sum", "weighted_reduction", "{}", nullptr, two_images},
    {both | no_onnx, "dropout", "dropout", R"({"training":true,"seed":3})"},
    // Each parameter that the rows above leave at its default, and each value of the parameters with names.
    {checked, "convolution, padding on all sides", "convolution",
     R"({"output_channels":5,"kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"explicit","pad_top":1,"pad_bottom":1,"pad_left":2,"pad_right":1,"ceil_mode":true})"},
    {checked, "convolution, all positions", "convolution",
     R"({"output_channels":5,"kernel_height":3,"kernel_width":2,"padding":"full"})"},
    {checked, "transposed convolution, borders taken off", "transposed_convolution",
     R"({"output_channels":5,"kernel_height":3,"kernel_width":4,"stride_y":3,"stride_x":2,"dilation_y":2,"padding":"explicit","pad_top":1,"pad_bottom":2,"pad_left":2,"pad_right":1,"output_padding_y":1,"output_padding_x":1})"},
    {checked, "transposed convolution, kernel laid over the result", "transposed_convolution",
     R"({"output_channels":5,"kernel_height":3,"kernel_width":2,"stride_y":2,"stride_x":2,"padding":"same","output_height":13,"output_width":10,"kernel_use":"gather"})"},
    {checked, "subpixel convolution, groups", "subpixel_convolution",
     R"({"output_channels":2,"scale":2,"order":"channel_major","kernel_height":2,"kernel_width":3,"stride_y":2,"stride_x":1,"dilation_y":2,"dilation_x":1,"padding":"same","groups":2,"output_height":7,"output_width":9})"},
    {checked, "subpixel convolution, padding on all sides", "subpixel_convolution",
     R"({"output_channels":3,"scale":3,"kernel_height":3,"kernel_width":2,"stride_x":2,"dilation_x":2,"padding":"explicit","pad_top":1,"pad_bottom":2,"pad_left":2,"pad_right":1,"ceil_mode":true})"},
    {checked, "subpixel convolution, all positions", "subpixel_convolution",
     R"({"output_channels":3,"scale":2,"kernel_height":3,"kernel_width":2,"padding":"full"})"},
    {checked, "binary convolution, real inputs", "binary_convolution",
     R"({"output_channels":5,"kernel_height":2,"kernel_width":3,"stride_y":2,"stride_x":2,"kind":"binary_weights","beta_scaling":true,"padding":"explicit","pad_top":1,"pad_bottom":2,"pad_left":2,"pad_right":1,"ceil_mode":true})"},
    {checked, "binary convolution, bits of both", "binary_convolution",
     R"({"output_channels":5,"kernel_height":3,"kernel_width":2,"dilation_y":2,"dilation_x":3,"kind":"and","padding":"full"})",
     nullptr, "[[7,5,37]]"},
    {checked, "binary dense layer, real inputs", "binary_fully_connected",
     R"({"outputs":5,"kind":"binary_weights","beta_scaling":true})"},
    {checked, "binary dense layer, bits of both", "binary_fully_connected", R"({"outputs":5,"kind":"and"})"},
    {checked, "maximum, nearest pixel outside", "pooling",
     R"({"kind":"max","kernel_height":3,"kernel_width":3,"padding":"explicit","pad_top":1,"pad_bottom":2,"pad_left":2,"pad_right":1,"edge":"clamp"})"},
    {checked, "norm, nearest pixel outside", "pooling",
     R"({"kind":"l2_norm","kernel_height":3,"kernel_width":3,"padding":"full","edge":"clamp"})"},
    {checked, "average that divides by padding too", "pooling",
     R"({"kind":"average","kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"explicit","pad_top":1,"pad_left":1,"pad_right":1,"ceil_mode":true,"count_padding":true})"},
    {checked, "average that divides by zeros around the image", "pooling",
     R"({"kind":"average","kernel_height":3,"kernel_width":3,"padding":"same","zero_pad_y":1,"zero_pad_x":1})"},
    {both, "average, dilated", "pooling",
     R"({"kind":"average","kernel_height":2,"kernel_width":2,"dilation_y":2,"dilation_x":3})"},
    {checked, "spatial normalization, part of the image", "spatial_normalization",
     R"({"kernel_height":3,"kernel_width":2,"alpha":0.5,"beta":0.75,"delta":2.0,"offset_y":-1,"offset_x":1,"height":6,"width":4,"edge":"clamp"})"},
    {checked, "local contrast normalization, part of the image", "local_contrast_normalization",
     R"({"kernel_height":3,"kernel_width":2,"alpha":0.5,"beta":0.75,"delta":2.0,"offset_y":-1,"offset_x":1,"height":6,"width":4,"edge":"clamp"})"},
    {checked, "batch normalization, large epsilon", "batch_normalization", R"({"epsilon":0.5,"fixed":true})"},
    {checked, "group normalization, large epsilon", "group_normalization", R"({"groups":3,"epsilon":0.5})"},
    {checked, "group normalization, large", "group_normalization", R"({"groups":3})", nullptr,
     "[[33,35,21]]"},
    {checked, "layer normalization, large", "layer_normalization", R"({"epsilon":0.5})", nullptr,
     "[[3,5,387]]"},
    {checked, "root mean square, large", "layer_normalization", R"({"norm":"root_mean_square"})", nullptr,
     "[[3,5,387]]"},
    {checked, "L2 norm, large", "layer_normalization", R"({"norm":"l2_norm","epsilon_rule":"minimum"})",
     nullptr, "[[3,5,387]]"},
    {checked, "L1 norm", "layer_normalization",
     R"({"norm":"l1_norm","epsilon_rule":"outside","epsilon":0.5})"},
    {checked | no_onnx, "Lanczos resize", "resize", R"({"kind":"lanczos","height":9,"width":3})"},
    {both, "bilinear resize, corners", "resize", R"({"height":9,"width":12,"alignment":"corners"})"},
    {checked, "bilinear resize, one row", "resize",
     R"({"height":1,"width":12,"alignment":"pytorch_half_pixel"})"},
    {checked | no_onnx, "bilinear resize, zeros outside", "resize",
     R"({"height":9,"width":12,"alignment":"asymmetric","magnification_y":1.25,"magnification_x":1.75,"offset_y":-0.5,"offset_x":0.75,"edge":"zero"})"},
    {checked, "nearest resize, lower pixel", "resize",
     R"({"kind":"nearest","height":9,"width":12,"rounding":"floor"})"},
    {checked, "nearest resize, upper pixel", "resize",
     R"({"kind":"nearest","height":9,"width":12,"rounding":"ceil"})"},
    {checked, "nearest resize, nearer pixel, lower", "resize",
     R"({"kind":"nearest","height":14,"width":10,"rounding":"round_prefer_floor"})"},
    {checked, "nearest resize, nearer pixel, upper", "resize",
     R"({"kind":"nearest","height":14,"width":10,"rounding":"round_prefer_ceil"})"},
    {checked | no_onnx, "nearest resize, zeros outside", "resize",
     R"({"kind":"nearest","height":9,"width":12,"offset_y":-1.0,"offset_x":2.0,"edge":"zero"})"},
    {checked, "padding, nearest pixel", "padding",
     R"({"top":2,"bottom":1,"left":1,"front":2,"mode":"clamp"})"},
    {checked, "padding, reflected", "padding",
     R"({"top":1,"bottom":9,"left":2,"right":-1,"front":1,"back":2,"mode":"mirror"})"},
    {checked, "padding, reflected with its edge", "padding",
     R"({"top":-1,"bottom":2,"left":7,"right":1,"front":1,"back":2,"mode":"mirror_with_edge"})"},
    {checked, "padding, a value for each channel", "padding",
     R"({"top":1,"right":2,"values":[0.5,-1.0,0.25,2.0,-0.5,1.5]})"},
    {checked, "gather of rows", "gather", R"({"axis":1,"indices":[6,0,0,3]})"},
    {checked, "gather of columns", "gather", R"({"axis":2,"indices":[4,2,2,0,1,3]})"},
    {both, "depth to space, channel major", "depth_to_space", R"({"scale":2,"order":"channel_major"})",
     nullptr, "[[7,5,12]]"},
    {checked, "matrix product, large", "matrix_product", R"({"transpose_second":true})", nullptr,
     "[[33,35,131],[33,35,131]]"},
    {checked, "concatenation of rows", "concatenation", R"({"axis":1})", nullptr, two_images},
    {checked, "concatenation of columns", "concatenation", R"({"axis":2})", nullptr,
     "[[7,5,6],[7,5,6],[7,5,6]]"},
    {checked, "concatenation of whole slices", "concatenation", "{}", nullptr, "[[7,5,8],[7,5,8]]"},
    {checked, "sum of every second element and repeated ones", "add",
     R"({"primary_stride_y":2,"primary_stride_x":0,"primary_stride_channels":0,"secondary_stride_y":0,"secondary_stride_x":2})",
     nullptr, two_images},
    {checked, "product with one channel", "multiply", R"({"secondary_stride_channels":0})", nullptr,
     two_images},
    {both, "smallest channel", "argument", R"({"kind":"min"})"},
    {checked, "largest channel, large", "argument", "{}", nullptr, "[[3,5,1001]]"},
    {both, "maximum of rows", "reduction", R"({"kind":"max","axis":"height"})"},
    {both, "minimum of columns", "reduction", R"({"kind":"min","axis":"width"})"},
    {both, "maximum of channels", "reduction", R"({"kind":"max","axis":"channels"})"},
    {both, "minimum of channels", "reduction", R"({"kind":"min","axis":"channels"})"},
    {checked, "sum of rows, large", "reduction", R"({"kind":"sum","axis":"height","weight":0.25})", nullptr,
     "[[203,3,5]]"},
    {checked, "mean of columns, large", "reduction", R"({"kind":"mean","axis":"width"})", nullptr,
     "[[3,203,5]]"},
    {checked, "sum of channels, large", "reduction", R"({"kind":"sum","axis":"channels"})", nullptr,
     "[[3,5,203]]"},
    {checked, "norm of channels, large", "reduction", R"({"kind":"l2_norm","axis":"channels"})", nullptr,
     "[[3,5,203]]"},
    {both, "squares of rows", "reduction", R"({"kind":"sum_of_squares","axis":"height"})"},
    {checked, "variance of channels, large", "reduction", R"({"kind":"variance","axis":"channels"})", nullptr,
     "[[3,5,203]]"},
    {checked, "deviation of columns", "reduction", R"({"kind":"deviation","axis":"width","weight":1.25})"},
    {both, "exponentials of rows", "reduction", R"({"kind":"log_sum_exp","axis":"height"})"},
    {checked, "exponentials of channels, large", "reduction", R"({"kind":"log_sum_exp","axis":"channels"})",
     nullptr, "[[3,5,203]]"},
    {checked, "weighted sum, large", "weighted_reduction", "{}", nullptr, "[[3,5,203],[3,5,203]]"},
    {both, "weighted mean", "weighted_reduction", R"({"kind":"mean"})", nullptr, two_images},
    {checked | no_onnx, "dropout of rows and columns", "dropout",
     R"({"training":true,"seed":3,"keep_probability":0.75,"mask_stride_channels":0})"},
    {checked | no_onnx, "dropout of channels", "dropout",
     R"({"training":true,"seed":3,"mask_stride_y":0,"mask_stride_x":0})"},
    // Each input is one image with at most four channels. Metal stores such an image in a texture without
    // slices, and shaders access this type of texture differently.
    {checked, "convolution, one slice", "convolution",
     R"({"output_channels":4,"kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"same"})",
     R"({"kind":"hard_swish"})", "[[7,5,3]]"},
    {checked, "convolution, one slice to several", "convolution",
     R"({"output_channels":9,"kernel_height":3,"kernel_width":3,"padding":"same"})",
     R"({"kind":"hard_swish"})", "[[7,5,3]]"},
    {checked, "convolution, groups of 2 channels, one slice", "convolution",
     R"({"output_channels":4,"kernel_height":3,"kernel_width":2,"groups":2,"padding":"same"})", nullptr,
     "[[7,5,4]]"},
    {checked, "depthwise convolution, one slice", "convolution",
     R"({"output_channels":3,"kernel_height":3,"kernel_width":3,"groups":3,"padding":"same"})", nullptr,
     "[[7,5,3]]"},
    {checked, "convolution, groups of 2 channels to 4", "convolution",
     R"({"output_channels":8,"kernel_height":3,"kernel_width":2,"groups":2,"padding":"same"})", nullptr,
     "[[7,5,4]]"},
    {checked, "pointwise convolution, one slice", "convolution", R"({"output_channels":4})",
     R"({"kind":"hard_swish"})", "[[7,5,3]]"},
    {checked, "pointwise convolution, one slice to several", "convolution", R"({"output_channels":9})",
     R"({"kind":"hard_swish"})", "[[7,5,3]]"},
    {checked, "pointwise convolution, several slices to one", "convolution", R"({"output_channels":3})",
     R"({"kind":"hard_swish"})", "[[7,5,9]]"},
    {checked, "depthwise convolution, one slice, strides", "convolution",
     R"({"output_channels":3,"kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"groups":3,"padding":"same"})",
     nullptr, "[[7,5,3]]"},
    {checked, "depthwise convolution, one slice, two results for each channel", "convolution",
     R"({"output_channels":4,"kernel_height":3,"kernel_width":3,"groups":2,"padding":"same"})", nullptr,
     "[[7,5,2]]"},
    {checked, "depthwise convolution, one slice to several", "convolution",
     R"({"output_channels":6,"kernel_height":3,"kernel_width":3,"groups":3,"padding":"same"})", nullptr,
     "[[7,5,3]]"},
    {checked, "transposed convolution, groups, one slice", "transposed_convolution",
     R"({"output_channels":4,"kernel_height":2,"kernel_width":3,"groups":2,"dilation_x":2})", nullptr,
     "[[7,5,4]]"},
    {checked, "transposed convolution, groups, one slice to several", "transposed_convolution",
     R"({"output_channels":6,"kernel_height":2,"kernel_width":3,"groups":2,"stride_y":2})", nullptr,
     "[[7,5,4]]"},
    {checked, "binary convolution, one slice to several", "binary_convolution",
     R"({"output_channels":9,"kernel_height":3,"kernel_width":3})", nullptr, "[[7,5,3]]"},
    {checked, "binary convolution, several slices to one", "binary_convolution",
     R"({"output_channels":3,"kernel_height":3,"kernel_width":3})"},
    {checked, "padding, one slice to several", "padding", R"({"top":1,"front":3,"value":0.5})", nullptr,
     "[[7,5,3]]"},
    {checked, "padding, several slices to one", "padding", R"({"left":1,"front":-2,"value":0.5})"},
    {checked, "slice, several slices to one", "slice", R"({"left":1,"front":2,"channels":3})"},
    {checked, "tile, one slice to several", "tile", R"({"channels":3})", nullptr, "[[7,5,3]]"},
    {checked, "transpose, one slice to several", "transpose", R"({"axes":[3,1,2]})", nullptr, "[[7,5,3]]"},
    {checked, "transpose, several slices to one", "transpose", R"({"axes":[1,3,2]})", nullptr, "[[7,4,6]]"},
    {checked, "reshape, one slice to several", "reshape", R"({"shape":[5,3,7]})", nullptr, "[[7,5,3]]"},
    {checked, "reshape, several slices to one", "reshape", R"({"shape":[10,7,3]})"},
    {checked, "matrix product, one slice to several", "matrix_product", R"({"transpose_second":true})",
     nullptr, "[[7,5,3],[7,5,3]]"},
    {checked, "matrix product, several slices to one", "matrix_product", R"({"transpose_second":true})",
     nullptr, "[[7,4,6],[7,4,6]]"},
    {checked, "concatenation, one slice to several", "concatenation", "{}", nullptr, "[[7,5,3],[7,5,3]]"},
    {checked, "transposed convolution, one slice", "transposed_convolution",
     R"({"output_channels":4,"kernel_height":3,"kernel_width":2,"stride_y":2,"stride_x":2})", nullptr,
     "[[7,5,3]]"},
    {checked, "dense layer, one slice", "fully_connected", R"({"outputs":4})", R"({"kind":"hard_swish"})",
     "[[7,5,3]]"},
    {checked, "subpixel convolution, one slice", "subpixel_convolution",
     R"({"output_channels":3,"scale":2,"kernel_height":3,"kernel_width":3})", nullptr, "[[7,5,3]]"},
    {checked, "binary convolution, one slice", "binary_convolution",
     R"({"output_channels":4,"kernel_height":3,"kernel_width":3})", nullptr, "[[7,5,3]]"},
    {checked, "binary dense layer, one slice", "binary_fully_connected", R"({"outputs":4})", nullptr,
     "[[7,5,3]]"},
    {checked, "activation, one slice", "neuron", R"({"kind":"hard_swish"})", nullptr, "[[7,5,3]]"},
    {checked, "maximum, one slice", "pooling",
     R"({"kind":"max","kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"same"})",
     nullptr, "[[7,5,3]]"},
    {checked, "maximum, dilated, one slice", "pooling",
     R"({"kind":"max","kernel_height":2,"kernel_width":2,"dilation_y":2,"dilation_x":3})", nullptr,
     "[[7,5,3]]"},
    {checked, "average, dilated, one slice", "pooling",
     R"({"kind":"average","kernel_height":2,"kernel_width":2,"dilation_y":2,"dilation_x":3})", nullptr,
     "[[7,5,3]]"},
    {checked, "norm, dilated, one slice", "pooling",
     R"({"kind":"l2_norm","kernel_height":2,"kernel_width":2,"dilation_y":2,"dilation_x":3})", nullptr,
     "[[7,5,3]]"},
    {checked, "softmax, one slice", "softmax", "{}", nullptr, "[[7,5,3]]"},
    {checked, "logarithmic softmax, one slice", "log_softmax", "{}", nullptr, "[[7,5,3]]"},
    {checked, "cross-channel normalization, one slice", "cross_channel_normalization",
     R"({"kernel_size":2,"alpha":0.5,"beta":0.75,"delta":2.0})", nullptr, "[[7,5,3]]"},
    {checked, "spatial normalization, one slice", "spatial_normalization",
     R"({"kernel_height":4,"kernel_width":4,"alpha":0.5,"beta":0.75,"delta":2.0})", nullptr, "[[7,5,3]]"},
    {checked, "local contrast normalization, one slice", "local_contrast_normalization",
     R"({"kernel_height":4,"kernel_width":4,"alpha":0.5,"beta":0.75,"delta":2.0})", nullptr, "[[7,5,3]]"},
    {checked, "batch normalization, one slice", "batch_normalization", "{}", nullptr, "[[7,5,3]]"},
    {checked, "statistics of one slice", "batch_statistics", "{}", nullptr, "[[7,5,3]]"},
    {checked, "group normalization, one slice", "group_normalization", R"({"groups":2})", nullptr,
     "[[7,5,4]]"},
    {checked, "layer normalization, one slice", "layer_normalization", "{}", nullptr, "[[7,5,3]]"},
    {checked, "resize, one slice", "resize", R"({"height":9,"width":12})", nullptr, "[[7,5,3]]"},
    {checked, "nearest resize, one slice", "resize", R"({"kind":"nearest","height":9,"width":12})", nullptr,
     "[[7,5,3]]"},
    {checked, "padding, one slice", "padding", R"({"top":1,"right":2,"back":1,"value":0.5})", nullptr,
     "[[7,5,3]]"},
    {checked, "slice of one slice", "slice", R"({"top":1,"left":4,"front":1,"stride_x":-2})", nullptr,
     "[[7,5,3]]"},
    {checked, "gather of one slice", "gather", R"({"indices":[2,0,0,1]})", nullptr, "[[7,5,3]]"},
    {checked, "take along channels of one slice", "take_along_axis", "{}", nullptr, "[[7,5,3],[7,1,4]]"},
    {checked, "top k of one slice", "top_k", R"({"count":2})", nullptr, "[[7,5,3]]"},
    {checked, "tile of one slice", "tile", R"({"rows":2,"columns":3,"channels":2})", nullptr, "[[7,5,2]]"},
    {checked, "constant of one slice", "constant", R"({"shape":[7,5,3]})", nullptr, "[[7,5,3]]"},
    {checked, "transpose of one slice", "transpose", R"({"axes":[2,1,3]})", nullptr, "[[7,5,3]]"},
    {checked, "channel shuffle of one slice", "channel_shuffle", R"({"groups":2})", nullptr, "[[7,5,4]]"},
    {checked, "matrix product of one slice", "matrix_product", R"({"transpose_first":true})", nullptr,
     "[[7,5,3],[7,5,3]]"},
    {checked, "reshape of one slice", "reshape", R"({"shape":[5,6,4]})", nullptr, "[[8,5,3]]"},
    {checked, "depth to space of one slice", "depth_to_space", R"({"scale":2})", nullptr, "[[7,5,4]]"},
    {checked, "concatenation of one slice", "concatenation", "{}", nullptr, "[[7,5,2],[7,5,2]]"},
    {checked, "sum of one slice", "add", R"({"secondary_scale":0.5})", nullptr, "[[7,5,3],[7,5,3]]"},
    {checked, "largest channel of one slice", "argument", "{}", nullptr, "[[7,5,3]]"},
    {checked, "sum of rows of one slice", "reduction", R"({"kind":"sum","axis":"height"})", nullptr,
     "[[7,5,3]]"},
    {checked, "sum of columns of one slice", "reduction", R"({"kind":"sum","axis":"width"})", nullptr,
     "[[7,5,3]]"},
    {checked, "sum of channels of one slice", "reduction", R"({"kind":"sum","axis":"channels"})", nullptr,
     "[[7,5,3]]"},
    {checked, "weighted sum of one slice", "weighted_reduction", "{}", nullptr, "[[7,5,3],[7,5,3]]"},
    {checked | no_onnx, "dropout of one slice", "dropout", R"({"training":true,"seed":3})", nullptr,
     "[[7,5,3]]"},
    // ---- Only for `mpscnn verify`, which has time for all combinations ----
    {verified, "pointwise convolution, 21 channels", "convolution", R"({"output_channels":30})", nullptr,
     "[[9,11,21]]"},
    {verified, "pointwise convolution, many channels", "convolution", R"({"output_channels":70})", nullptr,
     "[[5,5,515]]"},
    {verified, "convolution, 5 x 5", "convolution",
     R"({"output_channels":12,"kernel_height":5,"kernel_width":5})", nullptr, "[[23,19,8]]"},
    {verified, "depthwise convolution, large, without activation", "convolution",
     R"({"output_channels":33,"kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"groups":33,"padding":"same"})",
     nullptr, "[[65,67,33]]"},
    {verified, "convolution, padded, with neuron", "convolution",
     R"({"output_channels":5,"kernel_height":3,"kernel_width":3,"padding":"same"})", "*"},
    {verified, "pointwise convolution with neuron", "convolution", R"({"output_channels":5})", "*"},
    {verified, "dense layer with neuron", "fully_connected", R"({"outputs":5})", "*"},
    {verified, "activation", "neuron", "*"},
    {verified, "dense layer of features", "fully_connected", R"({"outputs":33})", nullptr, "[[130]]"},
    {verified, "binary convolution, scaled", "binary_convolution",
     R"({"output_channels":5,"kernel_height":3,"kernel_width":3,"beta_scaling":true})"},
    {verified, "pooling, even window", "pooling",
     R"({"kind":"max|average|l2_norm","kernel_height":2,"kernel_width":4,"padding":"same"})"},
    {verified, "pooling, dilated", "pooling",
     R"({"kind":"max|average|l2_norm","kernel_height":2,"kernel_width":2,"dilation_y":2,"dilation_x":3})"},
    {verified, "pooling, edges", "pooling",
     R"({"kind":"max|average|l2_norm","kernel_height":3,"kernel_width":3,"padding":"same","edge":"zero|clamp"})"},
    {verified, "pooling of the image", "pooling", R"({"kind":"max|average|l2_norm","global":true})", nullptr,
     "[[9,11,21]]"},
    {verified, "pooling, large", "pooling",
     R"({"kind":"max|average|l2_norm","kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"same"})",
     nullptr, "[[65,67,33]]"},
    {verified, "softmax of features", "softmax", "{}", nullptr, "[[1001]]"},
    {verified, "logarithmic softmax of features", "log_softmax", "{}", nullptr, "[[1001]]"},
    {verified, "cross-channel normalization, 4 of 13 channels", "cross_channel_normalization",
     R"({"kernel_size":4,"alpha":0.5,"beta":0.75,"delta":2.0})", nullptr, "[[7,5,13]]"},
    {verified, "cross-channel normalization, 5 of 13 channels", "cross_channel_normalization",
     R"({"kernel_size":5,"alpha":0.5,"beta":0.75,"delta":2.0})", nullptr, "[[7,5,13]]"},
    {verified, "local contrast normalization, even size, all parameters", "local_contrast_normalization",
     R"({"kernel_height":4,"kernel_width":4,"alpha":0.5,"beta":0.75,"delta":2.0,"p0":0.5,"pm":0.25,"ps":2.0})"},
    {verified, "batch normalization, epsilon", "batch_normalization", R"({"epsilon":0.01})"},
    {verified, "instance normalization", "group_normalization", R"({"groups":6})"},
    {verified, "layer normalization, epsilon", "layer_normalization", R"({"epsilon":0.01})"},
    {verified, "layer normalization of tokens", "layer_normalization", "{}", nullptr, "[[19,192]]"},
    {verified, "norm", "layer_normalization",
     R"({"norm":"deviation|root_mean_square|l2_norm|l1_norm","epsilon_rule":"inside|outside|minimum","epsilon":0.01})"},
    {verified, "matrix product, three rows", "matrix_product", "{}", nullptr, "[[3,7,6],[3,6,5]]"},
    {verified, "matrix product, three rows, first transposed", "matrix_product",
     R"({"transpose_first":true})", nullptr, "[[3,6,7],[3,6,5]]"},
    {verified, "matrix product, three rows, second transposed", "matrix_product",
     R"({"transpose_second":true,"scale":0.5})", nullptr, "[[3,7,6],[3,5,6]]"},
    {verified, "matrix product of heads", "matrix_product", R"({"transpose_second":true,"scale":0.125})",
     nullptr, "[[3,197,64],[3,197,64]]"},
    {verified, "LSTM of many steps", "lstm", "{}", nullptr, "[[37,3,148]]"},
    {verified, "GRU of many steps", "gru", "{}", nullptr, "[[37,3,111]]"},
    {verified, "constant features", "constant", R"({"shape":[13]})"},
    {verified, "transpose of rows and columns", "transpose", R"({"axes":[2,1,3]})"},
    {verified, "transpose of five axes", "transpose", R"({"axes":[4,2,1,5,3]})", nullptr, "[[3,5,2,4,3]]"},
    {verified, "channel shuffle, three groups", "channel_shuffle", R"({"groups":3})"},
    {verified, "gather of three rows", "gather", R"({"indices":[6,0,2],"axis":1})"},
    {verified, "nearest resize", "resize",
     R"({"kind":"nearest","alignment":"half_pixel|corners|asymmetric|pytorch_half_pixel","height":9,"width":12})"},
    {verified, "bilinear resize", "resize",
     R"({"kind":"bilinear","alignment":"half_pixel|corners|asymmetric|pytorch_half_pixel","height":9,"width":12})"},
    {verified, "nearest resize, asymmetric", "resize",
     R"({"kind":"nearest","alignment":"asymmetric","rounding":"floor|ceil|round_prefer_floor|round_prefer_ceil","height":14,"width":3})"},
    {verified | no_onnx, "Lanczos resize, larger", "resize", R"({"kind":"lanczos","height":9,"width":12})"},
    {verified | no_onnx, "Lanczos resize, smaller", "resize", R"({"kind":"lanczos","height":3,"width":2})"},
    {verified | no_onnx, "Lanczos resize, zeros outside", "resize",
     R"({"kind":"lanczos","height":9,"width":3,"edge":"zero","offset_y":-1.5})"},
    {verified, "padding, mirrored", "padding", R"({"top":2,"bottom":1,"left":3,"mode":"mirror"})"},
    {verified, "concatenation of channels", "concatenation", "{}", nullptr, "[[7,5,6],[7,5,3]]"},
    {verified, "concatenation of a slice and two", "concatenation", "{}", nullptr, "[[7,5,4],[7,5,8]]"},
    {verified, "sum, scaled", "add", R"({"secondary_scale":0.5})", nullptr, two_images},
    {verified, "sum with a pixel", "add", R"({"secondary_stride_y":0,"secondary_stride_x":0})", nullptr,
     "[[7,5,6],[1,1,6]]"},
    // The exponents are small, so that no half overflows.
    {verified, "power, small", "power", R"({"secondary_scale":0.25})", nullptr, two_images},
    {verified, "reduction", "reduction",
     R"({"kind":"max|min|sum|mean|product|l2_norm|sum_of_squares|variance|deviation|log_sum_exp","axis":"height|width|channels"})"},
    // ---- Operations of training ----
    {trained, "sums over pixels", "sum_like", "{}", nullptr, "[[2,7,5,6],[1,1,1,6]]"},
    {trained, "sums over many pixels", "sum_like", "{}", nullptr, "[[3,65,67,6],[1,6]]"},
    {trained, "sum of squares", "squared_sum", "{}", nullptr, "[[3,65,67,6]]"},
    {trained, "dropout of a step", "step_dropout", R"({"training":true,"seed":3})", nullptr,
     "[[2,7,5,6],[1,1]]", "1"},
    {trained, "gradient made ready", "optimizer_gradient",
     R"({"clip":true,"minimum":-0.5,"maximum":0.25,"rescale":0.5,"regularization":"l1","regularization_scale":0.1})",
     nullptr, "[[9,3,3,6],[9,3,3,6]]"},
    {trained, "gradient made ready by a factor", "optimizer_gradient",
     R"({"regularization":"l2","regularization_scale":0.1})", nullptr, "[[9,3,3,6],[9,3,3,6],[1,1]]"},
    {trained, "moving average", "moving_average", R"({"rate":0.75})", nullptr, "[[9,3,3,6],[9,3,3,6]]"},
    {trained, "moving average of squares", "moving_average", R"({"rate":0.75,"squares":true})", nullptr,
     "[[9,3,3,6],[9,3,3,6]]"},
    {trained, "momentum", "momentum_update", R"({"momentum":0.75})", nullptr, "[[9,3,3,6],[9,3,3,6],[1,2]]"},
    {trained, "momentum, Nesterov's", "momentum_update", R"({"momentum":0.75,"nesterov":true})", nullptr,
     "[[9,3,3,6],[9,3,3,6],[1,2]]"},
    {trained, "descent", "sgd_update", R"({"weight_decay":0.25})", nullptr, "[[9,3,3,6],[9,3,3,6],[1,2]]"},
    {trained, "descent with momentum", "sgd_update", "{}", nullptr, "[[9,3,3,6],[9,3,3,6],[1,2],[9,3,3,6]]"},
    {trained, "descent with Nesterov's momentum", "sgd_update", R"({"momentum":0.75,"nesterov":true})",
     nullptr, "[[9,3,3,6],[9,3,3,6],[1,2],[9,3,3,6]]"},
    {trained, "adaptive update", "adaptive_update", R"({"epsilon":0.125,"weight_decay":0.25})", nullptr,
     "[[9,3,3,6],[9,3,3,6],[9,3,3,6],[1,2]]", "2"},
    {trained, "sums of a batch normalization", "batch_normalization_sums", "{}", nullptr,
     "[[2,37,51,6],[2,37,51,6],[1,2,1,6]]", "2"},
    {trained, "gradient of a batch normalization", "batch_normalization_gradient", "{}", nullptr,
     "[[2,7,5,6],[2,7,5,6],[1,2,1,6],[1,2,1,6],[1,6]]", "2"},
    {trained, "gradient of a group normalization", "group_normalization_gradient", R"({"groups":2})", nullptr,
     "[[2,7,5,6],[2,7,5,6],[1,6]]"},
    {trained, "gradient of a layer normalization", "layer_normalization_gradient", "{}", nullptr,
     "[[2,7,5,6],[2,7,5,6],[1,6]]"},
    {trained, "gradient of a cross-channel normalization", "cross_channel_normalization_gradient",
     R"({"kernel_size":4,"alpha":0.5,"beta":0.75,"delta":2.0})", nullptr, "[[2,7,5,6],[2,7,5,6]]"},
    {trained, "gradient of a convolution's input", "convolution_data_gradient",
     R"({"output_channels":4,"kernel_height":3,"kernel_width":2,"stride_y":2,"dilation_x":2,"padding":"same","groups":2})",
     nullptr, "[[2,4,5,4],[4,3,2,3],[2,7,5,6]]"},
    {trained, "gradient of a convolution's weights", "convolution_weight_gradient",
     R"({"output_channels":4,"kernel_height":3,"kernel_width":2,"stride_y":2,"dilation_x":2,"padding":"same","groups":2})",
     nullptr, "[[2,7,5,6],[2,4,5,4]]"},
    {trained, "gradient of a wide convolution's input", "convolution_data_gradient",
     R"({"output_channels":20,"kernel_height":3,"kernel_width":3,"stride_x":2,"padding":"same"})", nullptr,
     "[[2,7,3,20],[20,3,3,68],[2,7,5,68]]"},
    {trained, "gradient of a wide convolution's weights", "convolution_weight_gradient",
     R"({"output_channels":68,"kernel_height":3,"kernel_width":3,"stride_x":2,"padding":"same"})", nullptr,
     "[[2,7,5,20],[2,7,3,68]]"},
    {trained, "gradient of a convolution's weights, large", "convolution_weight_gradient",
     R"({"output_channels":8,"kernel_height":3,"kernel_width":3,"padding":"same"})", nullptr,
     "[[2,37,51,6],[2,37,51,8]]"},
    {trained, "gradient of a convolution's input, even window", "convolution_data_gradient",
     R"({"output_channels":9,"kernel_height":2,"kernel_width":4,"stride_x":2,"dilation_y":2,"padding":"same"})",
     nullptr, "[[2,7,3,9],[9,2,4,6],[2,7,5,6]]"},
    {trained, "gradient of a convolution's weights, even window", "convolution_weight_gradient",
     R"({"output_channels":9,"kernel_height":2,"kernel_width":4,"stride_x":2,"dilation_y":2,"padding":"same"})",
     nullptr, "[[2,7,5,6],[2,7,3,9]]"},
    {trained, "gradient of a grouped convolution's input", "convolution_data_gradient",
     R"({"output_channels":8,"kernel_height":3,"kernel_width":3,"padding":"same","groups":2})", nullptr,
     "[[2,7,5,8],[8,3,3,4],[2,7,5,8]]"},
    {trained, "gradient of a grouped convolution's weights", "convolution_weight_gradient",
     R"({"output_channels":8,"kernel_height":3,"kernel_width":3,"padding":"same","groups":2})", nullptr,
     "[[2,7,5,8],[2,7,5,8]]"},
    {trained, "gradient of a depthwise convolution's input", "convolution_data_gradient",
     R"({"output_channels":6,"kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"same","groups":6})",
     nullptr, "[[2,4,3,6],[6,3,3,1],[2,7,5,6]]"},
    {trained, "gradient of a depthwise convolution's weights", "convolution_weight_gradient",
     R"({"output_channels":6,"kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"same","groups":6})",
     nullptr, "[[2,7,5,6],[2,4,3,6]]"},
    {trained, "gradient of a dense layer's input", "convolution_data_gradient", R"({"output_channels":4})",
     nullptr, "[[3,1,1,4],[4,1,1,9],[3,1,1,9]]"},
    {trained, "gradient of a dense layer's weights", "convolution_weight_gradient",
     R"({"output_channels":4})", nullptr, "[[3,1,1,9],[3,1,1,4]]"},
    {trained, "gradient of gathered columns", "gather_gradient",
     R"({"axis":2,"indices":[4,2,2,0,1,4],"extent":5})", nullptr, "[[2,7,6,3]]"},
    {trained, "gradient of gathered channels", "gather_gradient", R"({"indices":[2,0,0,3],"extent":5})",
     nullptr, "[[2,7,5,4]]"},
    {trained, "gradient of a resize", "resize_gradient", R"({"height":9,"width":12})", nullptr,
     "[[2,9,12,6],[2,7,5,6]]"},
    {trained, "gradient of repeated pixels", "resize_gradient",
     R"({"kind":"nearest","height":14,"width":15})", nullptr, "[[2,14,15,6],[2,7,5,6]]"},
    {trained, "gradient of an LSTM", "lstm_gradient", "{}", nullptr,
     "[[2,8,5,6],[2,7,5,24],[2,8,5,6],[24,6]]"},
    {trained, "gradient of an LSTM with states, backward", "lstm_gradient", R"({"reverse":true})", nullptr,
     "[[2,8,1,7],[2,7,1,28],[2,8,1,7],[28,7],[2,1,1,7],[2,1,1,7]]"},
    {trained, "gradient of a GRU", "gru_gradient", "{}", nullptr,
     "[[2,7,5,6],[2,7,5,18],[2,7,5,6],[18,6],[1,6]]"},
    {trained, "gradient of a GRU that resets before", "gru_gradient", R"({"reset_after":false})", nullptr,
     "[[2,7,5,6],[2,7,5,18],[2,7,5,6],[18,6],[2,1,5,6]]"},
    {trained, "gradient of softmax", "softmax_gradient", "{}", nullptr, "[[2,7,5,6],[2,7,5,6]]"},
    {trained, "gradient of logarithmic softmax", "softmax_gradient", R"({"logarithm":true})", nullptr,
     "[[2,7,5,6],[2,7,5,6]]"},
};

/// Return the alternatives of an attribute's value.
std::vector<Json> alternatives(const Json &value) {
    const std::string *text = value.get_if<std::string>();
    if (!text || text->find('|') == std::string::npos) return {value};
    std::vector<Json> found;
    for (std::size_t begin = 0; begin <= text->size();) {
        const std::size_t end = std::min(text->find('|', begin), text->size());
        found.emplace_back(std::string_view(*text).substr(begin, end - begin));
        begin = end + 1;
    }
    return found;
}

/// The end of a case's name, such as ", relu", and the attributes of the case. A row of the table has a case
/// for each alternative, and only this end distinguishes their names.
using Named = std::pair<std::string, Json>;

std::vector<Named> choices_of_neurons(bool with_jumps) {
    std::map<std::string, Json> with_parameters;
    for (const char *text : parameters_of_neurons) {
        Json attributes = parse_json(text);
        with_parameters.emplace(attributes.at("kind").get<std::string>(), attributes);
    }
    std::vector<Named> found;
    for (const auto &[name, kind] : EnumNames<NeuronKind>::values) {
        if (kind == NeuronKind::none || (jumps(kind) && !with_jumps)) continue;
        Json attributes = Json::object();
        attributes.set("kind", name);
        const auto own = with_parameters.find(name);
        found.emplace_back(concat({", ", name}), own == with_parameters.end() ? attributes : own->second);
    }
    return found;
}

std::vector<Named> choices(const char *text) {
    std::vector<Named> found;
    if (std::string_view(text) == "*") return choices_of_neurons(true);
    if (std::string_view(text) == "~") return choices_of_neurons(false);
    found.emplace_back("", Json::object());
    const Json attributes = parse_json(text);
    for (const auto &[name, value] : *attributes.get_if<Json::Object>()) {
        const std::vector<Json> values = alternatives(value);
        std::vector<Named> longer;
        for (const Named &before : found)
            for (const Json &one : values) {
                Named &after = longer.emplace_back(before);
                if (values.size() > 1) after.first += ", " + one.get<std::string>();
                after.second.set(name, one);
            }
        found = std::move(longer);
    }
    return found;
}

std::vector<Shape> shapes_of(const char *text) {
    std::vector<Shape> shapes;
    const Json listed = parse_json(text);
    for (const Json &extents : *listed.get_if<Json::Array>()) {
        const auto shape = extents.get<std::vector<std::int64_t>>();
        shapes.emplace_back(std::span<const std::int64_t>(shape));
    }
    return shapes;
}

/// Return a text that two cases share only if their networks are the same.
std::string key_of(const Case &one) {
    std::string key = one.operation + to_text(attributes_of(make_operation(one.operation, one.attributes)));
    if (one.activation) key += to_text(attributes_of(make_neuron(*one.activation)));
    for (const Shape &shape : one.inputs) key += shape.text();
    return key;
}

/// Return all cases of a row.
std::vector<Case> cases_of(const Row &row) {
    std::vector<std::pair<std::string, std::optional<Json>>> activations;
    if (!row.activation)
        activations.emplace_back("", std::nullopt);
    else
        for (auto &[name, attributes] : choices(row.activation)) activations.emplace_back(name, attributes);
    std::vector<Case> found;
    for (const auto &[name, attributes] : choices(row.attributes))
        for (const auto &[neuron, activation] : activations)
            found.push_back({row.tags, concat({row.name, name, neuron}), row.operation, attributes,
                             activation, shapes_of(row.inputs), row.positive_inputs});
    return found;
}

} // namespace

std::vector<Case> cases() {
    std::vector<Case> table;
    std::map<std::string, std::size_t> places;
    for (const Row &row : case_rows)
        for (Case &one : cases_of(row)) {
            const auto [place, added] = places.try_emplace(key_of(one), table.size());
            if (added)
                table.push_back(std::move(one));
            else
                table[place->second].tags |= one.tags;
        }
    return table;
}

Json describe_cases() {
    constexpr std::pair<unsigned, const char *> tags[] = {{Case::self_check, "self_check"},
                                                          {Case::conformance, "conformance"},
                                                          {Case::training, "training"},
                                                          {Case::no_onnx, "no_onnx"}};
    Json described = Json::array();
    for (const Case &one : cases()) {
        Json entry = Json::object(), inputs = Json::array(), names = Json::array();
        for (const Shape &shape : one.inputs)
            inputs.push_back(Json(std::vector<std::int64_t>(shape.begin(), shape.end())));
        for (const auto &[tag, name] : tags)
            if (one.tags & tag) names.push_back(name);
        entry.set("name", one.name);
        entry.set("operation", one.operation);
        entry.set("attributes", one.attributes);
        if (one.activation) entry.set("activation", *one.activation);
        entry.set("inputs", std::move(inputs));
        entry.set("tags", std::move(names));
        described.push_back(std::move(entry));
    }
    return described;
}

} // namespace mpscnn::ops
