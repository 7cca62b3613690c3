/* mpscnn: raw kernels with the names and rules of Apple's MPSCNN classes, images of feature channels,
 * command queues and command buffers. Part of mpscnn.h, which includes this file and states general rules.
 *
 * A kernel is made from its class ("PoolingMax" for MPSCNNPoolingMax) and its properties, a JSON object. It
 * is encoded into a command buffer with source and destination images. Nothing runs before the buffer is
 * committed. Properties are copied at encoding, so a kernel may then be changed and used again. Only one
 * thread at a time may use a kernel, or encode into a command buffer.
 */
#ifndef MPSCNN_KERNELS_H
#define MPSCNN_KERNELS_H

#include "mpscnn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Command queues and command buffers -----------------------------------------------------------------
 */

typedef struct mpscnn_queue mpscnn_queue;
typedef struct mpscnn_command_buffer mpscnn_command_buffer;

typedef struct mpscnn_queue_options {
    size_t size;        /* sizeof(mpscnn_queue_options) */
    const char *device; /* "auto", "cpu", "metal"; NULL: "auto" */
    int threads;        /* threads of the CPU device, as in mpscnn_session_options */
} mpscnn_queue_options;

/* Create a command queue. `options` may be NULL. */
MPSCNN_API mpscnn_status mpscnn_queue_create(const mpscnn_queue_options *options, mpscnn_queue **queue);
/* Release the queue. It exists until its command buffers are released and its committed work is finished. */
MPSCNN_API void mpscnn_queue_release(mpscnn_queue *queue);
/* Return the device's backend, "cpu" or "metal". The text is valid as long as the queue. */
MPSCNN_API mpscnn_status mpscnn_queue_device(const mpscnn_queue *queue, const char **device);
/* Block until every committed command buffer is completed. */
MPSCNN_API mpscnn_status mpscnn_queue_wait(mpscnn_queue *queue);

/* The states of a command buffer, with the numbers of MTLCommandBufferStatus. */
typedef enum mpscnn_command_status {
    MPSCNN_COMMANDS_NOT_ENQUEUED = 0,
    MPSCNN_COMMANDS_ENQUEUED = 1,
    MPSCNN_COMMANDS_COMMITTED = 2,
    MPSCNN_COMMANDS_SCHEDULED = 3, /* running */
    MPSCNN_COMMANDS_COMPLETED = 4,
    MPSCNN_COMMANDS_ERROR = 5
} mpscnn_command_status;

MPSCNN_API mpscnn_status mpscnn_command_buffer_create(mpscnn_queue *queue, mpscnn_command_buffer **commands);
/* Release the command buffer. If it is committed, it still runs. */
MPSCNN_API void mpscnn_command_buffer_release(mpscnn_command_buffer *commands);
MPSCNN_API mpscnn_status mpscnn_command_buffer_status(const mpscnn_command_buffer *commands,
                                                      mpscnn_command_status *status);
/* Reserve the buffer's place in the execution order of its queue. Committing a buffer without a place does
 * this, too. */
MPSCNN_API mpscnn_status mpscnn_command_buffer_enqueue(mpscnn_command_buffer *commands);
MPSCNN_API mpscnn_status mpscnn_command_buffer_commit(mpscnn_command_buffer *commands);
/* Block until the work is done and the handlers have run. If the work failed, return its failure. Returns
 * MPSCNN_ERROR_STATE for a buffer that is not committed. */
MPSCNN_API mpscnn_status mpscnn_command_buffer_wait(mpscnn_command_buffer *commands);
/* Return why the work failed. `code` has the numbers of MTLCommandBufferError (1 internal, 8 out of
 * memory). Without a failure it is 0 and the message is "". `message` may be NULL. */
MPSCNN_API mpscnn_status mpscnn_command_buffer_error(const mpscnn_command_buffer *commands, int *code,
                                                     mpscnn_text **message);
/* Add a handler to a buffer that is not committed yet. It is called once, when the work is done or has
 * failed, on the queue's thread. `release`, which may be NULL, is called with the context when the handler is
 * no longer needed, even if it never ran. It is not called if adding the handler fails. */
typedef void (*mpscnn_completed_handler)(void *context);
MPSCNN_API mpscnn_status mpscnn_command_buffer_add_completed_handler(mpscnn_command_buffer *commands,
                                                                     mpscnn_completed_handler handler,
                                                                     void *context,
                                                                     void (*release)(void *context));

/* ---- Images of feature channels (MPSImage, MPSTemporaryImage) --------------------------------------------
 */

