#pragma once

#include <memory>

#include "engine/run/program.h"
#include "mpscnn/mpscnn.h"

namespace mpscnn::c_api {

engine::CompileOptions compile_options(const mpscnn_compile_options *given);

/// Give a program to the caller, and write a line to the log.
void give(std::shared_ptr<engine::Program> compiled, mpscnn_program **program);

} // namespace mpscnn::c_api
