/* mpscnn: convolutional networks on Apple's Metal Performance Shaders and on any CPU.
 *
 * The C interface, with a stable ABI: opaque handles, option structs that begin with their own size, status
 * codes with messages. Programs in C, C++ (see mpscnn.hpp), Objective-C, Swift, Rust and other languages can
 * use it. Everything this library exports is declared here, in the headers that this file includes and, for
 * programs that use Metal themselves, in metal.h.
 *
 * Rules that hold everywhere
 * - A function that can fail returns mpscnn_status. After a failure mpscnn_last_error() gives the message of
 *   this thread's last failed call. Out-parameters are only written on success, except where a comment says
 *   otherwise.
 * - Handles are released with the function named *_release; NULL is allowed there. A released handle, or one
 *   of another type, gives MPSCNN_ERROR_PARAMETER unless its memory is in use again. Several threads may
 *   use programs and models concurrently. Only one caller at a time may use a session; a second one gets
 *   MPSCNN_ERROR_STATE. A session that is released while it runs completes the run. A graph is not to be
 *   changed while another thread uses it.
 * - Text is UTF-8. A mpscnn_text is released with mpscnn_text_release.
 * - Shapes list the batch first: (n, height, width, channels) or (n, features). -1 is an extent that is free
 *   until the network runs.
 */
#ifndef MPSCNN_MPSCNN_H
#define MPSCNN_MPSCNN_H

#include <stddef.h>
#include <stdint.h>

/* The number of the ABI. The name of the shared library contains it: libmpscnn.so.1, libmpscnn.1.dylib. The
 * number changes when programs that were built with an earlier version can no longer run with the library.
 * docs/versioning.md says what is stable. */
#define MPSCNN_ABI_VERSION 1

#if defined(MPSCNN_STATIC)
#define MPSCNN_API
#elif defined(_WIN32)
#error "mpscnn runs on macOS and Linux"
#else
#define MPSCNN_API __attribute__((visibility("default")))
#endif

/* The default of an option struct's field in C++. In C the caller sets every field. */
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

/* Return the message of this thread's last failed call, or "" if none has failed. It is valid until the
 * thread's next failed call. */
MPSCNN_API const char *mpscnn_last_error(void);

/* Return the version, such as "0.1.0". */
MPSCNN_API const char *mpscnn_version(void);

/* ---- Text ---------------------------------------------------------------------------------------------- */

typedef struct mpscnn_text mpscnn_text;
MPSCNN_API const char *mpscnn_text_data(const mpscnn_text *text); /* zero-terminated */
MPSCNN_API size_t mpscnn_text_size(const mpscnn_text *text);
MPSCNN_API void mpscnn_text_release(mpscnn_text *text);

/* Return how this library was built, as a JSON object: version, compiler, compiler_version, flags,
 * build_type, system, backends, instruction_sets (built in), instruction_set (in use on this machine; null
 * if this processor lacks all that are built in). */
MPSCNN_API mpscnn_status mpscnn_build_config(mpscnn_text **json);

/* Return all operations with their parameters, as a JSON array. */
MPSCNN_API mpscnn_status mpscnn_operations(mpscnn_text **json);

/* Return the cases of operations that checks and tests run, as a JSON array: name, operation, attributes,
 * activation (if it has one), inputs (shapes without the batch; with the batch for "training") and tags:
 * "self_check" (of a device at its first use), "conformance" (`mpscnn verify`), "training" and "no_onnx"
 * (ONNX cannot express it). */
MPSCNN_API mpscnn_status mpscnn_cases(mpscnn_text **json);

/* Return the features that an engine does not support, as a JSON array. A row has engine and operation
 * ("any" for all), field and allowed: the engine supports the operation only with allowed values of the
 * field, such as "feature channels" or "precision". A combination that a row refuses gives
 * MPSCNN_ERROR_UNSUPPORTED when it is compiled, or when it runs at extents that were free until then. */
MPSCNN_API mpscnn_status mpscnn_unsupported_features(mpscnn_text **json);

/* Return the devices that can be named in options, as a JSON array. Each has name ("cpu", "metal",
 * "metal:0x100000abc") and available. An available device has description and precisions. It also has
 * bfloat16_sums, the order in which it adds bfloat16 products (docs/precision.md), or no_bfloat16, which says
 * why it lacks that precision. Any other device has reason, which says why it is not available. The CPU also
 * has processors, the object of mpscnn_processors. A Metal device also has registry_id, default,
 * unified_memory, headless, low_power, removable, families, recommended_working_set_bytes and
 * max_buffer_bytes. The device "coreml" also has compute_units, the names that may follow "coreml:". */
MPSCNN_API mpscnn_status mpscnn_devices(mpscnn_text **json);

/* Return the processors of this process, as a JSON object: `processors`, the number that it may run on
 * (affinity); `cores`, the number of physical cores among them; `quota`, the processor time that its control
 * groups allow, in processors, such as 1.5 (null without a limit); and `threads`, the number that automatic
 * choices take: one for each core, but no more than the quota, rounded up. */
MPSCNN_API mpscnn_status mpscnn_processors(mpscnn_text **json);

/* Compare the results of a device ("metal", "metal:Apple M2") with the results of the CPU engine, and
 * replace the recorded verdict. The program mpscnn-check does this in child processes, because a framework
 * or driver that fails may end or block its process. If that program does not exist, this process runs the
 * check. Implementations of layers with wrong results are not used from then on. Returns MPSCNN_ERROR_DEVICE
 * if none of the device's implementations is right. `text` receives the verdict as text for people, with a
 * line for each implementation that is not used. */