typedef struct mpscnn_feature_image mpscnn_feature_image;

/* The number formats of images, with the numbers of MPSImageFeatureChannelFormat. */
typedef enum mpscnn_channel_format {
    MPSCNN_CHANNEL_UNORM8 = 1,
    MPSCNN_CHANNEL_UNORM16 = 2,
    MPSCNN_CHANNEL_FLOAT16 = 3,
    MPSCNN_CHANNEL_FLOAT32 = 4
} mpscnn_channel_format;

typedef struct mpscnn_image_descriptor {
    size_t size;                                               /* sizeof(mpscnn_image_descriptor) */
    int64_t width, height, feature_channels, number_of_images; /* each at least 1 */
    int32_t format; /* mpscnn_channel_format; 0 is taken as float32 */
} mpscnn_image_descriptor;

MPSCNN_API mpscnn_status mpscnn_feature_image_create(const mpscnn_image_descriptor *descriptor,
                                                     mpscnn_feature_image **image);
/* Create a temporary image for one command buffer. Its read count begins at 1. Every kernel that reads the
 * image decrements the count. At 0 the image's memory is freed, and the image may only be released.
 * Programs cannot access the contents of temporary images. */
MPSCNN_API mpscnn_status mpscnn_feature_image_create_temporary(mpscnn_command_buffer *commands,
                                                               const mpscnn_image_descriptor *descriptor,
                                                               mpscnn_feature_image **image);
/* Release the image. Encoded commands keep the objects that they need. */
MPSCNN_API void mpscnn_feature_image_release(mpscnn_feature_image *image);
/* Return the image's descriptor. `descriptor->size` must be set. */
MPSCNN_API mpscnn_status mpscnn_feature_image_descriptor(const mpscnn_feature_image *image,
                                                         mpscnn_image_descriptor *descriptor);
/* Set a name for messages. */
MPSCNN_API mpscnn_status mpscnn_feature_image_set_label(mpscnn_feature_image *image, const char *label);
/* Return the read count; 0 for images that are not temporary. */
MPSCNN_API mpscnn_status mpscnn_feature_image_read_count(const mpscnn_feature_image *image, int64_t *count);
/* Set the read count of a temporary image to the number of reads that follow. A count of 0 is final: then it
 * returns MPSCNN_ERROR_STATE. */
MPSCNN_API mpscnn_status mpscnn_feature_image_set_read_count(mpscnn_feature_image *image, int64_t count);

/* A range of images, rows, columns and feature channels. The first channel is a multiple of 4. */
typedef struct mpscnn_image_region {
    int64_t image, y, x, channel; /* first position */
    int64_t images, height, width, channels;
} mpscnn_image_region;

/* Elements in the caller's memory, in the image's format. */
typedef struct mpscnn_image_data {
    size_t size; /* sizeof(mpscnn_image_data) */
    void *data;
    int32_t planar;        /* 0: [height][width][channels]; 1: [channels][height][width] (MPSDataLayout) */
    ptrdiff_t row_bytes;   /* from one row to the next, at least a row's bytes; 0: no gaps */
    ptrdiff_t image_bytes; /* from one image to the next, at least an image's bytes; 0: no gaps */
} mpscnn_image_data;

/* Copy a region. Returns MPSCNN_ERROR_STATE for temporary images, and while a committed command buffer uses
 * the image. */
MPSCNN_API mpscnn_status mpscnn_feature_image_read(const mpscnn_feature_image *image,
                                                   const mpscnn_image_region *region,
                                                   const mpscnn_image_data *data);
MPSCNN_API mpscnn_status mpscnn_feature_image_write(mpscnn_feature_image *image,
                                                    const mpscnn_image_region *region,
                                                    const mpscnn_image_data *data);
/* Return the image's memory, if it is main memory. Fails like mpscnn_feature_image_read. Element (image, y,
 * x, channel) is at data plus the sum of index times stride in bytes. The channels of a pixel are rounded up
 * to a multiple of 4. The memory is valid as long as the image. */
MPSCNN_API mpscnn_status mpscnn_feature_image_memory(const mpscnn_feature_image *image, void **data,
                                                     int64_t strides[4]);

/* ---- States (MPSCNNBatchNormalizationState) --------------------------------------------------------------
 */

/* The mean and variance of each channel over all batches since the state was made or reset. The state belongs
 * to the queue whose command buffers use it first. These command buffers read and write the state in the
 * order in which they run. Only one thread at a time may use a state. */
typedef struct mpscnn_batch_normalization_state mpscnn_batch_normalization_state;

