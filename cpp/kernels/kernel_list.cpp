#include "kernels/kernel.h"

namespace mpscnn::kernels {

namespace {

template <class T> Family plain() { return T{}; }

template <ops::PoolingKind kind> Family pooling() {
    Pooling family;
    family.kind = kind;
    return family;
}

Family dilated_pooling_max() {
    Pooling family;
    family.dilated = true;
    return family;
}

constexpr KernelClass classes[] = {
    {"Convolution", "MPSCNNConvolution", 1, plain<Convolution>},
    {"DilatedPoolingMax", "MPSCNNDilatedPoolingMax", 1, dilated_pooling_max},
    {"FullyConnected", "MPSCNNFullyConnected", 1, plain<FullyConnected>},
    {"Neuron", "MPSCNNNeuron", 1, plain<Neuron>},
    {"PoolingAverage", "MPSCNNPoolingAverage", 1, pooling<ops::PoolingKind::average>},
    {"PoolingMax", "MPSCNNPoolingMax", 1, pooling<ops::PoolingKind::max>},
    {"SoftMax", "MPSCNNSoftMax", 1, plain<Softmax>},
};

} // namespace

std::span<const KernelClass> kernel_classes() { return classes; }

} // namespace mpscnn::kernels
