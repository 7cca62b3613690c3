// libFuzzer target for model files that are read, compiled and run. README.md in this folder describes
// how to run it.
#include <cstdint>
#include <string>
#include <vector>

#include <mpscnn/mpscnn.h>

#include "api/handles.h"
#include "core/error.h"
#include "tests/fuzz/calls.h"
#include "tests/fuzz/choices.h"
#include "tests/fuzz/time_budget.h"

namespace {

using mpscnn::Json;
using mpscnn::JsonView;
using mpscnn::Shape;
using mpscnn::engine::Graph;

constexpr std::uint64_t max_memory = 64 << 20;
constexpr std::int64_t max_operations = 50'000'000;

/// Return a safetensors file with this header, and `data` bytes of zeros after it.
std::string file_of(const std::string &header, std::size_t data) {
    std::string result;
    for (unsigned shift = 0; shift < 64; shift += 8)
        result += static_cast<char>(header.size() >> shift & 255);
    return result.append(header).append(data, '\0');
}

/// Add entries for the graph's required weights to a header, except for large ones. Return the weights'
/// bytes.
std::size_t add_weights(const Graph &graph, Json::Object &header) {
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < graph.nodes().size(); ++i)
        for (const auto &spec : graph.weight_specs(i)) {
            if (!spec.required || spec.shape.elements() > (1 << 16) || bytes > (1 << 20)) continue;
            const std::size_t end = bytes + 4 * static_cast<std::size_t>(spec.shape.elements());
            Json entry = Json::object();
            entry.set("dtype", "F32");
            entry.set("shape", std::vector<std::int64_t>(spec.shape.begin(), spec.shape.end()));
            entry.set("data_offsets", std::vector<std::size_t>{bytes, end});
            header.emplace_back(graph.nodes()[i].name + "." + spec.role, std::move(entry));
            bytes = end;
        }
    return bytes;
}

/// Return a file with texts from the input as metadata, and with weights if the first text is a graph.
std::string file_with(Choices &choices) {
    static const char *const keys[] = {"mpscnn.graph", "mpscnn.preprocess", "mpscnn.detection",
                                       "mpscnn.labels", "mpscnn.information"};
    const std::size_t count = 1 + choices.below(std::size(keys));
    Json::Object header, metadata{{"mpscnn.version", "1"}};
    std::string graph;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t size = choices.raw<std::uint16_t>();
        std::string text(choices.take(i + 1 == count ? SIZE_MAX : size));
        if (choices.yes()) {
            Choices parts(reinterpret_cast<const std::uint8_t *>(text.data()), text.size());
            text = parts.long_text();
        }
        if (i == 0) graph = text;
        metadata.emplace_back(keys[i], std::move(text));
    }
    header.emplace_back("__metadata__", Json::object(std::move(metadata)));
    std::size_t bytes = 0;
    try {
        bytes = add_weights(Graph::from_json(mpscnn::parse_json(graph)), header);
    } catch (const mpscnn::Error &) { // the reader refuses the graph, too
    }
    return file_of(to_text(Json::object(std::move(header))), bytes);
}

/// True if a run is so short that it can be done for every input of the fuzzer.
bool is_small(const Graph &graph, const std::vector<Shape> &inputs) {
    std::int64_t operations = 0, elements = 0;
    for (const Shape &shape : inputs) elements += shape.elements();
    for (const mpscnn::engine::LayerSummary &layer : graph.summary(inputs)) {
        if (layer.cost.flops > max_operations || layer.output.elements() > (1 << 20)) return false;
        operations += layer.cost.flops;
        elements += layer.output.elements();
    }
    return operations <= max_operations && elements <= (1 << 22);
}

