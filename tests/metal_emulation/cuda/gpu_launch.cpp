#include "gpu_launch.h"

#include "gpu_driver.h"
#include "gpu_texture.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <vector>

namespace msl {

namespace {

using Extents = std::array<unsigned, 3>;

unsigned channel_bytes(ChannelType type) {
    switch (type) {
    case ChannelType::unorm8:
        return 1;
    case ChannelType::unorm16:
    case ChannelType::float16:
        return 2;
    case ChannelType::float32:
        return 4;
    default:
        throw Fault("a texture of integers is bound to a parameter of floating-point type");
    }
}

/// Processor memory that is an argument of a kernel, and its copy on the GPU.
struct Copy {
    void *bytes;
    bool written;
    GpuMemory memory;
};

/// The arguments of one launch. If two arguments are the same memory, as for kernels that work in place,
/// there is one copy of it.
class Arguments {
public:
    Arguments(const Kernel &kernel, const Bindings &bindings, const Grid &grid)
        : extents_{grid.threads[0], grid.threads[1], grid.threads[2]}, fault_(&no_fault, sizeof(GpuFault)) {
        for (unsigned &extent : extents_) pointers_.push_back(&extent);
        for (int i = 0; i < kernel.argument_count; ++i) {
            const Argument &argument = kernel.arguments[i];
            if (argument.kind == ArgumentKind::buffer)
                add_buffer(bindings.buffers[argument.index], bindings.buffer_length[argument.index],
                           argument.written);
            else if (argument.kind == ArgumentKind::texture)
                add_texture(*bindings.textures[argument.index], argument.written);
            else if (argument.kind == ArgumentKind::threadgroup)
                threadgroup_bytes_ = static_cast<unsigned>(bindings.threadgroup_length[argument.index]);
        }
    }

    void **pointers() { return pointers_.data(); }
    unsigned threadgroup_bytes() const { return threadgroup_bytes_; }
    std::deque<Copy> &copies() { return copies_; }

    void check_fault(const Kernel &kernel) const {
        GpuFault fault{};
        fault_.copy_to(&fault);
        if (fault.action)
            throw Fault(std::string("kernel ") + kernel.name + (fault.action == 1 ? " reads" : " writes") +
                        " outside a texture at x " + std::to_string(fault.x) + ", y " +
                        std::to_string(fault.y) + ", slice " + std::to_string(fault.slice));
    }

private:
    static constexpr GpuFault no_fault{};

    Copy &copy(void *bytes, std::size_t length, bool written) {
        for (Copy &known : copies_)
            if (known.bytes == bytes && known.memory.length() == length) {
                known.written |= written;
                return known;
            }
        return copies_.emplace_back(bytes, written, GpuMemory(bytes, length));
    }

    void add_buffer(void *bytes, std::size_t length, bool written) {
        addresses_.push_back(copy(bytes, length, written).memory.address());
        pointers_.push_back(&addresses_.back());
    }

    void add_texture(const TextureView &view, bool written) {
        const Copy &pixels = copy(view.pixels, view.slices * view.slice_bytes, written);
        GpuTexture texture{};
        texture.pixels = reinterpret_cast<unsigned char *>(pixels.memory.address());
        texture.row_bytes = view.row_bytes;
        texture.slice_bytes = view.slice_bytes;
        texture.fault = reinterpret_cast<GpuFault *>(fault_.address());
        texture.width = view.width;
        texture.height = view.height;
        texture.slices = view.slices;
        texture.channel_bytes = channel_bytes(view.channel_type);
        texture.components = static_cast<unsigned>(view.components);
        texture.normalized =
            view.channel_type == ChannelType::unorm8 || view.channel_type == ChannelType::unorm16;
        texture.blue_first = view.blue_first;
        textures_.push_back(texture);
        pointers_.push_back(&textures_.back());
    }

