// CUDA's driver interface as far as the launcher needs it. The library is loaded at run time, so that nothing
// of CUDA is needed to build.
#pragma once

#include <cstddef>
#include <string>

namespace msl {

using GpuPointer = unsigned long long;

/// The functions of libcuda.so.1, by the names of the driver's documentation.
struct GpuDriver {
    int (*cuInit)(unsigned);
    int (*cuDeviceGet)(int *, int);
    int (*cuDevicePrimaryCtxRetain)(void **, int);
    int (*cuCtxSetCurrent)(void *);
    int (*cuCtxSynchronize)();
    int (*cuModuleLoadData)(void **, const void *);
    int (*cuModuleGetFunction)(void **, void *, const char *);
    int (*cuFuncGetAttribute)(int *, int, void *);
    int (*cuModuleGetGlobal_v2)(GpuPointer *, std::size_t *, void *, const char *);
    int (*cuMemAlloc_v2)(GpuPointer *, std::size_t);
    int (*cuMemFree_v2)(GpuPointer);
    int (*cuMemcpyHtoD_v2)(GpuPointer, const void *, std::size_t);
    int (*cuMemcpyDtoH_v2)(void *, GpuPointer, std::size_t);
    int (*cuLaunchKernel)(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                          void *, void **, void **);
    int (*cuEventCreate)(void **, unsigned);
    int (*cuEventRecord)(void *, void *);
    int (*cuEventElapsedTime)(float *, void *, void *);
    int (*cuGetErrorString)(int, const char **);

    /// Throws Fault with the driver's words unless `result` is success.
    void check(int result, const std::string &action) const;
};

/// The driver, with the first GPU's context current in this thread. Throws Fault where there is none.
const GpuDriver &gpu_driver();

/// Memory of the GPU with a copy of some of the processor's.
class GpuMemory {
public:
    GpuMemory(const void *bytes, std::size_t length);
    ~GpuMemory();
    GpuMemory(GpuMemory &&other) noexcept;
    GpuMemory(const GpuMemory &) = delete;
    GpuMemory &operator=(const GpuMemory &) = delete;

    GpuPointer address() const { return address_; }
    std::size_t length() const { return length_; }
    void copy_to(void *bytes) const;

private:
    GpuPointer address_ = 0;
    std::size_t length_ = 0;
};

} // namespace msl
