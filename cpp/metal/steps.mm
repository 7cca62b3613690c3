#include "metal/steps.h"

namespace mpscnn::metal {

namespace {

class MpsStep : public Step {
public:
    MpsStep(MPSCNNKernel *kernel, Operands operands, const MPSOffset &offset)
        : kernel_(share(kernel)), operands_(std::move(operands)), offset_(offset) {}

    void encode(Encoding &encoding) const override {
        MPSImage *destination = encoding.create(operands_.destination.value);
        [kernel_.get() setOffset:offset_];
        [kernel_.get() encodeToCommandBuffer:encoding.command_buffer()
                                 sourceImage:encoding.image(operands_.source().value)
                            destinationImage:destination];
        encoding.was_read_by_mps(operands_.source().value);
    }

private:
    objc_ptr<MPSCNNKernel *> kernel_;
    Operands operands_;
    MPSOffset offset_;
};

class ShaderStep : public Step {
public:
    ShaderStep(ShaderCall call, Operands operands) : call_(std::move(call)), operands_(std::move(operands)) {}

    void encode(Encoding &encoding) const override {
        MPSImage *destination = encoding.create(operands_.destination.value);
        {
            Dispatch dispatch(encoding.command_buffer(), call_.label, call_.pipeline);
            NSUInteger index = 0;
            for (const Operand &source : operands_.sources)
                dispatch.texture(encoding.image(source.value), index++);
            dispatch.texture(destination, index);
            dispatch.bytes(call_.params, 0);
            index = 1;
            for (const auto &buffer : call_.buffers) dispatch.buffer(buffer.get(), 0, index++);
            dispatch.run(operands_.destination.layout);
        }
        for (const Operand &source : operands_.sources) encoding.was_read_by_shader(source.value);
    }

private:
    ShaderCall call_;
    Operands operands_;
};

} // namespace

std::unique_ptr<Step> mps_step(MPSCNNKernel *kernel, Operands operands, const MPSOffset &offset) {
    return std::make_unique<MpsStep>(kernel, std::move(operands), offset);
}

std::unique_ptr<Step> shader_step(ShaderCall call, Operands operands) {
    return std::make_unique<ShaderStep>(std::move(call), std::move(operands));
}

} // namespace mpscnn::metal
