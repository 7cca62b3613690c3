// Checks that photos in textures give the same input as photos in memory.
#include "tests/cpp/check.h"

#import "tests/metal_emulation/tests/emulation_check.h"

#include "core/half.h"
#include "metal/encoding/preprocess.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

using namespace mpscnn;
using metal::PhotoTextures;
using vision::PixelFormat;

namespace {

std::mt19937 random_numbers(7);

int between(int low, int high) { return std::uniform_int_distribution(low, high)(random_numbers); }
bool coin() { return between(0, 1) != 0; }

/// The samples of one plane, in memory and in a texture.
struct Plane {
    std::vector<std::uint8_t> bytes;
    id<MTLTexture> texture;

    Plane(int width, int height, int samples, MTLPixelFormat format, bool halves = false) {
        const std::size_t count = static_cast<std::size_t>(width * height * samples);
        const std::size_t sample_bytes = halves ? 2 : 1;
        bytes.resize(count * sample_bytes);
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint16_t half = half_from_float(static_cast<float>(between(-100, 400)) / 256.0f);
            if (halves)
                std::memcpy(bytes.data() + 2 * i, &half, sizeof half);
            else // some are opaque
                bytes[i] = static_cast<std::uint8_t>(i % 4 == 3 && coin() ? 255 : between(0, 255));
        }
        fill(width, height, static_cast<std::size_t>(width * samples) * sample_bytes, format);
    }

    void fill(int width, int height, std::size_t row, MTLPixelFormat format) {
        MTLTextureDescriptor *descriptor =
            [MTLTextureDescriptor texture2DDescriptorWithPixelFormat:format
                                                               width:static_cast<NSUInteger>(width)
                                                              height:static_cast<NSUInteger>(height)
                                                           mipmapped:NO];
        [descriptor setUsage:MTLTextureUsageShaderRead];
        [descriptor setStorageMode:MTLStorageModeShared];
        texture = owned([device() newTextureWithDescriptor:descriptor]);
        [texture replaceRegion:MTLRegionMake2D(0, 0, static_cast<NSUInteger>(width),
                                               static_cast<NSUInteger>(height))
                   mipmapLevel:0
                     withBytes:bytes.data()
                   bytesPerRow:row];
    }
};

/// The same photo in memory and in textures.
struct Photo {
    std::vector<Plane> planes;
    vision::ImageView view;
    PhotoTextures textures;

    Photo(PixelFormat format, int width, int height, int orientation) {
        const vision::FormatInfo &info = vision::format_info(format);
        const bool halves = info.sample == vision::SampleType::float16;
        const MTLPixelFormat pixels = halves              ? MTLPixelFormatRGBA16Float
                                      : info.blue_first   ? MTLPixelFormatBGRA8Unorm
                                      : info.samples == 4 ? MTLPixelFormatRGBA8Unorm
                                                          : MTLPixelFormatR8Unorm;
        planes.reserve(2);
        planes.emplace_back(width, height, info.samples, pixels, halves);
        view = {planes[0].bytes.data(), width, height, width * info.pixel_bytes(), format, orientation};
        textures.pixels = planes[0].texture;
        textures.orientation = orientation;
        textures.has_alpha = info.alpha;
        if (info.chroma != vision::ChromaPlanes::none) add_chroma(width, height);
    }

    void add_chroma(int width, int height) {
        const int columns = vision::chroma_extent(width), rows = vision::chroma_extent(height);
        planes.emplace_back(columns, rows, 2, MTLPixelFormatRG8Unorm);
        textures.chroma = planes[1].texture;
        textures.matrix = coin() ? vision::YuvMatrix::bt601 : vision::YuvMatrix::bt709;
        textures.range = coin() ? vision::YuvRange::video : vision::YuvRange::full;
        textures.siting = coin() ? vision::ChromaSiting::left : vision::ChromaSiting::center;
        view.chroma = {planes[1].bytes.data(), nullptr,        2 * columns,
                       textures.matrix,        textures.range, textures.siting};
    }
};

