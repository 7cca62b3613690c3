// libFuzzer target for arguments of the C interface. README.md in this folder describes how to run it.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <mpscnn/mpscnn.h>

#include "tests/fuzz/calls.h"
#include "tests/fuzz/choices.h"
#include "tests/fuzz/time_budget.h"

namespace {

constexpr std::size_t pool_bytes = 1 << 18;

std::vector<unsigned char> filled_bytes() {
    std::vector<unsigned char> bytes(pool_bytes);
    for (std::size_t i = 0; i + 4 <= bytes.size(); i += 4) {
        const float value = static_cast<float>(i % 97) / 16.0f - 3.0f;
        std::memcpy(&bytes[i], &value, sizeof value);
    }
    return bytes;
}

/// Memory to which all pointers in arguments refer, so that a sanitizer finds accesses outside of it. There
/// is one for all inputs, which each input finds with the same content: making it for each input took half of
/// the time.
struct Pool {
    Pool() {
        static const std::vector<unsigned char> filled = filled_bytes();
        std::memcpy(bytes.data(), filled.data(), pool_bytes);
    }

    static inline std::vector<unsigned char> bytes = std::vector<unsigned char>(pool_bytes);
};

mpscnn_graph *usual_graph() {
    static const std::vector<unsigned char> weights(4 * 3 * 3 * 3 * 2, 0x3d);
    const std::int64_t shape[] = {-1, -1, -1, 2};
    int input = 0, result = 0;
    mpscnn_graph *graph = nullptr;
    succeeded(mpscnn_graph_create("usual", &graph));
    succeeded(mpscnn_graph_add_input(graph, "x", shape, 4, &input));
    succeeded(mpscnn_graph_add_node(graph, "convolution", "c", &input, 1,
                                    R"({"output_channels": 3, "kernel_height": 3, "kernel_width": 3})",
                                    R"({"kind": "relu"})", &result));
    succeeded(mpscnn_graph_mark_output(graph, result));
    mpscnn_tensor weight{};
    weight.data = const_cast<unsigned char *>(weights.data());
    weight.rank = 4;
    std::copy_n(std::array<std::int64_t, 4>{3, 3, 3, 2}.data(), 4, weight.shape);
    succeeded(mpscnn_graph_set_weight(graph, "c", "weight", &weight, nullptr, nullptr, 0));
    return graph;
}

/// A program and a session of usual_graph. All inputs share them, because to make them takes longer than most
/// calls.
struct Usual {
    Usual() {
        mpscnn_graph *graph = usual_graph();
        succeeded(mpscnn_program_compile(graph, nullptr, &program));
        mpscnn_session_options options{};
        options.size = sizeof options;
        options.threads = 1;
        succeeded(mpscnn_session_create(program, &options, &session));
        mpscnn_graph_release(graph);
    }

    mpscnn_program *program = nullptr;
    mpscnn_session *session = nullptr;
};

const Usual &usual() {
    static const Usual made;
    return made;
}

/// Calls functions with arguments that the input determines. An object that a call makes replaces the
/// previous one of its kind.
class Caller {
public:
    explicit Caller(Choices &choices) : choices_(choices) {}
    Caller(const Caller &) = delete;
    Caller &operator=(const Caller &) = delete;
    ~Caller() {
        mpscnn_runner_release(runner_);
        mpscnn_session_release(own_session_);
        mpscnn_program_release(own_program_);
        mpscnn_graph_release(graph_);
        mpscnn_detector_release(detector_);
        mpscnn_kernel_release(kernel_);
        mpscnn_feature_image_release(image_);
    }

