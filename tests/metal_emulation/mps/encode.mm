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
           METAL_EXPECT(source.channels <= [image featureChannels],
                        "a source of %lu feature channels, of which %lu are read", [image featureChannels],
                        source.channels) &&
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
           METAL_EXPECT(target.channels <= [image featureChannels],
                        "a destination of %lu feature channels, of which %lu are written",
                        [image featureChannels], target.channels);
}

void spoil(Pixels &result) {
    const bool zeros = switches().wrong_results == 2;
    for (float &value : result.values) value = zeros ? 0 : 2 * value + 1;
}

} // namespace

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
    if (take_one(switches().exceptions)) raise_exception();
    if (switches().broken_rule) violation("the emulation was told to find a rule broken");
    auto *buffer = static_cast<EmulatedCommandBuffer *>(command_buffer);
    if (!METAL_EXPECT(buffer, "a kernel is encoded without a command buffer") ||
        ![buffer acceptsCommands:"a kernel is encoded" fromEncoder:nil] || !accepts_target(target, buffer))
        return;
    const NSUInteger images = [target.image numberOfImages];
    for (const Source &source : sources)
        if (!accepts_source(source, buffer, images) ||
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
    const NSUInteger channels = target.channels;
    [buffer append:[views, to, to_channels, channels, images, compute, behaviour] {
        if (behaviour == Behaviour::hang) never_end();
        for (NSUInteger n = 0; n < images; ++n) {
            std::vector<Pixels> unpacked;
            for (const View &view : views)
                unpacked.push_back(unpack(view.texture, view.image_channels,
                                          static_cast<NSUInteger>(view.source.offset.z) + n,
                                          view.source.channels));
            Pixels result(to.width, to.height, channels);
            compute(unpacked, result);
            if (switches().wrong_results || behaviour == Behaviour::wrong) spoil(result);
            pack(result, to, to_channels, n);
        }
    }];
    for (const Source &source : sources) [source.image wasRead];
}

} // namespace metal_emulation