MPSCNN_API mpscnn_status mpscnn_check_device(const char *device, mpscnn_text **text);

/* Set a function that follows checks of devices; NULL sets none. It is called at least twice a second, in the
 * thread that uses the device, with the number of cases that are done and of all cases. While another process
 * checks the device, both numbers are 0. If the function returns another number than 0, the check ends. Then
 * "auto" means the CPU this time, and a device that was named is refused this time. The function must not
 * compile programs. */
typedef int (*mpscnn_check_progress_callback)(const char *device, int64_t done, int64_t all, void *context);
MPSCNN_API void mpscnn_set_check_callback(mpscnn_check_progress_callback callback, void *context);

/* Set a function that may end waits for a GPU; NULL sets none. The thread that waits calls it a few times a
 * second. If it returns another number than 0, for example after Ctrl-C, the run ends with
 * MPSCNN_ERROR_DEVICE, and its results are not written. Without it, a wait ends when the GPU has finished no
 * command buffer for MPSCNN_GPU_SECONDS (an environment variable, default 120, 0 for no limit). */
typedef int (*mpscnn_wait_callback)(void *context);
MPSCNN_API void mpscnn_set_wait_callback(mpscnn_wait_callback callback, void *context);

/* Run some cases of the check, or a network of a user, in this process. The program mpscnn-check calls this
 * for the library. The request and the lines that `report` receives are private to the library and change
 * with its version. */
typedef void (*mpscnn_check_callback)(const char *line, void *context);
MPSCNN_API mpscnn_status mpscnn_check_cases(const char *device, const char *request,
                                            mpscnn_check_callback report, void *context);

/* Set a program that checks devices where the system does not let mpscnn-check begin, and its arguments; a
 * count of 0 sets none. The library starts it with two more arguments, a device and a request, and it must
 * call mpscnn_check_cases with them, as mpscnn-check does: write each line at once to stdout, and return 0
 * for MPSCNN_OK. The Python package sets Python's own program. */
MPSCNN_API mpscnn_status mpscnn_set_check_program(const char *const *command, int count);

/* Set the function that writes networks as Core ML programs, for the device "coreml"; NULL sets none, and
 * then this device is refused (MPSCNN_ERROR_UNSUPPORTED). The Python package sets a function; its requests
 * and answers are private to mpscnn and change with its version. `network` is the content of a model file.
 * The function calls `reply` once, before it returns, with JSON. It may be called from several threads, and
 * must not throw. */
typedef void (*mpscnn_coreml_reply)(const char *answer, void *reply_context);
typedef void (*mpscnn_coreml_writer)(const char *network, size_t bytes, const char *request,
                                     mpscnn_coreml_reply reply, void *reply_context, void *context);
MPSCNN_API void mpscnn_set_coreml_writer(mpscnn_coreml_writer writer, void *context);

/* Compile a Core ML model package. `path` receives the path of the compiled model, in a directory for
 * temporary files. Returns MPSCNN_ERROR_DEVICE with Core ML's text if it cannot be compiled, or without Core
 * ML. */
MPSCNN_API mpscnn_status mpscnn_coreml_compile(const char *package, mpscnn_text **path);

/* ---- Memory and logging -------------------------------------------------------------------------------- */

/* Set a function that receives messages which are not failures: level 0 information, 1 warning. The
 * library itself never prints. NULL turns messages off. The function may be called from any thread. */
typedef void (*mpscnn_log_callback)(int level, const char *message, void *context);
MPSCNN_API void mpscnn_set_log_callback(mpscnn_log_callback callback, void *context);

/* Set the functions that allocate and free memory for arenas and packed weights. `alignment` is 64 bytes.
 * Set both functions; two NULLs restore the default, and one NULL gives MPSCNN_ERROR_PARAMETER. Call this
 * before any other function. It returns MPSCNN_ERROR_STATE while memory that the current functions
 * have allocated is in use. */
typedef void *(*mpscnn_allocate_callback)(size_t bytes, size_t alignment, void *context);
typedef void (*mpscnn_free_callback)(void *memory, size_t bytes, void *context);
MPSCNN_API mpscnn_status mpscnn_set_allocator(mpscnn_allocate_callback allocate, mpscnn_free_callback release,
                                              void *context);

/* Allocate whole pages of zeros. A device that shares memory with the processor reads and writes tensors
 * in them without a copy. Free them with mpscnn_pages_release only; requests in flight keep them. */
MPSCNN_API mpscnn_status mpscnn_pages_allocate(size_t bytes, void **memory);
/* Free pages. `memory` is the address that mpscnn_pages_allocate returned; NULL is allowed. */
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

/* A tensor in the caller's memory. `strides` are in bytes; all zero means row-major without gaps. */
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
/* Make a graph from the JSON of a model file's "mpscnn.graph". Weights are set afterwards. */
MPSCNN_API mpscnn_status mpscnn_graph_from_json(const char *json, size_t size, mpscnn_graph **graph);
/* Make an independent copy of the graph. Both graphs share the memory of weights. */
MPSCNN_API mpscnn_status mpscnn_graph_copy(const mpscnn_graph *graph, mpscnn_graph **copy);
MPSCNN_API void mpscnn_graph_release(mpscnn_graph *graph);

