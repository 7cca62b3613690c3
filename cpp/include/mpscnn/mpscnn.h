/* mpscnn: convolutional networks on Apple's Metal Performance Shaders and on any CPU.
 *
 * The C interface, with a stable ABI: opaque handles, option structs that begin with their own size, status
 * codes with messages. Usable from C, C++ (see mpscnn.hpp), Objective-C, Swift, Rust. Everything this library
 * exports is declared here and, for programs that use Metal themselves, in metal.h.
 *
 * Rules that hold everywhere
 * - A function that can fail returns mpscnn_status. After a failure mpscnn_last_error() gives the message of
 *   this thread's last failed call. Out-parameters are only written on success.
 * - Handles are released with the function named *_release; NULL is allowed there. Several threads may
 *   use programs and models concurrently. Only one caller at a time may use a session; a second one gets
 *   MPSCNN_ERROR_STATE. A graph is not to be changed while another thread uses it.
 * - Text is UTF-8. A mpscnn_text is released with mpscnn_text_release.
 * - Shapes list the batch first: (n, height, width, channels) or (n, features). -1 is an extent that is free
 *   until the network runs.
 */
#ifndef MPSCNN_MPSCNN_H
#define MPSCNN_MPSCNN_H

#include <stddef.h>
#include <stdint.h>

/* The number of the ABI, which the name of the shared library has as well: libmpscnn.so.1, libmpscnn.1.dylib.
 * It changes when programs that were built before could not run any more. docs/versioning.md says what is
 * stable. */
#define MPSCNN_ABI_VERSION 1

#if defined(MPSCNN_STATIC)
#define MPSCNN_API
#elif defined(_WIN32)
#error "mpscnn runs on macOS and Linux"
#else
#define MPSCNN_API __attribute__((visibility("default")))
#endif

/* The default of a field of an option struct in C++. In C it is set by the caller. */
#ifdef __cplusplus
#define MPSCNN_UNLESS_SET(value) = value
#else
#define MPSCNN_UNLESS_SET(value)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Status -------------------------------------------------------------------------------------------- */

typedef enum mpscnn_status {
    MPSCNN_OK = 0,
    MPSCNN_ERROR_SHAPE = 1,       /* an array has the wrong shape, rank or data type */
    MPSCNN_ERROR_PARAMETER = 2,   /* an argument or parameter is out of its range */
    MPSCNN_ERROR_WEIGHTS = 3,     /* a model file or its weights are damaged, missing or do not fit */
    MPSCNN_ERROR_DEVICE = 4,      /* a device is absent, lost or failed */
    MPSCNN_ERROR_UNSUPPORTED = 5, /* valid, but not implemented by this engine or on this machine */
    MPSCNN_ERROR_STATE = 6,       /* an object is used in a state that does not allow it */
    MPSCNN_ERROR_MEMORY = 7,      /* out of memory */
    MPSCNN_ERROR_INTERNAL = 8,    /* a defect of this library; please report it */
    MPSCNN_ERROR_CANCELLED = 9    /* a frame of a runner was cancelled before it began */
} mpscnn_status;

/* Message of this thread's last failed call, "" before the first. Valid until its next failed call. */
MPSCNN_API const char *mpscnn_last_error(void);

/* "0.1.0" */
MPSCNN_API const char *mpscnn_version(void);

/* ---- Text ---------------------------------------------------------------------------------------------- */

typedef struct mpscnn_text mpscnn_text;
MPSCNN_API const char *mpscnn_text_data(const mpscnn_text *text); /* zero-terminated */
MPSCNN_API size_t mpscnn_text_size(const mpscnn_text *text);
MPSCNN_API void mpscnn_text_release(mpscnn_text *text);

/* How this library was built, as a JSON object: version, compiler, compiler_version, flags, build_type,
 * backends, instruction_sets (built in), instruction_set (in use on this machine). */
MPSCNN_API mpscnn_status mpscnn_build_config(mpscnn_text **json);

/* All operations with their parameters, as a JSON array. */
MPSCNN_API mpscnn_status mpscnn_operations(mpscnn_text **json);

/* Cases of operations that checks and tests run, as a JSON array: name, operation, attributes, activation (if
 * it has one), inputs (shapes without the batch; for "training" whole) and tags: "self_check" (of a device at
 * its first use), "conformance" (`mpscnn verify`), "training" and "no_onnx" (ONNX cannot express it). */
