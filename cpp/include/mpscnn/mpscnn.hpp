/// mpscnn for C++20: owning classes and exceptions over the C interface (mpscnn.h). Header-only: no C++ type
/// crosses the library's border, so a program may be compiled with another compiler, C++ library or standard
/// than the library.
///
///     auto model = mpscnn::Model::load("mobilenet_v2.safetensors", {.device = "cpu", .threads = 2});
///     auto result = model.classify(mpscnn::ImageView::rgb8(pixels, width, height));
///     for (const auto &[label, probability] : result.top(5)) ...
#pragma once

#if __cplusplus < 202002L
#error "mpscnn.hpp needs C++20: -std=c++20, or CMake's target mpscnn::mpscnn, which asks for it"
#endif

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "mpscnn.h"

namespace mpscnn {
// The library's own classes live in mpscnn:: too; linked statically, names of both must differ.
inline namespace api {

// ---- Errors
// ------------------------------------------------------------------------------------------------

/// A call that failed. MPSCNN_ERROR_MEMORY is thrown as OutOfMemory instead.
class Error : public std::runtime_error {
public:
    Error(mpscnn_status status, const std::string &message) : std::runtime_error(message), status_(status) {}
    mpscnn_status status() const noexcept { return status_; }

private:
    mpscnn_status status_;
};

/// One status as a class of its own.
template <mpscnn_status Status> class StatusError : public Error {
public:
    explicit StatusError(const std::string &message) : Error(Status, message) {}
};

using ShapeError = StatusError<MPSCNN_ERROR_SHAPE>;
using ParameterError = StatusError<MPSCNN_ERROR_PARAMETER>;
using WeightsError = StatusError<MPSCNN_ERROR_WEIGHTS>;
using DeviceError = StatusError<MPSCNN_ERROR_DEVICE>;
using UnsupportedError = StatusError<MPSCNN_ERROR_UNSUPPORTED>;
using StateError = StatusError<MPSCNN_ERROR_STATE>;
using CancelledError = StatusError<MPSCNN_ERROR_CANCELLED>;

/// Holds the message itself, since there may be no memory for it.
class OutOfMemory : public std::bad_alloc {
public:
    explicit OutOfMemory(const char *message) noexcept {
        std::snprintf(message_, sizeof message_, "%s", message);
    }
    const char *what() const noexcept override { return message_; }

private:
    char message_[128];
};

namespace detail {

[[noreturn]] inline void throw_error(mpscnn_status status, const char *message) {
    switch (status) {
    case MPSCNN_ERROR_SHAPE:
        throw ShapeError(message);
    case MPSCNN_ERROR_PARAMETER:
        throw ParameterError(message);
    case MPSCNN_ERROR_WEIGHTS:
        throw WeightsError(message);
    case MPSCNN_ERROR_DEVICE:
        throw DeviceError(message);
    case MPSCNN_ERROR_UNSUPPORTED:
        throw UnsupportedError(message);
    case MPSCNN_ERROR_STATE:
        throw StateError(message);
    case MPSCNN_ERROR_CANCELLED:
        throw CancelledError(message);
    case MPSCNN_ERROR_MEMORY:
        throw OutOfMemory(message);
    default:
        throw Error(status, message);
    }
}

inline void check(mpscnn_status status) {
    if (status != MPSCNN_OK) throw_error(status, mpscnn_last_error());
}

template <auto release> struct Releaser {
    template <class T> void operator()(T *handle) const noexcept { release(handle); }
};
template <class T, auto release> using Handle = std::unique_ptr<T, Releaser<release>>;

using Text = Handle<mpscnn_text, mpscnn_text_release>;

inline std::string string_of(const Text &text) {
    return std::string(mpscnn_text_data(text.get()), mpscnn_text_size(text.get()));
}

/// What `function(arguments..., mpscnn_text **)` writes.
template <class Function, class... Arguments> std::string text_of(Function function, Arguments... arguments) {
    mpscnn_text *raw = nullptr;
    check(function(arguments..., &raw));
    return string_of(Text(raw));
}

inline int count(std::size_t size) {
    if (size > 1'000'000)
        throw ParameterError(std::to_string(size) + " entries are more than any network has");
    return static_cast<int>(size);
}

/// For the library, where a NUL ends the text.
inline const char *c_string(const std::string &text) {
    if (const std::size_t position = text.find('\0'); position != text.npos)
        throw ParameterError("the text '" + text.substr(0, position) + "...' has a NUL at position " +
                             std::to_string(position) + "; names, paths and settings have none");
    return text.c_str();
}

inline const char *or_null(const std::string &text) { return text.empty() ? nullptr : c_string(text); }

} // namespace detail

// ---- The library
// -------------------------------------------------------------------------------------------

inline std::string version() { return mpscnn_version(); }
/// JSON texts: see the C functions of the same names.
inline std::string build_config() { return detail::text_of(mpscnn_build_config); }
inline std::string operations() { return detail::text_of(mpscnn_operations); }
inline std::string unsupported_features() { return detail::text_of(mpscnn_unsupported_features); }
/// See mpscnn_pages_allocate; to be released with mpscnn_pages_release.
inline void *allocate_pages(std::size_t bytes) {
    void *memory = nullptr;
    detail::check(mpscnn_pages_allocate(bytes, &memory));
    return memory;
}
inline std::string devices() { return detail::text_of(mpscnn_devices); }
/// See mpscnn_check_device.
inline std::string check_device(const std::string &device) {
    return detail::text_of(mpscnn_check_device, detail::c_string(device));
}

// ---- Tensors
// -----------------------------------------------------------------------------------------------

/// Extents, batch first; -1 where free.
using Shape = std::vector<std::int64_t>;

namespace detail {

template <class Element>
mpscnn_tensor dense(Element *data, mpscnn_dtype type, std::span<const std::int64_t> shape) {
    if (shape.size() > MPSCNN_MAX_RANK)
        throw ShapeError(std::to_string(shape.size()) + " axes, at most " + std::to_string(MPSCNN_MAX_RANK) +
                         " are possible");
    mpscnn_tensor tensor{};
    // The C struct serves inputs and outputs; the library writes to outputs only.
    tensor.data = const_cast<std::remove_const_t<Element> *>(data);
    tensor.dtype = type;
    tensor.rank = static_cast<int>(shape.size());
    for (std::size_t axis = 0; axis < shape.size(); ++axis) tensor.shape[axis] = shape[axis];
    return tensor;
}

inline Shape shape_of(const std::int64_t *extents, int rank) { return Shape(extents, extents + rank); }

} // namespace detail

/// Memory of the caller, row-major without gaps. For other strides fill in an mpscnn_tensor.
inline mpscnn_tensor tensor(const float *data, std::span<const std::int64_t> shape) {
    return detail::dense(data, MPSCNN_FLOAT32, shape);
}
/// The same with IEEE halves in their 16 bits.
inline mpscnn_tensor half_tensor(const std::uint16_t *data, std::span<const std::int64_t> shape) {
    return detail::dense(data, MPSCNN_FLOAT16, shape);
}
/// Quantised weights.
inline mpscnn_tensor uint8_tensor(const std::uint8_t *data, std::span<const std::int64_t> shape) {
    return detail::dense(data, MPSCNN_UINT8, shape);
}

/// Round to nearest even; both have the same length. Returns how many finite floats became infinities.
inline std::size_t halves_from_floats(std::span<const float> floats, std::span<std::uint16_t> halves) {
    if (floats.size() != halves.size())
        throw ShapeError("halves_from_floats: source and destination differ in length");
    std::size_t overflows = 0;
    detail::check(mpscnn_halves_from_floats(floats.data(), halves.data(), floats.size(), &overflows));
    return overflows;
}
inline void floats_from_halves(std::span<const std::uint16_t> halves, std::span<float> floats) {
    if (floats.size() != halves.size())
        throw ShapeError("floats_from_halves: source and destination differ in length");
    detail::check(mpscnn_floats_from_halves(halves.data(), floats.data(), halves.size()));
}

// ---- Signals
// ----------------------------------------------------------------------------------------------

enum class ConvolveMode { full = 0, same = 1, valid = 2 };
enum class ConvolveBoundary { zero = 0, clamp = 1 };

struct ConvolveOptions {
    int axes = 1; ///< 1 or 2 of the signal's last axes; those before them count signals
    ConvolveMode mode = ConvolveMode::full;
    ConvolveBoundary boundary = ConvolveBoundary::zero;
    bool correlate = false;     ///< the kernel is not reversed
    std::string device = "cpu"; ///< or "metal", which has float32 only
};

namespace detail {

inline mpscnn_convolve_options c_options(const ConvolveOptions &options) {
    return {sizeof(mpscnn_convolve_options),    options.axes,      static_cast<int>(options.mode),
            static_cast<int>(options.boundary), options.correlate, detail::c_string(options.device)};
}

} // namespace detail

inline mpscnn_tensor double_tensor(const double *data, std::span<const std::int64_t> shape) {
    return detail::dense(data, MPSCNN_FLOAT64, shape);
}

inline Shape convolved_shape(const mpscnn_tensor &signal, const mpscnn_tensor &kernel,
                             const ConvolveOptions &options = {}) {
    const mpscnn_convolve_options given = detail::c_options(options);
    mpscnn_tensor result{};
    detail::check(mpscnn_convolve(&signal, &kernel, &given, &result));
    return detail::shape_of(result.shape, result.rank);
}

/// result[i] = sum of kernel[t] * signal[i - t]; `result` has the shape that convolved_shape gives.
inline void convolve(const mpscnn_tensor &signal, const mpscnn_tensor &kernel, mpscnn_tensor result,
                     const ConvolveOptions &options = {}) {
    if (!result.data) throw ParameterError("result: data must not be null");
    const mpscnn_convolve_options given = detail::c_options(options);
    detail::check(mpscnn_convolve(&signal, &kernel, &given, &result));
}

// ---- Running a network
// -------------------------------------------------------------------------------------

struct CompileOptions {
    std::string device = "auto";
    std::string precision = "auto";
    std::vector<std::string> outputs{}; ///< layers whose results are wanted; empty: the network's outputs
    std::uint64_t max_memory = 0;       ///< mpscnn_compile_options.max_memory
};

/// Like the other options that are plain numbers it is the C struct: Session(program, {.threads = 2}).
using SessionOptions = mpscnn_session_options;

/// Name and shape of an input or output.
struct Port {
    std::string name;
    Shape shape;
};

class Session;

/// A network compiled for a device. May be used from several threads.
class Program {
public:
    explicit Program(mpscnn_program *handle) : handle_(handle) {}

    Session session(const SessionOptions &options = {}) const;

    /// "cpu" or "metal".
    std::string device() const { return mpscnn_program_device(get()); }
    /// Why "auto" did not choose a device that is there, else empty: see mpscnn_program_warning.
    std::string warning() const { return mpscnn_program_warning(get()); }
    std::vector<Port> inputs() const {
        return ports(mpscnn_program_input_count(get()), mpscnn_program_input);
    }
    std::vector<Port> outputs() const {
        return ports(mpscnn_program_output_count(get()), mpscnn_program_output);
    }
    /// JSON, see mpscnn_program_describe.
    std::string describe() const { return detail::text_of(mpscnn_program_describe, get()); }

    struct Planned {
        std::vector<Shape> outputs;
        std::size_t arena_bytes;
    };
    /// Shapes of the outputs, and bytes of intermediate results, for these shapes of the inputs.
    Planned plan(std::span<const Shape> inputs) const;
    /// JSON, see mpscnn_program_explain.
    std::string explain(std::span<const Shape> inputs, int threads = 0) const;

    mpscnn_program *get() const noexcept { return handle_.get(); }

private:
    template <class Function> std::vector<Port> ports(int count, Function function) const {
        std::vector<Port> result;
        for (int i = 0; i < count; ++i) {
            const char *name = nullptr;
            std::array<std::int64_t, MPSCNN_MAX_RANK> extents{};
            int rank = 0;
            detail::check(function(get(), i, &name, extents.data(), &rank));
            result.push_back({name, detail::shape_of(extents.data(), rank)});
        }
        return result;
    }

    detail::Handle<mpscnn_program, mpscnn_program_release> handle_;
};

/// A run that may still be under way. Its destructor waits.
class Request {
public:
    explicit Request(mpscnn_request *handle) : handle_(handle) {}

    /// Throws what the run threw.
    void wait() {
        int done = 0;
        detail::check(mpscnn_request_wait(get(), -1.0, &done));
    }
    /// Whether it is done, after that time at most; throws what the run threw.
    bool wait_for(double seconds) {
        int done = 0;
        detail::check(mpscnn_request_wait(get(), seconds < 0 ? 0.0 : seconds, &done));
        return done != 0;
    }

    mpscnn_request *get() const noexcept { return handle_.get(); }

private:
    detail::Handle<mpscnn_request, mpscnn_request_release> handle_;
};

/// What every step of a program took, both JSON; see mpscnn_session_profile.
struct Profile {
    std::string json;
    std::string trace; ///< for chrome://tracing and Perfetto
};

/// One caller's way to run a program, which it keeps alive. Not for several threads at once.
class Session {
public:
    explicit Session(const Program &program, const SessionOptions &options = {})
        : inputs_(program.inputs()), outputs_(program.outputs()) {
        mpscnn_session *handle = nullptr;
        detail::check(mpscnn_session_create(program.get(), &options, &handle));
        handle_.reset(handle);
    }

    /// For networks with one input and one output whose only free extent is the batch: it follows from the
    /// input's length. Allocates nothing after the first run of a batch size.
    void run(std::span<const float> input, std::span<float> output) {
        if (inputs_.size() != 1 || outputs_.size() != 1)
            throw ShapeError("the network has " + std::to_string(inputs_.size()) + " inputs and " +
                             std::to_string(outputs_.size()) + " outputs: pass them as tensors");
        const std::int64_t batch = batch_of(inputs_[0], input.size());
        const mpscnn_tensor source = filled(inputs_[0], input.data(), input.size(), batch);
        const mpscnn_tensor destination = filled(outputs_[0], output.data(), output.size(), batch);
        run({&source, 1}, {&destination, 1});
    }

    /// Any number of inputs and outputs, float32 or float16, any strides.
    void run(std::span<const mpscnn_tensor> inputs, std::span<const mpscnn_tensor> outputs) {
        detail::check(mpscnn_session_run(get(), inputs.data(), detail::count(inputs.size()), outputs.data(),
                                         detail::count(outputs.size())));
    }

    /// Runs so many times, 0: 20, and tells what every step took. The outputs are written.
    Profile profile(std::span<const mpscnn_tensor> inputs, std::span<const mpscnn_tensor> outputs,
                    int runs = 0) {
        const mpscnn_profile_options options{sizeof options, runs};
        mpscnn_text *raw_json = nullptr, *raw_trace = nullptr;
        detail::check(mpscnn_session_profile(get(), inputs.data(), detail::count(inputs.size()),
                                             outputs.data(), detail::count(outputs.size()), &options,
                                             &raw_json, &raw_trace));
        const detail::Text json(raw_json), trace(raw_trace);
        return {detail::string_of(json), detail::string_of(trace)};
    }

    /// Memory of inputs and outputs must stay until the request is done. See mpscnn_session_submit.
    Request submit(std::span<const mpscnn_tensor> inputs, std::span<const mpscnn_tensor> outputs) {
        mpscnn_request *request = nullptr;
        detail::check(mpscnn_session_submit(get(), inputs.data(), detail::count(inputs.size()),
                                            outputs.data(), detail::count(outputs.size()), &request));
        return Request(request);
    }

    mpscnn_session *get() const noexcept { return handle_.get(); }

private:
    /// Elements of one image.
    static std::int64_t elements_of(const Port &port) {
        std::int64_t elements = 1;
        for (std::size_t axis = 1; axis < port.shape.size(); ++axis) {
            if (port.shape[axis] < 1)
                throw ShapeError("'" + port.name +
                                 "' has a free extent beside the batch: pass tensors with shapes");
            elements *= port.shape[axis];
        }
        return elements;
    }

    static std::int64_t batch_of(const Port &port, std::size_t size) {
        return static_cast<std::int64_t>(size) / elements_of(port);
    }

    template <class Element>
    static mpscnn_tensor filled(const Port &port, Element *data, std::size_t size, std::int64_t batch) {
        const std::int64_t elements = elements_of(port);
        if (batch < 1 || static_cast<std::int64_t>(size) != batch * elements)
            throw ShapeError("'" + port.name + "': expected n times " + std::to_string(elements) +
                             " floats with n = " + std::to_string(batch < 1 ? 1 : batch) + " images, got " +
                             std::to_string(size));
        mpscnn_tensor result = detail::dense(data, MPSCNN_FLOAT32, port.shape);
        result.shape[0] = batch;
        return result;
    }

    std::vector<Port> inputs_, outputs_;
    detail::Handle<mpscnn_session, mpscnn_session_release> handle_;
};

namespace detail {

/// What `function`, called with the options and where the program goes, compiles.
template <class Function> Program compile(const CompileOptions &options, Function function) {
    std::vector<const char *> outputs;
    for (const std::string &name : options.outputs) outputs.push_back(detail::c_string(name));
    mpscnn_compile_options raw{};
    raw.size = sizeof raw;
    raw.device = detail::c_string(options.device);
    raw.precision = detail::c_string(options.precision);
    raw.outputs = outputs.empty() ? nullptr : outputs.data();
    raw.output_count = count(outputs.size());
    raw.max_memory = options.max_memory;
    mpscnn_program *program = nullptr;
    check(function(&raw, &program));
    return Program(program);
}

} // namespace detail

inline Session Program::session(const SessionOptions &options) const { return Session(*this, options); }

inline Program::Planned Program::plan(std::span<const Shape> inputs) const {
    std::vector<mpscnn_tensor> sources;
    for (const Shape &shape : inputs) sources.push_back(tensor(nullptr, shape));
    std::vector<mpscnn_tensor> results(static_cast<std::size_t>(mpscnn_program_output_count(get())));
    Planned planned{};
    detail::check(mpscnn_program_output_shapes(get(), sources.data(), detail::count(sources.size()),
                                               results.data(), detail::count(results.size()),
                                               &planned.arena_bytes));
    for (const mpscnn_tensor &result : results)
        planned.outputs.push_back(detail::shape_of(result.shape, result.rank));
    return planned;
}

inline std::string Program::explain(std::span<const Shape> inputs, int threads) const {
    std::vector<mpscnn_tensor> sources;
    for (const Shape &shape : inputs) sources.push_back(tensor(nullptr, shape));
    return detail::text_of(mpscnn_program_explain, get(), sources.data(), detail::count(sources.size()),
                           threads);
}

// ---- Building a network
// ------------------------------------------------------------------------------------

/// Number by which layers name an input or an earlier layer's result.
using Value = int;

/// uint8 weights mean (value - zero_point) * scale; one entry, or one for each index of the first axis.
struct Quantization {
    std::vector<float> scales{}, zero_points{};
};

/// A stored weight; `tensor` refers to memory of the graph, see mpscnn_graph_get_weight.
struct Weight {
    mpscnn_tensor tensor;
    Quantization quantization;
};

class Graph {
public:
    explicit Graph(mpscnn_graph *handle) : handle_(handle) {}

    static Graph create(const std::string &name) {
        mpscnn_graph *handle = nullptr;
        detail::check(mpscnn_graph_create(detail::c_string(name), &handle));
        return Graph(handle);
    }
    static Graph from_json(std::string_view json) {
        mpscnn_graph *handle = nullptr;
        detail::check(mpscnn_graph_from_json(json.data(), json.size(), &handle));
        return Graph(handle);
    }
    /// A graph of its own, which shares the memory of weights with this one.
    Graph copy() const {
        mpscnn_graph *handle = nullptr;
        detail::check(mpscnn_graph_copy(get(), &handle));
        return Graph(handle);
    }

    Value add_input(const std::string &name, std::span<const std::int64_t> shape) {
        Value value = 0;
        detail::check(mpscnn_graph_add_input(get(), detail::c_string(name), shape.data(),
                                             detail::count(shape.size()), &value));
        return value;
    }
    Value add_variable(const std::string &name, std::span<const std::int64_t> shape) {
        Value value = 0;
        detail::check(mpscnn_graph_add_variable(get(), detail::c_string(name), shape.data(),
                                                detail::count(shape.size()), &value));
        return value;
    }
    void use_variable(Value layer, const std::string &role, Value variable) {
        detail::check(mpscnn_graph_use_variable(get(), layer, detail::c_string(role), variable));
    }
    /// `attributes` and `activation` are JSON objects; empty: defaults, no activation.
    Value add_node(const std::string &operation, const std::string &name, std::span<const Value> inputs,
                   const std::string &attributes = {}, const std::string &activation = {}) {
        Value value = 0;
        detail::check(mpscnn_graph_add_node(
            get(), detail::c_string(operation), detail::c_string(name), inputs.data(),
            detail::count(inputs.size()), detail::or_null(attributes), detail::or_null(activation), &value));
        return value;
    }
    void mark_output(Value value) { detail::check(mpscnn_graph_mark_output(get(), value)); }
    /// Whether a layer stays float32 when the network computes in float16.
    void keep_float32(Value value, bool keep = true) {
        detail::check(mpscnn_graph_keep_float32(get(), value, keep));
    }

    Shape shape(Value value) const {
        std::array<std::int64_t, MPSCNN_MAX_RANK> extents{};
        int rank = 0;
        detail::check(mpscnn_graph_shape(get(), value, extents.data(), &rank));
        return detail::shape_of(extents.data(), rank);
    }

    /// Copies the tensor.
    void set_weight(const std::string &layer, const std::string &role, const mpscnn_tensor &tensor,
                    const Quantization &quantization = {}) {
        if (quantization.scales.size() != quantization.zero_points.size())
            throw ShapeError(layer + "." + role + ": " + std::to_string(quantization.scales.size()) +
                             " scales, but " + std::to_string(quantization.zero_points.size()) +
                             " zero points");
        detail::check(mpscnn_graph_set_weight(get(), detail::c_string(layer), detail::c_string(role), &tensor,
                                              quantization.scales.data(), quantization.zero_points.data(),
                                              static_cast<std::int64_t>(quantization.scales.size())));
    }
    Weight weight(const std::string &layer, const std::string &role) const {
        Weight weight{};
        const float *scales = nullptr, *zero_points = nullptr;
        std::int64_t count = 0;
        detail::check(mpscnn_graph_get_weight(get(), detail::c_string(layer), detail::c_string(role),
                                              &weight.tensor, &scales, &zero_points, &count));
        weight.quantization = {{scales, scales + count}, {zero_points, zero_points + count}};
        return weight;
    }

    std::string to_json() const { return detail::text_of(mpscnn_graph_to_json, get()); }
    /// JSON, see mpscnn_graph_describe.
    std::string describe(std::int64_t height = 0, std::int64_t width = 0) const {
        return detail::text_of(mpscnn_graph_describe, get(), height, width);
    }
    /// JSON, see mpscnn_graph_weights.
    std::string weights() const { return detail::text_of(mpscnn_graph_weights, get()); }

    /// The program does not need the graph any more.
    Program compile(const CompileOptions &options = {}) const {
        return detail::compile(options, [&](const mpscnn_compile_options *raw, mpscnn_program **program) {
            return mpscnn_program_compile(get(), raw, program);
        });
    }

    mpscnn_graph *get() const noexcept { return handle_.get(); }

private:
    detail::Handle<mpscnn_graph, mpscnn_graph_release> handle_;
};

// ---- Photos
// ------------------------------------------------------------------------------------------------

/// How the planes of a YUV photo are meant, see mpscnn.h. Rows of 0 bytes: without gaps.
struct YuvOptions {
    mpscnn_yuv_matrix matrix = MPSCNN_BT601;
    mpscnn_yuv_range range = MPSCNN_VIDEO_RANGE;
    mpscnn_chroma_siting siting = MPSCNN_CHROMA_LEFT;
    std::ptrdiff_t row_bytes = 0, chroma_row_bytes = 0;
    int orientation = 1; ///< EXIF 1 to 8
};

/// A photo in the caller's memory.
class ImageView {
public:
    /// `row_bytes` 0: rows without gaps. `orientation`: EXIF 1 to 8. Not of MPSCNN_NV12 and MPSCNN_I420.
    ImageView(const void *pixels, int width, int height, mpscnn_pixel_format format,
              std::ptrdiff_t row_bytes = 0, int orientation = 1)
        : image_{pixels, width, height, row_bytes, format, orientation, nullptr} {}
    ImageView(const ImageView &other) noexcept : image_(other.image_), chroma_(other.chroma_) { link(); }
    ImageView &operator=(const ImageView &other) noexcept {
        image_ = other.image_;
        chroma_ = other.chroma_;
        link();
        return *this;
    }
    ~ImageView() = default;

    /// Luma, and pairs of blue and red differences.
    static ImageView nv12(const std::uint8_t *luma, const std::uint8_t *chroma, int width, int height,
                          const YuvOptions &options = {}) {
        return ImageView(MPSCNN_NV12, luma, chroma, nullptr, width, height, options);
    }
    /// Luma, blue and red differences.
    static ImageView i420(const std::uint8_t *luma, const std::uint8_t *blue, const std::uint8_t *red,
                          int width, int height, const YuvOptions &options = {}) {
        return ImageView(MPSCNN_I420, luma, blue, red, width, height, options);
    }

    static ImageView gray8(const std::uint8_t *pixels, int width, int height, std::ptrdiff_t row_bytes = 0) {
        return ImageView(pixels, width, height, MPSCNN_GRAY8, row_bytes);
    }
    static ImageView rgb8(const std::uint8_t *pixels, int width, int height, std::ptrdiff_t row_bytes = 0) {
        return ImageView(pixels, width, height, MPSCNN_RGB8, row_bytes);
    }
    static ImageView rgba8(const std::uint8_t *pixels, int width, int height, std::ptrdiff_t row_bytes = 0) {
        return ImageView(pixels, width, height, MPSCNN_RGBA8, row_bytes);
    }
    static ImageView bgr8(const std::uint8_t *pixels, int width, int height, std::ptrdiff_t row_bytes = 0) {
        return ImageView(pixels, width, height, MPSCNN_BGR8, row_bytes);
    }
    static ImageView bgra8(const std::uint8_t *pixels, int width, int height, std::ptrdiff_t row_bytes = 0) {
        return ImageView(pixels, width, height, MPSCNN_BGRA8, row_bytes);
    }

    /// Size of the photo as seen: orientations 5 to 8 lay it on its side.
    int oriented_width() const noexcept { return image_.orientation >= 5 ? image_.height : image_.width; }
    int oriented_height() const noexcept { return image_.orientation >= 5 ? image_.width : image_.height; }

    const mpscnn_image *get() const noexcept { return &image_; }

private:
    ImageView(mpscnn_pixel_format format, const void *luma, const void *blue, const void *red, int width,
              int height, const YuvOptions &options)
        : image_{luma, width, height, options.row_bytes, format, options.orientation, &chroma_},
          chroma_{sizeof(mpscnn_chroma), blue,          red,           options.chroma_row_bytes,
                  options.matrix,        options.range, options.siting} {}

    void link() noexcept {
        if (image_.chroma) image_.chroma = &chroma_;
    }

    mpscnn_image image_;
    mpscnn_chroma chroma_{}; ///< which image_ points to
};

/// Fills `output`, (height, width, channels), from a photo. `preprocess` as in mpscnn_preprocess.
inline void preprocess(const ImageView &image, const std::string &preprocess, int height, int width,
                       int channels, std::span<float> output) {
    const std::int64_t needed = std::int64_t{height} * width * channels;
    if (static_cast<std::int64_t>(output.size()) != needed)
        throw ShapeError("preprocess: the output has " + std::to_string(output.size()) +
                         " floats, needed are " + std::to_string(needed));
    detail::check(
        mpscnn_preprocess(image.get(), detail::c_string(preprocess), height, width, channels, output.data()));
}

/// The description `preprocess`, for a network input of 1 or 3 channels, with every field filled in, checked.
inline std::string describe_preprocess(const std::string &preprocess, int channels = 3) {
    return detail::text_of(mpscnn_preprocess_describe, detail::c_string(preprocess), channels);
}

// ---- Models
// ------------------------------------------------------------------------------------------------

/// A class with its probability: `auto [label, probability] = prediction`.
struct Prediction {
    std::string label;
    float probability;
    int index; ///< of the class

    template <std::size_t I> const auto &get() const noexcept {
        if constexpr (I == 0)
            return label;
        else
            return probability;
    }
};

/// Classes, the most probable first.
class Predictions {
public:
    explicit Predictions(mpscnn_predictions *handle) : handle_(handle) {}

    int size() const noexcept { return mpscnn_predictions_count(handle_.get()); }
    Prediction operator[](int rank) const {
        mpscnn_prediction raw{};
        detail::check(mpscnn_predictions_get(handle_.get(), rank, &raw));
        return {raw.label, raw.probability, raw.index};
    }
    /// The `count` best, or all when there are fewer.
    std::vector<Prediction> top(int count) const {
        std::vector<Prediction> best;
        for (int rank = 0; rank < count && rank < size(); ++rank) best.push_back((*this)[rank]);
        return best;
    }

private:
    detail::Handle<mpscnn_predictions, mpscnn_predictions_release> handle_;
};

/// The class of every pixel of a photo as seen, row by row; 255 for those that the preprocessing crops away.
struct Segmentation {
    int height, width, classes;
    std::vector<std::uint8_t> labels;
    std::vector<float> scores; ///< of every class of every pixel, where wanted

    /// With memory for a photo; `classes` 0: without scores.
    static Segmentation for_photo(const ImageView &photo, int classes) {
        Segmentation result{photo.oriented_height(), photo.oriented_width(), classes, {}, {}};
        const std::size_t pixels =
            static_cast<std::size_t>(result.height) * static_cast<std::size_t>(result.width);
        result.labels.resize(pixels);
        result.scores.resize(pixels * static_cast<std::size_t>(classes));
        return result;
    }
    float *score_data() noexcept { return classes == 0 ? nullptr : scores.data(); }
};

/// An object on a photo.
struct Detection {
    std::string label;
    int index; ///< of the class, the background not counted
    float score;
    float left, top, right, bottom;
    int anchor; ///< which of the network's boxes it is
};

using DetectOptions = mpscnn_detect_options;

namespace detail {

inline std::vector<Detection> detections_of(mpscnn_detections *raw) {
    const Handle<mpscnn_detections, mpscnn_detections_release> detections(raw);
    std::vector<Detection> result;
    for (int rank = 0; rank < mpscnn_detections_count(raw); ++rank) {
        mpscnn_detection entry{};
        check(mpscnn_detections_get(raw, rank, &entry));
        result.push_back({entry.label, entry.index, entry.score, entry.left, entry.top, entry.right,
                          entry.bottom, entry.anchor});
    }
    return result;
}

} // namespace detail

/// What a model file holds: a network, its preprocessing and labels. May be used from several threads.
class ModelFile {
public:
    static ModelFile load(const std::string &path) {
        mpscnn_model *handle = nullptr;
        detail::check(mpscnn_model_load(detail::c_string(path), &handle));
        return ModelFile(handle);
    }
    /// See mpscnn_model_check.
    static void check(const std::string &path) { detail::check(mpscnn_model_check(detail::c_string(path))); }
    /// From memory, which is copied; `origin` names it in messages.
    static ModelFile parse(std::span<const std::byte> bytes, const std::string &origin) {
        mpscnn_model *handle = nullptr;
        detail::check(mpscnn_model_parse(bytes.data(), bytes.size(), detail::c_string(origin), &handle));
        return ModelFile(handle);
    }

    Graph graph() const {
        mpscnn_graph *graph = nullptr;
        detail::check(mpscnn_model_graph(get(), &graph));
        return Graph(graph);
    }
    /// JSON, see mpscnn_model_describe.
    std::string describe() const { return detail::text_of(mpscnn_model_describe, get()); }

    /// The `top` best classes, all when 0.
    Predictions classify(Session &session, const ImageView &image, int top = 0) const {
        mpscnn_predictions *predictions = nullptr;
        detail::check(mpscnn_model_classify(get(), session.get(), image.get(), top, &predictions));
        return Predictions(predictions);
    }
    /// The same from a run's output, see mpscnn_model_rank.
    Predictions rank(const Program &program, const mpscnn_tensor &output, int top = 0) const {
        mpscnn_predictions *predictions = nullptr;
        detail::check(mpscnn_model_rank(get(), program.get(), &output, top, &predictions));
        return Predictions(predictions);
    }

    /// The objects on the photo, the most probable first, boxes in its pixels.
    std::vector<Detection> detect(Session &session, const ImageView &image,
                                  const DetectOptions &options = {}) const {
        mpscnn_detections *detections = nullptr;
        detail::check(mpscnn_model_detect(get(), session.get(), image.get(), &options, &detections));
        return detail::detections_of(detections);
    }
    /// Anchors that the file stores, see mpscnn_model_anchors.
    std::span<const float> anchors() const {
        const float *data = nullptr;
        std::int64_t count = 0;
        detail::check(mpscnn_model_anchors(get(), &data, &count));
        return {data, 4 * static_cast<std::size_t>(count)};
    }

    /// The class of every pixel, and their scores where `classes` is the network's number of them; 0:
    /// without.
    Segmentation segment(Session &session, const ImageView &image, int classes = 0) const {
        Segmentation result = Segmentation::for_photo(image, classes);
        segment(session, image, result.labels.data(), result.score_data(), classes);
        return result;
    }
    /// Into memory of the caller, see mpscnn_model_segment.
    void segment(Session &session, const ImageView &image, std::uint8_t *labels, float *scores,
                 int classes) const {
        detail::check(mpscnn_model_segment(get(), session.get(), image.get(), labels, scores, classes));
    }

    mpscnn_model *get() const noexcept { return handle_.get(); }

private:
    explicit ModelFile(mpscnn_model *handle) : handle_(handle) {}

    detail::Handle<mpscnn_model, mpscnn_model_release> handle_;
};

struct ModelOptions {
    std::string device = "auto";
    std::string precision = "auto";
    int threads = 0; ///< 0: as many as this process may run at once
};

/// A model file compiled for a device, with one session. For several threads take `file()` and a session for
/// each.
class Model {
public:
    static Model load(const std::string &path, const ModelOptions &options = {}) {
        return Model(ModelFile::load(path), options);
    }
    explicit Model(ModelFile file, const ModelOptions &options = {})
        : file_(std::move(file)),
          program_(file_.graph().compile({.device = options.device, .precision = options.precision})),
          session_(program_.session({.threads = options.threads})) {}

    const ModelFile &file() const noexcept { return file_; }
    const Program &program() const noexcept { return program_; }

    Predictions classify(const ImageView &image, int top = 0) { return file_.classify(session_, image, top); }
    std::vector<Detection> detect(const ImageView &image, const DetectOptions &options = {}) {
        return file_.detect(session_, image, options);
    }
    Segmentation segment(const ImageView &image, int classes = 0) {
        return file_.segment(session_, image, classes);
    }

private:
    ModelFile file_;
    Program program_;
    Session session_;
};

} // namespace api
} // namespace mpscnn

template <> struct std::tuple_size<mpscnn::Prediction> : std::integral_constant<std::size_t, 2> {};
template <> struct std::tuple_element<0, mpscnn::Prediction> {
    using type = const std::string;
};
template <> struct std::tuple_element<1, mpscnn::Prediction> {
    using type = const float;
};

#include "detection.hpp" // boxes from the heads of detectors
#include "kernels.hpp"   // raw kernels, images and command buffers
#include "runner.hpp"    // many frames in order, several at once
#include "training.hpp"  // gradients, losses, optimisers
