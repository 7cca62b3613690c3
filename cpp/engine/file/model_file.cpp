#include "engine/file/model_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "core/text.h"
#include "engine/file/safetensors.h"

namespace mpscnn::engine {

namespace {

constexpr std::size_t max_labels = 1'000'000;

/// A function that is called with each weight after it is read.
using TakeWeight = void (*)(Graph &graph, std::size_t node, const std::string &role, WeightTensor &&tensor);

void keep_weight(Graph &graph, std::size_t node, const std::string &role, WeightTensor &&tensor) {
    graph.set_weight(graph.nodes()[node].name, role, std::move(tensor));
}

void check_weight(Graph &graph, std::size_t node, const std::string &role, WeightTensor &&tensor) {
    require_weight(graph.weight_specs(node), "layer " + quoted(graph.nodes()[node].name), role, tensor);
}

/// Reads a model from a safetensors file. Every error message names the file.
class ModelReader {
public:
    ModelReader(const SafetensorsFile &file, TakeWeight take_weight)
        : file_(file), take_weight_(take_weight) {}

    ModelFile read() {
        check_version();
        ModelFile model;
        model.graph = Graph::from_json(required_json("mpscnn.graph"), ErrorKind::weights);
        if (model.graph.outputs().empty()) fail(ErrorKind::weights, "graph.outputs: names no layer");
        model.detection = optional_json("mpscnn.detection");
        if (model.detection) model.anchors = read_anchors();
        if (const auto json = optional_json("mpscnn.calibration")) calibration_ = read_calibration(*json);
        read_weights(model.graph);
        if (const auto json = optional_json("mpscnn.labels")) model.labels = read_labels(*json, model.graph);
        model.preprocess = optional_json("mpscnn.preprocess");
        if (calibration_) model.calibrate(std::move(*calibration_), ErrorKind::weights);
        if (const auto json = optional_json("mpscnn.scores")) model.scores = read_scores(*json);
        model.answers = optional_json("mpscnn.answers");
        if (auto json = optional_json("mpscnn.information"))
            model.information = read_information(std::move(*json));
        return model;
    }

private:
    const std::string *metadata(const char *key) const {
        const auto found = file_.metadata().find(key);
        return found == file_.metadata().end() ? nullptr : &found->second;
    }

    void check_version() const {
        const std::string *version = metadata("mpscnn.version");
        if (!version)
            fail(ErrorKind::weights, "it is a safetensors file, but not an mpscnn model: the metadata has no "
                                     "'mpscnn.version'. Make one with `mpscnn convert` or Network.save");
        if (*version != std::to_string(ModelFile::newest_version))
            fail(ErrorKind::weights, {"format version ", quoted(*version), "; this mpscnn reads version ",
                                      ModelFile::newest_version, ". A newer mpscnn is needed"});
    }

    std::optional<Json> optional_json(const char *key) const {
        const std::string *text = metadata(key);
        if (!text) return std::nullopt;
        try {
            return parse_json(*text, {}, ErrorKind::weights);
        } catch (const Error &error) {
            fail(ErrorKind::weights, {quoted(key), ": ", error.what()});
        }
    }

    Json required_json(const char *key) const {
        auto json = optional_json(key);
        if (!json) fail(ErrorKind::weights, {"the metadata has no ", quoted(key)});
        return std::move(*json);
    }

    std::vector<std::string> read_labels(const Json &json, const Graph &graph) const {
        auto labels = JsonView(json, "mpscnn.labels", ErrorKind::weights).get<std::vector<std::string>>();
        if (labels.size() > max_labels) fail(ErrorKind::weights, "more than a million labels");
        const Shape result = graph.shape(graph.outputs()[0]);
        const bool of_classes = result.rank() == 2 || (result.rank() == 4 && result.back() > 1);
        // One score with two labels is the probability of the second of two classes.
        const bool is_binary = result.rank() == 2 && result.back() == 1 && labels.size() == 2;
        if (!labels.empty() && graph.outputs().size() == 1 && of_classes && !is_binary &&
            static_cast<std::size_t>(result.back()) != labels.size())
            fail(ErrorKind::weights,
                 {"mpscnn.labels: ", labels.size(), " labels for a network of ", result.back(), " classes"});
        return labels;
    }

    static Scores read_scores(const Json &json) {
        return scores_named(JsonView(json, "mpscnn.scores", ErrorKind::weights).get<std::string>());
    }

    Json read_information(Json json) const {
        const JsonView view(json, "mpscnn.information", ErrorKind::weights);
        for (const Json::Member &entry : view.object()) view.of(entry).get<std::string>();
        return json;
    }

    std::vector<float> read_anchors() {
        const StoredTensor *stored = take("mpscnn.anchors");
        if (!stored) return {};
        if (stored->shape.rank() != 2 || stored->shape[1] != 4)
            fail(ErrorKind::weights,
                 {"tensor 'mpscnn.anchors': must have the shape (anchors, 4), not ", stored->shape.text()});
        return floats_of(*stored);
    }

    Calibration read_calibration(const Json &json) {
        const JsonView view(json, "mpscnn.calibration", ErrorKind::weights);
        view.allow_only({"layer"});
        const auto floats = [this](const char *name) {
            const StoredTensor *stored = take(name);
            if (!stored) fail(ErrorKind::weights, {"tensor ", quoted(name), " is missing"});
            return floats_of(*stored);
        };
        return {view.at("layer").get<std::string>(), floats("mpscnn.calibration.features"),
                floats("mpscnn.calibration.distances"), floats("mpscnn.calibration.probabilities")};
    }