MPSCNN_API mpscnn_status mpscnn_batch_normalization_state_create(int64_t feature_channels,
                                                                 mpscnn_batch_normalization_state **state);
/* Release the state. Encoded commands keep the objects that they need. */
MPSCNN_API void mpscnn_batch_normalization_state_release(mpscnn_batch_normalization_state *state);
MPSCNN_API mpscnn_status mpscnn_batch_normalization_state_feature_channels(
    const mpscnn_batch_normalization_state *state, int64_t *feature_channels);
/* Start new statistics for kernels that are encoded from now on. Earlier encodes are not affected. */
MPSCNN_API mpscnn_status mpscnn_batch_normalization_state_reset(mpscnn_batch_normalization_state *state);
/* Copy `feature_channels` numbers to each array. Returns MPSCNN_ERROR_STATE if there are no statistics
 * yet, and while a committed command buffer uses the state. */
MPSCNN_API mpscnn_status mpscnn_batch_normalization_state_read(const mpscnn_batch_normalization_state *state,
                                                               float *mean, float *variance);

/* ---- Kernels --------------------------------------------------------------------------------------------
 */

typedef struct mpscnn_kernel mpscnn_kernel;

/* Return all classes as a JSON array: name, apple (the class it follows), meaning (what it computes),
 * sources (number of source images), optional_sources (number of optional ones), state ("reads" or "writes"
 * a batch normalization state, or "none"), fixed and properties (name, type, default, allowed, meaning).
 * `fixed` properties can only be set when the kernel is made. */
MPSCNN_API mpscnn_status mpscnn_kernels(mpscnn_text **json);

/* Create a kernel of the class `name`. `properties` is a JSON object; NULL means defaults. */
MPSCNN_API mpscnn_status mpscnn_kernel_create(const char *name, const char *properties,
                                              mpscnn_kernel **kernel);
/* Release the kernel. Encoded commands keep the objects that they need. */
MPSCNN_API void mpscnn_kernel_release(mpscnn_kernel *kernel);
/* Set properties. If it fails, none of them is changed. */
MPSCNN_API mpscnn_status mpscnn_kernel_set(mpscnn_kernel *kernel, const char *properties);
MPSCNN_API mpscnn_status mpscnn_kernel_get(const mpscnn_kernel *kernel, mpscnn_text **properties);
/* Return the weights of the kernel as a JSON array: role, shape, required, set. */
MPSCNN_API mpscnn_status mpscnn_kernel_weights(const mpscnn_kernel *kernel, mpscnn_text **json);
/* Set a weight to a copy of the tensor. Quantization is as in mpscnn_graph_set_weight. */
MPSCNN_API mpscnn_status mpscnn_kernel_set_weight(mpscnn_kernel *kernel, const char *role,
                                                  const mpscnn_tensor *tensor, const float *scales,
                                                  const float *zero_points, int64_t quantization_count);
/* Unset the weight. */
MPSCNN_API mpscnn_status mpscnn_kernel_remove_weight(mpscnn_kernel *kernel, const char *role);
/* Return the stored weight; it is valid until the weight is set again or removed. */
MPSCNN_API mpscnn_status mpscnn_kernel_get_weight(const mpscnn_kernel *kernel, const char *role,
                                                  mpscnn_tensor *tensor);

/* Return the destination that the kernel's padding policy determines. This sets the kernel's offset, like
 * Apple's destinationImageDescriptorForSourceImages:sourceStates:. `descriptor->size` must be set. */
MPSCNN_API mpscnn_status mpscnn_kernel_destination(mpscnn_kernel *kernel,
                                                   const mpscnn_feature_image *const *sources,
                                                   int source_count, mpscnn_image_descriptor *descriptor);
/* Return the rows and columns of a source that a destination of this size reads; they may extend outside
 * the source. Returns MPSCNN_ERROR_UNSUPPORTED for gradient kernels and kernels that always read the whole
 * source. */
MPSCNN_API mpscnn_status mpscnn_kernel_source_region(const mpscnn_kernel *kernel, int source, int64_t width,
                                                     int64_t height, mpscnn_image_region *region);
MPSCNN_API mpscnn_status mpscnn_kernel_encode(mpscnn_kernel *kernel, mpscnn_command_buffer *commands,
                                              const mpscnn_feature_image *const *sources, int source_count,
                                              mpscnn_feature_image *destination);
/* Encode a batch normalization with the statistics of a state instead of its weights `mean` and `variance`.
 */
