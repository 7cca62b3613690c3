#pragma once

#include "ops/transposed_window.h"

namespace mpscnn::ops {

/// How a transposed convolution's kernel lies.
enum class KernelUse {
    scatter, ///< each input pixel is spread over the output with the kernel (TensorFlow, PyTorch)
    gather   ///< the kernel, not rotated, is laid over the input spread out with zeros
             ///< (MPSCNNConvolutionTranspose)
};

template <> struct EnumNames<KernelUse> {
    static constexpr std::array<std::pair<const char *, KernelUse>, 2> values{
        {{"scatter", KernelUse::scatter}, {"gather", KernelUse::gather}}};
};

/// Transposed convolution ("deconvolution"): the adjoint of a convolution with the same window.
struct TransposedConvolution {
    static constexpr OperationInfo info{"transposed_convolution",
                                        "2-D transposed convolution, grouped, strided or dilated.",
                                        1,
                                        1,
                                        true,
                                        true,
                                        true};

    std::int64_t output_channels = 0;
    TransposedWindow window;
    std::int64_t groups = 1;
    KernelUse kernel_use = KernelUse::scatter;

    template <class Visitor> void fields(Visitor &visit) {
        visit("output_channels", output_channels, "feature channels of the result");
        window.fields(visit);
        visit("groups", groups, "input and output channels are split into this many independent groups");
        visit("kernel_use", kernel_use,
              "scatter (TensorFlow, PyTorch), or gather: rotated by 180 degrees against it (Apple)");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &inputs) const;
    Cost cost(const InputShapes &inputs, const Shape &output) const;
};

} // namespace mpscnn::ops