MPSCNN_API mpscnn_status mpscnn_cases(mpscnn_text **json);

/* Lists the features that an engine does not support, as a JSON array. A row has engine and operation ("any"
 * for every one), and a field with its allowed values; in a row without a field the engine lacks the
 * operation. A combination that a row refuses gives MPSCNN_ERROR_UNSUPPORTED when it is compiled, or when it
 * runs at extents that were free until then. */
MPSCNN_API mpscnn_status mpscnn_unsupported_features(mpscnn_text **json);

/* Devices that can be named in options, as a JSON array: name ("cpu", "metal", "metal:0x100000abc"),
 * available, and description and precisions where it is (with no_bfloat16, the reason, where bfloat16 is not
 * among them), else the reason why it is not. The CPU also has processors, the object of mpscnn_processors. A
 * Metal device also has registry_id, default, unified_memory, headless, low_power, removable, families,
 * recommended_working_set_bytes and max_buffer_bytes. */
MPSCNN_API mpscnn_status mpscnn_devices(mpscnn_text **json);

/* The processors of this process, as a JSON object: processors that it may run on (affinity), the physical
 * cores among them, quota (the processors' worth of time that its control groups leave it, such as 1.5; null
 * without a limit) and threads, the number that automatic choices take: one for each core, but no more than
 * the quota, rounded up. */
MPSCNN_API mpscnn_status mpscnn_processors(mpscnn_text **json);

/* Compares the results of a device ("metal", "metal:Apple M2") with those of the CPU engine, and replaces the
 * recorded verdict. The program mpscnn-check does this in child processes, because a framework or driver that
 * fails may end or block its process. If that program does not exist, this process runs the check. An
 * implementation of a layer with wrong results is not used from then on. MPSCNN_ERROR_DEVICE for a device on
 * which none is right. `text` receives the verdict as text for people, with a line for each implementation
 * that is not used. */
MPSCNN_API mpscnn_status mpscnn_check_device(const char *device, mpscnn_text **text);

/* Runs some cases of the check in this process. The program mpscnn-check calls it for the library. The
 * request and the lines that `report` receives are private to the library and change with its version. */
typedef void (*mpscnn_check_callback)(const char *line, void *context);
MPSCNN_API mpscnn_status mpscnn_check_cases(const char *device, const char *request,
                                            mpscnn_check_callback report, void *context);

/* ---- Memory and logging -------------------------------------------------------------------------------- */

/* Receives notes that are not failures: level 0 information, 1 warning. The library itself never prints. NULL
 * turns it off. May be called from any thread. */
typedef void (*mpscnn_log_callback)(int level, const char *message, void *context);
MPSCNN_API void mpscnn_set_log_callback(mpscnn_log_callback callback, void *context);

/* Memory for arenas and packed weights (64-byte alignment is asked for). Both or neither; set before any
 * other call and never while objects exist, else MPSCNN_ERROR_STATE. NULL, NULL restores the default. */
typedef void *(*mpscnn_allocate_callback)(size_t bytes, size_t alignment, void *context);
typedef void (*mpscnn_free_callback)(void *memory, size_t bytes, void *context);
MPSCNN_API mpscnn_status mpscnn_set_allocator(mpscnn_allocate_callback allocate, mpscnn_free_callback release,
                                              void *context);

/* Whole pages, zeros at first, in which a device that shares memory with the processor reads and writes
 * tensors without a copy. Free them with mpscnn_pages_release only; requests under way keep them. */
MPSCNN_API mpscnn_status mpscnn_pages_allocate(size_t bytes, void **memory);
/* `memory` as it was given; NULL is nothing. */
MPSCNN_API void mpscnn_pages_release(void *memory);

/* ---- Tensors ------------------------------------------------------------------------------------------- */

typedef enum mpscnn_dtype {
    MPSCNN_FLOAT32 = 0,
    MPSCNN_FLOAT16 = 1,
    MPSCNN_UINT8 = 2,   /* weights only, with scales and zero points */
    MPSCNN_FLOAT64 = 3, /* signals only (mpscnn_convolve) */
    MPSCNN_INT32 = 4    /* weights only, with scales and zero points: biases of quantised layers */
} mpscnn_dtype;

enum { MPSCNN_MAX_RANK = 6 };

