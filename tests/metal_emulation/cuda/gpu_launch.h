// Runs the kernels of one translated file on an NVIDIA GPU. This is the interface between the table of
// kernels, which translate_metal.py writes, and gpu_launch.cpp.
#pragma once

#include "msl/abi.h"

#include <map>
#include <string>

namespace msl {

/// The GPU code of one translation unit. It is loaded at the first launch.
class GpuProgram {
public:
    GpuProgram(const Program &program, const void *code) : program_(program), code_(code) {}

    /// Copy the kernel's arguments to the GPU, run it, and copy back the arguments that it may write. Throws
    /// Fault if the GPU reports an error or the kernel accesses a pixel outside a texture.
    void run(const Kernel &kernel, const Bindings &bindings, const Grid &grid);

private:
    void load();

    const Program &program_;
    const void *code_;
    void *module_ = nullptr;
    std::map<std::string, void *> functions_;
};

} // namespace msl