MPSCNN_API mpscnn_status mpscnn_kernel_encode_with_state(mpscnn_kernel *kernel,
                                                         mpscnn_command_buffer *commands,
                                                         const mpscnn_feature_image *source,
                                                         const mpscnn_batch_normalization_state *state,
                                                         mpscnn_feature_image *destination);
/* Encode a gradient of a batch normalization, a kernel with several sources, with the statistics of a
 * state. */
MPSCNN_API mpscnn_status mpscnn_kernel_encode_gradient_with_state(
    mpscnn_kernel *kernel, mpscnn_command_buffer *commands, const mpscnn_feature_image *const *sources,
    int source_count, const mpscnn_batch_normalization_state *state, mpscnn_feature_image *destination);
/* Encode a BatchNormalizationStatistics kernel, which adds the statistics of all images of the source to
 * the state. */
MPSCNN_API mpscnn_status mpscnn_kernel_encode_statistics(mpscnn_kernel *kernel,
                                                         mpscnn_command_buffer *commands,
                                                         const mpscnn_feature_image *source,
                                                         mpscnn_batch_normalization_state *state);
/* Encode a run of a whole network. The run reads images as the program's inputs and writes the program's
 * outputs to images; tensors (n, features) are images of one pixel. On the CPU, the session counts as in use
 * while the run is executed. It may be released as soon as this call returns. */
MPSCNN_API mpscnn_status mpscnn_command_buffer_encode_session(
    mpscnn_command_buffer *commands, mpscnn_session *session, const mpscnn_feature_image *const *inputs,
    int input_count, mpscnn_feature_image *const *outputs, int output_count);

/* ---- Custom kernels --------------------------------------------------------------------------------------
 */

/* A user's kernel function in Metal's shading language, for command buffers of a Metal device. It is
 * immutable, and several threads may use it. */
typedef struct mpscnn_custom_kernel mpscnn_custom_kernel;

/* Compile `source` for a device ("metal", "metal:Apple M2"; NULL: "metal"). `constants` is a JSON object
 * with the values of all function constants: a number, a boolean, an array of two to four of them for a
 * vector, or {"type": "half", "value": 2}, which is refused unless the constant is declared with that type.
 * NULL: none. Returns MPSCNN_ERROR_PARAMETER with the compiler's message for source that does not compile. */
MPSCNN_API mpscnn_status mpscnn_custom_kernel_create(const char *source, const char *function,
                                                     const char *constants, const char *device,
                                                     mpscnn_custom_kernel **kernel);
/* Release the kernel. Encoded commands keep the objects that they need. */
MPSCNN_API void mpscnn_custom_kernel_release(mpscnn_custom_kernel *kernel);
/* Return a description as a JSON object: function, parameters, max_threads of a threadgroup,
 * max_threads_along its axes, thread_execution_width. A parameter has kind ("image" or "buffer"), name,
 * index, read and written; array: whether an image is a texture2d_array; element: a buffer's "float",
 * "half", ..., "" for structs; bytes: the size of the type that a buffer refers to. */
MPSCNN_API mpscnn_status mpscnn_custom_kernel_describe(const mpscnn_custom_kernel *kernel,
                                                       mpscnn_text **json);

/* The argument of one parameter: an image or memory. */
typedef struct mpscnn_custom_argument {
    size_t size;      /* sizeof(mpscnn_custom_argument) */
    const char *name; /* name of the parameter; NULL: the next parameter of the same kind, by index, that no
                       * argument names */
    const mpscnn_feature_image *image; /* NULL: memory */
    void *data; /* must not be changed or freed until the command buffer is completed */
    size_t bytes;
    const char *element; /* "float", "half", "int", ...: must be the parameter's type; NULL: not checked */
    int32_t read_only;
} mpscnn_custom_argument;

/* Encode a run of a custom kernel. An image of one slice (one image with at most four feature channels) is a
 * texture2d. All others are a texture2d_array, which has the slices of the first image, then the slices of
 * the second image, and so on. `grid` is width, height and depth in threads; NULL: one thread for each pixel
 * of each slice of the last written image. `threadgroup` is the size of a threadgroup; NULL: chosen
 * automatically. The grid is rounded up to whole threadgroups, so the function must return if its position
 * is outside. */
MPSCNN_API mpscnn_status mpscnn_custom_kernel_encode(const mpscnn_custom_kernel *kernel,
                                                     mpscnn_command_buffer *commands,
                                                     const mpscnn_custom_argument *const *arguments,
                                                     int argument_count, const int64_t *grid,
                                                     const int64_t *threadgroup);

#ifdef __cplusplus
}
#endif

#endif