void run(mpscnn_program *program, const std::vector<Shape> &shapes) {
    std::vector<mpscnn_tensor> inputs(shapes.size());
    std::vector<std::vector<float>> memory;
    const auto give = [&](mpscnn_tensor &tensor, std::int64_t elements) {
        memory.emplace_back(static_cast<std::size_t>(elements), 0.5f);
        tensor.data = memory.back().data();
    };
    for (std::size_t i = 0; i < shapes.size(); ++i) {
        inputs[i].rank = shapes[i].rank();
        std::copy(shapes[i].begin(), shapes[i].end(), inputs[i].shape);
        give(inputs[i], shapes[i].elements());
    }
    std::vector<mpscnn_tensor> outputs(static_cast<std::size_t>(mpscnn_program_output_count(program)));
    const int ins = static_cast<int>(inputs.size()), outs = static_cast<int>(outputs.size());
    if (!succeeded(mpscnn_program_output_shapes(program, inputs.data(), ins, outputs.data(), outs, nullptr)))
        return;
    for (mpscnn_tensor &output : outputs) {
        std::int64_t elements = 1;
        for (int axis = 0; axis < output.rank; ++axis) elements *= output.shape[axis];
        give(output, elements);
    }
    mpscnn_session_options options{};
    options.size = sizeof options;
    options.threads = 1;
    mpscnn_session *session = nullptr;
    succeeded(mpscnn_session_create(program, &options, &session));
    succeeded(mpscnn_session_run(session, inputs.data(), ins, outputs.data(), outs));
    mpscnn_session_release(session);
}

/// Classify, detect and segment a small photo, as far as the file has the settings for it.
void look_at_photo(const mpscnn_model *model, mpscnn_program *program) {
    const PlainPhoto photo;
    mpscnn_session *session = nullptr;
    succeeded(mpscnn_session_create(program, nullptr, &session));
    mpscnn_predictions *classes = nullptr;
    mpscnn_detections *objects = nullptr;
    std::vector<std::uint8_t> labels(PlainPhoto::width * PlainPhoto::height);
    succeeded(mpscnn_model_classify(model, session, &photo.image, 3, &classes));
    succeeded(mpscnn_model_detect(model, session, &photo.image, nullptr, &objects));
    succeeded(mpscnn_model_segment(model, session, &photo.image, labels.data(), nullptr, 0));
    mpscnn_predictions_release(classes);
    mpscnn_detections_release(objects);
    mpscnn_session_release(session);
}

void compile_and_run(const mpscnn_model *model, std::int64_t batch, std::int64_t side) {
    mpscnn_graph *graph = nullptr;
    succeeded(mpscnn_model_graph(model, &graph));
    mpscnn_compile_options options{};
    options.size = sizeof options;
    options.device = "cpu";
    options.max_memory = max_memory;
    mpscnn_program *program = nullptr;
    if (succeeded(mpscnn_program_compile(graph, &options, &program))) {
        std::vector<Shape> shapes;
        for (const mpscnn::engine::Input &input : graph->graph.inputs()) {
            Shape shape = input.shape.with_batch(batch);
            for (int axis = 1; axis < shape.rank(); ++axis)
                if (shape[axis] == Shape::any) shape[axis] = side;
            shapes.push_back(shape);
        }
        try {
            if (is_small(graph->graph, shapes)) {
                run(program, shapes);
                look_at_photo(model, program);
            }
        } catch (const mpscnn::Error &) { // inputs of these extents do not fit the network
        }
    }
    mpscnn_program_release(program);
    mpscnn_graph_release(graph);
}

} // namespace

/// Check that any file is refused, or can be described, compiled, and run if the network is small.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    Choices choices(data, size);
    const auto batch = static_cast<std::int64_t>(1 + choices.below(3)),
               side = static_cast<std::int64_t>(1 + choices.below(9));
    std::string file;
    try {
        if (choices.yes()) {
            const std::string_view header = choices.rest();
            file = file_of(std::string(header), 0);
        } else {
            file = file_with(choices);
        }
    } catch (const mpscnn::Error &) { // there is no header for texts that are not UTF-8
        return 0;
    }
    // The additional bytes stand for the time of a run that is_small allows.
    const TimeBudget budget(file.size() + 200'000);
    mpscnn_model *model = nullptr;
    const mpscnn_status status = mpscnn_model_parse(file.data(), file.size(), "input", &model);
    if (status != MPSCNN_OK) {
        require(status == MPSCNN_ERROR_WEIGHTS || status == MPSCNN_ERROR_MEMORY);
        return 0;
    }
    mpscnn_text *text = nullptr;
    succeeded(mpscnn_model_describe(model, &text));
    mpscnn_text_release(text);
    compile_and_run(model, batch, side);
    mpscnn_model_release(model);
    return 0;
}
