#pragma once

#include "engine/command_buffer.h"

namespace mpscnn::engine {

/// A queue for kernels that run through graphs on images in main memory, on one thread of its own (and those
/// of the executor that it keeps busy). A backend whose device has memory of its own copies the images.
std::shared_ptr<CommandQueue> make_host_queue(BackendChoice choice, int threads);

} // namespace mpscnn::engine