    Extents extents_;
    unsigned threadgroup_bytes_ = 0;
    GpuMemory fault_;
    std::deque<Copy> copies_; // deques do not move their elements
    std::deque<GpuPointer> addresses_;
    std::deque<GpuTexture> textures_;
    std::vector<void *> pointers_;
};

/// Run `function` once and return its milliseconds.
float launch(void *function, Arguments &arguments, const Grid &grid, const Extents &block) {
    const GpuDriver &driver = gpu_driver();
    thread_local std::array<void *, 2> events{};
    for (void *&event : events)
        if (!event) driver.check(driver.cuEventCreate(&event, 0), "cuEventCreate");
    Extents blocks;
    for (int axis = 0; axis < 3; ++axis) blocks[axis] = (grid.threads[axis] + block[axis] - 1) / block[axis];
    driver.check(driver.cuEventRecord(events[0], nullptr), "cuEventRecord");
    driver.check(driver.cuLaunchKernel(function, blocks[0], blocks[1], blocks[2], block[0], block[1],
                                       block[2], arguments.threadgroup_bytes(), nullptr, arguments.pointers(),
                                       nullptr),
                 "a launch");
    driver.check(driver.cuEventRecord(events[1], nullptr), "cuEventRecord");
    driver.check(driver.cuCtxSynchronize(), "a kernel");
    float milliseconds = 0.0f;
    driver.check(driver.cuEventElapsedTime(&milliseconds, events[0], events[1]), "cuEventElapsedTime");
    return milliseconds;
}

/// Append a line to the file that METAL_EMULATION_CUDA_TIMES names: kernel, threads, milliseconds, bytes of
/// arguments that it only reads, and bytes of arguments that it may write.
void record_time(const Kernel &kernel, Arguments &arguments, const Grid &grid, float milliseconds) {
    static const char *const path = std::getenv("METAL_EMULATION_CUDA_TIMES");
    if (!path) return;
    std::array<std::size_t, 2> bytes{};
    for (const Copy &copy : arguments.copies()) bytes[copy.written] += copy.memory.length();
    if (std::FILE *file = std::fopen(path, "a")) {
        std::fprintf(file, "%s\t%u\t%u\t%u\t%.6f\t%zu\t%zu\n", kernel.name, grid.threads[0], grid.threads[1],
                     grid.threads[2], milliseconds, bytes[0], bytes[1]);
        std::fclose(file);
    }
}

/// Return the size of CUDA's blocks: that of the engine's threadgroups, or a smaller one if the GPU has too
/// few registers for it. CUDA allows at most 64 threads in z. Kernels that share memory keep the engine's
/// size.
Extents block_of(const Kernel &kernel, const Grid &grid, void *function) {
    constexpr int max_threads_per_block = 0; // CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK
    int maximum = 0;
    gpu_driver().check(gpu_driver().cuFuncGetAttribute(&maximum, max_threads_per_block, function),
                       "cuFuncGetAttribute");
    if (kernel.cooperative) {
        if (grid.group_size[0] * grid.group_size[1] * grid.group_size[2] > static_cast<unsigned>(maximum))
            throw Fault(std::string("kernel ") + kernel.name +
                        " needs too many registers for its threadgroup");
        return {grid.group_size[0], grid.group_size[1], grid.group_size[2]};
    }
    Extents block{grid.group_size[0], grid.group_size[1], std::min(grid.group_size[2], 64u)};
    while (block[0] * block[1] * block[2] > static_cast<unsigned>(maximum)) {
        unsigned &largest = *std::max_element(block.begin(), block.end());
        largest = (largest + 1) / 2;
    }
    return block;
}

/// Return another block size, so that other threads are the last ones of blocks. Kernels that share memory
/// keep their size.
Extents other_block(const Kernel &kernel, const Grid &grid, const Extents &block) {
    if (kernel.cooperative) return block;
    return grid.threads[1] > 1 || grid.threads[2] > 1 ? Extents{5, 3, 2} : Extents{48, 1, 1};
}

} // namespace

void GpuProgram::load() {
    const GpuDriver &driver = gpu_driver();
    if (!module_) driver.check(driver.cuModuleLoadData(&module_, code_), "loading of shaders");
    for (int i = 0; i < program_.constant_count; ++i) {
        const FunctionConstant &constant = program_.constants[i];
        GpuPointer address = 0;
        std::size_t size = 0;
        // The compiler removes constants that no kernel of the file reads.
        if (driver.cuModuleGetGlobal_v2(&address, &size, module_, constant.name) != 0) continue;
        if (size != constant.size)
            throw Fault(std::string("function constant ") + constant.name + " has another size");
        driver.check(driver.cuMemcpyHtoD_v2(address, constant.address, size), "a function constant");
    }
}

void GpuProgram::run(const Kernel &kernel, const Bindings &bindings, const Grid &grid) {
    load();
    const GpuDriver &driver = gpu_driver();
    void *&function = functions_[kernel.name];
    if (!function) driver.check(driver.cuModuleGetFunction(&function, module_, kernel.name), kernel.name);
    const Extents block = block_of(kernel, grid, function);
    Arguments arguments(kernel, bindings, grid);
    float milliseconds = launch(function, arguments, grid, block);
    arguments.check_fault(kernel);
    static const bool twice = std::getenv("METAL_EMULATION_CUDA_TWICE") != nullptr;
    if (twice) {
        // The second run gets the same inputs, because results have not been copied to the processor yet.
        Arguments again(kernel, bindings, grid);
        launch(function, again, grid, other_block(kernel, grid, block));
        for (std::size_t i = 0; i < arguments.copies().size(); ++i) {
            const Copy &first = arguments.copies()[i], &second = again.copies()[i];
            std::vector<unsigned char> one(first.memory.length()), other(one.size());
            first.memory.copy_to(one.data());
            second.memory.copy_to(other.data());
            if (one != other)
                throw Fault(std::string("kernel ") + kernel.name +
                            " has other results in blocks of another shape");
        }
    }
    record_time(kernel, arguments, grid, milliseconds);
    for (const Copy &copy : arguments.copies())
        if (copy.written) copy.memory.copy_to(copy.bytes);
}

} // namespace msl
