// The part of CUDA's driver interface that the launcher needs. The library is loaded at run time, so that
// the launcher is built without CUDA's headers and without a driver.
#pragma once

#include <cstddef>
#include <string>

namespace msl {

using GpuPointer = unsigned long long;

/// Functions of libcuda.so.1, with the names in the driver's documentation.
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

    /// Throws Fault with the driver's error message unless `result` is success.
    void check(int result, const std::string &action) const;
};

/// Return the driver, and make the first GPU's context current in this thread. Throws Fault without a GPU.
const GpuDriver &gpu_driver();

/// A block of GPU memory with a copy of the processor's memory.
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