/* Add an input. Its batch is -1, and its last extent is fixed. Inputs and variables are added before the
 * first layer. `value` receives the number by which later layers refer to the input. */
MPSCNN_API mpscnn_status mpscnn_graph_add_input(mpscnn_graph *graph, const char *name, const int64_t *shape,
                                                int rank, int *value);
/* Add a tensor that belongs to the network and not to a batch, with two to four fixed extents. Programs
 * take it like an input. A graph with variables can be neither saved nor made from its JSON. */
MPSCNN_API mpscnn_status mpscnn_graph_add_variable(mpscnn_graph *graph, const char *name,
                                                   const int64_t *shape, int rank, int *value);
/* Let a layer read a weight from a variable, or from a value computed before the layer, instead of a
 * tensor that is set once. A weight with one axis is read from a variable (1, n). Either all weights of a
 * layer are read in this way, or none. */
MPSCNN_API mpscnn_status mpscnn_graph_use_variable(mpscnn_graph *graph, int layer, const char *role,
                                                   int variable);
/* Add a layer. `attributes` and `activation` are JSON objects with the operation's and the neuron's
 * parameters; NULL means defaults, or no activation. The shape is checked immediately. */
MPSCNN_API mpscnn_status mpscnn_graph_add_node(mpscnn_graph *graph, const char *operation, const char *name,
                                               const int *inputs, int input_count, const char *attributes,
                                               const char *activation, int *value);
MPSCNN_API mpscnn_status mpscnn_graph_mark_output(mpscnn_graph *graph, int value);
/* Set whether a layer keeps its weights and its result in float32 when the network computes in float16 or
 * int8. The default is 0: it does not. */
MPSCNN_API mpscnn_status mpscnn_graph_keep_float32(mpscnn_graph *graph, int value, int keep);
/* Keep in float32 all layers that compute positions beyond 2048 for take_along_axis, because float16 would
 * round them. Compiling in float16 does this in its copy of the graph. Call it for graphs that become files
 * of other frameworks, so that these compute the positions in float32, too. */
MPSCNN_API mpscnn_status mpscnn_graph_keep_positions(mpscnn_graph *graph);
/* Set whether training changes a layer's weights. By default it changes the weights of all layers, except
 * the values of constants. */
MPSCNN_API mpscnn_status mpscnn_graph_set_learning(mpscnn_graph *graph, int value, int learns);
/* Set how 8-bit integers represent a value's numbers when the network computes in int8: number = (integer
 * - zero_point) * scale. `type` is "uint8" or "int8". The value is an input or a layer's result. */
MPSCNN_API mpscnn_status mpscnn_graph_quantize(mpscnn_graph *graph, int value, const char *type, float scale,
                                               int zero_point);
/* Return the shape of a value; -1 is a free extent. */
MPSCNN_API mpscnn_status mpscnn_graph_shape(const mpscnn_graph *graph, int value,
                                            int64_t shape[MPSCNN_MAX_RANK], int *rank);
/* Return the function whose results the values of the network's only output are: "softmax" or "sigmoid".
 * Layers that only move, select or average these results may follow the function. The text is "as is" for
 * results of other functions that are between 0 and 1 for all inputs, and NULL for all other outputs. */
MPSCNN_API mpscnn_status mpscnn_graph_scores(const mpscnn_graph *graph, const char **scores);
/* Set a weight to a copy of the tensor. `scales` and `zero_points` (uint8 and int32 only) have
 * `quantization_count` entries: 1, or one for each index of the first axis. */
MPSCNN_API mpscnn_status mpscnn_graph_set_weight(mpscnn_graph *graph, const char *layer, const char *role,
                                                 const mpscnn_tensor *tensor, const float *scales,
                                                 const float *zero_points, int64_t quantization_count);
/* Set a weight to the weight of this role of a layer in another graph. Both share its memory. */
MPSCNN_API mpscnn_status mpscnn_graph_share_weight(mpscnn_graph *graph, const char *layer, const char *role,
                                                   const mpscnn_graph *source, const char *source_layer);
/* Return the structure without weights as JSON. */
MPSCNN_API mpscnn_status mpscnn_graph_to_json(const mpscnn_graph *graph, mpscnn_text **json);
/* Return a description as JSON: {"name", "inputs": [...], "outputs": [...], "layers": [{"name",
 * "operation", "output", "parameters", "macs", "flops"}]}, for one image. Free extents of the inputs are
 * taken from `height` and `width`; 0 is allowed if there are none. */
MPSCNN_API mpscnn_status mpscnn_graph_describe(const mpscnn_graph *graph, int64_t height, int64_t width,
                                               mpscnn_text **json);
/* Return all weights, also those that are not set, as a JSON array: layer, role, shape, required, set,
 * dtype (null while not set). */
MPSCNN_API mpscnn_status mpscnn_graph_weights(const mpscnn_graph *graph, mpscnn_text **json);
/* Return a weight as it is stored. `tensor.data` stays valid until this weight is set again or the graph
 * is released. Quantization pointers may be NULL. */
MPSCNN_API mpscnn_status mpscnn_graph_get_weight(const mpscnn_graph *graph, const char *layer,
                                                 const char *role, mpscnn_tensor *tensor,
                                                 const float **scales, const float **zero_points,
                                                 int64_t *quantization_count);