/* Memory of the caller. `strides` are in bytes; all zero means row-major without gaps. */
typedef struct mpscnn_tensor {
    void *data;    /* aligned to its elements */
    int32_t dtype; /* mpscnn_dtype */
    int32_t rank;
    int64_t shape[MPSCNN_MAX_RANK];
    int64_t strides[MPSCNN_MAX_RANK];
} mpscnn_tensor;

/* ---- Graphs: building a network ------------------------------------------------------------------------ */

typedef struct mpscnn_graph mpscnn_graph;

MPSCNN_API mpscnn_status mpscnn_graph_create(const char *name, mpscnn_graph **graph);
/* Structure from the JSON of a model file's "mpscnn.graph"; weights are set afterwards. */
MPSCNN_API mpscnn_status mpscnn_graph_from_json(const char *json, size_t size, mpscnn_graph **graph);
/* A change of one does not change the other. The memory of weights is shared. */
MPSCNN_API mpscnn_status mpscnn_graph_copy(const mpscnn_graph *graph, mpscnn_graph **copy);
MPSCNN_API void mpscnn_graph_release(mpscnn_graph *graph);

/* `value` receives the number by which later layers name the result. */
MPSCNN_API mpscnn_status mpscnn_graph_add_input(mpscnn_graph *graph, const char *name, const int64_t *shape,
                                                int rank, int *value);
/* A tensor that belongs to the network and not to a batch: two to four fixed extents. Programs take it like
 * an input. */
MPSCNN_API mpscnn_status mpscnn_graph_add_variable(mpscnn_graph *graph, const char *name,
                                                   const int64_t *shape, int rank, int *value);
/* Lets a layer read a weight from a variable, or from a value computed before it, instead of a tensor set
 * once; a weight of one axis from (1, n). A layer reads all or none of its weights so. */
MPSCNN_API mpscnn_status mpscnn_graph_use_variable(mpscnn_graph *graph, int layer, const char *role,
                                                   int variable);
/* `attributes` and `activation` are JSON objects with the operation's and the neuron's parameters; NULL:
 * defaults, no activation. The shape is checked immediately. */
MPSCNN_API mpscnn_status mpscnn_graph_add_node(mpscnn_graph *graph, const char *operation, const char *name,
                                               const int *inputs, int input_count, const char *attributes,
                                               const char *activation, int *value);
MPSCNN_API mpscnn_status mpscnn_graph_mark_output(mpscnn_graph *graph, int value);
/* Whether a layer keeps its weights and its result in float32 when the network computes in float16 or int8;
 * 0: it does not, as before the first call. */
MPSCNN_API mpscnn_status mpscnn_graph_keep_float32(mpscnn_graph *graph, int value, int keep);
/* Whether training changes a layer's weights. Before the first call the weights of all layers learn, but for
 * the values of constants. */
MPSCNN_API mpscnn_status mpscnn_graph_set_learning(mpscnn_graph *graph, int value, int learns);
/* How 8-bit integers stand for a value's numbers when the network computes in int8: number = (integer -
 * zero_point) * scale. `type` is "uint8" or "int8"; the value is an input's or a layer's. */
MPSCNN_API mpscnn_status mpscnn_graph_quantize(mpscnn_graph *graph, int value, const char *type, float scale,
                                               int zero_point);
/* Shape of a value, -1 where it is free. */
MPSCNN_API mpscnn_status mpscnn_graph_shape(const mpscnn_graph *graph, int value,
                                            int64_t shape[MPSCNN_MAX_RANK], int *rank);
/* Copies the tensor. `scales` and `zero_points` (uint8 and int32 only) have `quantization_count` entries: 1,
 * or one for each index of the first axis. */
MPSCNN_API mpscnn_status mpscnn_graph_set_weight(mpscnn_graph *graph, const char *layer, const char *role,
                                                 const mpscnn_tensor *tensor, const float *scales,
                                                 const float *zero_points, int64_t quantization_count);
/* Structure as JSON. */
MPSCNN_API mpscnn_status mpscnn_graph_to_json(const mpscnn_graph *graph, mpscnn_text **json);
/* {"inputs": [...], "outputs": [...], "layers": [{"name", "operation", "output", "parameters", "macs",
 * "flops"}]} for one image; free extents of the inputs are taken from height and width (0: the graph must not
 * need them). */
MPSCNN_API mpscnn_status mpscnn_graph_describe(const mpscnn_graph *graph, int64_t height, int64_t width,
                                               mpscnn_text **json);
