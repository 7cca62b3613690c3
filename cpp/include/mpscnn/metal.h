/* mpscnn for programs that use Metal themselves. Networks run on the program's device and queue, in its
 * command buffers, on its MPSImages and textures. This header is for Objective-C, Objective-C++ and Swift,
 * with or without ARC. mpscnn.h does not include this file, but its general rules hold here.
 *
 * - The functions do not take over references to the objects that are passed to them (+0). A command buffer
 * keeps everything that it needs until it is completed, so sessions, programs and graphs may be released
 * before.
 * - The caller observes the end and the failure of a command buffer, in its completed handlers, status and
 * error.
 * - A library that was built without Metal has these functions, and they return MPSCNN_ERROR_UNSUPPORTED.
 * - Objective-C exceptions are never caught.
 *
 * docs/metal.md has an example.
 */
#ifndef MPSCNN_METAL_H
#define MPSCNN_METAL_H

#include "mpscnn.h"

#ifdef __OBJC__

#import <CoreGraphics/CoreGraphics.h>
#import <CoreVideo/CoreVideo.h>
#import <Metal/Metal.h>
#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

typedef id<MTLDevice> mpscnn_metal_device;
typedef id<MTLCommandQueue> mpscnn_metal_queue;
typedef id<MTLCommandBuffer> mpscnn_metal_command_buffer;
typedef NSArray *mpscnn_metal_images; /* of MPSImages and id<MTLTexture>s */
typedef MPSImage *mpscnn_metal_image;
typedef id<MTLTexture> mpscnn_metal_texture;
typedef CVPixelBufferRef mpscnn_metal_pixel_buffer;
typedef CGImageRef mpscnn_metal_drawn_image;

#else /* other languages: pointers to the same objects */

typedef void *mpscnn_metal_device;
typedef void *mpscnn_metal_queue;
typedef void *mpscnn_metal_command_buffer;
typedef void *mpscnn_metal_images;
typedef void *mpscnn_metal_image;
typedef void *mpscnn_metal_texture;
typedef void *mpscnn_metal_pixel_buffer; /* CVPixelBufferRef */
typedef void *mpscnn_metal_drawn_image;  /* CGImageRef */

#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Compile a graph like mpscnn_program_compile, for this device and this queue. If the queue is nil, the
 * library's own queue for the device is used; if the device is nil, the queue's device is used. All work of
 * the program's sessions is committed to the queue, and mpscnn waits for it. Therefore work that was enqueued
 * there before must be committed at some time. Compiling commits nothing to the queue; the check at the first
 * use of a device uses another queue. `options->device` must be NULL, "auto" or "metal".
 *
 * MPSCNN_ERROR_PARAMETER: both are nil, or the queue belongs to another device. MPSCNN_ERROR_DEVICE: the
 * device cannot run Metal Performance Shaders, or gave wrong results. Other errors are those of
 * mpscnn_program_compile. */
MPSCNN_API mpscnn_status mpscnn_metal_program_compile(const mpscnn_graph *graph, mpscnn_metal_device device,
                                                      mpscnn_metal_queue queue,
                                                      const mpscnn_compile_options *options,
                                                      mpscnn_program **program);

/* Append a run of the network to a command buffer and return; nothing is committed. The session's program
 * may have any queue of the command buffer's device. End your own encoders before this call.
 *
 * `inputs` and `outputs` have one image for each input and output, in their order. An image holds the
 * tensor (n, height, width, channels) as `numberOfImages` images; (n, features) is an image of one pixel,
 * and axes before the last three count as rows. An id<MTLTexture> may take the place of an MPSImage:
 * two-dimensional or an array, with the tensor's feature channels in slices of four. Free extents follow
 * from the images. Formats are 8 or 16 bit unorm, which mean 0 to 1, and 16 or 32 bit float. Images in the
 * program's format (mpscnn_metal_output_image) are used without a copy; others are copied on the GPU.
 * Components of a pixel that belong to no feature channel must be finite in inputs, and may have any value
 * in outputs.
 *
 * A temporary image's read count decreases by one for each input that it is given for. Images must not
 * change until the command buffer is completed. The caller synchronizes outputs in managed storage.
 *
 * MPSCNN_ERROR_PARAMETER: an object is nil, of another device or class, of an unsupported format, texture
 * type or usage, or a part of another MPSImage; an output is given twice, or also as an input; the command
 * buffer does not retain what it uses; or the network has variables or was compiled for own kernels.
 * MPSCNN_ERROR_SHAPE: wrong number of images, extents or feature channels. MPSCNN_ERROR_STATE: the command
 * buffer is committed, a temporary image's read count is too low, or another thread uses the session.
 * MPSCNN_ERROR_UNSUPPORTED: the processor computes the network or some of its layers. After these errors
 * nothing was encoded; after an MPSCNN_ERROR_DEVICE or MPSCNN_ERROR_MEMORY do not commit the command buffer.
 */
