// The part of MPS that the engine uses, with Apple's declarations, for GNUstep on Linux.
#pragma once

#import <MetalPerformanceShaders/MPSCNNConvolution.h>
#import <MetalPerformanceShaders/MPSCNNKernel.h>
#import <MetalPerformanceShaders/MPSCNNNeuron.h>
#import <MetalPerformanceShaders/MPSCNNNormalization.h>
#import <MetalPerformanceShaders/MPSCNNPooling.h>
#import <MetalPerformanceShaders/MPSCNNSoftMax.h>
#import <MetalPerformanceShaders/MPSCNNUpsampling.h>
#import <MetalPerformanceShaders/MPSCoreTypes.h>
#import <MetalPerformanceShaders/MPSImage.h>
#import <MetalPerformanceShaders/MPSKernel.h>
#import <MetalPerformanceShaders/MPSNeuralNetworkTypes.h>
#import <MetalPerformanceShaders/MPSState.h>