/* All weights, set or not, as a JSON array: layer, role, shape, required, set, dtype (null while not set). */
MPSCNN_API mpscnn_status mpscnn_graph_weights(const mpscnn_graph *graph, mpscnn_text **json);
/* The weight as stored. `tensor.data` stays valid until this weight is set again or the graph is released.
 * Quantization pointers may be NULL. */
MPSCNN_API mpscnn_status mpscnn_graph_get_weight(const mpscnn_graph *graph, const char *layer,
                                                 const char *role, mpscnn_tensor *tensor,
                                                 const float **scales, const float **zero_points,
                                                 int64_t *quantization_count);

/* ---- Programs and sessions: running a network ---------------------------------------------------------- */

typedef struct mpscnn_program mpscnn_program;
typedef struct mpscnn_session mpscnn_session;
typedef struct mpscnn_request mpscnn_request;

typedef struct mpscnn_compile_options {
    size_t size;           /* sizeof(mpscnn_compile_options) */
    const char *device;    /* "auto", "cpu", "metal", "metal:NAME OR REGISTRY ID"; NULL: "auto" */
    const char *precision; /* "auto", "float32", "float16", "bfloat16", "int8"; NULL: "auto" */
    /* Names of the layers whose results are wanted instead of the graph's outputs; layers that they do not
     * need are left out. NULL: the graph's outputs. */
    const char *const *outputs;
    int output_count;
    /* Bytes that packed weights and the intermediate results of one session may take together: what takes
     * more is refused with MPSCNN_ERROR_SHAPE when it is compiled, or first run with such shapes. 0: the
     * memory of the machine, or what the process's control group leaves of it */
    uint64_t max_memory;
    /* "auto": weights are kept in the precision. "int8": those of convolutions and dense layers are kept as
     * 8-bit integers with a range for each output channel, and count as the halves that MPS makes of such;
     * for precision "float32" and "float16". NULL: "auto" */
    const char *weights;
    /* "auto", "float32": products of convolutions and dense layers are summed in float32 (in bfloat16 and
     * int8 as these precisions say). "float16": in halves, for precision "float16". NULL: "auto" */
    const char *accumulate_dtype;
    /* Not 0: each convolution's sums are of its own window alone. 0: large 3x3 and 5x5 convolutions take
     * Winograd's algorithm, whose errors are those of the largest input in a tile of 6 x 6. Only for the
     * CPU: Metal, where MPS chooses, refuses it with MPSCNN_ERROR_UNSUPPORTED. */
    int no_winograd;
    /* "mps": on Metal, MPS computes convolutions. "own": own kernels compute those with constant weights;
     * they run on arrays, so the program cannot be encoded with images of the caller's. No effect on other
     * engines. NULL: "mps" */
    const char *metal_kernels;
} mpscnn_compile_options;

typedef struct mpscnn_session_options {
    size_t size MPSCNN_UNLESS_SET(sizeof(mpscnn_session_options));
    /* 0: the fastest number in timed runs, at most one for each core that the process may use */
    int threads MPSCNN_UNLESS_SET(0);
    /* not 0: a NaN or infinity in any layer's result is an error naming the first such layer */
    int check_finite MPSCNN_UNLESS_SET(0);
    /* requests in flight on a device that works on its own; 0: 3 */
    int inflight MPSCNN_UNLESS_SET(0);
    /* as in mpscnn_compile_options, for this session; 0: what the program allows */
    uint64_t max_memory MPSCNN_UNLESS_SET(0);
} mpscnn_session_options;

/* The graph may be released afterwards. `options` may be NULL. */
MPSCNN_API mpscnn_status mpscnn_program_compile(const mpscnn_graph *graph,
                                                const mpscnn_compile_options *options,
                                                mpscnn_program **program);
MPSCNN_API void mpscnn_program_release(mpscnn_program *program);
/* {"name", "device", "device_name", "precision", "reason", "inputs": [{"name", "shape"}],
 *  "outputs": [...], "weight_type", "accumulate_dtype", "winograd", "metal_kernels", "weight_bytes",
 * "max_memory"} */
MPSCNN_API mpscnn_status mpscnn_program_describe(const mpscnn_program *program, mpscnn_text **json);
/* The device it is compiled for: "cpu" or "metal"; NULL for NULL. */
MPSCNN_API const char *mpscnn_program_device(const mpscnn_program *program);
/* Why "auto" did not choose a device that is there but whose check failed, for the user to know, else "";
 * NULL for NULL. The log has it once for each process. Valid as long as the program. */