MPSImage *make_image(int width, int height, int channels, int images, bool half) {
    MPSImageDescriptor *descriptor = [MPSImageDescriptor
        imageDescriptorWithChannelFormat:half ? MPSImageFeatureChannelFormatFloat16
                                              : MPSImageFeatureChannelFormatFloat32
                                   width:static_cast<NSUInteger>(width)
                                  height:static_cast<NSUInteger>(height)
                         featureChannels:static_cast<NSUInteger>(channels)
                          numberOfImages:static_cast<NSUInteger>(images)
                                   usage:MTLTextureUsageShaderRead | MTLTextureUsageShaderWrite];
    [descriptor setStorageMode:MTLStorageModeShared];
    return owned([[MPSImage alloc] initWithDevice:device() imageDescriptor:descriptor]);
}

std::vector<float> values_in(MPSImage *image, int number, std::size_t count, bool half) {
    std::vector<float> values(count);
    std::vector<std::uint16_t> halves(count);
    [image readBytes:half ? static_cast<void *>(halves.data()) : static_cast<void *>(values.data())
          dataLayout:MPSDataLayoutHeightxWidthxFeatureChannels
          imageIndex:static_cast<NSUInteger>(number)];
    if (half) floats_from_halves(halves, values);
    return values;
}

vision::Preprocess drawn_options() {
    vision::Preprocess options;
    options.fit = static_cast<vision::Fit>(between(0, 2));
    options.filter = static_cast<vision::Filter>(between(0, 4));
    options.order = static_cast<vision::ChannelOrder>(between(0, 2));
    options.crop_fraction = coin() ? 1.0 : 0.6;
    options.whole_pixels = coin();
    if (!options.whole_pixels)
        options.letterbox_position = static_cast<vision::LetterboxPosition>(between(0, 1));
    options.letterbox_value = {114.0f, 20.0f, 30.0f};
    options.mean = {100.0f, 50.0f, 20.0f};
    options.scale = {1.0f / 64, 1.0f / 128, 1.0f / 32};
    return options;
}

/// Return the allowed error: rounding of sums of products of values up to 255 in float32, as in the CPU
/// engine, times the largest scale and the YUV matrix. One rounding to half may follow.
double allowed(float expected, bool half) {
    const double sums = 3 * 255 * 80 * std::numeric_limits<float>::epsilon() / 2 / 32;
    return sums + (half ? std::abs(expected) * std::ldexp(1.0, -11) + std::ldexp(1.0, -25) : 0.0);
}

/// Convert the photo in both ways, into one of the images of a destination, and compare.
void compare(const Photo &photo, const vision::Preprocess &options, int height, int width, bool half) {
    const int channels = options.channels(), images = between(1, 3), number = between(0, images - 1);
    std::vector<float> expected(static_cast<std::size_t>(height * width * channels));
    vision::preprocess(photo.view, options, height, width, channels, expected.data(), channels,
                       std::ptrdiff_t{width} * channels);

    const auto engine = metal::Device::open("");
    MPSImage *destination = make_image(width, height, channels, images, half);
    id<MTLCommandBuffer> commands = [engine->queue() commandBuffer];
    metal::encode_preprocess(commands, *engine, photo.textures, options, destination, number);
    finish(commands);
    const auto found = values_in(destination, number, expected.size(), half);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const bool same = std::isnan(expected[i])
                              ? std::isnan(found[i])
                              : std::abs(double{found[i]} - expected[i]) <= allowed(expected[i], half);
        wrong += same ? 0 : 1;
    }
    CHECK(wrong == 0);
}

constexpr PixelFormat formats[] = {PixelFormat::rgba8,   PixelFormat::rgbx8, PixelFormat::bgra8,
                                   PixelFormat::rgba16f, PixelFormat::gray8, PixelFormat::nv12};

} // namespace