MPSCNN_API mpscnn_status mpscnn_metal_session_encode(mpscnn_session *session,
                                                     mpscnn_metal_command_buffer commands,
                                                     mpscnn_metal_images inputs, mpscnn_metal_images outputs);

/* Return size and format of an image to which output `index` can be written without a copy, if the inputs
 * are these images. `output->size` must be set. */
MPSCNN_API mpscnn_status mpscnn_metal_output_image(mpscnn_program *program, mpscnn_metal_images inputs,
                                                   int index, mpscnn_image_descriptor *output);

/* How the components of a photo in textures are to be read. */
typedef struct mpscnn_metal_photo_options {
    size_t size;          /* sizeof(mpscnn_metal_photo_options) */
    int32_t orientation;  /* EXIF 1 to 8; 0 means 1 */
    int32_t ignore_alpha; /* 0: a transparent photo is drawn on white; otherwise the fourth component is
                             ignored */
    int32_t matrix;       /* mpscnn_yuv_matrix; this and the following fields are for `chroma` only */
    int32_t range;        /* mpscnn_yuv_range */
    int32_t siting;       /* mpscnn_chroma_siting */
} mpscnn_metal_photo_options;

/* Append the preprocessing of mpscnn_preprocess to a command buffer and return; nothing is committed. End
 * your own encoders before this call.
 *
 * `pixels` is two-dimensional, with one component (gray), RGBA or BGRA, 8 or 16 bit unorm, 16 or 32 bit
 * float, not sRGB. With `chroma`, `pixels` is the luma plane of a video frame (420v, 420f). `chroma` has two
 * components (blue and red differences) of 8 or 16 bit unorm, half the width and half the height, rounded up.
 * `chroma` and `options` may be NULL. `destination` has 1 or 3 feature channels in Float16 or Float32; its
 * image number `image` is written. `preprocess` is as for mpscnn_preprocess, but not with the fit "digit".
 * The shaders, and tables for the last few sizes of frames, are kept as long as a program for the device
 * exists.
 *
 * MPSCNN_ERROR_PARAMETER: an object is nil or of another device, format, kind or usage, a setting is not
 * allowed, or `pixels` is the destination's texture. MPSCNN_ERROR_SHAPE: wrong extents or feature channels.
 * MPSCNN_ERROR_STATE: the command buffer is committed, or a temporary destination's read count is 0.
 * MPSCNN_ERROR_UNSUPPORTED: the fit "digit". MPSCNN_ERROR_DEVICE: there is no memory for the destination.
 * After these errors nothing was encoded. */
MPSCNN_API mpscnn_status mpscnn_metal_preprocess(mpscnn_metal_command_buffer commands,
                                                 mpscnn_metal_texture pixels, mpscnn_metal_texture chroma,
                                                 const mpscnn_metal_photo_options *options,
                                                 const char *preprocess, mpscnn_metal_image destination,
                                                 int image);

/* Append the preprocessing of a pixel buffer of Core Video to a command buffer, like
 * mpscnn_metal_preprocess. Its format is BGRA, 420v or 420f, which determines the range. The matrix is the
 * one attached to the buffer (kCVImageBufferYCbCrMatrixKey), otherwise the one in the options. A buffer with
 * an IOSurface is read without a copy, and must not be written until the command buffer is completed. A
 * buffer without an IOSurface is copied immediately. The command buffer keeps the pixel buffer.
 *
 * Further errors are: MPSCNN_ERROR_UNSUPPORTED: another matrix or pixel format, whose four characters are
 * in the message. MPSCNN_ERROR_DEVICE: the buffer's memory cannot be locked, or Metal cannot make a
 * texture from it. */
MPSCNN_API mpscnn_status mpscnn_metal_preprocess_buffer(mpscnn_metal_command_buffer commands,
                                                        mpscnn_metal_pixel_buffer photo,
                                                        const mpscnn_metal_photo_options *options,
                                                        const char *preprocess,
                                                        mpscnn_metal_image destination, int image);

/* Append the preprocessing of an image of Core Graphics to a command buffer, like mpscnn_metal_preprocess.
 * The image is drawn immediately, in sRGB, on white where it is transparent. Only the orientation of the
 * options is used. MPSCNN_ERROR_DEVICE: the image cannot be drawn. */