MPSCNN_API const char *mpscnn_program_warning(const mpscnn_program *program);
/* Number of inputs and outputs; 0 for NULL. */
MPSCNN_API int mpscnn_program_input_count(const mpscnn_program *program);
MPSCNN_API int mpscnn_program_output_count(const mpscnn_program *program);
/* Name and shape of one input or output, -1 where it is free. `name` is valid as long as the program. */
MPSCNN_API mpscnn_status mpscnn_program_input(const mpscnn_program *program, int index, const char **name,
                                              int64_t shape[MPSCNN_MAX_RANK], int *rank);
MPSCNN_API mpscnn_status mpscnn_program_output(const mpscnn_program *program, int index, const char **name,
                                               int64_t shape[MPSCNN_MAX_RANK], int *rank);
/* Fills rank and shape of every output for the given input shapes (data is not looked at). Makes the plan,
 * which later runs reuse. `arena_bytes` may be NULL. */
MPSCNN_API mpscnn_status mpscnn_program_output_shapes(mpscnn_program *program, const mpscnn_tensor *inputs,
                                                      int input_count, mpscnn_tensor *outputs,
                                                      int output_count, size_t *arena_bytes);

/* Explains how a session with this many threads (0: one for each core that this process may use) computes
 * each layer for the given input shapes, and why; data is ignored: {"threads", "precision",
 * "instruction_set", "l2_bytes" and "last_level_bytes" (of caches that the choice counts on), "arena_bytes",
 * "steps": [{"layers", "kernel", "choice", "predicted_us" (null where the cost model knows nothing),
 * "reason", "alternatives": [{"layers", "choice", "predicted_us"}]}], "tensors": [{"name", "shape", "memory"
 * ("input", "output", "arena" or "chain"), "within" (the tensor whose memory it is a part of, or null),
 * "pixel_pitch" (in elements; in the arena only), "rows" and "panel_channels" (that a chain keeps; 0: depends
 * on the kernel, or all)}]}. UnsupportedError unless the program is for the CPU. */
MPSCNN_API mpscnn_status mpscnn_program_explain(mpscnn_program *program, const mpscnn_tensor *inputs,
                                                int input_count, int threads, mpscnn_text **json);

/* A hash (FNV-1a, 64 bits) of what the program computes from inputs of these shapes that hold fixed noise in
 * [-1, 1]: of each output its extents and the bits of its float32 numbers, every NaN as the same one.
 * Programs with the same fingerprint compute the same bits; docs/precision.md says for which processors that
 * is promised. Only the shapes of `inputs` count. threads: 0: one for each core that the process may use. */
MPSCNN_API mpscnn_status mpscnn_program_fingerprint(mpscnn_program *program, const mpscnn_tensor *inputs,
                                                    int input_count, int threads, uint64_t *fingerprint);

/* A session keeps its program alive. */
MPSCNN_API mpscnn_status mpscnn_session_create(mpscnn_program *program, const mpscnn_session_options *options,
                                               mpscnn_session **session);
MPSCNN_API void mpscnn_session_release(mpscnn_session *session);
/* float32 or float16 inputs and outputs of any strides. After the first run with the same shapes nothing is
 * allocated. Inputs and outputs must not overlap. */
MPSCNN_API mpscnn_status mpscnn_session_run(mpscnn_session *session, const mpscnn_tensor *inputs,
                                            int input_count, const mpscnn_tensor *outputs, int output_count);

typedef struct mpscnn_profile_options {
    size_t size; /* sizeof(mpscnn_profile_options) */
    int runs;    /* how many are measured, after one that is not; 0: 20 */
} mpscnn_profile_options;

/* Runs as mpscnn_session_run does, several times, and reports how long every step took (docs/profiling.md).
 * `json`: {"network", "device", "device_name", "precision", "instruction_set", "threads",
 *  "peak_flops_per_second": {"one_thread", "all_threads"}, "inputs": [shape], "milliseconds": [of each run],
 *  "steps": [{"layers": [names], "part_of": [names], "kind", "kernel", "flops", "bytes", "milliseconds": [in
 *  each run]}],
 *  "layers_without_step": [names]}
 * with null for values that the device does not have. In each run the steps' times add up to the run's time
 * without the gaps between steps; those of a GPU are measured one by one and may add up to more. `trace`
 * (NULL: not wanted): the fastest run as trace events for chrome://tracing and Perfetto. `options` may be
 * NULL. */
