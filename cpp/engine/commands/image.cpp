#include "engine/commands/image.h"

#include "core/log.h"
#include "core/text.h"
#include "engine/commands/command_buffer.h"
#include "engine/commands/host_image_memory.h"

namespace mpscnn::engine {

namespace {

/// Require that a region along one axis lies within the image.
void require_within(const Image &image, const char *axis, std::int64_t begin, std::int64_t size,
                    std::int64_t extent) {
    if (begin < 0 || size < 1 || size > extent - begin)
        fail(ErrorKind::parameter, {image.text(), ": the region's ", axis, " must lie within 0 to ", extent,
                                    ", got ", size, " from ", begin, " on"});
}

/// Require that rows and images in memory do not overlap, and that every address fits 64 bits.
void require_strides(const Image &image, const ImageRegion &region, const ImageData &data) {
    const bool planar = data.layout == DataLayout::chw;
    const auto refuse = [&](const char *field, std::int64_t minimum, std::int64_t given) {
        fail(ErrorKind::parameter, {image.text(), ": ", field, " must be 0 or at least ", minimum,
                                    " for this region, got ", given});
    };
    const auto element = static_cast<std::int64_t>(kernels::bytes_of(image.descriptor().format));
    const std::int64_t columns = region.width * element * (planar ? 1 : region.channels);
    if (data.row_bytes != 0 && data.row_bytes < columns) refuse("row_bytes", columns, data.row_bytes);
    const std::int64_t row = data.row_bytes != 0 ? data.row_bytes : columns;
    const std::int64_t rows = Shape{region.height, planar ? region.channels : 1, row}.elements() - row;
    if (data.image_bytes != 0 && data.image_bytes < rows + columns)
        refuse("image_bytes", rows + columns, data.image_bytes);
    static_cast<void>(Shape{region.images, data.image_bytes != 0 ? data.image_bytes : rows + row}.elements());
}

} // namespace

std::shared_ptr<Image> Image::create(const ImageDescriptor &descriptor) {
    descriptor.check();
    return std::shared_ptr<Image>(new Image(descriptor, false));
}

std::shared_ptr<Image> Image::create_temporary(const ImageDescriptor &descriptor,
                                               const std::shared_ptr<CommandBuffer> &commands) {
    descriptor.check();
    commands->require_recording();
    std::shared_ptr<Image> image(new Image(descriptor, true));
    image->read_count_ = 1;
    image->commands_ = commands;
    return image;
}

Image::~Image() {
    const auto commands = commands_.lock();
    if (read_count_ > 0 && commands && commands->status() >= CommandStatus::committed)
        log(LogLevel::warning,
            concat({"temporary ", text(), " was released with a read_count of ", read_count_,
                    "; kernels that read it take one away, or set read_count to 0"}));
}

std::string Image::text() const {
    return concat({"image ", (label_.empty() ? "" : quoted(label_) + " "), "(", descriptor_.text(), ")"});
}

void Image::set_read_count(std::int64_t count) {
    if (!temporary_) fail(ErrorKind::state, {text(), ": only temporary images have a read_count"});
    if (read_count_ == 0)
        fail(ErrorKind::state, {"temporary ", text(), ": read_count has reached 0, the memory is gone"});
    if (count < 0)
        fail(ErrorKind::parameter, {"temporary ", text(), ": read_count must be at least 0, got ", count});
    read_count_ = count;
    if (count > 0) return;
    const std::lock_guard lock(mutex_);
    memory_.reset(); // encoded commands keep the memory until they have run
}

void Image::count_reads(std::int64_t reads) {
    if (temporary_ && reads > 0) set_read_count(read_count_ - reads);
}

void Image::require_usable(const CommandBuffer &commands, const char *role, std::int64_t reads) const {
    if (!temporary_) return;
    const std::string what = concat({role, ": temporary ", text()});
    if (commands_.lock().get() != &commands)
        fail(ErrorKind::state, {what, " belongs to another command buffer"});
    if (read_count_ == 0)
        fail(ErrorKind::state, {what, " has a read_count of 0: its memory is gone. Set read_count to the "
                                      "number of kernels that read it before the first one is encoded"});
    if (reads > read_count_)
        fail(ErrorKind::state,
             {what, " is read ", reads, " times by this kernel, its read_count is ", read_count_});
}

std::shared_ptr<ImageMemory> Image::accessible_memory() const {
    if (temporary_)
        fail(ErrorKind::state, {"temporary ", text(),
                                " cannot be read or written by the program, only by kernels; use an Image"});
    auto memory = this->memory([&] { return std::make_shared<HostImageMemory>(descriptor_); });
    if (memory->in_flight.load(std::memory_order_acquire) > 0)
        fail(ErrorKind::state,
             {text(), " is in use by a command buffer that has not completed; wait for it first"});
    return memory;
}

void Image::require_access(const ImageRegion &region) const {
    require_within(*this, "images", region.image, region.images, descriptor_.number_of_images);
    require_within(*this, "rows", region.y, region.height, descriptor_.height);
    require_within(*this, "columns", region.x, region.width, descriptor_.width);
    require_within(*this, "feature channels", region.channel, region.channels, descriptor_.feature_channels);
    constexpr std::int64_t slice = ImageDescriptor::slice_channels;
    if (region.channel % slice != 0)
        fail(ErrorKind::parameter,
             {text(), ": the first feature channel must be a multiple of 4, got ", region.channel});
}

void Image::read(const ImageRegion &region, const ImageData &to) const {
    require_access(region);
    require_strides(*this, region, to);
    accessible_memory()->read(region, to);
}

void Image::write(const ImageRegion &region, const ImageData &from) {
    require_access(region);
    require_strides(*this, region, from);
    accessible_memory()->write(region, from);
}

} // namespace mpscnn::engine
