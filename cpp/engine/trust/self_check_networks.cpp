#include "engine/trust/self_check.h"

#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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
    {"convolution to few channels", "convolution",
     R"({"output_channels":3,"kernel_height":3,"kernel_width":3,"padding":"same"})", nullptr, 7, 5, 48},
    {"dense layer to few features", "fully_connected", R"({"outputs":2})", nullptr, 1, 1, 1280},
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
    {"logarithmic softmax, large", "log_softmax", "{}", nullptr, 3, 5, 203},
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
    // Layers that move, resize and combine images.
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
    // The next two layers scale their inputs by 0, since no two numbers of the noise are equal and none is 0.
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
    // Each parameter that the layers above leave at its default, and each name that one may have.
    {"convolution, padding on all sides", "convolution",
     R"({"output_channels":5,"kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"explicit","pad_top":1,"pad_bottom":1,"pad_left":2,"pad_right":1,"ceil_mode":true})"},
    {"convolution, all positions", "convolution",
     R"({"output_channels":5,"kernel_height":3,"kernel_width":2,"padding":"full"})"},
    {"transposed convolution, borders taken off", "transposed_convolution",
     R"({"output_channels":5,"kernel_height":3,"kernel_width":4,"stride_y":3,"stride_x":2,"dilation_y":2,"padding":"explicit","pad_top":1,"pad_bottom":2,"pad_left":2,"pad_right":1,"output_padding_y":1,"output_padding_x":1})"},
    {"transposed convolution, kernel laid over the result", "transposed_convolution",
     R"({"output_channels":5,"kernel_height":3,"kernel_width":2,"stride_y":2,"stride_x":2,"padding":"same","output_height":13,"output_width":10,"kernel_use":"gather"})"},
    {"subpixel convolution, groups", "subpixel_convolution",
     R"({"output_channels":2,"scale":2,"order":"channel_major","kernel_height":2,"kernel_width":3,"stride_y":2,"stride_x":1,"dilation_y":2,"dilation_x":1,"padding":"same","groups":2,"output_height":7,"output_width":9})"},
    {"subpixel convolution, padding on all sides", "subpixel_convolution",
     R"({"output_channels":3,"scale":3,"kernel_height":3,"kernel_width":2,"stride_x":2,"dilation_x":2,"padding":"explicit","pad_top":1,"pad_bottom":2,"pad_left":2,"pad_right":1,"ceil_mode":true})"},
    {"subpixel convolution, all positions", "subpixel_convolution",
     R"({"output_channels":3,"scale":2,"kernel_height":3,"kernel_width":2,"padding":"full"})"},
    {"binary convolution, real inputs", "binary_convolution",
     R"({"output_channels":5,"kernel_height":2,"kernel_width":3,"stride_y":2,"stride_x":2,"kind":"binary_weights","beta_scaling":true,"padding":"explicit","pad_top":1,"pad_bottom":2,"pad_left":2,"pad_right":1,"ceil_mode":true})"},
    {"binary convolution, bits of both", "binary_convolution",
     R"({"output_channels":5,"kernel_height":3,"kernel_width":2,"dilation_y":2,"dilation_x":3,"kind":"and","padding":"full"})",
     nullptr, 7, 5, 37},
    {"binary dense layer, real inputs", "binary_fully_connected",
     R"({"outputs":5,"kind":"binary_weights","beta_scaling":true})"},
    {"binary dense layer, bits of both", "binary_fully_connected", R"({"outputs":5,"kind":"and"})"},
    {"maximum, nearest pixel outside", "pooling",
     R"({"kind":"max","kernel_height":3,"kernel_width":3,"padding":"explicit","pad_top":1,"pad_bottom":2,"pad_left":2,"pad_right":1,"edge":"clamp"})"},
    {"norm, nearest pixel outside", "pooling",
     R"({"kind":"l2_norm","kernel_height":3,"kernel_width":3,"padding":"full","edge":"clamp"})"},
    {"average that divides by padding too", "pooling",
     R"({"kind":"average","kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"explicit","pad_top":1,"pad_left":1,"pad_right":1,"ceil_mode":true,"count_padding":true})"},
    {"average that divides by zeros around the image", "pooling",
     R"({"kind":"average","kernel_height":3,"kernel_width":3,"padding":"same","zero_pad_y":1,"zero_pad_x":1})"},
    {"average, dilated", "pooling",
     R"({"kind":"average","kernel_height":2,"kernel_width":2,"dilation_y":2,"dilation_x":3})"},
    {"spatial normalization, part of the image", "spatial_normalization",
     R"({"kernel_height":3,"kernel_width":2,"alpha":0.5,"beta":0.75,"delta":2.0,"offset_y":-1,"offset_x":1,"height":6,"width":4,"edge":"clamp"})"},
    {"local contrast normalization, part of the image", "local_contrast_normalization",
     R"({"kernel_height":3,"kernel_width":2,"alpha":0.5,"beta":0.75,"delta":2.0,"offset_y":-1,"offset_x":1,"height":6,"width":4,"edge":"clamp"})"},
    {"batch normalization, large epsilon", "batch_normalization", R"({"epsilon":0.5,"fixed":true})"},
    {"group normalization, large epsilon", "group_normalization", R"({"groups":3,"epsilon":0.5})"},
    {"group normalization, large", "group_normalization", R"({"groups":3})", nullptr, 33, 35, 21},
    {"layer normalization, large", "layer_normalization", R"({"epsilon":0.5})", nullptr, 3, 5, 387},
    {"root mean square, large", "layer_normalization", R"({"norm":"root_mean_square"})", nullptr, 3, 5, 387},
    {"L2 norm, large", "layer_normalization", R"({"norm":"l2_norm","epsilon_rule":"minimum"})", nullptr, 3, 5,
     387},
    {"L1 norm", "layer_normalization", R"({"norm":"l1_norm","epsilon_rule":"outside","epsilon":0.5})"},
    {"Lanczos resize", "resize", R"({"kind":"lanczos","height":9,"width":3})"},
    {"bilinear resize, corners", "resize", R"({"height":9,"width":12,"alignment":"corners"})"},
    {"bilinear resize, one row", "resize", R"({"height":1,"width":12,"alignment":"pytorch_half_pixel"})"},
    {"bilinear resize, zeros outside", "resize",
     R"({"height":9,"width":12,"alignment":"asymmetric","magnification_y":1.25,"magnification_x":1.75,"offset_y":-0.5,"offset_x":0.75,"edge":"zero"})"},
    {"nearest resize, lower pixel", "resize",
     R"({"kind":"nearest","height":9,"width":12,"rounding":"floor"})"},
    {"nearest resize, upper pixel", "resize",
     R"({"kind":"nearest","height":9,"width":12,"rounding":"ceil"})"},
    {"nearest resize, nearer pixel, lower", "resize",
     R"({"kind":"nearest","height":14,"width":10,"rounding":"round_prefer_floor"})"},
    {"nearest resize, nearer pixel, upper", "resize",
     R"({"kind":"nearest","height":14,"width":10,"rounding":"round_prefer_ceil"})"},
    {"nearest resize, zeros outside", "resize",
     R"({"kind":"nearest","height":9,"width":12,"offset_y":-1.0,"offset_x":2.0,"edge":"zero"})"},
    {"padding, nearest pixel", "padding", R"({"top":2,"bottom":1,"left":1,"front":2,"mode":"clamp"})"},
    {"padding, reflected", "padding",
     R"({"top":1,"bottom":9,"left":2,"right":-1,"front":1,"back":2,"mode":"mirror"})"},
    {"padding, reflected with its edge", "padding",
     R"({"top":-1,"bottom":2,"left":7,"right":1,"front":1,"back":2,"mode":"mirror_with_edge"})"},
    {"padding, a value for each channel", "padding",
     R"({"top":1,"right":2,"values":[0.5,-1.0,0.25,2.0,-0.5,1.5]})"},
    {"gather of rows", "gather", R"({"axis":1,"indices":[6,0,0,3]})"},
    {"gather of columns", "gather", R"({"axis":2,"indices":[4,2,2,0,1,3]})"},
    {"depth to space, channel major", "depth_to_space", R"({"scale":2,"order":"channel_major"})", nullptr, 7,
     5, 12},
    {"matrix product, large", "matrix_product", R"({"transpose_second":true})", nullptr, 33, 35, 131, 2},
    {"concatenation of rows", "concatenation", R"({"axis":1})", nullptr, 7, 5, 6, 2},
    {"concatenation of columns", "concatenation", R"({"axis":2})", nullptr, 7, 5, 6, 3},
    {"concatenation of whole slices", "concatenation", "{}", nullptr, 7, 5, 8, 2},
    {"sum of every second element and repeated ones", "add",
     R"({"primary_stride_y":2,"primary_stride_x":0,"primary_stride_channels":0,"secondary_stride_y":0,"secondary_stride_x":2})",
     nullptr, 7, 5, 6, 2},
    {"product with one channel", "multiply", R"({"secondary_stride_channels":0})", nullptr, 7, 5, 6, 2},
    {"smallest channel", "argument", R"({"kind":"min"})"},
    {"largest channel, large", "argument", "{}", nullptr, 3, 5, 1001},
    {"maximum of rows", "reduction", R"({"kind":"max","axis":"height"})"},
    {"minimum of columns", "reduction", R"({"kind":"min","axis":"width"})"},
    {"maximum of channels", "reduction", R"({"kind":"max","axis":"channels"})"},
    {"minimum of channels", "reduction", R"({"kind":"min","axis":"channels"})"},
    {"sum of rows, large", "reduction", R"({"kind":"sum","axis":"height","weight":0.25})", nullptr, 203, 3,
     5},
    {"mean of columns, large", "reduction", R"({"kind":"mean","axis":"width"})", nullptr, 3, 203, 5},
    {"sum of channels, large", "reduction", R"({"kind":"sum","axis":"channels"})", nullptr, 3, 5, 203},
    {"norm of channels, large", "reduction", R"({"kind":"l2_norm","axis":"channels"})", nullptr, 3, 5, 203},
    {"squares of rows", "reduction", R"({"kind":"sum_of_squares","axis":"height"})"},
    {"variance of channels, large", "reduction", R"({"kind":"variance","axis":"channels"})", nullptr, 3, 5,
     203},
    {"deviation of columns", "reduction", R"({"kind":"deviation","axis":"width","weight":1.25})"},
    {"exponentials of rows", "reduction", R"({"kind":"log_sum_exp","axis":"height"})"},
    {"exponentials of channels, large", "reduction", R"({"kind":"log_sum_exp","axis":"channels"})", nullptr,
     3, 5, 203},
    {"weighted sum, large", "weighted_reduction", "{}", nullptr, 3, 5, 203, 2},
    {"weighted mean", "weighted_reduction", R"({"kind":"mean"})", nullptr, 7, 5, 6, 2},
    {"dropout of rows and columns", "dropout",
     R"({"training":true,"seed":3,"keep_probability":0.75,"mask_stride_channels":0})"},
    {"dropout of channels", "dropout", R"({"training":true,"seed":3,"mask_stride_y":0,"mask_stride_x":0})"},
    // One image of at most four channels: a texture without slices, which shaders read and write otherwise.
    {"convolution, one slice", "convolution",
     R"({"output_channels":4,"kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"same"})",
     R"({"kind":"hard_swish"})", 7, 5, 3},
    {"convolution, one slice to several", "convolution",
     R"({"output_channels":9,"kernel_height":3,"kernel_width":3,"padding":"same"})",
     R"({"kind":"hard_swish"})", 7, 5, 3},
    {"convolution, groups of 2 channels, one slice", "convolution",
     R"({"output_channels":4,"kernel_height":3,"kernel_width":2,"groups":2,"padding":"same"})", nullptr, 7, 5,
     4},
    {"depthwise convolution, one slice", "convolution",
     R"({"output_channels":3,"kernel_height":3,"kernel_width":3,"groups":3,"padding":"same"})", nullptr, 7, 5,
     3},
    {"convolution, groups of 2 channels to 4", "convolution",
     R"({"output_channels":8,"kernel_height":3,"kernel_width":2,"groups":2,"padding":"same"})", nullptr, 7, 5,
     4},
    {"pointwise convolution, one slice", "convolution", R"({"output_channels":4})",
     R"({"kind":"hard_swish"})", 7, 5, 3},
    {"pointwise convolution, one slice to several", "convolution", R"({"output_channels":9})",
     R"({"kind":"hard_swish"})", 7, 5, 3},
    {"pointwise convolution, several slices to one", "convolution", R"({"output_channels":3})",
     R"({"kind":"hard_swish"})", 7, 5, 9},
    {"depthwise convolution, one slice, strides", "convolution",
     R"({"output_channels":3,"kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"groups":3,"padding":"same"})",
     nullptr, 7, 5, 3},
    {"depthwise convolution, one slice, two results for each channel", "convolution",
     R"({"output_channels":4,"kernel_height":3,"kernel_width":3,"groups":2,"padding":"same"})", nullptr, 7, 5,
     2},
    {"depthwise convolution, one slice to several", "convolution",
     R"({"output_channels":6,"kernel_height":3,"kernel_width":3,"groups":3,"padding":"same"})", nullptr, 7, 5,
     3},
    {"transposed convolution, groups, one slice", "transposed_convolution",
     R"({"output_channels":4,"kernel_height":2,"kernel_width":3,"groups":2,"dilation_x":2})", nullptr, 7, 5,
     4},
    {"transposed convolution, groups, one slice to several", "transposed_convolution",
     R"({"output_channels":6,"kernel_height":2,"kernel_width":3,"groups":2,"stride_y":2})", nullptr, 7, 5, 4},
    {"binary convolution, one slice to several", "binary_convolution",
     R"({"output_channels":9,"kernel_height":3,"kernel_width":3})", nullptr, 7, 5, 3},
    {"binary convolution, several slices to one", "binary_convolution",
     R"({"output_channels":3,"kernel_height":3,"kernel_width":3})"},
    {"padding, one slice to several", "padding", R"({"top":1,"front":3,"value":0.5})", nullptr, 7, 5, 3},
    {"padding, several slices to one", "padding", R"({"left":1,"front":-2,"value":0.5})"},
    {"slice, several slices to one", "slice", R"({"left":1,"front":2,"channels":3})"},
    {"tile, one slice to several", "tile", R"({"channels":3})", nullptr, 7, 5, 3},
    {"transpose, one slice to several", "transpose", R"({"axes":[3,1,2]})", nullptr, 7, 5, 3},
    {"transpose, several slices to one", "transpose", R"({"axes":[1,3,2]})", nullptr, 7, 4, 6},
    {"reshape, one slice to several", "reshape", R"({"shape":[5,3,7]})", nullptr, 7, 5, 3},
    {"reshape, several slices to one", "reshape", R"({"shape":[10,7,3]})"},
    {"matrix product, one slice to several", "matrix_product", R"({"transpose_second":true})", nullptr, 7, 5,
     3, 2},
    {"matrix product, several slices to one", "matrix_product", R"({"transpose_second":true})", nullptr, 7, 4,
     6, 2},
    {"concatenation, one slice to several", "concatenation", "{}", nullptr, 7, 5, 3, 2},
    {"transposed convolution, one slice", "transposed_convolution",
     R"({"output_channels":4,"kernel_height":3,"kernel_width":2,"stride_y":2,"stride_x":2})", nullptr, 7, 5,
     3},
    {"dense layer, one slice", "fully_connected", R"({"outputs":4})", R"({"kind":"hard_swish"})", 7, 5, 3},
    {"subpixel convolution, one slice", "subpixel_convolution",
     R"({"output_channels":3,"scale":2,"kernel_height":3,"kernel_width":3})", nullptr, 7, 5, 3},
    {"binary convolution, one slice", "binary_convolution",
     R"({"output_channels":4,"kernel_height":3,"kernel_width":3})", nullptr, 7, 5, 3},
    {"binary dense layer, one slice", "binary_fully_connected", R"({"outputs":4})", nullptr, 7, 5, 3},
    {"activation, one slice", "neuron", R"({"kind":"hard_swish"})", nullptr, 7, 5, 3},
    {"maximum, one slice", "pooling",
     R"({"kind":"max","kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"same"})",
     nullptr, 7, 5, 3},
    {"maximum, dilated, one slice", "pooling",
     R"({"kind":"max","kernel_height":2,"kernel_width":2,"dilation_y":2,"dilation_x":3})", nullptr, 7, 5, 3},
    {"average, dilated, one slice", "pooling",
     R"({"kind":"average","kernel_height":2,"kernel_width":2,"dilation_y":2,"dilation_x":3})", nullptr, 7, 5,
     3},
    {"norm, dilated, one slice", "pooling",
     R"({"kind":"l2_norm","kernel_height":2,"kernel_width":2,"dilation_y":2,"dilation_x":3})", nullptr, 7, 5,
     3},
    {"softmax, one slice", "softmax", "{}", nullptr, 7, 5, 3},
    {"logarithmic softmax, one slice", "log_softmax", "{}", nullptr, 7, 5, 3},
    {"cross-channel normalization, one slice", "cross_channel_normalization",
     R"({"kernel_size":2,"alpha":0.5,"beta":0.75,"delta":2.0})", nullptr, 7, 5, 3},
    {"spatial normalization, one slice", "spatial_normalization",
     R"({"kernel_height":4,"kernel_width":4,"alpha":0.5,"beta":0.75,"delta":2.0})", nullptr, 7, 5, 3},
    {"local contrast normalization, one slice", "local_contrast_normalization",
     R"({"kernel_height":4,"kernel_width":4,"alpha":0.5,"beta":0.75,"delta":2.0})", nullptr, 7, 5, 3},
    {"batch normalization, one slice", "batch_normalization", "{}", nullptr, 7, 5, 3},
    {"statistics of one slice", "batch_statistics", "{}", nullptr, 7, 5, 3},
    {"group normalization, one slice", "group_normalization", R"({"groups":2})", nullptr, 7, 5, 4},
    {"layer normalization, one slice", "layer_normalization", "{}", nullptr, 7, 5, 3},
    {"resize, one slice", "resize", R"({"height":9,"width":12})", nullptr, 7, 5, 3},
    {"nearest resize, one slice", "resize", R"({"kind":"nearest","height":9,"width":12})", nullptr, 7, 5, 3},
    {"padding, one slice", "padding", R"({"top":1,"right":2,"back":1,"value":0.5})", nullptr, 7, 5, 3},
    {"slice of one slice", "slice", R"({"top":1,"left":4,"front":1,"stride_x":-2})", nullptr, 7, 5, 3},
    {"gather of one slice", "gather", R"({"indices":[2,0,0,1]})", nullptr, 7, 5, 3},
    {"tile of one slice", "tile", R"({"rows":2,"columns":3,"channels":2})", nullptr, 7, 5, 2},
    {"constant of one slice", "constant", R"({"shape":[7,5,3]})", nullptr, 7, 5, 3},
    {"transpose of one slice", "transpose", R"({"axes":[2,1,3]})", nullptr, 7, 5, 3},
    {"channel shuffle of one slice", "channel_shuffle", R"({"groups":2})", nullptr, 7, 5, 4},
    {"matrix product of one slice", "matrix_product", R"({"transpose_first":true})", nullptr, 7, 5, 3, 2},
    {"reshape of one slice", "reshape", R"({"shape":[5,6,4]})", nullptr, 8, 5, 3},
    {"depth to space of one slice", "depth_to_space", R"({"scale":2})", nullptr, 7, 5, 4},
    {"concatenation of one slice", "concatenation", "{}", nullptr, 7, 5, 2, 2},
    {"sum of one slice", "add", R"({"secondary_scale":0.5})", nullptr, 7, 5, 3, 2},
    {"largest channel of one slice", "argument", "{}", nullptr, 7, 5, 3},
    {"sum of rows of one slice", "reduction", R"({"kind":"sum","axis":"height"})", nullptr, 7, 5, 3},
    {"sum of columns of one slice", "reduction", R"({"kind":"sum","axis":"width"})", nullptr, 7, 5, 3},
    {"sum of channels of one slice", "reduction", R"({"kind":"sum","axis":"channels"})", nullptr, 7, 5, 3},
    {"weighted sum of one slice", "weighted_reduction", "{}", nullptr, 7, 5, 3, 2},
    {"dropout of one slice", "dropout", R"({"training":true,"seed":3})", nullptr, 7, 5, 3},
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

std::vector<std::int64_t> self_check_images(const Graph &network) {
    for (ValueId value = 0; value < network.values(); ++value)
        if (network.shape(value).back() <= 4) return {2, 1};
    return {2};
}

std::vector<Graph> self_check_networks() {
    std::vector<Graph> graphs;
    for (const CheckedLayer &layer : checked_layers) graphs.push_back(network_of(layer));
    for (Graph &graph : self_check_training()) graphs.push_back(std::move(graph));
    return graphs;
}

} // namespace mpscnn::engine