    void call() {
        static constexpr void (Caller::*calls[])() = {
            &Caller::build,  &Caller::set_weight, &Caller::describe, &Caller::compile, &Caller::open,
            &Caller::run,    &Caller::submit,     &Caller::frames,   &Caller::photos,  &Caller::detect,
            &Caller::kernel, &Caller::image,      &Caller::convolve, &Caller::convert};
        (this->*calls[choices_.below(std::size(calls))])();
    }

private:
    const char *text() {
        static const char *const known[] = {"",
                                            "x",
                                            "c",
                                            "weight",
                                            "bias",
                                            "convolution",
                                            "concatenation",
                                            "resize",
                                            "cpu",
                                            "metal",
                                            "auto",
                                            "float32",
                                            "bfloat16",
                                            "\xff\xfe",
                                            "\x1b[31m",
                                            "null",
                                            "{}",
                                            "[]",
                                            "{\"",
                                            "CNNConvolution",
                                            "NeuronReLU",
                                            "tensorflow",
                                            "{\"version\": 1, \"anchors\": {\"rule\": \"none\"}}",
                                            "{\"kind\": \"relun\", \"b\": 6}"};
        const std::size_t which = choices_.below(std::size(known) + 2);
        if (which < std::size(known)) return known[which];
        if (which == std::size(known)) return nullptr;
        texts_.push_back(std::make_unique<std::string>(choices_.take(choices_.below(200))));
        return texts_.back()->c_str();
    }

    int integer() { return static_cast<int>(choices_.number()); }

    /// Return an options struct with any bytes. Its size does not exceed the memory of the struct, or is
    /// absurdly large.
    template <class Options> const Options *options() {
        const std::size_t kind = choices_.below(4);
        if (kind == 0) return nullptr;
        auto &memory = *options_.emplace_back(std::make_unique<std::vector<std::uint64_t>>(64));
        auto *bytes = reinterpret_cast<unsigned char *>(memory.data());
        if (kind == 1) {
            const std::string_view given = choices_.take(sizeof(Options));
            std::memcpy(bytes, given.data(), given.size());
        }
        memory[0] = kind == 3 ? static_cast<std::uint64_t>(choices_.number()) : sizeof(Options);
        // A plausible size must not exceed the memory that the caller owns.
        if (memory[0] > memory.size() * 8 && memory[0] < 4096) memory[0] = memory.size() * 8;
        return reinterpret_cast<const Options *>(bytes);
    }

    /// Return a tensor of any shape and strides. It has memory if the pool is large enough.
    mpscnn_tensor tensor() {
        static constexpr int sizes[] = {4, 2, 1, 8};
        mpscnn_tensor tensor{};
        tensor.dtype = choices_.below(8) == 0 ? integer() : static_cast<int>(choices_.below(4));
        tensor.rank = choices_.below(8) == 0 ? integer() : 4;
        const bool strided = choices_.below(4) == 0;
        for (int axis = 0; axis < MPSCNN_MAX_RANK; ++axis) {
            tensor.shape[axis] = choices_.below(8) == 0 ? choices_.number() : 1 + choices_.up_to(4);
            if (strided)
                tensor.strides[axis] = choices_.yes() ? choices_.number() : 4 * choices_.up_to(60) - 80;
        }
        if (tensor.dtype < 0 || tensor.dtype > 3 || tensor.rank < 0 || tensor.rank > MPSCNN_MAX_RANK)
            return tensor;
        __int128 low = 0, high = sizes[tensor.dtype], dense = sizes[tensor.dtype];
        const bool all_zero = std::all_of(tensor.strides, tensor.strides + tensor.rank,
                                          [](std::int64_t stride) { return stride == 0; });
        for (int axis = tensor.rank; axis-- > 0;) {
            if (tensor.shape[axis] < 0 || tensor.shape[axis] > INT32_MAX) return tensor;
            const __int128 stride = all_zero ? dense : tensor.strides[axis];
            const __int128 reach = (tensor.shape[axis] - 1) * stride;
            (reach < 0 ? low : high) += reach;
            dense = std::min<__int128>(dense * tensor.shape[axis], __int128{1} << 62);
        }
        if (high - low <= static_cast<__int128>(pool_bytes - 64) && choices_.below(16) != 0)
            tensor.data = pool_.bytes.data() + static_cast<std::size_t>(-low) + 4 * choices_.below(8) +
                          (choices_.below(16) == 0 ? 1 : 0);
        return tensor;
    }

