#import "mps/encode.h"

#include <algorithm>
#include <csignal>
#include <cstdio>

namespace metal_emulation {
namespace {

bool accepts_source(const Source &source, EmulatedCommandBuffer *command_buffer, NSUInteger images) {
    MPSImage *image = source.image;
    return METAL_EXPECT(image, "a kernel is encoded without a source image") &&
           [image acceptsUseOn:command_buffer] &&
           METAL_EXPECT([image usage] & MTLTextureUsageShaderRead,
                        "a source image without usage ShaderRead") &&
           METAL_EXPECT(source.first_channel % channels_per_slice == 0,
                        "a source feature channel offset of %lu, no multiple of 4", source.first_channel) &&
           METAL_EXPECT(source.first_channel + source.channels <= [image featureChannels],
                        "a source of %lu feature channels, of which %lu to %lu are read",
                        [image featureChannels], source.first_channel,
                        source.first_channel + source.channels) &&
           METAL_EXPECT(source.offset.z >= 0 &&
                            static_cast<NSUInteger>(source.offset.z) + images <= [image numberOfImages],
                        "a source of %lu images, of which %lu from %ld on are read", [image numberOfImages],
                        images, source.offset.z);
}

bool accepts_target(const Target &target, EmulatedCommandBuffer *command_buffer) {
    MPSImage *image = target.image;
    return METAL_EXPECT(image, "a kernel is encoded without a destination image") &&
           [image acceptsUseOn:command_buffer] &&
           METAL_EXPECT([image usage] & MTLTextureUsageShaderWrite,
                        "a destination image without usage ShaderWrite") &&
           METAL_EXPECT(target.first_channel % channels_per_slice == 0,
                        "a destination feature channel offset of %lu, no multiple of 4",
                        target.first_channel) &&
           METAL_EXPECT(target.first_channel + target.channels <= [image featureChannels],
                        "a destination of %lu feature channels, of which %lu to %lu are written",
                        [image featureChannels], target.first_channel,
                        target.first_channel + target.channels);
}

// Return the part of the clip rectangle inside the image. MPSRectNoClip has the largest possible extents.
MTLRegion clipped(MTLRegion clip, MPSImage *image) {
    const auto part = [](NSUInteger &origin, NSUInteger &size, NSUInteger limit) {
        origin = std::min(origin, limit);
        size = std::min(size, limit - origin);
    };
    part(clip.origin.x, clip.size.width, [image width]);
    part(clip.origin.y, clip.size.height, [image height]);
    part(clip.origin.z, clip.size.depth, [image numberOfImages]);
    return clip;
}

void spoil(Pixels &result) {
    const bool zeros = switches().wrong_results == 2;
    for (float &value : result.values) value = zeros ? 0 : 2 * value + 1;
}

} // namespace

NSUInteger channels_from(MPSImage *image, NSUInteger first, NSUInteger maximum) {
    if (!METAL_EXPECT(first < [image featureChannels],
                      "a source feature channel offset of %lu of %lu channels", first,
                      [image featureChannels]))
        return 1;
    return std::min(maximum, [image featureChannels] - first);
}

bool accepts_edge_mode(MPSImageEdgeMode mode) {
    return METAL_EXPECT(mode == MPSImageEdgeModeZero || mode == MPSImageEdgeModeClamp,
                        "edge mode %lu, which only MPSNNPad has", static_cast<NSUInteger>(mode));
}

namespace {

void end_process(int number) {
    if (number == SIGABRT) fail_assertion();
    // Remove a sanitizer's handler, which would end the process with a status instead of the signal.
    std::signal(number, SIG_DFL);
    std::raise(number);
}

} // namespace

void encode(Class kernel, id<MTLCommandBuffer> command_buffer, const std::vector<Source> &sources,
            const Target &target, const Compute &compute) {
    const Behaviour behaviour = behaviour_of(class_getName(kernel));
    if (behaviour == Behaviour::abort) fail_assertion();
    if (const long number = switches().end_process) end_process(static_cast<int>(number));
    if (switches().broken_rule) violation("the emulation was told to find a rule broken");
    auto *buffer = static_cast<EmulatedCommandBuffer *>(command_buffer);
    if (!METAL_EXPECT(buffer, "a kernel is encoded without a command buffer") ||
        ![buffer acceptsCommands:"a kernel is encoded" fromEncoder:nil] || !accepts_target(target, buffer))
        return;
    const MTLRegion clip = clipped(target.clip, target.image);
    for (const Source &source : sources)
        if (!accepts_source(source, buffer, clip.size.depth) ||
            !METAL_EXPECT([source.image texture] != [target.image texture],
                          "a kernel's source is its destination"))
            return;

    struct View {
        msl::TextureView texture;
        NSUInteger image_channels;
        Source source;
    };
    std::vector<View> views;
    for (const Source &source : sources) {
        [buffer useResource:[source.image emulatedTexture] written:NO];
        views.push_back({*[[source.image emulatedTexture] view], [source.image featureChannels], source});
    }
    [buffer useResource:[target.image emulatedTexture] written:YES];
    const msl::TextureView to = *[[target.image emulatedTexture] view];
    const NSUInteger to_channels = [target.image featureChannels];
    const NSUInteger first_channel = target.first_channel, channels = target.channels;
    [buffer append:[views, to, to_channels, first_channel, channels, clip, compute, behaviour] {
        if (behaviour == Behaviour::hang) never_end();
        if (clip.size.width == 0 || clip.size.height == 0) return;
        for (NSUInteger n = 0; n < clip.size.depth; ++n) {
            std::vector<Pixels> unpacked;
            for (const View &view : views)
                unpacked.push_back(unpack(view.texture, view.image_channels,
                                          static_cast<NSUInteger>(view.source.offset.z) + n,
                                          view.source.first_channel, view.source.channels));
            Pixels result(clip.size.width, clip.size.height, channels);
            compute(unpacked, result);
            if (switches().wrong_results || behaviour == Behaviour::wrong) spoil(result);
            pack(result, to, to_channels, clip.origin.z + n, first_channel, clip.origin.x, clip.origin.y);
        }
    }];
    for (const Source &source : sources) [source.image wasRead];
}

} // namespace metal_emulation
