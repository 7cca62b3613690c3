#include "metal/gradients/gradient_step.h"

#include "core/json.h"
#include "metal/device/text.h"

namespace mpscnn::metal {

MPSStateBatch *make_states(MPSCNNKernel *forward, const ImageBatch &sources, const ImageBatch &results,
                           const std::string &name) {
    MPSStateBatch *states = [forward resultStateBatchForSourceImage:sources.get()
                                                       sourceStates:nil
                                                   destinationImage:results.get()];
    if (!states) fail(ErrorKind::device, {"MPS makes no gradient state for layer ", quoted(name)});
    return states;
}

ArrayView dense(ArrayView array, const ImageLayout &layout) {
    array.pitches = Pitches::dense(layout);
    return array;
}

GradientStep::GradientStep(std::string name, GradientKernels kernels, const Shapes &shapes, Device &device)
    : name_(std::move(name)), kernels_(std::move(kernels)), images_(shapes.gradient[0]),
      gradient_(image_layout(shapes.gradient, engine::Precision::float32)),
      source_(image_layout(shapes.source,
                           shapes.halves ? engine::Precision::float16 : engine::Precision::float32)),
      result_(source_.unrounded()),
      gradient_to_image_(Transfer::Direction::to_image, gradient_, device.shaders()),
      source_to_image_(Transfer::Direction::to_image, source_, device.shaders()),
      result_to_array_(Transfer::Direction::to_array, result_, device.shaders()) {}

void GradientStep::encode(id<MTLCommandBuffer> command_buffer, std::span<const ArrayView> arrays) const {
    const auto content = kernels_.reads_source ? ImageBatch::Content::pixels : ImageBatch::Content::none;
    const ImageBatch gradients(command_buffer, gradient_, images_),
        sources(command_buffer, source_, images_, content), results(command_buffer, result_, images_);
    gradient_to_image_.encode(command_buffer, name_, gradients.images(), dense(arrays[0], gradient_));
    if (kernels_.reads_source)
        source_to_image_.encode(command_buffer, name_, sources.images(), dense(arrays[1], source_));
    MPSStateBatch *states = make_states(kernels_.forward.get(), sources, gradients, name_);
    [kernels_.gradient.get() encodeBatchToCommandBuffer:for_mps(command_buffer)
                                        sourceGradients:gradients.get()
                                           sourceImages:sources.get()
                                         gradientStates:states
                                   destinationGradients:results.get()];
    result_to_array_.encode(command_buffer, name_, results.images(), dense(arrays.back(), result_));
}

std::string GradientStep::kernel() const {
    return text_of(NSStringFromClass([kernels_.gradient.get() class]));
}

std::size_t GradientStep::bytes() const {
    return static_cast<std::size_t>(images_) * (gradient_.bytes() + source_.bytes() + result_.bytes());
}

} // namespace mpscnn::metal