/* ---- Programs and sessions: running a network ---------------------------------------------------------- */

typedef struct mpscnn_program mpscnn_program;
typedef struct mpscnn_session mpscnn_session;
typedef struct mpscnn_request mpscnn_request;

typedef struct mpscnn_compile_options {
    size_t size; /* sizeof(mpscnn_compile_options) */
    /* "cpu", "metal", "metal:NAME OR REGISTRY ID", "coreml", "coreml:COMPUTE UNITS"; or "auto": the device
     * that the environment variable MPSCNN_DEVICE names, otherwise a Metal device that passed its check,
     * otherwise the CPU. NULL: "auto" */
    const char *device;
    /* "float32", "float16", "bfloat16", "int8"; or "auto": "float32". NULL: "auto" */
    const char *precision;
    /* Names of the layers whose results are wanted instead of the graph's outputs. Layers that they do not
     * need are left out. NULL: the graph's outputs. */
    const char *const *outputs;
    int output_count;
    /* Maximum bytes of packed weights and one session's intermediate results together. A network that
     * needs more gives MPSCNN_ERROR_SHAPE when it is compiled, or first run with such shapes. 0: the
     * memory of the machine, or the part of it that the process's control group allows */
    uint64_t max_memory;
    /* "auto": weights are stored in the program's precision. "int8": weights of convolutions and dense
     * layers are stored as 8-bit integers with a range for each output channel. Their values are the
     * halves that MPS computes from such weights. For precision "float32" and "float16". NULL: "auto" */
    const char *weights;
    /* "auto", "float32": convolutions and dense layers accumulate in float32 (for bfloat16 and int8 see
     * these precisions). "float16": they accumulate in halves, for precision "float16". NULL: "auto" */
    const char *accumulate_dtype;
    /* 0: large 3x3 and 5x5 convolutions may use Winograd's algorithm. Its rounding errors depend on the
     * largest input in a tile of 6 x 6 pixels. Not 0: each output's sum depends on its own window alone.
     * This option is for the CPU only. On Metal, where MPS chooses the algorithm, it gives
     * MPSCNN_ERROR_UNSUPPORTED. */
    int no_winograd;
    /* "mps": on Metal, MPS computes convolutions. "own": this library's kernels compute those with
     * constant weights. They run on arrays, so the program cannot be encoded with images of the caller.
     * Ignored by other engines. NULL: "mps" */
    const char *metal_kernels;
    /* not 0: "auto" may also choose Core ML on the neural engine, if it runs the network faster and its
     * results are right. It is for precision "float16", and has no effect on a device that is named. Only
     * the Python package writes programs for Core ML, so in other programs "auto" never chooses it. */
    int neural_engine;
} mpscnn_compile_options;

typedef struct mpscnn_session_options {
    size_t size MPSCNN_UNLESS_SET(sizeof(mpscnn_session_options));
    /* 0: the number that was fastest in timed runs, at most one for each core that the process may use */
    int threads MPSCNN_UNLESS_SET(0);
    /* not 0: a NaN or infinity in a layer's result is an error (MPSCNN_ERROR_PARAMETER) that names the first
     * such layer. Layers that are computed together count as one. For the CPU only */
    int check_finite MPSCNN_UNLESS_SET(0);
    /* requests in flight on a device that works asynchronously, up to 32; 0: 3 */
    int inflight MPSCNN_UNLESS_SET(0);
    /* limit for this session, as in mpscnn_compile_options; 0: the program's limit */
    uint64_t max_memory MPSCNN_UNLESS_SET(0);
} mpscnn_session_options;

/* Compile a graph for a device. The graph may be released afterwards. `options` may be NULL. */
MPSCNN_API mpscnn_status mpscnn_program_compile(const mpscnn_graph *graph,
                                                const mpscnn_compile_options *options,
                                                mpscnn_program **program);
MPSCNN_API void mpscnn_program_release(mpscnn_program *program);
/* Return a description as JSON: {"name", "device", "device_name", "precision", "reason", "inputs":
 * [{"name", "shape"}], "outputs": [...], "weight_type", "accumulate_dtype", "winograd", "metal_kernels",
 * "weight_bytes", "max_memory"} */
MPSCNN_API mpscnn_status mpscnn_program_describe(const mpscnn_program *program, mpscnn_text **json);
/* Return the device that the program is compiled for, "cpu", "metal" or "coreml"; NULL for NULL. */
MPSCNN_API const char *mpscnn_program_device(const mpscnn_program *program);
/* Return a text for the user, or "" if there is none; NULL for NULL. It says why "auto" did not choose an
 * existing device, or which layers the CPU computes in place of the device. The text is valid as long as
 * the program. */
MPSCNN_API const char *mpscnn_program_warning(const mpscnn_program *program);
/* Return the number of inputs or outputs; 0 for NULL. */
MPSCNN_API int mpscnn_program_input_count(const mpscnn_program *program);
MPSCNN_API int mpscnn_program_output_count(const mpscnn_program *program);
/* Return name and shape of one input or output; -1 is a free extent. `name` is valid as long as the
 * program. */
MPSCNN_API mpscnn_status mpscnn_program_input(const mpscnn_program *program, int index, const char **name,
                                              int64_t shape[MPSCNN_MAX_RANK], int *rank);
MPSCNN_API mpscnn_status mpscnn_program_output(const mpscnn_program *program, int index, const char **name,
                                               int64_t shape[MPSCNN_MAX_RANK], int *rank);