MPSCNN_API mpscnn_status mpscnn_metal_preprocess_image(mpscnn_metal_command_buffer commands,
                                                       mpscnn_metal_drawn_image photo,
                                                       const mpscnn_metal_photo_options *options,
                                                       const char *preprocess, mpscnn_metal_image destination,
                                                       int image);

#ifdef __cplusplus
}
#endif

#ifdef __OBJC__

/* Return the MPSImageDescriptor for a result of mpscnn_metal_output_image, for MPSImage and
 * MPSTemporaryImage. The storage mode is the default one. */
static inline MPSImageDescriptor *mpscnn_metal_image_descriptor(const mpscnn_image_descriptor *image) {
    return [MPSImageDescriptor
        imageDescriptorWithChannelFormat:(MPSImageFeatureChannelFormat)image->format
                                   width:(NSUInteger)image->width
                                  height:(NSUInteger)image->height
                         featureChannels:(NSUInteger)image->feature_channels
                          numberOfImages:(NSUInteger)image->number_of_images
                                   usage:MTLTextureUsageShaderRead | MTLTextureUsageShaderWrite];
}

#if defined(__cplusplus) && __cplusplus > 201703L

#include "mpscnn.hpp"

namespace mpscnn {
inline namespace api {

/// Compile a graph for a device or queue; see mpscnn_metal_program_compile. `options.device` must be "auto"
/// or "metal".
inline Program compile(const Graph &graph, id<MTLDevice> device, id<MTLCommandQueue> queue,
                       const CompileOptions &options = {}) {
    return detail::compile(options, [&](const mpscnn_compile_options *raw, mpscnn_program **program) {
        return mpscnn_metal_program_compile(graph.get(), device, queue, raw, program);
    });
}

/// Append a run to a command buffer; see mpscnn_metal_session_encode.
inline void encode(Session &session, id<MTLCommandBuffer> commands, NSArray *inputs, NSArray *outputs) {
    detail::ensure(mpscnn_metal_session_encode(session.get(), commands, inputs, outputs));
}

/// How the components of a photo in textures are to be read; see mpscnn_metal_photo_options.
struct TextureOptions {
    int orientation = 1;
    bool ignore_alpha = false;
    mpscnn_yuv_matrix matrix = MPSCNN_BT601;
    mpscnn_yuv_range range = MPSCNN_VIDEO_RANGE;
    mpscnn_chroma_siting siting = MPSCNN_CHROMA_LEFT;
};

namespace detail {

inline mpscnn_metal_photo_options c_options(const TextureOptions &options) {
    return {sizeof(mpscnn_metal_photo_options),
            options.orientation,
            options.ignore_alpha ? 1 : 0,
            options.matrix,
            options.range,
            options.siting};
}

} // namespace detail

/// Append the preprocessing of a photo in textures; see mpscnn_metal_preprocess. `chroma` is nil unless
/// `pixels` is luma.
inline void preprocess(id<MTLCommandBuffer> commands, id<MTLTexture> pixels, id<MTLTexture> chroma,
                       const std::string &preprocess, MPSImage *destination,
                       const TextureOptions &options = {}, int image = 0) {
    const auto raw = detail::c_options(options);
    detail::ensure(mpscnn_metal_preprocess(commands, pixels, chroma, &raw, detail::c_string(preprocess),
                                           destination, image));
}

/// Append the preprocessing of a pixel buffer; see mpscnn_metal_preprocess_buffer.
inline void preprocess(id<MTLCommandBuffer> commands, CVPixelBufferRef photo, const std::string &preprocess,
                       MPSImage *destination, const TextureOptions &options = {}, int image = 0) {
    const auto raw = detail::c_options(options);
    detail::ensure(mpscnn_metal_preprocess_buffer(commands, photo, &raw, detail::c_string(preprocess),
                                                  destination, image));
}

/// Append the preprocessing of a Core Graphics image; see mpscnn_metal_preprocess_image.
inline void preprocess(id<MTLCommandBuffer> commands, CGImageRef photo, const std::string &preprocess,
                       MPSImage *destination, const TextureOptions &options = {}, int image = 0) {
    const auto raw = detail::c_options(options);
    detail::ensure(mpscnn_metal_preprocess_image(commands, photo, &raw, detail::c_string(preprocess),
                                                 destination, image));
}

/// Return a descriptor for the image of output `index`; see mpscnn_metal_output_image.
inline MPSImageDescriptor *output_descriptor(const Program &program, NSArray *inputs, int index = 0) {
    mpscnn_image_descriptor image{};
    image.size = sizeof image;
    detail::ensure(mpscnn_metal_output_image(program.get(), inputs, index, &image));
    return mpscnn_metal_image_descriptor(&image);
}

} // namespace api
} // namespace mpscnn

#endif
#endif

#endif
