#include "gpu_driver.h"

#include "msl/abi.h"

#include <dlfcn.h>

namespace msl {

namespace {

GpuDriver load_driver() {
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) throw Fault(std::string("no driver of an NVIDIA GPU: ") + dlerror());
    GpuDriver driver{};
    auto find = [&](auto &function, const char *name) {
        function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
        if (!function) throw Fault(std::string("the driver of the NVIDIA GPU has no ") + name);
    };
#define FIND(NAME) find(driver.NAME, #NAME)
    FIND(cuInit);
    FIND(cuDeviceGet);
    FIND(cuDevicePrimaryCtxRetain);
    FIND(cuCtxSetCurrent);
    FIND(cuCtxSynchronize);
    FIND(cuModuleLoadData);
    FIND(cuModuleGetFunction);
    FIND(cuFuncGetAttribute);
    FIND(cuModuleGetGlobal_v2);
    FIND(cuMemAlloc_v2);
    FIND(cuMemFree_v2);
    FIND(cuMemcpyHtoD_v2);
    FIND(cuMemcpyDtoH_v2);
    FIND(cuLaunchKernel);
    FIND(cuEventCreate);
    FIND(cuEventRecord);
    FIND(cuEventElapsedTime);
    FIND(cuGetErrorString);
#undef FIND
    return driver;
}

void *primary_context(const GpuDriver &driver) {
    int device = 0;
    void *context = nullptr;
    driver.check(driver.cuInit(0), "cuInit");
    driver.check(driver.cuDeviceGet(&device, 0), "cuDeviceGet");
    driver.check(driver.cuDevicePrimaryCtxRetain(&context, device), "cuDevicePrimaryCtxRetain");
    return context;
}

} // namespace

void GpuDriver::check(int result, const std::string &action) const {
    if (result == 0) return;
    const char *text = nullptr;
    cuGetErrorString(result, &text);
    throw Fault(action + " on the NVIDIA GPU: " + (text ? text : "unknown error") + " (" +
                std::to_string(result) + ")");
}

const GpuDriver &gpu_driver() {
    static const GpuDriver driver = load_driver();
    static void *const context = primary_context(driver);
    driver.check(driver.cuCtxSetCurrent(context), "cuCtxSetCurrent");
    return driver;
}

GpuMemory::GpuMemory(const void *bytes, std::size_t length) : length_(length) {
    const GpuDriver &driver = gpu_driver();
    driver.check(driver.cuMemAlloc_v2(&address_, length),
                 "an allocation of " + std::to_string(length) + " bytes");
    driver.check(driver.cuMemcpyHtoD_v2(address_, bytes, length), "a copy to the GPU");
}

GpuMemory::GpuMemory(GpuMemory &&other) noexcept : address_(other.address_), length_(other.length_) {
    other.address_ = 0;
}

GpuMemory::~GpuMemory() {
    if (address_) gpu_driver().cuMemFree_v2(address_);
}

void GpuMemory::copy_to(void *bytes) const {
    const GpuDriver &driver = gpu_driver();
    driver.check(driver.cuMemcpyDtoH_v2(bytes, address_, length_), "a copy from the GPU");
}

} // namespace msl
