#pragma once

#include "engine/command_buffer.h"

namespace mpscnn::engine {

/// A queue for kernels that run through graphs in main memory, on one thread of its own (and those of the
/// executor that it keeps busy).
std::shared_ptr<CommandQueue> make_host_queue(const std::string &device, int threads);

} // namespace mpscnn::engine
