#include "cpu/neuron.h"
#include "cpu/instance.h"

void mpscnn::cpu::MPSCNN_SET::get(NeuronFunctions &functions) { functions = {neuron_apply<Simd>}; }