MPSCNN_API mpscnn_status mpscnn_session_profile(mpscnn_session *session, const mpscnn_tensor *inputs,
                                                int input_count, const mpscnn_tensor *outputs,
                                                int output_count, const mpscnn_profile_options *options,
                                                mpscnn_text **json, mpscnn_text **trace);

/* Starts a run and returns as soon as the next can be started: a GPU works on `inflight` requests at a time,
 * and the processor's engine is done on return. Memory of inputs and outputs must stay, and is the request's,
 * until it is done. Requests of one session may be done in any order. */
MPSCNN_API mpscnn_status mpscnn_session_submit(mpscnn_session *session, const mpscnn_tensor *inputs,
                                               int input_count, const mpscnn_tensor *outputs,
                                               int output_count, mpscnn_request **request);
/* Waits for at most this many seconds, negative: for as long as it takes. `done` receives whether the request
 * is done. The status is that of the run, MPSCNN_OK while it is not done. May be called again, from any
 * thread. */
MPSCNN_API mpscnn_status mpscnn_request_wait(mpscnn_request *request, double seconds, int *done);
/* Waits until it is done. A request keeps its session. */
MPSCNN_API void mpscnn_request_release(mpscnn_request *request);

/* ---- Photos -------------------------------------------------------------------------------------------- */

typedef enum mpscnn_pixel_format {
    MPSCNN_GRAY8 = 0,
    MPSCNN_GRAY_ALPHA8 = 1,
    MPSCNN_RGB8 = 2,
    MPSCNN_RGBA8 = 3,
    MPSCNN_BGR8 = 4,
    MPSCNN_BGRA8 = 5,
    MPSCNN_GRAY16 = 6,
    MPSCNN_RGB16 = 7,
    MPSCNN_RGBA16 = 8,
    MPSCNN_GRAY32F = 9,
    MPSCNN_RGB32F = 10,
    MPSCNN_RGBA32F = 11,
    MPSCNN_RGBX8 = 12, /* the fourth sample means nothing */
    MPSCNN_BGRX8 = 13,
    MPSCNN_RGBA16F = 14, /* IEEE halves */
    MPSCNN_NV12 = 15,    /* `pixels` is 8-bit luma, `chroma` has pairs of blue and red differences */
    MPSCNN_I420 = 16     /* the same, but blue and red differences are in separate planes */
} mpscnn_pixel_format;

typedef enum mpscnn_yuv_matrix { MPSCNN_BT601 = 0, MPSCNN_BT709 = 1 } mpscnn_yuv_matrix;
/* Luma 16 to 235 and differences 16 to 240, or all 0 to 255. */
typedef enum mpscnn_yuv_range { MPSCNN_VIDEO_RANGE = 0, MPSCNN_FULL_RANGE = 1 } mpscnn_yuv_range;
/* Horizontally, the one difference of 2 x 2 pixels was taken at the left column (H.264, HEVC) or between the
 * columns (JPEG); vertically between the rows. */
typedef enum mpscnn_chroma_siting { MPSCNN_CHROMA_LEFT = 0, MPSCNN_CHROMA_CENTER = 1 } mpscnn_chroma_siting;

/* The colour differences of an NV12 or I420 photo, (height + 1) / 2 rows of (width + 1) / 2. */
typedef struct mpscnn_chroma {
    size_t size;         /* sizeof(mpscnn_chroma) */
    const void *blue;    /* Cb, U; NV12: the first pair */
    const void *red;     /* Cr, V; NV12: not read */
    ptrdiff_t row_bytes; /* 0: rows without gaps */
    int32_t matrix;      /* mpscnn_yuv_matrix */
    int32_t range;       /* mpscnn_yuv_range */
    int32_t siting;      /* mpscnn_chroma_siting */
} mpscnn_chroma;

typedef struct mpscnn_image {
    const void *pixels;
    int32_t width;
    int32_t height;
    ptrdiff_t row_bytes; /* 0: rows without gaps */
    int32_t format;      /* mpscnn_pixel_format */
    int32_t orientation; /* EXIF 1 to 8; 0 is taken as 1 */
    /* Of MPSCNN_NV12 and MPSCNN_I420; with other formats it is not read, so that their callers may have a
     * struct that ends here. */
    const mpscnn_chroma *chroma;
} mpscnn_image;