/* Set rank and shape of every output for the given input shapes; data is ignored. This makes the plan,
 * which later runs reuse. `arena_bytes` may be NULL. */
MPSCNN_API mpscnn_status mpscnn_program_output_shapes(mpscnn_program *program, const mpscnn_tensor *inputs,
                                                      int input_count, mpscnn_tensor *outputs,
                                                      int output_count, size_t *arena_bytes);

/* Explain how a session with this many threads (0: one for each core that this process may use) computes
 * each layer for the given input shapes, and why; data is ignored. The JSON is {"threads", "precision",
 * "instruction_set", "l2_bytes" and "last_level_bytes" (sizes of caches that the cost model assumes),
 * "arena_bytes", "steps": [{"layers", "kernel", "choice", "predicted_us" (null if the cost model has no
 * prediction), "reason", "alternatives": [{"layers", "choice", "predicted_us"}]}], "tensors": [{"name",
 * "shape", "memory" ("input", "output", "arena" or "chain"), "within" (the tensor whose memory it is a
 * part of, or null), "pixel_pitch" (in elements; in the arena only), "rows" and "panel_channels" (that a
 * chain keeps; 0: depends on the kernel, or all)}]}. Returns MPSCNN_ERROR_UNSUPPORTED unless the program
 * is for the CPU and has no custom layers. */
MPSCNN_API mpscnn_status mpscnn_program_explain(mpscnn_program *program, const mpscnn_tensor *inputs,
                                                int input_count, int threads, mpscnn_text **json);

/* Return a hash (FNV-1a, 64 bits) of the outputs that the program computes from fixed noise in [-1, 1]
 * with these input shapes. For each output it includes the extents and the bits of the float32 numbers;
 * every NaN counts as the same number. Programs with the same fingerprint compute the same bits;
 * docs/precision.md says for which processors that is promised. Only the shapes of `inputs` are used.
 * `threads` is as in mpscnn_session_options. */
MPSCNN_API mpscnn_status mpscnn_program_fingerprint(mpscnn_program *program, const mpscnn_tensor *inputs,
                                                    int input_count, int threads, uint64_t *fingerprint);

/* Create a session, which keeps its program alive. */
MPSCNN_API mpscnn_status mpscnn_session_create(mpscnn_program *program, const mpscnn_session_options *options,
                                               mpscnn_session **session);
MPSCNN_API void mpscnn_session_release(mpscnn_session *session);
/* Run the network. Inputs and outputs are float32 or float16, with any strides. An output must not overlap
 * an input or another output. On the CPU, a run with the shapes of the session's last run allocates nothing
 * if there are at most 8 inputs and 8 outputs. */
MPSCNN_API mpscnn_status mpscnn_session_run(mpscnn_session *session, const mpscnn_tensor *inputs,
                                            int input_count, const mpscnn_tensor *outputs, int output_count);

typedef struct mpscnn_profile_options {
    size_t size; /* sizeof(mpscnn_profile_options) */
    int runs;    /* number of measured runs, up to 100000, after a few unmeasured ones; 0: 20 */
} mpscnn_profile_options;

/* Run several times like mpscnn_session_run, and return how long every step took (docs/profiling.md).
 * `json` is {"network", "device", "device_name", "precision", "instruction_set", "threads",
 * "peak_flops_per_second": {"one_thread", "all_threads"}, "inputs": [shape], "milliseconds": [of each
 * run], "steps": [{"layers": [names], "part_of": [names], "kind", "kernel", "flops", "bytes",
 * "milliseconds": [in each run]}], "layers_without_step": [names]} with null for values that the device
 * does not have. In each run the steps' times add up to the run's time without the gaps between steps.
 * Steps of a GPU are measured one by one and may add up to more. `trace` receives the fastest run as trace
 * events for chrome://tracing and Perfetto; NULL: no trace. `options` may be NULL. Returns
 * MPSCNN_ERROR_UNSUPPORTED for a program with custom layers. */
MPSCNN_API mpscnn_status mpscnn_session_profile(mpscnn_session *session, const mpscnn_tensor *inputs,
                                                int input_count, const mpscnn_tensor *outputs,
                                                int output_count, const mpscnn_profile_options *options,
                                                mpscnn_text **json, mpscnn_text **trace);

/* Start a run and return as soon as the next one can be started. A GPU works on `inflight` requests at a
 * time; the CPU engine has finished the run on return. The memory of inputs and outputs belongs to the
 * request until it is done. Requests of one session may end in any order. */
MPSCNN_API mpscnn_status mpscnn_session_submit(mpscnn_session *session, const mpscnn_tensor *inputs,
                                               int input_count, const mpscnn_tensor *outputs,
                                               int output_count, mpscnn_request **request);
/* Wait for the end of a request, at most this many seconds; a negative number means no limit. `done`
 * receives whether the request is done, also if the run failed. The function returns the status of the run,
 * or MPSCNN_OK while the run is not done. It may be called several times, from any thread. */
MPSCNN_API mpscnn_status mpscnn_request_wait(mpscnn_request *request, double seconds, int *done);
/* Wait until the request is done, and release it. A request keeps its session alive. */
MPSCNN_API void mpscnn_request_release(mpscnn_request *request);

/* ---- Photos -------------------------------------------------------------------------------------------- */

