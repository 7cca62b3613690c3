#include "metal/device/text.h"
#include "metal/layers/steps.h"

namespace mpscnn::metal {

namespace {

/// Uses MPSCNNSoftMax or MPSCNNLogSoftMax.
class Softmax : public Layer {
public:
    Softmax(MPSCNNKernel *allocated, const LayerSource &source, Device &device)
        : kernel_(adopt([allocated initWithDevice:device.get()])) {
        if (!kernel_)
            fail(ErrorKind::device, {"MPS cannot make the softmax of layer ", quoted(source.name())});
        [kernel_.get() setLabel:string_of(source.name())];
    }

    std::unique_ptr<Step> bind(Operands operands) const override {
        return mps_step(kernel_.get(), std::move(operands), MPSOffset{0, 0, 0});
    }

private:
    objc_ptr<MPSCNNKernel *> kernel_;
};

} // namespace

std::unique_ptr<Layer> make_layer(const ops::Softmax &, const LayerSource &source, Device &device) {
    source.choice.take("MPSCNNSoftMax");
    return std::make_unique<Softmax>([MPSCNNSoftMax alloc], source, device);
}

std::unique_ptr<Layer> make_layer(const ops::LogSoftmax &, const LayerSource &source, Device &device) {
    source.choice.take("MPSCNNLogSoftMax");
    return std::make_unique<Softmax>([MPSCNNLogSoftMax alloc], source, device);
}

} // namespace mpscnn::metal