/* Fills `output`, dense float32 (height, width, channels), from a photo. `preprocess` is the JSON object of a
 * model file's "mpscnn.preprocess" or a preset's name in quotes ("\"tensorflow\""). */
MPSCNN_API mpscnn_status mpscnn_preprocess(const mpscnn_image *image, const char *preprocess, int height,
                                           int width, int channels, float *output);
/* The same description with every field filled in, checked. `channels` of the network's input decides what a
 * preset's name means. */
MPSCNN_API mpscnn_status mpscnn_preprocess_describe(const char *preprocess, int channels, mpscnn_text **json);

/* ---- Models: a network with its preprocessing and labels ----------------------------------------------- */

typedef struct mpscnn_model mpscnn_model;
typedef struct mpscnn_predictions mpscnn_predictions;

typedef struct mpscnn_prediction {
    const char *label; /* valid as long as the predictions */
    int index;
    float probability;
} mpscnn_prediction;

/* Reads a model file (docs/model_format.md). */
MPSCNN_API mpscnn_status mpscnn_model_load(const char *path, mpscnn_model **model);
/* Whether mpscnn_model_load would read it: the same errors, with one of its weights in memory at a time. */
MPSCNN_API mpscnn_status mpscnn_model_check(const char *path);
/* As mpscnn_model_load, from memory, which is copied; `origin` names it in messages. */
MPSCNN_API mpscnn_status mpscnn_model_parse(const void *data, size_t size, const char *origin,
                                            mpscnn_model **model);
MPSCNN_API void mpscnn_model_release(mpscnn_model *model);
/* The model's network. Release it as well; it may outlive the model. */
MPSCNN_API mpscnn_status mpscnn_model_graph(const mpscnn_model *model, mpscnn_graph **graph);
/* {"name", "labels": [...] or null, "preprocess": {...} or null, "detection": {...} or null, "information":
 * {"license", "source", ...}}: the file's metadata, every field of "preprocess" and "detection" filled in. */
MPSCNN_API mpscnn_status mpscnn_model_describe(const mpscnn_model *model, mpscnn_text **json);
/* Returns the bytes of a model file with the network, its weights in their stored type, and all other
 * contents of the model's file. */
MPSCNN_API mpscnn_status mpscnn_model_content(const mpscnn_model *model, mpscnn_text **content);
/* Writes them. The file takes the place of one that is there when it is complete and could be loaded. */
MPSCNN_API mpscnn_status mpscnn_model_save(const mpscnn_model *model, const char *path);
/* The same of a network. `description`: a JSON object with any of "labels", "preprocess", "detection" and
 * "information", as of mpscnn_model_describe; NULL: none. */
MPSCNN_API mpscnn_status mpscnn_graph_save(const mpscnn_graph *graph, const char *description,
                                           const char *path);
/* Preprocesses, runs and ranks the classes. The session must come from a program of the model's graph with
 * one image input of a fixed size and one output (n, classes); a softmax is applied where the network ends in
 * logits. `top` best classes, all when 0; among equal ones the lower index comes first. A class without a
 * label is called "class 17". */
MPSCNN_API mpscnn_status mpscnn_model_classify(const mpscnn_model *model, mpscnn_session *session,
                                               const mpscnn_image *image, int top,
                                               mpscnn_predictions **predictions);
/* The same from the output of a run, float32 or float16 of the shape (1, classes): for photos that were
 * preprocessed and run otherwise. */
MPSCNN_API mpscnn_status mpscnn_model_rank(const mpscnn_model *model, const mpscnn_program *program,
                                           const mpscnn_tensor *output, int top,
                                           mpscnn_predictions **predictions);
MPSCNN_API int mpscnn_predictions_count(const mpscnn_predictions *predictions);
MPSCNN_API mpscnn_status mpscnn_predictions_get(const mpscnn_predictions *predictions, int rank,
                                                mpscnn_prediction *prediction);
MPSCNN_API void mpscnn_predictions_release(mpscnn_predictions *predictions);

/* Preprocesses, runs and gives every pixel of the photo, turned as its orientation says, the class of its
 * greatest score, the first of equals. The session must come from a program of the model's graph with one
 * image input of a fixed size and one output (n, rows, columns, classes) of scores, 2 to 255 classes; between
 * the output's points scores are bilinear. `labels` receives height x width classes, 255 for pixels that the
 * preprocessing crops away. `scores` (NULL: not wanted) receives height x width x classes floats, NaN for
 * such pixels; `classes` says for how many there is room and must be the network's then. */