/* 8-bit samples are 0 to 255, 16-bit integers 0 to 65535, and floats 0 to 1. Alpha is not premultiplied. */
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
    MPSCNN_RGBX8 = 12, /* the fourth sample is ignored */
    MPSCNN_BGRX8 = 13,
    MPSCNN_RGBA16F = 14, /* IEEE halves */
    MPSCNN_NV12 = 15,    /* `pixels` is 8-bit luma, `chroma` has pairs of blue and red differences */
    MPSCNN_I420 = 16     /* like NV12, but blue and red differences are in separate planes */
} mpscnn_pixel_format;

typedef enum mpscnn_yuv_matrix { MPSCNN_BT601 = 0, MPSCNN_BT709 = 1 } mpscnn_yuv_matrix;
/* The range of YUV values: luma 16 to 235 and chroma 16 to 240, or both 0 to 255. */
typedef enum mpscnn_yuv_range { MPSCNN_VIDEO_RANGE = 0, MPSCNN_FULL_RANGE = 1 } mpscnn_yuv_range;
/* The position of a chroma sample within its 2 x 2 pixels. Horizontally it is at the left column (H.264,
 * HEVC) or between the columns (JPEG); vertically it is between the rows. */
typedef enum mpscnn_chroma_siting { MPSCNN_CHROMA_LEFT = 0, MPSCNN_CHROMA_CENTER = 1 } mpscnn_chroma_siting;

/* The chroma planes of an NV12 or I420 photo, with (height + 1) / 2 rows of (width + 1) / 2 samples. */
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
    ptrdiff_t row_bytes; /* 0: rows without gaps; negative: later rows have lower addresses */
    int32_t format;      /* mpscnn_pixel_format */
    int32_t orientation; /* EXIF 1 to 8; 0 is taken as 1 */
    /* For MPSCNN_NV12 and MPSCNN_I420. With other formats it is not read, so the caller's struct may end
     * before it. */
    const mpscnn_chroma *chroma;
} mpscnn_image;

/* Write the network's input for a photo to `output`, dense float32 (height, width, channels). `preprocess`
 * is the JSON object of a model file's "mpscnn.preprocess" or a preset's name in quotes
 * ("\"tensorflow\""). */
MPSCNN_API mpscnn_status mpscnn_preprocess(const mpscnn_image *image, const char *preprocess, int height,
                                           int width, int channels, float *output);
/* Check a description of preprocessing and return it with every field. The meaning of a preset's name
 * depends on `channels`, the channels of the network's input. */
MPSCNN_API mpscnn_status mpscnn_preprocess_describe(const char *preprocess, int channels, mpscnn_text **json);

/* ---- Models: a network with its preprocessing and labels ----------------------------------------------- */

typedef struct mpscnn_model mpscnn_model;
typedef struct mpscnn_predictions mpscnn_predictions;

typedef struct mpscnn_prediction {
    const char *label; /* valid as long as the predictions */
    int index;
    float probability; /* see mpscnn_predictions_scores */
} mpscnn_prediction;

/* Read a model file (docs/model_format.md). */
MPSCNN_API mpscnn_status mpscnn_model_load(const char *path, mpscnn_model **model);
/* Check whether mpscnn_model_load would read the file. It returns the same errors, but has only one weight
 * in memory at a time. */
MPSCNN_API mpscnn_status mpscnn_model_check(const char *path);
/* Read a model from memory, which is copied. `origin` takes the file's place in messages. */
MPSCNN_API mpscnn_status mpscnn_model_parse(const void *data, size_t size, const char *origin,
                                            mpscnn_model **model);
MPSCNN_API void mpscnn_model_release(mpscnn_model *model);
/* Return the model's network. It must be released as well, and may outlive the model. */
MPSCNN_API mpscnn_status mpscnn_model_graph(const mpscnn_model *model, mpscnn_graph **graph);
/* Return the file's metadata as JSON: {"name", "labels": [...] or null, "preprocess": {...} or null,
 * "detection": {...} or null, "scores": "softmax", "sigmoid", "as is" or null, "answers": {...} or null,
 * "information": {"license", "source", ...}}. "preprocess" and "detection" have every field. */
MPSCNN_API mpscnn_status mpscnn_model_describe(const mpscnn_model *model, mpscnn_text **json);
/* State what the scores of the classes are, for this model and the files that are made of it. "softmax": they
 * are probabilities of classes that exclude each other. "sigmoid": each class has an independent probability.
 * The function is applied to the network's output, unless the network ends in it. "as is": the output has the
 * scores. NULL: they follow from the network's end, and a network without softmax or sigmoid gets a softmax.
 * If they change, the model loses its calibration. Call it before other threads use the model. */
MPSCNN_API mpscnn_status mpscnn_model_set_scores(mpscnn_model *model, const char *scores);
/* What labelled photos have told about a classifier: mpscnn.Model.calibrate of Python, or `mpscnn calibrate`,
 * finds it out. docs/evaluation.md, "Calibration", says what it means. */
typedef struct mpscnn_calibration {
    const char *layer;      /* the layer whose results are features of photos; NULL: not calibrated */
    const float *features;  /* photos x width */
    const float *distances; /* one for each photo, to the tenth nearest other photo, in increasing order */
    int64_t photos, width;  /* at least 11 photos; `width` elements of the layer */
    const float *probabilities; /* those of the photos' classes, in increasing order */
    int64_t probability_count;  /* at least 1; it may differ from `photos` */
} mpscnn_calibration;