    mpscnn_image photo() {
        mpscnn_image photo{};
        photo.width = choices_.below(8) == 0 ? integer() : 1 + choices_.up_to(20);
        photo.height = choices_.below(8) == 0 ? integer() : 1 + choices_.up_to(20);
        photo.format = choices_.below(8) == 0 ? integer() : choices_.up_to(16);
        photo.orientation = choices_.below(4) == 0 ? integer() : 1;
        photo.row_bytes = choices_.below(4) == 0 ? 64 * choices_.up_to(10) - 320 : 0;
        const bool small = photo.width <= 20 && photo.height <= 20;
        if (small && choices_.below(16) != 0) photo.pixels = pool_.bytes.data() + pool_bytes / 2;
        if (choices_.yes()) {
            chroma_ = {sizeof chroma_,          pool_.bytes.data() + 4096, pool_.bytes.data() + 8192,
                       choices_.yes() ? 0 : 64, choices_.up_to(2),         choices_.up_to(2),
                       choices_.up_to(2)};
            photo.chroma = small ? &chroma_ : nullptr;
        }
        return photo;
    }

    void build() {
        std::int64_t shape[MPSCNN_MAX_RANK];
        int value = 0, inputs[8];
        for (std::int64_t &extent : shape) extent = choices_.yes() ? -1 : choices_.number();
        for (int &input : inputs) input = choices_.yes() ? choices_.up_to(5) : integer();
        mpscnn_graph *graph = nullptr;
        switch (choices_.below(5)) {
        case 0:
            if (succeeded(mpscnn_graph_create(text(), &graph))) take(graph_, graph, &mpscnn_graph_release);
            break;
        case 1:
            succeeded(mpscnn_graph_add_input(graph_, text(), shape, choices_.yes() ? 4 : integer(), &value));
            break;
        case 2: {
            const int count = choices_.yes() ? choices_.up_to(8) : -choices_.up_to(8);
            succeeded(mpscnn_graph_add_node(graph_, text(), text(), inputs, count, text(), text(), &value));
            break;
        }
        case 3:
            succeeded(mpscnn_graph_mark_output(graph_, choices_.up_to(4) - 1));
            break;
        default: {
            const char *json = text();
            if (succeeded(mpscnn_graph_from_json(json, json ? std::strlen(json) : 5, &graph)))
                take(graph_, graph, &mpscnn_graph_release);
        }
        }
    }

    void set_weight() {
        const mpscnn_tensor weight = tensor();
        const auto *numbers = reinterpret_cast<const float *>(pool_.bytes.data());
        const std::int64_t count = choices_.below(4) == 0 ? -choices_.up_to(3) : choices_.up_to(9);
        succeeded(mpscnn_graph_set_weight(graph_, text(), text(), choices_.below(16) ? &weight : nullptr,
                                          choices_.yes() ? numbers : nullptr,
                                          choices_.yes() ? numbers : nullptr, count));
        mpscnn_tensor stored{};
        const float *scales = nullptr, *points = nullptr;
        std::int64_t stored_count = 0;
        succeeded(mpscnn_graph_get_weight(graph_, text(), text(), &stored, &scales, &points, &stored_count));
        succeeded(mpscnn_graph_share_weight(graph_, text(), text(), graph_, text()));
    }