MPSCNN_API mpscnn_status mpscnn_model_segment(const mpscnn_model *model, mpscnn_session *session,
                                              const mpscnn_image *image, uint8_t *labels, float *scores,
                                              int classes);

/* ---- Detections -----------------------------------------------------------------------------------------
 */

typedef struct mpscnn_detections mpscnn_detections;

typedef struct mpscnn_detection {
    const char *label; /* valid as long as the detections */
    int32_t index;     /* of the class; the background, where the network has one, is not counted */
    float score;       /* probability, 0 to 1 */
    float left, top, right, bottom;
    int32_t anchor; /* which of the network's boxes it is */
} mpscnn_detection;

/* 0 means: what the model file says. */
typedef struct mpscnn_detect_options {
    size_t size MPSCNN_UNLESS_SET(sizeof(mpscnn_detect_options));
    /* what is less probable is left out */
    float score_threshold MPSCNN_UNLESS_SET(0);
    /* boxes of a class that overlap by more (intersection / union) count as one object */
    float iou_threshold MPSCNN_UNLESS_SET(0);
    /* at most this many detections */
    int max_detections MPSCNN_UNLESS_SET(0);
} mpscnn_detect_options;

/* Preprocesses, runs and finds the objects on a photo, boxes in pixels of the photo as its orientation shows
 * it. The model file must say how the network's outputs become boxes (docs/detection.md), and the session
 * come from a program that computes all of them. `options` may be NULL. */
MPSCNN_API mpscnn_status mpscnn_model_detect(const mpscnn_model *model, mpscnn_session *session,
                                             const mpscnn_image *image, const mpscnn_detect_options *options,
                                             mpscnn_detections **detections);
/* Anchors that the model file stores, four floats each: centre x, centre y, width, height; often none. They
 * are valid as long as the model. */
MPSCNN_API mpscnn_status mpscnn_model_anchors(const mpscnn_model *model, const float **anchors,
                                              int64_t *count);

MPSCNN_API int mpscnn_detections_count(const mpscnn_detections *detections);
/* The most probable has rank 0. */
MPSCNN_API mpscnn_status mpscnn_detections_get(const mpscnn_detections *detections, int rank,
                                               mpscnn_detection *detection);
MPSCNN_API void mpscnn_detections_release(mpscnn_detections *detections);

/* ---- Signals ------------------------------------------------------------------------------------------- */

typedef struct mpscnn_convolve_options {
    size_t size;        /* sizeof(mpscnn_convolve_options) */
    int axes;           /* 1 or 2: the number of the signal's last axes to convolve; 0: 1 */
    int mode;           /* 0 full, 1 same (scipy.signal's rule), 2 valid */
    int boundary;       /* outside the signal: 0 nothing, 1 the nearest sample */
    int correlate;      /* not 0: the kernel is not reversed */
    const char *device; /* "cpu", "metal"; NULL: "cpu" */
} mpscnn_convolve_options;

/* result[i] = sum of kernel[t] * signal[i - t], over one or two axes; axes before them count signals. All
 * tensors are float32 or all are float64, without gaps; the result must not overlap the others. Metal has
 * float32 only (MPSCNN_ERROR_UNSUPPORTED). With result->data NULL its rank and shape are filled in and
 * nothing is computed. */
MPSCNN_API mpscnn_status mpscnn_convolve(const mpscnn_tensor *signal, const mpscnn_tensor *kernel,
                                         const mpscnn_convolve_options *options, mpscnn_tensor *result);

/* ---- Half precision ------------------------------------------------------------------------------------ */

/* IEEE 754 binary16, round to nearest even. `count` elements; source and destination must not overlap.
 * `*overflows` (may be NULL): how many finite floats are beyond 65504 and became infinities. */
MPSCNN_API mpscnn_status mpscnn_halves_from_floats(const float *source, uint16_t *destination, size_t count,
                                                   size_t *overflows);
MPSCNN_API mpscnn_status mpscnn_floats_from_halves(const uint16_t *source, float *destination, size_t count);

#ifdef __cplusplus
}
#endif

#include "custom_layer.h" /* functions of the program as layers */
#include "detection.h"    /* boxes from the heads of detectors */
#include "json.h"         /* reading JSON texts */
#include "kernels.h"      /* raw kernels, images and command buffers */
#include "runner.h"       /* many frames in order, several at a time */
#include "training.h"     /* gradients, losses, optimisers */

#endif