CLEAN_TEST(textures_become_what_memory_does) {
    for (int draw = 0; draw < 240; ++draw) {
        const Pool pool;
        const Photo photo(formats[draw % std::size(formats)], between(1, 30), between(1, 30), between(1, 8));
        compare(photo, drawn_options(), between(1, 24), between(1, 24), coin());
    }
}

CLEAN_TEST(nan_reaches_only_the_pixels_that_cover_it) {
    Photo photo(PixelFormat::rgba16f, 9, 7, 1);
    const std::uint16_t nan = half_from_float(std::numeric_limits<float>::quiet_NaN());
    std::memcpy(photo.planes[0].bytes.data() + (3 * 9 + 5) * 8, &nan, sizeof nan);
    photo.planes[0].fill(9, 7, 9 * 8, MTLPixelFormatRGBA16Float);
    photo.textures.pixels = photo.planes[0].texture;
    for (int filter = 0; filter < 3; ++filter) {
        vision::Preprocess options;
        options.filter = static_cast<vision::Filter>(filter);
        compare(photo, options, 4, 6, false);
    }
}

CLEAN_TEST(what_does_not_fit_is_refused) {
    const auto engine = metal::Device::open("");
    const Photo photo(PixelFormat::nv12, 6, 5, 1);
    id<MTLCommandBuffer> commands = [engine->queue() commandBuffer];
    const auto refused = [&](auto change, ErrorKind kind, const char *part) {
        PhotoTextures textures = photo.textures;
        vision::Preprocess options;
        MPSImage *destination = make_image(4, 4, 3, 1, true);
        change(textures, options, destination);
        CHECK_THROWS(metal::encode_preprocess(commands, *engine, textures, options, destination), kind, part);
    };
    using Options = vision::Preprocess;
    const Plane gray(6, 5, 1, MTLPixelFormatR8Unorm), pairs(4, 3, 2, MTLPixelFormatRG8Unorm);
    refused([](PhotoTextures &t, Options &, MPSImage *&) { t.pixels = nil; }, ErrorKind::parameter, "is nil");
    refused([&](PhotoTextures &t, Options &, MPSImage *&) { t.chroma = gray.texture; }, ErrorKind::parameter,
            "RG8Unorm");
    refused([&](PhotoTextures &t, Options &, MPSImage *&) { t.chroma = pairs.texture; }, ErrorKind::shape,
            "3 x 3 colour differences go with its luma, got 4 x 3");
    refused(
        [&](PhotoTextures &t, Options &, MPSImage *&) {
            t.pixels = pairs.texture;
            t.chroma = nil;
        },
        ErrorKind::parameter, "must be R, RGBA or BGRA");
    refused([](PhotoTextures &t, Options &, MPSImage *&) { t.orientation = 9; }, ErrorKind::parameter,
            "orientation is 9");
    refused([](PhotoTextures &, Options &o, MPSImage *&) { o.crop_fraction = 0; }, ErrorKind::parameter,
            "crop_fraction");
    refused([](PhotoTextures &, Options &o, MPSImage *&) { o.order = vision::ChannelOrder::gray; },
            ErrorKind::shape, "3 feature channels, the channel order makes 1");
    refused(
        [](PhotoTextures &, Options &o, MPSImage *&d) {
            o = Options::named("mnist", 1);
            d = make_image(4, 4, 1, 1, true);
        },
        ErrorKind::unsupported, "'digit'");
    refused([](PhotoTextures &, Options &, MPSImage *&d) { d = nil; }, ErrorKind::parameter, "is nil");
    refused([](PhotoTextures &, Options &, MPSImage *&d) { d = make_image(4, 4, 5, 1, true); },
            ErrorKind::shape, "5 feature channels");
    CHECK_THROWS(
        metal::encode_preprocess(commands, *engine, photo.textures, {}, make_image(4, 4, 3, 2, true), 2),
        ErrorKind::parameter, "has 2 images, there is no number 2");
    finish(commands);
}
