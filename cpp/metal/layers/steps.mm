#include "metal/layers/steps.h"

#include <algorithm>

#include "metal/device/text.h"

namespace mpscnn::metal {

namespace {

class StagedStep : public Step {
public:
    StagedStep(std::vector<Stage> stages, Operands operands)
        : stages_(std::move(stages)), operands_(std::move(operands)) {}

    void encode(Encoding &encoding) const override {
        std::vector<MPSImage *> images;
        for (const Operand &source : operands_.sources) images.push_back(encoding.image(source.value));
        std::vector<std::unique_ptr<Scratch>> scratch;
        for (const Stage &stage : stages_) {
            if (&stage == &stages_.back()) {
                images.push_back(encoding.create(operands_.destination.value));
            } else {
                scratch.push_back(std::make_unique<Scratch>(encoding.command_buffer(), stage.result));
                images.push_back(scratch.back()->get());
            }
            std::vector<MPSImage *> used;
            for (std::size_t source : stage.sources) used.push_back(images[source]);
            used.push_back(images.back());
            stage.encode(encoding, used);
        }
        for (std::size_t i = 0; i < operands_.sources.size(); ++i) was_read(encoding, i);
    }

    std::string kernel() const override {
        std::string text;
        for (const Stage &stage : stages_) text += (text.empty() ? "" : " + ") + stage.kernel;
        return text;
    }

    std::size_t scratch_bytes() const override {
        std::size_t bytes = 0;
        for (std::size_t i = 0; i + 1 < stages_.size(); ++i) bytes += stages_[i].result.bytes();
        return bytes;
    }

private:
    /// Record a read of a source. A source is read by MPS kernels only or by shaders only.
    void was_read(Encoding &encoding, std::size_t source) const {
        const engine::ValueId value = operands_.sources[source].value;
        const bool by_mps = std::any_of(stages_.begin(), stages_.end(), [&](const Stage &stage) {
            return stage.is_mps &&
                   std::find(stage.sources.begin(), stage.sources.end(), source) != stage.sources.end();
        });
        by_mps ? encoding.was_read_by_mps(value) : encoding.was_read_by_shader(value);
    }

    std::vector<Stage> stages_;
    Operands operands_;
};

class ShaderLayer : public Layer {
public:
    ShaderLayer(ShaderMaker shaders, std::string shader, BindShader bind, NeuronKind activation)
        : shaders_(std::move(shaders)), shader_(std::move(shader)), bind_(std::move(bind)),
          activation_(activation) {}

    std::unique_ptr<Step> bind(Operands operands) const override {
        ShaderCall call = shaders_.call(shader_, operands, bind_(operands), activation_);
        return shader_step(std::move(call), std::move(operands));
    }

private:
    ShaderMaker shaders_;
    std::string shader_;
    BindShader bind_;
    NeuronKind activation_;
};

std::vector<std::size_t> all_of(const std::vector<Operand> &sources) {
    std::vector<std::size_t> numbers(sources.size());
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = i;
    return numbers;
}

} // namespace

void ShaderCall::encode(id<MTLCommandBuffer> command_buffer, std::span<MPSImage *const> images,
                        const ImageLayout &grid) const {
    Dispatch dispatch(command_buffer, label, pipeline);
    NSUInteger index = 0;
    for (MPSImage *image : images) dispatch.texture(image, index++);
    dispatch.bytes(arguments.params, 0);
    index = 1;
    for (const auto &buffer : arguments.buffers) dispatch.buffer(buffer.get(), 0, index++);
    dispatch.run(grid);
}

ShaderCall ShaderMaker::call(const std::string &shader, std::span<const ImageLayout> sources,
                             const ImageLayout &destination, ShaderArguments arguments,
                             NeuronKind activation) const {
    choice_.take(shader, activation);
    const std::string function = shader_name(shader, sources, destination);
    return {name_, device_->shaders().pipeline(function, activation), std::move(arguments), shader};
}

ShaderCall ShaderMaker::call(const std::string &shader, const Operands &operands, ShaderArguments arguments,
                             NeuronKind activation) const {
    std::vector<ImageLayout> sources;
    for (const Operand &source : operands.sources) sources.push_back(source.layout);
    return call(shader, sources, operands.destination.layout, std::move(arguments), activation);
}

Stage mps_stage(MPSCNNKernel *kernel, const MPSOffset &offset, std::size_t source,
                const ImageLayout &result) {
    const auto encode = [kernel = share(kernel), offset](Encoding &encoding,
                                                         std::span<MPSImage *const> images) {
        [kernel.get() setOffset:offset];
        [kernel.get() encodeToCommandBuffer:for_mps(encoding.command_buffer())
                                sourceImage:images[0]
                           destinationImage:images[1]];
    };
    return {encode, true, {source}, result, text_of(NSStringFromClass([kernel class]))};
}

Stage shader_stage(ShaderCall call, std::vector<std::size_t> sources, const ImageLayout &result,
                   const ImageLayout &grid) {
    const std::string name = call.shader;
    const auto encode = [call = std::move(call), grid](Encoding &encoding,
                                                       std::span<MPSImage *const> images) {
        call.encode(encoding.command_buffer(), images, grid);
    };
    return {encode, false, std::move(sources), result, name};
}

Stage shader_stage(ShaderCall call, std::vector<std::size_t> sources, const ImageLayout &result) {
    return shader_stage(std::move(call), std::move(sources), result, result);
}

std::unique_ptr<Step> staged_step(std::vector<Stage> stages, Operands operands) {
    return std::make_unique<StagedStep>(std::move(stages), std::move(operands));
}

std::unique_ptr<Step> mps_step(MPSCNNKernel *kernel, Operands operands, const MPSOffset &offset) {
    const ImageLayout result = operands.destination.layout;
    return staged_step({mps_stage(kernel, offset, 0, result)}, std::move(operands));
}

std::unique_ptr<Step> shader_step(ShaderCall call, Operands operands) {
    const ImageLayout result = operands.destination.layout;
    std::vector<std::size_t> sources = all_of(operands.sources);
    return staged_step({shader_stage(std::move(call), std::move(sources), result)}, std::move(operands));
}

std::unique_ptr<Layer> shader_layer(const LayerSource &source, Device &device, std::string shader,
                                    BindShader bind, NeuronKind activation) {
    return std::make_unique<ShaderLayer>(ShaderMaker(source, device), std::move(shader), std::move(bind),
                                         activation);
}

} // namespace mpscnn::metal