    void describe() {
        mpscnn_text *json = nullptr;
        std::int64_t shape[MPSCNN_MAX_RANK];
        int rank = 0;
        const char *name = nullptr;
        const auto drop = [&](mpscnn_status status) {
            if (succeeded(status)) mpscnn_text_release(json);
        };
        succeeded(mpscnn_graph_shape(graph_, integer(), shape, &rank));
        succeeded(mpscnn_program_input(program_, integer(), &name, shape, &rank));
        succeeded(mpscnn_program_output(program_, integer(), &name, shape, &rank));
        drop(mpscnn_graph_describe(graph_, choices_.number(), choices_.number(), &json));
        drop(mpscnn_graph_to_json(graph_, &json));
        drop(mpscnn_graph_weights(graph_, &json));
        drop(mpscnn_program_describe(program_, &json));
        const mpscnn_tensor input = tensor();
        drop(mpscnn_program_explain(program_, &input, 1, choices_.yes() ? 1 : integer(), &json));
    }

    void compile() {
        const char *names[] = {text(), text()};
        mpscnn_compile_options given{};
        given.size = sizeof given;
        given.device = choices_.yes() ? "cpu" : text();
        given.precision = choices_.yes() ? nullptr : text();
        given.outputs = choices_.yes() ? names : nullptr;
        given.output_count = choices_.below(4) == 0 ? -1 : choices_.up_to(2);
        given.max_memory = choices_.yes() ? 1 << 26 : static_cast<std::uint64_t>(choices_.number());
        if (given.max_memory == 0 || given.max_memory > 1 << 26) given.max_memory = 1 << 26;
        mpscnn_program *program = nullptr;
        if (!succeeded(mpscnn_program_compile(graph_, &given, &program))) return;
        take(own_program_, program, &mpscnn_program_release);
        program_ = program;
        close_runner();
    }

    void open() {
        mpscnn_session *session = nullptr;
        // Few threads, because the session starts as many as are requested, up to the allowed number.
        mpscnn_session_options few{sizeof few, 1 + choices_.up_to(2), integer(), choices_.up_to(40) - 2, 0};
        few.max_memory = static_cast<std::uint64_t>(choices_.number());
        const auto *any = options<mpscnn_session_options>();
        const bool garbage = choices_.yes() && any && any->size != sizeof few;
        if (!succeeded(mpscnn_session_create(program_, garbage ? any : &few, &session))) return;
        take(own_session_, session, &mpscnn_session_release);
        session_ = session;
    }

    void run() {
        const mpscnn_tensor inputs[] = {tensor(), tensor()};
        mpscnn_tensor outputs[] = {tensor(), tensor()};
        const int in = choices_.below(4) ? 1 : choices_.up_to(3) - 1,
                  out = choices_.below(4) ? 1 : choices_.up_to(3) - 1;
        if (choices_.yes() &&
            succeeded(mpscnn_program_output_shapes(program_, inputs, in, outputs, out, nullptr)) &&
            out >= 1) { // make the first output fit the network
            outputs[0].dtype = MPSCNN_FLOAT32;
            std::fill_n(outputs[0].strides, MPSCNN_MAX_RANK, 0);
            outputs[0].data = pool_.bytes.data() + pool_bytes / 2;
            std::int64_t elements = 1;
            for (int axis = 0; axis < outputs[0].rank; ++axis) elements *= outputs[0].shape[axis];
            if (elements > static_cast<std::int64_t>(pool_bytes / 8)) outputs[0].data = nullptr;
        }
        succeeded(mpscnn_session_run(session_, choices_.below(16) ? inputs : nullptr, in, outputs, out));
    }

    void submit() {
        const mpscnn_tensor input = tensor(), output = tensor();
        mpscnn_request *request = nullptr;
        if (!succeeded(mpscnn_session_submit(session_, &input, 1, &output, 1, &request))) return;
        int done = 0;
        succeeded(mpscnn_request_wait(request, choices_.raw<double>(), &done));
        mpscnn_request_release(request);
    }

    void close_runner() {
        mpscnn_runner_release(runner_);
        runner_ = nullptr;
    }

