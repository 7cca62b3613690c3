/// mpscnn for C++20: owning classes and exceptions over the C interface (mpscnn.h). Header-only: no C++ type
/// crosses the library's border, so a program may be compiled with another compiler, C++ library or standard
/// than the library.
///
///     auto model = mpscnn::Model::load("mobilenet_v2.safetensors", {.device = "cpu"}, {.threads = 2});
///     auto result = model.classify(mpscnn::ImageView::rgb8(pixels, width, height));
///     for (const auto &[label, probability] : result.top(5)) ...
#pragma once

#include "detection.hpp" // boxes from the heads of detectors
#include "kernels.hpp"   // raw kernels, images and command buffers
#include "layer.hpp"     // option structs of layers
#include "model.hpp"     // photos and models
#include "network.hpp"   // tensors, signals, programs, sessions and graphs
#include "runner.hpp"    // many frames in order, several at a time
#include "training.hpp"  // gradients, losses, optimisers