/* Return the calibration of a model. It is valid until the model is released or gets another one. */
MPSCNN_API mpscnn_status mpscnn_model_calibration(const mpscnn_model *model, mpscnn_calibration *calibration);
/* Set the calibration, which is copied, for this model and the files that are made of it. One without a
 * `layer` removes the model's. Call it before other threads use the model. */
MPSCNN_API mpscnn_status mpscnn_model_set_calibration(mpscnn_model *model,
                                                      const mpscnn_calibration *calibration);
/* Return the lowest probability of the classes in a set: the set has the right class in a share `coverage` of
 * photos like those of the calibration, whose `probabilities` are given. `coverage` is above 0 and below 1.
 * The threshold is -infinity if there are too few photos, so that the set must have all classes. */
MPSCNN_API mpscnn_status mpscnn_set_threshold(const float *probabilities, int64_t count, double coverage,
                                              float *threshold);
/* Return the bytes of a model file with the network, its weights in their stored type, and all other
 * contents of the model's file. */
MPSCNN_API mpscnn_status mpscnn_model_content(const mpscnn_model *model, mpscnn_text **content);
/* Write the model's content (mpscnn_model_content) to a file. An existing file is replaced when the new
 * one is complete and could be loaded. */
MPSCNN_API mpscnn_status mpscnn_model_save(const mpscnn_model *model, const char *path);
/* Write a model file for a network. `description` is a JSON object with any of "labels", "preprocess",
 * "detection", "scores", "answers" and "information", as in mpscnn_model_describe; NULL: none. */
MPSCNN_API mpscnn_status mpscnn_graph_save(const mpscnn_graph *graph, const char *description,
                                           const char *path);
/* Preprocess a photo, run the network and rank the classes. The session must come from a program of the
 * model's graph with one image input of a fixed size and one output (n, classes) or (n, 1, 1, classes).
 * mpscnn_model_set_scores says how the output becomes probabilities. An output of one number with two labels
 * is the probability of the second label. `top` is the number of best classes, 0 for all; among equal ones
 * the lower index comes first. A class without a label is called "class 17". */
MPSCNN_API mpscnn_status mpscnn_model_classify(const mpscnn_model *model, mpscnn_session *session,
                                               const mpscnn_image *image, int top,
                                               mpscnn_predictions **predictions);
/* Rank the classes of an output that was computed in another way: float32 or float16, of the shape (1,
 * classes) or (1, 1, 1, classes). The program must come from the model's graph and have this output; its
 * inputs may have any shape, and the model needs no preprocessing. */
MPSCNN_API mpscnn_status mpscnn_model_rank(const mpscnn_model *model, const mpscnn_program *program,
                                           const mpscnn_tensor *output, int top,
                                           mpscnn_predictions **predictions);
/* Return what the probabilities are: "softmax", "sigmoid" or "as is", as in mpscnn_model_set_scores. */
MPSCNN_API const char *mpscnn_predictions_scores(const mpscnn_predictions *predictions);
/* Return how unfamiliar the photo is: the share of the calibration's photos that are nearer to others, 0
 * to 1. It is NaN unless mpscnn_model_classify made the predictions, the model is calibrated, and the
 * program's outputs are the network's output and the calibration's layer, in this order. */
MPSCNN_API double mpscnn_predictions_unfamiliar(const mpscnn_predictions *predictions);
MPSCNN_API int mpscnn_predictions_count(const mpscnn_predictions *predictions);
MPSCNN_API mpscnn_status mpscnn_predictions_get(const mpscnn_predictions *predictions, int rank,
                                                mpscnn_prediction *prediction);
MPSCNN_API void mpscnn_predictions_release(mpscnn_predictions *predictions);

/* Preprocess a photo, run the network and find the class of every pixel: the one with the largest score, the
 * first one among equal ones. Pixels are counted in the upright photo. The session must come from a program
 * of the model's graph with one image input of a fixed size and one output (n, rows, columns, classes) of
 * scores, 2 to 255 classes. An output of one pixel is that of a classifier. The scores are resized to the
 * photo bilinearly. `labels` receives height x width classes, 255 for pixels that the preprocessing crops.
 * `scores` receives height x width x classes floats, NaN for such pixels; NULL: no scores. `classes` is the
 * number of classes that `scores` has room for, which must be the network's. */
MPSCNN_API mpscnn_status mpscnn_model_segment(const mpscnn_model *model, mpscnn_session *session,
                                              const mpscnn_image *image, uint8_t *labels, float *scores,
                                              int classes);

/* Options of segmentation; 0 means the default. */
typedef struct mpscnn_segment_options {
    size_t size MPSCNN_UNLESS_SET(sizeof(mpscnn_segment_options));
    /* divide the photo into tiles, see mpscnn_detect_options; a pixel has the class of its nearest tile */
    int tile_side MPSCNN_UNLESS_SET(0);
    double tile_overlap MPSCNN_UNLESS_SET(0);
} mpscnn_segment_options;

/* Find the class of every pixel, as mpscnn_model_segment does. `options` may be NULL. */
MPSCNN_API mpscnn_status mpscnn_model_segment_with(const mpscnn_model *model, mpscnn_session *session,
                                                   const mpscnn_image *image,
                                                   const mpscnn_segment_options *options, uint8_t *labels,
                                                   float *scores, int classes);

