#include "metal/encoding/caller_image.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "core/json.h"
#include "core/text.h"
#include "metal/device/device_list.h"
#include "metal/device/text.h"
#include "metal/encoding/encoding.h"

namespace mpscnn::metal {

namespace {

struct Format {
    MTLPixelFormat pixel;
    std::int64_t components;
};
/// Formats that shaders read and write as floats on every GPU.
constexpr std::array<Format, 13> formats{{{MTLPixelFormatR8Unorm, 1},
                                          {MTLPixelFormatRG8Unorm, 2},
                                          {MTLPixelFormatRGBA8Unorm, 4},
                                          {MTLPixelFormatBGRA8Unorm, 4},
                                          {MTLPixelFormatR16Unorm, 1},
                                          {MTLPixelFormatRG16Unorm, 2},
                                          {MTLPixelFormatRGBA16Unorm, 4},
                                          {MTLPixelFormatR16Float, 1},
                                          {MTLPixelFormatRG16Float, 2},
                                          {MTLPixelFormatRGBA16Float, 4},
                                          {MTLPixelFormatR32Float, 1},
                                          {MTLPixelFormatRG32Float, 2},
                                          {MTLPixelFormatRGBA32Float, 4}}};

std::int64_t slices_of(std::int64_t channels) { return (channels + 3) / 4; }

/// Return the number of components in a texture's pixel.
std::int64_t components_of(const std::string &what, MTLPixelFormat pixel) {
    const auto format = std::find_if(formats.begin(), formats.end(),
                                     [&](const Format &known) { return known.pixel == pixel; });
    if (format == formats.end())
        fail(ErrorKind::parameter, {what, ": pixel format ", static_cast<std::size_t>(pixel),
                                    " is none of R, RG and RGBA with 8Unorm, 16Unorm, 16Float or 32Float, "
                                    "and BGRA8Unorm"});
    return format->components;
}

void require_slices(const std::string &what, id<MTLTexture> texture, std::int64_t channels) {
    const MTLTextureType type = [texture textureType];
    if (type != MTLTextureType2D && type != MTLTextureType2DArray)
        fail(ErrorKind::parameter, {what, ": a texture must be MTLTextureType2D or 2DArray, got type ",
                                    static_cast<std::size_t>(type)});
    const std::int64_t slices = slices_of(channels);
    const auto length = static_cast<std::int64_t>([texture arrayLength]);
    if (type == MTLTextureType2D ? slices == 1 : length % slices == 0) return;
    fail(ErrorKind::shape, {what, ": images of ", channels, " feature channels have ", slices,
                            " slices of a texture array each, got ",
                            (type == MTLTextureType2D ? "a texture that is not an array"
                                                      : std::to_string(length) + " slices")});
}

objc_ptr<MPSImage *> image_over(id<MTLTexture> texture, const std::string &what, const engine::Port &port) {
    const std::int64_t channels = port.shape.back();
    require_slices(what, texture, channels);
    const std::int64_t given = components_of(what, [texture pixelFormat]),
                       wanted = channels < 3 ? channels : 4; // as in the formats that MPS chooses
    if (given != wanted)
        fail(ErrorKind::shape, {what, ": a texture for ", channels, " feature channels has ", wanted,
                                " components in a pixel, got ", given});
    return adopt([[MPSImage alloc] initWithTexture:texture
                                   featureChannels:static_cast<NSUInteger>(channels)]);
}

objc_ptr<MPSImage *> require_image(MPSImage *image, const std::string &what) {
    // Refuse a part of an image: its texture may be its parent's, which has other channels.
    if ([image parent])
        fail(ErrorKind::parameter, {what, ": a part of another MPSImage cannot be given, only a whole one"});
    const MPSImageFeatureChannelFormat format = [image featureChannelFormat];
    if (format < MPSImageFeatureChannelFormatUnorm8 || format > MPSImageFeatureChannelFormatFloat32)
        fail(ErrorKind::parameter, {what,
                                    ": the format of its feature channels must be Unorm8, Unorm16, Float16 "
                                    "or Float32, got ",
                                    static_cast<std::size_t>(format)});
    // Throws for formats that are not in the table.
    static_cast<void>(components_of(what, [image pixelFormat]));
    return share(image);
}

objc_ptr<MPSImage *> image_of_object(id object, const std::string &what, const engine::Port &port) {
    if ([object isKindOfClass:[MPSImage class]]) return require_image(static_cast<MPSImage *>(object), what);
    // conformsToProtocol: may fail, because Metal may return proxies. So the test is whether the object has a
    // texture's method.
    if ([object respondsToSelector:@selector(parentTexture)])
        return image_over(static_cast<id<MTLTexture>>(object), what, port);
    fail(ErrorKind::parameter, {what, " must be an MPSImage or an MTLTexture, got an object of class ",
                                text_of(NSStringFromClass([object class]))});
}

std::string extents_text(const Shape &extents) {
    return concat({extents[0], " images of ", extents[2], " x ", extents[1], " pixels with ", extents[3],
                   " feature channels"});
}

/// Set the free row axis of a tensor with more than four axes, so that the product of all row axes is `rows`.
/// Return false if that is impossible.
bool fill_rows(Shape &shape, std::int64_t rows) {
    int free_axis = 0;
    for (int axis = 1; axis < shape.rank() - 2; ++axis) {
        if (shape[axis] != Shape::any) {
            if (rows % shape[axis] != 0) return false;
            rows /= shape[axis];
        } else if (free_axis != 0) {
            return false;
        } else {
            free_axis = axis;
        }
    }
    if (free_axis != 0) shape[free_axis] = std::exchange(rows, 1);
    return rows == 1;
}

} // namespace

void require_image_use(MPSImage *image, const std::string &what, MTLTextureUsage usage,
                       const char *usage_name) {
    if ([image usage] != MTLTextureUsageUnknown && ([image usage] & usage) == 0)
        fail(ErrorKind::parameter, {what, ": its usage must have ", usage_name});
    if (MPSTemporaryImage *temporary = as_temporary(image); temporary && [temporary readCount] == 0)
        fail(ErrorKind::state,
             {what, " is a temporary image whose read count is 0: its memory is another's"});
    if (![image texture]) fail(ErrorKind::device, {what, ": Metal cannot allocate its texture"});
}

CallerImage::CallerImage(id object, std::string what, const engine::Port &port)
    : what_(std::move(what)), image_(image_of_object(object, what_, port)) {}

Shape CallerImage::extents() const {
    MPSImage *image = image_.get();
    return {static_cast<std::int64_t>([image numberOfImages]), static_cast<std::int64_t>([image height]),
            static_cast<std::int64_t>([image width]), static_cast<std::int64_t>([image featureChannels])};
}

Shape CallerImage::tensor_shape(const Shape &port) const {
    const Shape given = extents();
    const int rank = port.rank();
    Shape shape = port.with_batch(given[0]);
    shape[rank - 1] = given[3];
    if (rank > 2) shape[rank - 2] = given[2];
    if (rank == 4) shape[1] = given[1]; // the network checks whether this is the right extent
    const bool fits = rank == 2 ? given[1] == 1 && given[2] == 1 : rank == 4 || fill_rows(shape, given[1]);
    if (!fits)
        fail(ErrorKind::shape, {what_, ": expected ", port.text(), ", got ", extents_text(given),
                                ": (n, features) is an image of one pixel, and axes before the last three "
                                "count as rows"});
    return shape;
}

bool CallerImage::is_like(const ImageLayout &layout) const {
    const MTLTextureType type = layout.is_array() ? MTLTextureType2DArray : MTLTextureType2D;
    return
        [image_.get() textureType] == type && [image_.get() pixelFormat] == [layout.descriptor() pixelFormat];
}

void CallerImage::require_use(const Device &device, MTLTextureUsage usage, const char *usage_name) const {
    if ([image_.get() device] != device.get())
        fail(ErrorKind::parameter,
             {what_, " is an image of Metal device ", full_name_of([image_.get() device]),
              ", the network's is ", full_name_of(device.get())});
    require_image_use(image_.get(), what_, usage, usage_name);
}

void CallerImage::require_readable(const Device &device) const {
    require_use(device, MTLTextureUsageShaderRead, "MTLTextureUsageShaderRead");
}

void CallerImage::require_writable(const Device &device) const {
    require_use(device, MTLTextureUsageShaderWrite, "MTLTextureUsageShaderWrite");
}

void CallerImage::require_room_for(const Shape &result) const {
    const Shape one = image_extents(result), expected{result[0], one[0], one[1], one[2]};
    if (!(extents() == expected))
        fail(ErrorKind::shape,
             {what_, ": expected ", extents_text(expected), ", got ", extents_text(extents())});
}

void CallerImage::require_apart_from(const CallerImage &other) const {
    if ([image_.get() texture] == [other.image_.get() texture])
        fail(ErrorKind::parameter, {what_, " and ", other.what_, " are one texture"});
}

std::vector<CallerImage> caller_images(NSArray *objects, const std::string &role,
                                       std::span<const engine::Port> ports) {
    if (!objects) fail(ErrorKind::parameter, {role, "s must not be nil"});
    if ([objects count] != ports.size())
        fail(ErrorKind::shape,
             {"the network has ", ports.size(), " ", role, "s, got ", [objects count], " images"});
    std::vector<CallerImage> images;
    for (const engine::Port &port : ports)
        images.emplace_back([objects objectAtIndex:images.size()], concat({role, " ", quoted(port.name)}),
                            port);
    return images;
}

TemporaryReads::TemporaryReads(std::span<const CallerImage> images) {
    for (const CallerImage &image : images) {
        MPSTemporaryImage *temporary = as_temporary(image.get());
        if (!temporary) continue;
        auto entry = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry &known) { return known.image == temporary; });
        if (entry == entries_.end()) entry = entries_.insert(entry, {temporary, [temporary readCount]});
        if (entry->left-- == 0)
            fail(ErrorKind::state, "a temporary image is given for more inputs than its read count allows");
    }
}

TemporaryReads::~TemporaryReads() {
    for (const Entry &entry : entries_)
        if ([entry.image readCount] != entry.left) [entry.image setReadCount:entry.left];
}

} // namespace mpscnn::metal
