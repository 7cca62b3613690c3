// Activation functions, shared by the neuron kernel and convolutions.
#pragma once

#import "mps/kernel.h"

namespace metal_emulation {

struct Neuron {
    MPSCNNNeuronType type = MPSCNNNeuronTypeNone;
    float a = 0, b = 0, c = 0;

    static Neuron from(MPSNNNeuronDescriptor *descriptor);
    float operator()(float x) const;
};

} // namespace metal_emulation