    void frames() {
        if (!runner_) {
            const mpscnn_runner_options few{
                sizeof few, choices_.up_to(4) - 1,      1 + choices_.up_to(1), choices_.up_to(5) - 1,
                integer(),  choices_.yes() ? 0.0 : -1.0};
            succeeded(mpscnn_runner_create(program_, &few, &runner_));
        }
        const auto handler = [](mpscnn_status status, const char *, void *) {
            if (status == MPSCNN_ERROR_INTERNAL) std::abort();
        };
        const mpscnn_tensor input = tensor(), output = tensor();
        const mpscnn_image pixels = photo();
        std::uint64_t frame = 0;
        int cancelled = 0;
        succeeded(mpscnn_runner_submit(runner_, &input, 1, &output, 1, choices_.below(16) ? handler : nullptr,
                                       nullptr, &frame));
        succeeded(mpscnn_runner_submit_photo(runner_, &pixels, text(), &output, 1, handler, nullptr, &frame));
        succeeded(mpscnn_runner_cancel(runner_, static_cast<std::uint64_t>(choices_.number()), &cancelled));
        succeeded(mpscnn_runner_mark(runner_, handler, nullptr));
        succeeded(mpscnn_runner_wait(runner_)); // before the pixels and tensors are destroyed
        if (choices_.below(4) == 0) close_runner();
    }

    void photos() {
        const mpscnn_image pixels = photo();
        const int height = choices_.below(8) ? 1 + choices_.up_to(30) : integer(),
                  width = choices_.below(8) ? 1 + choices_.up_to(30) : integer(),
                  channels = choices_.below(8) ? 1 + choices_.up_to(3) : integer();
        const bool fits = height <= 31 && width <= 31 && channels <= 4;
        auto *output = reinterpret_cast<float *>(pool_.bytes.data() + pool_bytes / 4 * 3);
        succeeded(mpscnn_preprocess(choices_.below(16) ? &pixels : nullptr, choices_.yes() ? "{}" : text(),
                                    height, width, channels, fits ? output : nullptr));
    }

    void detect() {
        mpscnn_detector *detector = nullptr;
        const auto *numbers = reinterpret_cast<const float *>(pool_.bytes.data());
        const std::int64_t count = choices_.below(8) ? choices_.up_to(50) : -1;
        if (succeeded(mpscnn_detector_create(text(), integer(), integer(), choices_.yes() ? numbers : nullptr,
                                             count, &detector)))
            take(detector_, detector, &mpscnn_detector_release);
        mpscnn_detections *found = nullptr;
        const int columns = choices_.below(8) ? 1 + choices_.up_to(9) : -choices_.up_to(3);
        const auto *limits = options<mpscnn_detect_options>();
        if (!succeeded(
                mpscnn_detector_run(detector_, numbers, numbers + 1024, count, columns, limits, &found)))
            return;
        mpscnn_detection entry{};
        succeeded(mpscnn_detections_get(found, integer(), &entry));
        mpscnn_detection_details details{};
        std::uint8_t pixel = 0; // these settings have no masks
        succeeded(mpscnn_detections_details(found, integer(), &details));
        succeeded(mpscnn_detections_mask(found, integer(), &pixel));
        mpscnn_detections_release(found);
    }

    void kernel() {
        mpscnn_kernel *kernel = nullptr;
        if (succeeded(mpscnn_kernel_create(text(), text(), &kernel)))
            take(kernel_, kernel, &mpscnn_kernel_release);
        const mpscnn_tensor weight = tensor();
        mpscnn_text *json = nullptr;
        succeeded(mpscnn_kernel_set(kernel_, text()));
        succeeded(
            mpscnn_kernel_set_weight(kernel_, text(), &weight, nullptr, nullptr, choices_.up_to(3) - 1));
        if (succeeded(mpscnn_kernel_get(kernel_, &json))) mpscnn_text_release(json);
        mpscnn_image_region region{};
        succeeded(
            mpscnn_kernel_source_region(kernel_, integer(), choices_.number(), choices_.number(), &region));
    }