    void read_weights(Graph &graph) {
        for (std::size_t i = 0; i < graph.nodes().size(); ++i)
            for (const auto &spec : graph.weight_specs(i)) read_weight(graph, i, spec);
        for (const StoredTensor &tensor : file_.tensors())
            if (used_.count(tensor.name) == 0)
                fail(ErrorKind::weights,
                     {"tensor ", quoted(tensor.name), " belongs to no layer of the network"});
    }

    const StoredTensor *take(const std::string &name) {
        const StoredTensor *tensor = file_.find(name);
        if (tensor) used_.insert(tensor->name);
        return tensor;
    }

    void read_weight(Graph &graph, std::size_t node, const ops::WeightSpec &spec) {
        const std::string name = concat({graph.nodes()[node].name, ".", spec.role});
        const StoredTensor *stored = take(name);
        if (!stored) {
            if (spec.required)
                fail(ErrorKind::weights, {"tensor ", quoted(name), " ", spec.shape.text(), " is missing"});
            return;
        }
        WeightTensor tensor(stored->shape, weight_type(*stored), file_.share(*stored));
        if (tensor.has_quantization())
            tensor.set_quantization(read_floats(name + ".scale"), read_floats(name + ".zero_point"));
        take_weight_(graph, node, spec.role, std::move(tensor));
    }

    static WeightType weight_type(const StoredTensor &stored) {
        switch (stored.type) {
        case StoredType::float32:
            return WeightType::float32;
        case StoredType::float16:
            return WeightType::float16;
        case StoredType::uint8:
            return WeightType::uint8;
        case StoredType::int32:
            return WeightType::int32;
        default:
            fail(ErrorKind::weights, {"tensor ", quoted(stored.name),
                                      ": weights are F32, F16, U8 or I32, not ", name_of(stored.type)});
        }
    }

    std::vector<float> read_floats(const std::string &name) {
        const StoredTensor *stored = take(name);
        if (!stored)
            fail(ErrorKind::weights, {"tensor ", quoted(name), " is missing: U8 and I32 weights need it"});
        return floats_of(*stored);
    }

    std::vector<float> floats_of(const StoredTensor &stored) const {
        if (stored.type != StoredType::float32)
            fail(ErrorKind::weights,
                 {"tensor ", quoted(stored.name), ": must be F32, not ", name_of(stored.type)});
        std::vector<float> values(stored.size / sizeof(float));
        if (!values.empty())
            std::memcpy(values.data(), file_.share(stored).get(), values.size() * sizeof(float));
        return values;
    }

    const SafetensorsFile &file_;
    const TakeWeight take_weight_;
    std::set<std::string> used_;
    std::optional<Calibration> calibration_;
};

ModelFile read_model(const SafetensorsFile &file, TakeWeight take_weight) {
    try {
        return ModelReader(file, take_weight).read();
    } catch (const Error &error) {
        throw Error(ErrorKind::weights, concat({file.origin(), ": ", error.what()}));
    }
}

/// Throws Error(kind) unless the numbers are finite and in increasing order, and at least `least` of them.
void require_increasing(const std::vector<float> &numbers, std::size_t least, const char *name,
                        ErrorKind kind) {
    const auto is_finite = [](float number) { return std::isfinite(number); };
    if (numbers.size() < least || !std::all_of(numbers.begin(), numbers.end(), is_finite) ||
        !std::is_sorted(numbers.begin(), numbers.end()))
        fail(kind,
             {"calibration: ", name, " must be at least ", least, " finite numbers in increasing order"});
}

} // namespace

void ModelFile::calibrate(Calibration given, ErrorKind kind) {
    constexpr std::size_t least_photos = 11; // each has a tenth neighbour
    const ValueId layer = graph.find(given.layer);
    const Shape shape = graph.shape(layer).with_batch(1);
    if (graph.outputs().size() != 1)
        fail(kind, {"calibration: needs a network with one output, not ", graph.outputs().size()});
    if (graph.is_output(layer) || std::find(shape.begin(), shape.end(), Shape::any) != shape.end())
        fail(kind, {"calibration: layer ", quoted(given.layer),
                    " must be one of a fixed size, and not the network's output"});
    require_increasing(given.distances, least_photos, "distances", kind);
    require_increasing(given.probabilities, 1, "probabilities", kind);
    const std::size_t needed = given.distances.size() * static_cast<std::size_t>(shape.elements());
    if (given.features.size() != needed)
        fail(kind, {"calibration: expected ", needed, " features, got ", given.features.size()});
    if (!std::all_of(given.features.begin(), given.features.end(),
                     [](float value) { return std::isfinite(value); }))
        fail(kind, "calibration: a feature is not a finite number");
    calibration = std::make_shared<const Calibration>(std::move(given));
}

ModelFile ModelFile::load(const std::string &path) {
    return read_model(SafetensorsFile::read(path), keep_weight);
}

ModelFile ModelFile::map(const std::string &path) {
    return read_model(SafetensorsFile::map(path), keep_weight);
}

ModelFile ModelFile::check(const std::string &path) {
    return read_model(SafetensorsFile::open(path), check_weight);
}

ModelFile ModelFile::parse(std::span<const std::byte> bytes, const std::string &origin) {
    return read_model(SafetensorsFile::parse(bytes, origin), keep_weight);
}

} // namespace mpscnn::engine