/* ---- Detections -----------------------------------------------------------------------------------------
 */

typedef struct mpscnn_detections mpscnn_detections;

typedef struct mpscnn_detection {
    const char *label; /* valid as long as the detections */
    int32_t index;     /* index of the class; the background, if the network has one, is not counted */
    float score;       /* probability, 0 to 1 */
    float left, top, right, bottom;
    int32_t anchor; /* index of the network's box */
} mpscnn_detection;

/* Options of detection; 0 means the value in the model file. */
typedef struct mpscnn_detect_options {
    size_t size MPSCNN_UNLESS_SET(sizeof(mpscnn_detect_options));
    /* detections with a smaller score are left out */
    float score_threshold MPSCNN_UNLESS_SET(0);
    /* boxes of a class whose intersection over union is larger count as one object */
    float iou_threshold MPSCNN_UNLESS_SET(0);
    /* the largest number of boxes; with "classes_per_box" above 1, a box gives several detections */
    int max_detections MPSCNN_UNLESS_SET(0);
    /* Run the network on square tiles of this height and width, in pixels of the upright photo, and on the
     * whole photo, and merge the boxes (docs/detection.md). The tiles are one batch, whose images must not
     * depend on each other. The model file's number of detections is then that of each tile. 0: no tiles. */
    int tile_side MPSCNN_UNLESS_SET(0);
    /* the share of its side that a tile has in common with the next one, below 1; 0: 0.2; negative: none */
    double tile_overlap MPSCNN_UNLESS_SET(0);
} mpscnn_detect_options;

/* Preprocess a photo, run the network and find objects, with boxes in pixels of the upright photo. Boxes are
 * clipped to the photo, and boxes outside it are left out. The model file must describe how the network's
 * outputs become boxes (docs/detection.md), and the session's program must compute all of these outputs.
 * `options` may be NULL. */
MPSCNN_API mpscnn_status mpscnn_model_detect(const mpscnn_model *model, mpscnn_session *session,
                                             const mpscnn_image *image, const mpscnn_detect_options *options,
                                             mpscnn_detections **detections);
/* Return the anchors that the model file stores, four floats for each: centre x, centre y, width, height.
 * Many files store none. The anchors are valid as long as the model. */
MPSCNN_API mpscnn_status mpscnn_model_anchors(const mpscnn_model *model, const float **anchors,
                                              int64_t *count);

MPSCNN_API int mpscnn_detections_count(const mpscnn_detections *detections);
/* Return the detection with this rank; the most probable one has rank 0. */
MPSCNN_API mpscnn_status mpscnn_detections_get(const mpscnn_detections *detections, int rank,
                                               mpscnn_detection *detection);

/* Corners of rotated boxes, keypoints and masks, which some models compute besides boxes. All coordinates are
 * pixels of the upright photo. Points are not clipped to it. */
typedef struct mpscnn_detection_details {
    const float *corners;   /* x and y of four corners, clockwise, or NULL; valid as long as the detections */
    const float *keypoints; /* x, y and probability of each point, or NULL; valid as long as the detections */
    int32_t keypoint_count;
    int32_t mask_left, mask_top, mask_width, mask_height; /* the pixels of the mask; 0 by 0 without one */
} mpscnn_detection_details;

MPSCNN_API mpscnn_status mpscnn_detections_details(const mpscnn_detections *detections, int rank,
                                                   mpscnn_detection_details *details);
/* Compute the mask of a detection: `mask` receives mask_height rows of mask_width bytes, 1 for each pixel
 * that belongs to the object, otherwise 0. A detection without a mask gives MPSCNN_ERROR_PARAMETER. */
MPSCNN_API mpscnn_status mpscnn_detections_mask(const mpscnn_detections *detections, int rank, uint8_t *mask);
MPSCNN_API void mpscnn_detections_release(mpscnn_detections *detections);

/* ---- Signals ------------------------------------------------------------------------------------------- */

typedef struct mpscnn_convolve_options {
    size_t size;        /* sizeof(mpscnn_convolve_options) */
    int axes;           /* 1 or 2: the number of the signal's last axes to convolve; 0: 1 */
    int mode;           /* part of the result: 0 full, 1 same (scipy.signal's rule), 2 valid */
    int boundary;       /* taps outside the signal: 0 are left out, 1 read the nearest sample */
    int correlate;      /* not 0: the kernel is not reversed */
    const char *device; /* "cpu", "metal"; NULL: "cpu" */
} mpscnn_convolve_options;

/* Convolve signals: result[i] = sum of kernel[t] * signal[i - t], over the last one or two axes. The axes
 * before them number the signals. All tensors are float32, or all are float64, without gaps; the result
 * must not overlap the others. Metal supports float32 only (MPSCNN_ERROR_UNSUPPORTED). If result->data is
 * NULL, its rank and shape are set and nothing is computed. */
MPSCNN_API mpscnn_status mpscnn_convolve(const mpscnn_tensor *signal, const mpscnn_tensor *kernel,
                                         const mpscnn_convolve_options *options, mpscnn_tensor *result);

/* ---- Half precision ------------------------------------------------------------------------------------ */

/* Convert floats to IEEE 754 binary16, rounding to nearest even. There are `count` elements; source and
 * destination must not overlap. `overflows`, which may be NULL, receives the number of finite floats that
 * exceed the half range and become infinite. */
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
