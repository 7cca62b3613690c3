#include "metal/gradients/convolution_gradient.h"

#include "core/json.h"
#include "metal/device/text.h"
#include "metal/encoding/encoding.h"
#include "metal/gradients/gradient_step.h"
#include "metal/gradients/reloaded_weights.h"
#include "metal/layers/window.h"
#include "shaders/array_params.h"

namespace mpscnn::metal {

namespace {

bool is_depthwise(const ops::Convolution &convolution, std::int64_t inputs) {
    return convolution.groups > 1 && convolution.groups == inputs && convolution.output_channels == inputs;
}

/// Return whether the convolution is a dense layer: input and output are one pixel.
bool is_fully_connected(const ops::Convolution &convolution, const Shape &input) {
    const ops::Window &window = convolution.window;
    if (convolution.groups != 1 || input.elements() != input[0] * input.back()) return false;
    const ops::CanonicalWindow canonical = window.canonical(ops::Convolution::info, 1, 1);
    const auto is_pixel = [](const ops::WindowAxis &axis) {
        return axis.kernel == 1 && axis.stride == 1 && axis.before == 0 && axis.output == 1;
    };
    return is_pixel(canonical.vertical) && is_pixel(canonical.horizontal);
}

std::int64_t elements_of(const ops::Convolution &convolution, const Shape &input) {
    const ops::Window &window = convolution.window;
    return convolution.output_channels * window.kernel_height * window.kernel_width *
           (input.back() / convolution.groups);
}

objc_ptr<MPSCNNConvolutionDescriptor *> describe(const ops::Convolution &convolution, std::int64_t inputs) {
    const ops::Window &window = convolution.window;
    const bool depthwise = is_depthwise(convolution, inputs);
    const Class kind =
        depthwise ? [MPSCNNDepthWiseConvolutionDescriptor class] : [MPSCNNConvolutionDescriptor class];
    MPSCNNConvolutionDescriptor *descriptor =
        [kind cnnConvolutionDescriptorWithKernelWidth:static_cast<NSUInteger>(window.kernel_width)
                                         kernelHeight:static_cast<NSUInteger>(window.kernel_height)
                                 inputFeatureChannels:static_cast<NSUInteger>(inputs)
                                outputFeatureChannels:static_cast<NSUInteger>(convolution.output_channels)];
    if (!depthwise) [descriptor setGroups:static_cast<NSUInteger>(convolution.groups)];
    [descriptor setStrideInPixelsX:static_cast<NSUInteger>(window.stride_x)];
    [descriptor setStrideInPixelsY:static_cast<NSUInteger>(window.stride_y)];
    [descriptor setDilationRateX:static_cast<NSUInteger>(window.dilation_x)];
    [descriptor setDilationRateY:static_cast<NSUInteger>(window.dilation_y)];
    return share(descriptor);
}

std::shared_ptr<const ConvolutionGradientKernels> make_kernels(const ops::Convolution &convolution,
                                                               const Shape &input, const std::string &name,
                                                               Device &device) {
    auto kernels = std::make_shared<ConvolutionGradientKernels>();
    kernels->descriptor = describe(convolution, input.back());
    const auto weights = adopt([[MpscnnReloadedWeights alloc]
        initWithDescriptor:kernels->descriptor.get()
                  elements:static_cast<NSUInteger>(elements_of(convolution, input))]);
    if (is_fully_connected(convolution, input)) {
        kernels->forward =
            adopt<MPSCNNConvolution *>([[MPSCNNFullyConnected alloc] initWithDevice:device.get()
                                                                            weights:weights.get()]);
        kernels->gradient = adopt<MPSCNNConvolutionGradient *>(
            [[MPSCNNFullyConnectedGradient alloc] initWithDevice:device.get() weights:weights.get()]);
    } else {
        kernels->forward = adopt([[MPSCNNConvolution alloc] initWithDevice:device.get()
                                                                   weights:weights.get()]);
        kernels->gradient = adopt([[MPSCNNConvolutionGradient alloc] initWithDevice:device.get()
                                                                            weights:weights.get()]);
    }
    if (!kernels->forward || !kernels->gradient)
        fail(ErrorKind::device, {"MPS cannot make the gradient of layer ", quoted(name)});
    // MPS loads weights from the data source before the first encode. A command buffer may only reload them
    // afterwards.
    [kernels->forward.get() reloadWeightsAndBiasesFromDataSource];
    [kernels->gradient.get() reloadWeightsAndBiasesFromDataSource];
    kernels->biases = device.make_constants(
        std::vector<float>(static_cast<std::size_t>(convolution.output_channels), 0.0f));
    [kernels->forward.get() setAccumulatorPrecisionOption:MPSNNConvolutionAccumulatorPrecisionOptionFloat];
    MPSCNNConvolutionGradient *gradient = kernels->gradient.get();
    [gradient setPrimaryStrideInPixelsX:static_cast<NSUInteger>(convolution.window.stride_x)];
    [gradient setPrimaryStrideInPixelsY:static_cast<NSUInteger>(convolution.window.stride_y)];
    [gradient setSecondaryStrideInPixelsX:static_cast<NSUInteger>(convolution.window.stride_x)];
    [gradient setSecondaryStrideInPixelsY:static_cast<NSUInteger>(convolution.window.stride_y)];
    [gradient setPrimaryEdgeMode:MPSImageEdgeModeZero];
    [gradient setSecondaryEdgeMode:MPSImageEdgeModeZero];
    return kernels;
}

/// Return the offset of the gradient kernel's window. Its position counts pixels of the gradient with stride
/// - 1 zeros between them.
NSInteger kernel_offset(const ops::WindowAxis &axis) {
    const auto is_even = static_cast<NSInteger>(axis.reach() % 2 == 0);
    return is_even - static_cast<NSInteger>(axis.offset());
}

engine::Precision precision_of(bool halves) {
    return halves ? engine::Precision::float16 : engine::Precision::float32;
}

} // namespace

std::shared_ptr<const ConvolutionGradientKernels>
ConvolutionGradientCache::get(const ops::Convolution &convolution, const Shape &input,
                              const std::string &name, Device &device) {
    const ops::Window &window = convolution.window;
    const Key key{input.back(),         convolution.output_channels,
                  window.kernel_height, window.kernel_width,
                  convolution.groups,   window.stride_y,
                  window.stride_x,      window.dilation_y,
                  window.dilation_x,    is_fully_connected(convolution, input) ? 1 : 0};
    const std::lock_guard lock(mutex_);
    auto &kernels = kernels_[key];
    if (!kernels) kernels = make_kernels(convolution, input, name, device);
    return kernels;
}

bool ConvolutionGradientStep::can_compute(const ops::Convolution &convolution, const Shapes &shapes,
                                          const Choice &choice) {
    const std::int64_t inputs = shapes.input.back(), groups = convolution.groups;
    const bool has_groups_of_four =
        groups == 1 || (inputs / groups % 4 == 0 && convolution.output_channels / groups % 4 == 0);
    const char *kernel = is_fully_connected(convolution, shapes.input) ? "MPSCNNFullyConnectedGradient"
                                                                       : "MPSCNNConvolutionGradient";
    const bool has_kernel = (has_groups_of_four || is_depthwise(convolution, inputs)) &&
                            ImageBatch::can_hold(shapes.input) && ImageBatch::can_hold(shapes.output) &&
                            choice.may_take(kernel);
    if (has_kernel) choice.take(kernel);
    return has_kernel;
}

ConvolutionGradientStep::ConvolutionGradientStep(std::string name, const ops::Convolution &convolution,
                                                 Wanted wanted, const Shapes &shapes,
                                                 ConvolutionGradientCache &cache, Device &device)
    : name_(std::move(name)), wanted_(wanted), images_(shapes.input[0]),
      weights_(elements_of(convolution, shapes.input)),
      input_(image_layout(shapes.input, precision_of(shapes.halves))),
      output_(image_layout(shapes.output, engine::Precision::float32)), result_(input_.unrounded()),
      kernels_(cache.get(convolution, shapes.input, name_, device)),
      output_to_image_(Transfer::Direction::to_image, output_, device.shaders()),
      input_to_image_(Transfer::Direction::to_image, input_, device.shaders()),
      result_to_array_(Transfer::Direction::to_array, result_, device.shaders()),
      copy_(device.shaders().pipeline("array_copy")) {
    const ops::CanonicalWindow window =
        convolution.window.canonical(ops::Convolution::info, input_.height, input_.width);
    offset_ = mps_offset(window);
    first_column_ = -static_cast<NSInteger>(window.horizontal.before);
    first_row_ = -static_cast<NSInteger>(window.vertical.before);
    kernel_x_ = kernel_offset(window.horizontal);
    kernel_y_ = kernel_offset(window.vertical);
}

/// Set the kernels' offsets before each encode. Layers of one shape share the kernels, but their images and
/// paddings may differ.
void ConvolutionGradientStep::place_windows() const {
    [kernels_->forward.get() setOffset:offset_];
    MPSCNNConvolutionGradient *gradient = kernels_->gradient.get();
    [gradient setPrimaryOffset:MPSOffset{0, 0, 0}];
    [gradient setKernelOffsetX:kernel_x_];
    [gradient setKernelOffsetY:kernel_y_];
    [gradient setSecondaryOffset:MPSOffset{first_column_, first_row_, 0}];
    [gradient setGradientOption:wanted_ == Wanted::input
                                    ? MPSCNNConvolutionGradientOptionGradientWithData
                                    : MPSCNNConvolutionGradientOptionGradientWithWeightsAndBias];
}

void ConvolutionGradientStep::reload(id<MTLCommandBuffer> command_buffer, const ArrayView &weights) const {
    const auto state = adopt([[MPSCNNConvolutionWeightsAndBiasesState alloc]
                 initWithWeights:weights.buffer
                   weightsOffset:static_cast<NSUInteger>(weights.offset)
                          biases:kernels_->biases.get()
                    biasesOffset:0
        cnnConvolutionDescriptor:kernels_->descriptor.get()]);
    if (!state) fail(ErrorKind::device, {"MPS takes no weights for the gradient of layer ", quoted(name_)});
    [kernels_->forward.get() reloadWeightsAndBiasesWithCommandBuffer:for_mps(command_buffer)
                                                               state:state.get()];
    [kernels_->gradient.get() reloadWeightsAndBiasesWithCommandBuffer:for_mps(command_buffer)
                                                                state:state.get()];
}

void ConvolutionGradientStep::encode(id<MTLCommandBuffer> command_buffer,
                                     std::span<const ArrayView> arrays) const {
    place_windows();
    wanted_ == Wanted::input ? encode_input(command_buffer, arrays) : encode_weight(command_buffer, arrays);
}

void ConvolutionGradientStep::encode_input(id<MTLCommandBuffer> command_buffer,
                                           std::span<const ArrayView> arrays) const {
    reload(command_buffer, arrays[1]);
    const ImageBatch outputs(command_buffer, output_, images_),
        inputs(command_buffer, input_, images_,
               ImageBatch::Content::none), // without pixels, because this gradient does not read them
        results(command_buffer, result_, images_);
    output_to_image_.encode(command_buffer, name_, outputs.images(), dense(arrays[0], output_));
    [kernels_->gradient.get()
        encodeBatchToCommandBuffer:for_mps(command_buffer)
                   sourceGradients:outputs.get()
                      sourceImages:inputs.get()
                    gradientStates:make_states(kernels_->forward.get(), inputs, outputs, name_)
              destinationGradients:results.get()];
    result_to_array_.encode(command_buffer, name_, results.images(), dense(arrays[3], result_));
}

void ConvolutionGradientStep::encode_weight(id<MTLCommandBuffer> command_buffer,
                                            std::span<const ArrayView> arrays) const {
    const ImageBatch inputs(command_buffer, input_, images_), outputs(command_buffer, output_, images_),
        // These images get no pixels, because nothing writes them.
        results(command_buffer, result_, images_, ImageBatch::Content::none);
    input_to_image_.encode(command_buffer, name_, inputs.images(), dense(arrays[0], input_));
    output_to_image_.encode(command_buffer, name_, outputs.images(), dense(arrays[1], output_));
    MPSStateBatch *states = make_states(kernels_->forward.get(), inputs, outputs, name_);
    [kernels_->gradient.get() encodeBatchToCommandBuffer:for_mps(command_buffer)
                                         sourceGradients:outputs.get()
                                            sourceImages:inputs.get()
                                          gradientStates:states
                                    destinationGradients:results.get()];
    const auto *state = static_cast<MPSCNNConvolutionGradientState *>([states objectAtIndex:0]);
    const ArrayRun run{static_cast<unsigned int>(weights_), 0};
    Dispatch dispatch(command_buffer, name_, copy_);
    dispatch.bytes(std::as_bytes(std::span(&run, 1)), 0);
    dispatch.buffer([state gradientForWeights], 0, 1);
    dispatch.buffer(arrays[2].buffer, arrays[2].offset, 2);
    dispatch.run(MTLSizeMake(static_cast<NSUInteger>(weights_), 1, 1));
}

std::string ConvolutionGradientStep::kernel() const {
    return text_of(NSStringFromClass([kernels_->gradient.get() class]));
}

std::size_t ConvolutionGradientStep::bytes() const {
    return static_cast<std::size_t>(images_) * (input_.bytes() + output_.bytes() + result_.bytes());
}

} // namespace mpscnn::metal
