// Activation functions, shared by the neuron kernel and convolutions.
#pragma once

#import "mps/kernel.h"

namespace metal_emulation {

struct Neuron {
    MPSCNNNeuronType type = MPSCNNNeuronTypeNone;
    float a = 0, b = 0, c = 0;
    std::vector<float> per_channel; // the slopes of PReLU

    /// Return a descriptor's parameters after a check against the number of feature channels.
    static Neuron from(MPSNNNeuronDescriptor *descriptor, NSUInteger channels);
    float operator()(float x, NSUInteger channel) const;
};

} // namespace metal_emulation
