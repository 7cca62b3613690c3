#include <algorithm>
#include <cstring>

#include "metal/encoding/transfer.h"
#include "metal/run/custom_run.h"

namespace mpscnn::metal {

namespace {

bool are_same(std::span<const std::byte> a, std::span<const std::byte> b) {
    return a.data() == b.data() && a.size() == b.size();
}

bool overlap(std::span<const std::byte> a, std::span<const std::byte> b) {
    return a.data() < b.data() + b.size() && b.data() < a.data() + a.size();
}

} // namespace

bool StagedArrays::overlap_otherwise(const engine::CustomRun &run) const {
    return std::any_of(run.bindings.begin(), run.bindings.end(), [&](const engine::CustomBinding &binding) {
        return std::any_of(arrays_.begin(), arrays_.end(), [&](const Array &array) {
            return !are_same(array.bytes, binding.bytes) && overlap(array.bytes, binding.bytes) &&
                   (array.written || binding.parameter->written);
        });
    });
}

id<MTLBuffer> StagedArrays::add(const Device &device, std::span<std::byte> bytes, bool written) {
    auto found = std::find_if(arrays_.begin(), arrays_.end(),
                              [&](const Array &array) { return are_same(array.bytes, bytes); });
    if (found == arrays_.end()) {
        arrays_.push_back({bytes, device.make_buffer(bytes.data(), bytes.size())});
        found = arrays_.end() - 1;
    }
    found->written = found->written || written;
    return found->buffer.get();
}

void StagedArrays::finish() const {
    for (const Array &array : arrays_)
        if (array.written) std::memcpy(array.bytes.data(), [array.buffer.get() contents], array.bytes.size());
}

using engine::CustomBinding;
using engine::CustomParameter;

namespace {

bool is_image(const CustomBinding &binding) {
    return binding.parameter->kind == CustomParameter::Kind::image;
}

ImageLayout layout_of(const CustomBinding &binding) {
    const Shape &shape = binding.image.shape;
    const auto precision =
        binding.image.type == DType::float16 ? engine::Precision::float16 : engine::Precision::float32;
    return {shape[0], shape[1], shape[2], shape[3], precision};
}

/// An alignment of buffer offsets that is valid on every GPU, also for constant memory.
constexpr std::size_t offset_alignment = 256;

std::size_t offset_in(const PageMemory &pages, const CustomBinding &binding) {
    return static_cast<std::size_t>(binding.bytes.data() - pages.data());
}

bool is_aligned(const Device &device, const PageMemory &pages, const CustomBinding &binding) {
    return pages.bytes() <= [device.get() maxBufferLength] &&
           offset_in(pages, binding) % offset_alignment == 0;
}

MTLSize size_of(const engine::GridSize &size) {
    return MTLSizeMake(static_cast<NSUInteger>(size[0]), static_cast<NSUInteger>(size[1]),
                       static_cast<NSUInteger>(size[2]));
}

/// An image of the run, as the texture that the kernel gets.
struct RunImage {
    const CustomParameter *parameter;
    ImageLayout layout;
    ArrayView array;
    std::unique_ptr<Scratch> texture;
};

std::size_t image_bytes(const engine::CustomRun &run) {
    std::size_t bytes = 0;
    for (const CustomBinding &binding : run.bindings)
        if (is_image(binding)) bytes += layout_of(binding).bytes();
    return bytes;
}

std::vector<RunImage> make_images(id<MTLCommandBuffer> command_buffer, const engine::CustomRun &run,
                                  const Slot &slot) {
    std::vector<RunImage> images;
    auto read = slot.inputs.begin(), written = slot.outputs.begin();
    for (const CustomBinding &binding : run.bindings) {
        if (!is_image(binding)) continue;
        const PortMemory &memory = binding.parameter->written ? *written++ : *read++;
        const ImageLayout layout = layout_of(binding);
        images.push_back(
            {binding.parameter, layout, memory.array(0), std::make_unique<Scratch>(command_buffer, layout)});
    }
    return images;
}

void dispatch(id<MTLCommandBuffer> command_buffer, const engine::CustomRun &run,
              const std::vector<RunImage> &images, const std::vector<BufferPlace> &arrays) {
    const auto &kernel = static_cast<const MetalCustomKernel &>(*run.kernel);
    Dispatch dispatch(command_buffer, kernel.function(), kernel.pipeline());
    for (const RunImage &image : images)
        dispatch.texture(image.texture->get(), static_cast<NSUInteger>(image.parameter->index));
    auto array = arrays.begin();
    for (const CustomBinding &binding : run.bindings) {
        if (is_image(binding)) continue;
        dispatch.buffer(array->buffer, array->offset, static_cast<NSUInteger>(binding.parameter->index));
        ++array;
    }
    if (run.threadgroup)
        dispatch.run(size_of(run.grid), size_of(*run.threadgroup));
    else
        dispatch.run(size_of(run.grid));
}

} // namespace

bool can_reach(const Device &device, const engine::CustomRun &run) {
    return std::all_of(run.bindings.begin(), run.bindings.end(), [&](const CustomBinding &binding) {
        if (is_image(binding)) return PortMemory::is_shared(device, binding.image, layout_of(binding));
        const auto pages = PageMemory::containing(binding.bytes.data(), binding.bytes.size());
        return !pages || is_aligned(device, *pages, binding);
    });
}

std::vector<BufferPlace> prepare(Slot &slot, const Device &device, const engine::CustomRun &run,
                                 PageBuffers &buffers, StagedArrays &arrays) {
    std::vector<BufferPlace> places;
    for (const CustomBinding &binding : run.bindings) {
        if (is_image(binding)) {
            auto &ports = binding.parameter->written ? slot.outputs : slot.inputs;
            ports.emplace_back().read(device, binding.image, layout_of(binding), buffers);
            continue;
        }
        const auto pages = PageMemory::containing(binding.bytes.data(), binding.bytes.size());
        if (pages && is_aligned(device, *pages, binding)) {
            // `buffers` keeps the buffer until the command buffer is committed; from then on the command
            // buffer keeps it.
            places.push_back({buffers.over(device, pages).get(), offset_in(*pages, binding)});
        } else {
            places.push_back({arrays.add(device, binding.bytes, binding.parameter->written), 0});
        }
    }
    return places;
}

void encode(id<MTLCommandBuffer> command_buffer, Device &device, const engine::CustomRun &run,
            const Slot &slot, const std::vector<BufferPlace> &arrays) {
    MPSHintTemporaryMemoryHighWaterMark(command_buffer, image_bytes(run));
    const std::vector<RunImage> images = make_images(command_buffer, run, slot);
    using Direction = Transfer::Direction;
    for (const RunImage &image : images)
        Transfer(Direction::to_image, image.layout, device.shaders())
            .encode(command_buffer, image.parameter->name, image.texture->get(), image.array);
    dispatch(command_buffer, run, images, arrays);
    for (const RunImage &image : images)
        if (image.parameter->written)
            Transfer(Direction::to_array, image.layout, device.shaders())
                .encode(command_buffer, image.parameter->name, image.texture->get(), image.array);
}

} // namespace mpscnn::metal