    void image() {
        // Images have at most some megabytes, because a valid image may need all memory of the machine.
        mpscnn_image_descriptor wanted{sizeof wanted,         1 + choices_.up_to(40), 1 + choices_.up_to(40),
                                       1 + choices_.up_to(9), 1 + choices_.up_to(3),  choices_.up_to(6) - 1};
        if (choices_.below(4) == 0) wanted.width = std::min<std::int64_t>(choices_.number(), 8);
        mpscnn_feature_image *image = nullptr;
        if (succeeded(mpscnn_feature_image_create(&wanted, &image)))
            take(image_, image, &mpscnn_feature_image_release);
        succeeded(mpscnn_feature_image_descriptor(image_, &wanted));
        const auto extent = [&] { return choices_.below(8) ? choices_.up_to(5) : choices_.number(); };
        const mpscnn_image_region region{extent(), extent(), extent(), extent(),
                                         extent(), extent(), extent(), extent()};
        const bool small =
            region.images <= 5 && region.height <= 5 && region.width <= 5 && region.channels <= 5;
        mpscnn_image_data data{sizeof data, small ? pool_.bytes.data() + pool_bytes / 2 : nullptr, integer(),
                               choices_.yes() ? 0 : 256, choices_.yes() ? 0 : 8192};
        if (choices_.below(4) == 0) data.row_bytes = -choices_.up_to(100);
        succeeded(mpscnn_feature_image_read(image_, &region, &data));
        succeeded(mpscnn_feature_image_write(image_, &region, &data));
        succeeded(mpscnn_feature_image_set_read_count(image_, choices_.number()));
    }

    void convolve() {
        const mpscnn_tensor signal = tensor(), kernel = tensor();
        mpscnn_tensor result = tensor();
        mpscnn_convolve_options how{};
        how.size = sizeof how;
        how.axes = choices_.up_to(4) - 1;
        how.mode = choices_.up_to(4) - 1;
        how.boundary = choices_.up_to(3) - 1;
        how.correlate = integer();
        result.data = choices_.yes() ? nullptr : result.data;
        succeeded(mpscnn_convolve(&signal, &kernel,
                                  choices_.yes() ? &how : options<mpscnn_convolve_options>(), &result));
    }

    void convert() {
        const std::size_t count = choices_.below(100);
        const auto *source = pool_.bytes.data() + choices_.below(64) * 4;
        auto *destination = pool_.bytes.data() + pool_bytes / 2;
        std::size_t overflows = 0;
        succeeded(mpscnn_halves_from_floats(reinterpret_cast<const float *>(source),
                                            reinterpret_cast<std::uint16_t *>(destination), count,
                                            &overflows));
        succeeded(mpscnn_floats_from_halves(reinterpret_cast<const std::uint16_t *>(source),
                                            reinterpret_cast<float *>(destination), count));
        succeeded(mpscnn_halves_from_floats(nullptr, nullptr, count, nullptr));
    }

    template <class Handle> void take(Handle *&own, Handle *made, void (*release)(Handle *)) {
        release(own);
        own = made;
    }

    Choices &choices_;
    Pool pool_;
    mpscnn_chroma chroma_{};
    std::vector<std::unique_ptr<std::string>> texts_;
    std::vector<std::unique_ptr<std::vector<std::uint64_t>>> options_;
    mpscnn_graph *graph_ = usual_graph(); // calls change it
    mpscnn_program *program_ = usual().program, *own_program_ = nullptr;
    mpscnn_session *session_ = usual().session, *own_session_ = nullptr;
    mpscnn_runner *runner_ = nullptr;
    mpscnn_detector *detector_ = nullptr;
    mpscnn_kernel *kernel_ = nullptr;
    mpscnn_feature_image *image_ = nullptr;
};

} // namespace

/// Check that calls with any arguments succeed, or fail with a documented status and a message.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const TimeBudget budget(size);
    Choices choices(data, size);
    Caller caller(choices);
    for (int i = 0; i < 40 && !choices.empty(); ++i) caller.call();
    return 0;
}
