/// Tensors, signals, programs, sessions and graphs for C++20. Part of mpscnn.hpp, which includes this file.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "custom_layer.hpp"
#include "error.hpp"
#include "json.hpp"
#include "layer.hpp"

namespace mpscnn {
inline namespace api {

// ---- The library ------------------------------------------------------------------------------------------

inline std::string version() { return mpscnn_version(); }
/// Return texts in JSON; see the C functions of the same names.
inline std::string build_config() { return detail::text_of(mpscnn_build_config); }
inline std::string operations() { return detail::text_of(mpscnn_operations); }
inline std::string cases() { return detail::text_of(mpscnn_cases); }
inline std::string unsupported_features() { return detail::text_of(mpscnn_unsupported_features); }
/// Allocate pages; see mpscnn_pages_allocate. The memory must be released with mpscnn_pages_release.
inline void *allocate_pages(std::size_t bytes) {
    void *memory = nullptr;
    detail::ensure(mpscnn_pages_allocate(bytes, &memory));
    return memory;
}
/// Return the devices as JSON; see mpscnn_devices.
inline std::string devices_json() { return detail::text_of(mpscnn_devices); }
/// Return the processors as JSON; see mpscnn_processors.
inline std::string processors_json() { return detail::text_of(mpscnn_processors); }

/// A device that options may name; see mpscnn_devices.
struct Device {
    std::string name; ///< "cpu", "metal", "metal:0x100000abc"
    bool available;
    std::string description;             ///< empty if it is not available
    std::string reason;                  ///< why it is not available, otherwise empty
    std::vector<std::string> precisions; ///< "float32", ...
};

inline std::vector<Device> devices() {
    const detail::JsonDocument document(devices_json());
    std::vector<Device> result;
    document.root().for_each([&](const char *, detail::JsonValue device) {
        const auto text = [&](const char *name) {
            return device.has(name) ? device[name].string() : std::string();
        };
        result.push_back(
            {text("name"), device["available"].boolean(), text("description"), text("reason"),
             device.has("precisions") ? device["precisions"].strings() : std::vector<std::string>()});
    });
    return result;
}

/// Check a device and return the verdict; see mpscnn_check_device.
inline std::string check_device(const std::string &device) {
    return detail::text_of(mpscnn_check_device, detail::c_string(device));
}

/// Compile a Core ML model package, and return the path of the compiled model; see mpscnn_coreml_compile.
inline std::string coreml_compile(const std::string &package) {
    return detail::text_of(mpscnn_coreml_compile, detail::c_string(package));
}

// ---- Tensors ----------------------------------------------------------------------------------------------

/// Extents, batch first; a free extent is -1.
using Shape = std::vector<std::int64_t>;

namespace detail {

template <class Element>
mpscnn_tensor dense(Element *data, mpscnn_dtype type, std::span<const std::int64_t> shape) {
    if (shape.size() > MPSCNN_MAX_RANK)
        throw ShapeError(std::to_string(shape.size()) + " axes, at most " + std::to_string(MPSCNN_MAX_RANK) +
                         " are possible");
    mpscnn_tensor tensor{};
    // The C struct has a pointer to writable memory, because it is also used for outputs. The library only
    // writes to outputs.
    tensor.data = const_cast<std::remove_const_t<Element> *>(data);
    tensor.dtype = type;
    tensor.rank = static_cast<int>(shape.size());
    for (std::size_t axis = 0; axis < shape.size(); ++axis) tensor.shape[axis] = shape[axis];
    return tensor;
}

inline Shape shape_of(const std::int64_t *extents, int rank) { return Shape(extents, extents + rank); }

} // namespace detail

/// Return a tensor in the caller's memory, row-major without gaps. For other strides, fill in an
/// mpscnn_tensor.
inline mpscnn_tensor tensor(const float *data, std::span<const std::int64_t> shape) {
    return detail::dense(data, MPSCNN_FLOAT32, shape);
}
/// Return a tensor of IEEE halves, as 16-bit integers, in the caller's memory.
inline mpscnn_tensor half_tensor(const std::uint16_t *data, std::span<const std::int64_t> shape) {
    return detail::dense(data, MPSCNN_FLOAT16, shape);
}
/// Return a tensor of quantised weights.
inline mpscnn_tensor uint8_tensor(const std::uint8_t *data, std::span<const std::int64_t> shape) {
    return detail::dense(data, MPSCNN_UINT8, shape);
}

/// Convert floats to halves, rounding to nearest even; both spans have the same length. Return the number of
/// finite floats that became infinities.
inline std::size_t halves_from_floats(std::span<const float> floats, std::span<std::uint16_t> halves) {
    if (floats.size() != halves.size())
        throw ShapeError("halves_from_floats: source and destination differ in length");
    std::size_t overflows = 0;
    detail::ensure(mpscnn_halves_from_floats(floats.data(), halves.data(), floats.size(), &overflows));
    return overflows;
}
inline void floats_from_halves(std::span<const std::uint16_t> halves, std::span<float> floats) {
    if (floats.size() != halves.size())
        throw ShapeError("floats_from_halves: source and destination differ in length");
    detail::ensure(mpscnn_floats_from_halves(halves.data(), floats.data(), halves.size()));
}

// ---- Signals ----------------------------------------------------------------------------------------------

enum class ConvolveMode { full = 0, same = 1, valid = 2 };
enum class ConvolveBoundary { zero = 0, clamp = 1 };

struct ConvolveOptions {
    /// The number of axes of a signal, 1 or 2. They are the last axes of a tensor; the axes before them
    /// number the signals.
    int axes = 1;
    ConvolveMode mode = ConvolveMode::full;
    ConvolveBoundary boundary = ConvolveBoundary::zero;
    bool correlate = false;     ///< true: the kernel is not reversed
    std::string device = "cpu"; ///< or "metal", which supports float32 only
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
    detail::ensure(mpscnn_convolve(&signal, &kernel, &given, &result));
    return detail::shape_of(result.shape, result.rank);
}

/// Compute result[i] = sum of kernel[t] * signal[i - t]. `result` must have the shape of convolved_shape.
inline void convolve(const mpscnn_tensor &signal, const mpscnn_tensor &kernel, mpscnn_tensor result,
                     const ConvolveOptions &options = {}) {
    if (!result.data) throw ParameterError("result: data must not be null");
    const mpscnn_convolve_options given = detail::c_options(options);
    detail::ensure(mpscnn_convolve(&signal, &kernel, &given, &result));
}

// ---- Running a network ------------------------------------------------------------------------------------

struct CompileOptions {
    std::string device = "auto";
    std::string precision = "auto";
    std::vector<std::string> outputs{};    ///< layers whose results are the outputs; empty: the network's
                                           ///< outputs
    std::uint64_t max_memory = 0;          ///< see mpscnn_compile_options.max_memory
    std::string weights = "auto";          ///< see mpscnn_compile_options.weights
    std::string accumulate_dtype = "auto"; ///< see mpscnn_compile_options.accumulate_dtype
    bool winograd = true;                  ///< the opposite of mpscnn_compile_options.no_winograd
    std::string metal_kernels = "mps";     ///< see mpscnn_compile_options.metal_kernels
    bool neural_engine = false;            ///< see mpscnn_compile_options.neural_engine
};

/// Options of a session. This is the C struct, as for other options that are plain numbers: Session(program,
/// {.threads = 2}).
using SessionOptions = mpscnn_session_options;

/// Name and shape of an input or output.
struct Port {
    std::string name;
    Shape shape;
};

class Session;

/// A network compiled for a device. Several threads may use it.
class Program {
public:
    explicit Program(mpscnn_program *handle) : handle_(handle) {}

    Session session(const SessionOptions &options = {}) const;

    /// Return "cpu", "metal" or "coreml".
    std::string device() const { return mpscnn_program_device(get()); }
    /// Return a warning about the device for the user, or an empty text; see mpscnn_program_warning.
    std::string warning() const { return mpscnn_program_warning(get()); }
    std::vector<Port> inputs() const {
        return ports(mpscnn_program_input_count(get()), mpscnn_program_input);
    }
    std::vector<Port> outputs() const {
        return ports(mpscnn_program_output_count(get()), mpscnn_program_output);
    }
    /// Return a description as JSON; see mpscnn_program_describe.
    std::string describe() const { return detail::text_of(mpscnn_program_describe, get()); }

    struct Planned {
        std::vector<Shape> outputs;
        std::size_t arena_bytes;
    };
    /// Return the shapes of the outputs and the bytes of intermediate results, for these shapes of the
    /// inputs.
    Planned plan(std::span<const Shape> inputs) const;
    /// Return an explanation as JSON; see mpscnn_program_explain.
    std::string explain(std::span<const Shape> inputs, int threads = 0) const;
    /// Return a hash of the outputs for fixed noise of these shapes; see mpscnn_program_fingerprint.
    std::uint64_t fingerprint(std::span<const Shape> inputs, int threads = 0) const;

    mpscnn_program *get() const noexcept { return handle_.get(); }

private:
    template <class Function> std::vector<Port> ports(int count, Function function) const {
        std::vector<Port> result;
        for (int i = 0; i < count; ++i) {
            const char *name = nullptr;
            std::array<std::int64_t, MPSCNN_MAX_RANK> extents{};
            int rank = 0;
            detail::ensure(function(get(), i, &name, extents.data(), &rank));
            result.push_back({name, detail::shape_of(extents.data(), rank)});
        }
        return result;
    }

    detail::Handle<mpscnn_program, mpscnn_program_release> handle_;
};

/// A run that may still be in flight. Its destructor waits for it.
class Request {
public:
    explicit Request(mpscnn_request *handle) : handle_(handle) {}

    /// Wait for the end of the run. Throws the run's error.
    void wait() {
        int done = 0;
        detail::ensure(mpscnn_request_wait(get(), -1.0, &done));
    }
    /// Wait for the end of the run, at most this time, and return true if it has ended. Throws the run's
    /// error.
    bool wait_for(double seconds) {
        int done = 0;
        detail::ensure(mpscnn_request_wait(get(), seconds < 0 ? 0.0 : seconds, &done));
        return done != 0;
    }

    mpscnn_request *get() const noexcept { return handle_.get(); }

private:
    detail::Handle<mpscnn_request, mpscnn_request_release> handle_;
};

/// The times of every step of a program, both as JSON; see mpscnn_session_profile.
struct Profile {
    std::string json;
    std::string trace; ///< for chrome://tracing and Perfetto
};

/// A caller's state for running a program. It keeps the program alive. Only one thread at a time may use it.
class Session {
public:
    explicit Session(const Program &program, const SessionOptions &options = {})
        : inputs_(program.inputs()), outputs_(program.outputs()) {
        mpscnn_session *handle = nullptr;
        detail::ensure(mpscnn_session_create(program.get(), &options, &handle));
        handle_.reset(handle);
    }

    /// Run a network with one input and one output whose only free extent is the batch, which follows from
    /// the input's length. On the CPU, a run with the last run's batch size allocates nothing.
    void run(std::span<const float> input, std::span<float> output) {
        if (inputs_.size() != 1 || outputs_.size() != 1)
            throw ShapeError("the network has " + std::to_string(inputs_.size()) + " inputs and " +
                             std::to_string(outputs_.size()) + " outputs: pass them as tensors");
        const std::int64_t batch = batch_of(inputs_[0], input.size());
        const mpscnn_tensor source = filled(inputs_[0], input.data(), input.size(), batch);
        const mpscnn_tensor destination = filled(outputs_[0], output.data(), output.size(), batch);
        run({&source, 1}, {&destination, 1});
    }

    /// Run any number of inputs and outputs, in float32 or float16, with any strides.
    void run(std::span<const mpscnn_tensor> inputs, std::span<const mpscnn_tensor> outputs) {
        detail::ensure(mpscnn_session_run(get(), inputs.data(), detail::count(inputs.size()), outputs.data(),
                                          detail::count(outputs.size())));
    }

    /// Run this many times (0: 20), and return the time of every step. The outputs are written.
    Profile profile(std::span<const mpscnn_tensor> inputs, std::span<const mpscnn_tensor> outputs,
                    int runs = 0) {
        const mpscnn_profile_options options{sizeof options, runs};
        mpscnn_text *raw_json = nullptr, *raw_trace = nullptr;
        detail::ensure(mpscnn_session_profile(get(), inputs.data(), detail::count(inputs.size()),
                                              outputs.data(), detail::count(outputs.size()), &options,
                                              &raw_json, &raw_trace));
        const detail::Text json(raw_json), trace(raw_trace);
        return {detail::string_of(json), detail::string_of(trace)};
    }

    /// Submit a run; the memory of inputs and outputs must stay valid until it has ended. See
    /// mpscnn_session_submit.
    Request submit(std::span<const mpscnn_tensor> inputs, std::span<const mpscnn_tensor> outputs) {
        mpscnn_request *request = nullptr;
        detail::ensure(mpscnn_session_submit(get(), inputs.data(), detail::count(inputs.size()),
                                             outputs.data(), detail::count(outputs.size()), &request));
        return Request(request);
    }

    mpscnn_session *get() const noexcept { return handle_.get(); }

private:
    /// Return the number of elements of one image.
    static std::int64_t elements_of(const Port &port) {
        std::int64_t elements = 1;
        for (std::size_t axis = 1; axis < port.shape.size(); ++axis) {
            if (port.shape[axis] < 1)
                throw ShapeError("'" + port.name +
                                 "' has another free extent than the batch: pass tensors with shapes");
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

/// Return the program that `function` compiles. It is called with the options and the place for the program.
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
    raw.weights = detail::c_string(options.weights);
    raw.accumulate_dtype = detail::c_string(options.accumulate_dtype);
    raw.no_winograd = options.winograd ? 0 : 1;
    raw.metal_kernels = detail::c_string(options.metal_kernels);
    raw.neural_engine = options.neural_engine ? 1 : 0;
    mpscnn_program *program = nullptr;
    ensure(function(&raw, &program));
    return Program(program);
}

} // namespace detail

inline Session Program::session(const SessionOptions &options) const { return Session(*this, options); }

inline Program::Planned Program::plan(std::span<const Shape> inputs) const {
    std::vector<mpscnn_tensor> sources;
    for (const Shape &shape : inputs) sources.push_back(tensor(nullptr, shape));
    std::vector<mpscnn_tensor> results(static_cast<std::size_t>(mpscnn_program_output_count(get())));
    Planned planned{};
    detail::ensure(mpscnn_program_output_shapes(get(), sources.data(), detail::count(sources.size()),
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

inline std::uint64_t Program::fingerprint(std::span<const Shape> inputs, int threads) const {
    std::vector<mpscnn_tensor> sources;
    for (const Shape &shape : inputs) sources.push_back(tensor(nullptr, shape));
    std::uint64_t result = 0;
    detail::ensure(
        mpscnn_program_fingerprint(get(), sources.data(), detail::count(sources.size()), threads, &result));
    return result;
}

// ---- Building a network -----------------------------------------------------------------------------------

/// The number with which layers refer to an input or to an earlier layer's result.
using Value = int;

/// The quantization of uint8 and int32 weights: number = (integer - zero_point) * scale. There is one entry,
/// or one for each index of the first axis.
struct Quantization {
    std::vector<float> scales{}, zero_points{};
};

/// A stored weight; `tensor` refers to memory of the graph, see mpscnn_graph_get_weight.
struct Weight {
    mpscnn_tensor tensor;
    Quantization quantization;
};

/// The computational cost of a layer for one image.
struct Layer {
    std::string name, operation;
    Shape output;
    std::int64_t parameters, macs, flops;
};

/// A weight of a layer or kernel, which may not be set yet. `layer` is empty for a kernel.
struct WeightInfo {
    std::string layer, role;
    Shape shape;
    bool required, set;
    std::string dtype; ///< "float32", "float16", "uint8", "int32"; empty if not set, and for kernels
};

namespace detail {

inline std::vector<WeightInfo> weights_of(const std::string &json) {
    const JsonDocument document(json);
    std::vector<WeightInfo> result;
    document.root().for_each([&](const char *, JsonValue weight) {
        const auto text = [&](const char *name) {
            return weight.has(name) && !weight[name].is_null() ? weight[name].string() : std::string();
        };
        result.push_back({text("layer"), text("role"), weight["shape"].integers(),
                          weight["required"].boolean(), weight["set"].boolean(), text("dtype")});
    });
    return result;
}

} // namespace detail

/// The metadata of a model file, in addition to the network.
struct SaveOptions {
    std::vector<std::string> labels{};                ///< names of the classes; empty: none
    std::string preprocess{};                         ///< as in mpscnn_preprocess; empty: the network takes
                                                      ///< no photos
    std::map<std::string, std::string> information{}; ///< license, source, description
    std::string scores{}; ///< as in mpscnn_model_set_scores; empty: nothing is stated
};

class Graph {
public:
    explicit Graph(mpscnn_graph *handle) : handle_(handle) {}

    static Graph create(const std::string &name) {
        mpscnn_graph *handle = nullptr;
        detail::ensure(mpscnn_graph_create(detail::c_string(name), &handle));
        return Graph(handle);
    }
    static Graph from_json(std::string_view json) {
        mpscnn_graph *handle = nullptr;
        detail::ensure(mpscnn_graph_from_json(json.data(), json.size(), &handle));
        return Graph(handle);
    }
    /// Return an independent graph that shares the memory of weights with this one.
    Graph copy() const {
        mpscnn_graph *handle = nullptr;
        detail::ensure(mpscnn_graph_copy(get(), &handle));
        return Graph(handle);
    }

    Value add_input(const std::string &name, std::span<const std::int64_t> shape) {
        Value value = 0;
        detail::ensure(mpscnn_graph_add_input(get(), detail::c_string(name), shape.data(),
                                              detail::count(shape.size()), &value));
        return value;
    }
    Value add_variable(const std::string &name, std::span<const std::int64_t> shape) {
        Value value = 0;
        detail::ensure(mpscnn_graph_add_variable(get(), detail::c_string(name), shape.data(),
                                                 detail::count(shape.size()), &value));
        return value;
    }
    void use_variable(Value layer, const std::string &role, Value variable) {
        detail::ensure(mpscnn_graph_use_variable(get(), layer, detail::c_string(role), variable));
    }
    /// Add a layer; `attributes` and `activation` are JSON objects. Empty texts mean default attributes and
    /// no activation.
    Value add_node(const std::string &operation, const std::string &name, std::span<const Value> inputs,
                   const std::string &attributes = {}, const std::string &activation = {}) {
        Value value = 0;
        detail::ensure(mpscnn_graph_add_node(
            get(), detail::c_string(operation), detail::c_string(name), inputs.data(),
            detail::count(inputs.size()), detail::or_null(attributes), detail::or_null(activation), &value));
        return value;
    }
    /// Add a layer from a struct of layer.hpp: graph.add(layer::Pooling{.kernel_height = 2}, "pool1", x).
    template <detail::HasFields Options>
    Value add(const Options &options, const std::string &name, std::span<const Value> inputs,
              const std::optional<layer::Neuron> &activation = {}) {
        return add_node(Options::operation, name, inputs, detail::json_object(options),
                        activation ? detail::json_object(*activation) : std::string());
    }
    template <detail::HasFields Options>
    Value add(const Options &options, const std::string &name, std::initializer_list<Value> inputs,
              const std::optional<layer::Neuron> &activation = {}) {
        return add(options, name, std::span(inputs.begin(), inputs.size()), activation);
    }
    template <detail::HasFields Options>
    Value add(const Options &options, const std::string &name, Value input,
              const std::optional<layer::Neuron> &activation = {}) {
        return add(options, name, std::span(&input, 1), activation);
    }
    /// Add a layer that functions of the program compute.
    Value add_custom(const std::string &name, std::span<const Value> inputs, CustomLayer layer) {
        Value value = 0;
        detail::with_custom_layer(std::move(layer), [&](const mpscnn_custom_layer *raw) {
            detail::ensure(mpscnn_graph_add_custom(get(), detail::c_string(name), inputs.data(),
                                                   detail::count(inputs.size()), raw, &value));
        });
        return value;
    }
    void mark_output(Value value) { detail::ensure(mpscnn_graph_mark_output(get(), value)); }
    /// Set whether a layer stays float32 if the network computes in float16 or int8.
    void keep_float32(Value value, bool keep = true) {
        detail::ensure(mpscnn_graph_keep_float32(get(), value, keep));
    }
    /// Keep in float32 all layers that compute positions beyond 2048 for take_along_axis. Compiling in
    /// float16 does this in its copy of the graph.
    void keep_positions() { detail::ensure(mpscnn_graph_keep_positions(get())); }
    /// Set whether training changes a layer's weights.
    void set_learning(Value value, bool learns) {
        detail::ensure(mpscnn_graph_set_learning(get(), value, learns));
    }
    /// Set how integers of `type`, "uint8" or "int8", represent a value's numbers in networks that compute in
    /// int8: number = (integer - zero_point) * scale.
    void quantize(Value value, const std::string &type, float scale, int zero_point) {
        detail::ensure(mpscnn_graph_quantize(get(), value, detail::c_string(type), scale, zero_point));
    }

    Shape shape(Value value) const {
        std::array<std::int64_t, MPSCNN_MAX_RANK> extents{};
        int rank = 0;
        detail::ensure(mpscnn_graph_shape(get(), value, extents.data(), &rank));
        return detail::shape_of(extents.data(), rank);
    }

    /// Set a weight to a copy of the tensor.
    void set_weight(const std::string &layer, const std::string &role, const mpscnn_tensor &tensor,
                    const Quantization &quantization = {}) {
        if (quantization.scales.size() != quantization.zero_points.size())
            throw ShapeError(layer + "." + role + ": " + std::to_string(quantization.scales.size()) +
                             " scales, but " + std::to_string(quantization.zero_points.size()) +
                             " zero points");
        detail::ensure(mpscnn_graph_set_weight(
            get(), detail::c_string(layer), detail::c_string(role), &tensor, quantization.scales.data(),
            quantization.zero_points.data(), static_cast<std::int64_t>(quantization.scales.size())));
    }
    /// Set a weight to that of a layer in another graph; see mpscnn_graph_share_weight.
    void share_weight(const std::string &layer, const std::string &role, const Graph &source,
                      const std::string &source_layer) {
        detail::ensure(mpscnn_graph_share_weight(get(), detail::c_string(layer), detail::c_string(role),
                                                 source.get(), detail::c_string(source_layer)));
    }
    Weight weight(const std::string &layer, const std::string &role) const {
        Weight weight{};
        const float *scales = nullptr, *zero_points = nullptr;
        std::int64_t count = 0;
        detail::ensure(mpscnn_graph_get_weight(get(), detail::c_string(layer), detail::c_string(role),
                                               &weight.tensor, &scales, &zero_points, &count));
        weight.quantization = {{scales, scales + count}, {zero_points, zero_points + count}};
        return weight;
    }

    /// Return "softmax" or "sigmoid" if the only output has its results; see mpscnn_graph_scores.
    std::optional<std::string> scores() const {
        const char *found = nullptr;
        detail::ensure(mpscnn_graph_scores(get(), &found));
        return found ? std::optional<std::string>(found) : std::nullopt;
    }
    std::string to_json() const { return detail::text_of(mpscnn_graph_to_json, get()); }
    /// Return a description as JSON; see mpscnn_graph_describe.
    std::string describe(std::int64_t height = 0, std::int64_t width = 0) const {
        return detail::text_of(mpscnn_graph_describe, get(), height, width);
    }
    /// Return the layers for one image. `height` and `width` are needed if the inputs' size is free.
    std::vector<Layer> layers(std::int64_t height = 0, std::int64_t width = 0) const {
        const detail::JsonDocument document(describe(height, width));
        std::vector<Layer> result;
        document.root()["layers"].for_each([&](const char *, detail::JsonValue entry) {
            result.push_back({entry["name"].string(), entry["operation"].string(), entry["output"].integers(),
                              entry["parameters"].integer(), entry["macs"].integer(),
                              entry["flops"].integer()});
        });
        return result;
    }
    /// Return all weights, also those that are not set.
    std::vector<WeightInfo> weights() const { return detail::weights_of(weights_json()); }
    /// Return the weights as JSON; see mpscnn_graph_weights.
    std::string weights_json() const { return detail::text_of(mpscnn_graph_weights, get()); }

    /// Write a model file; see mpscnn_graph_save.
    void save(const std::string &path, const SaveOptions &options = {}) const {
        std::string description = "{\"labels\":" + detail::json_of(options.labels) + ",\"information\":{";
        for (const auto &[key, text] : options.information)
            description += (description.back() == '{' ? "" : ",") + detail::json_text(std::string_view(key)) +
                           ":" + detail::json_text(std::string_view(text));
        description += "}";
        if (!options.preprocess.empty()) description += ",\"preprocess\":" + options.preprocess;
        if (!options.scores.empty())
            description += ",\"scores\":" + detail::json_text(std::string_view(options.scores));
        description += "}";
        detail::ensure(mpscnn_graph_save(get(), detail::c_string(description), detail::c_string(path)));
    }

    /// Compile the network. The program does not need the graph any more.
    Program compile(const CompileOptions &options = {}) const {
        return detail::compile(options, [&](const mpscnn_compile_options *raw, mpscnn_program **program) {
            return mpscnn_program_compile(get(), raw, program);
        });
    }

    mpscnn_graph *get() const noexcept { return handle_.get(); }

private:
    detail::Handle<mpscnn_graph, mpscnn_graph_release> handle_;
};

} // namespace api
} // namespace mpscnn
