#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/text.h"
#include "engine/file/model_file.h"

namespace mpscnn::engine {

namespace {

/// A tensor to write. The model, or `owner`, owns its bytes.
struct WrittenTensor {
    std::string name;
    const char *dtype;
    std::size_t element_size;
    Shape shape;
    const std::byte *data;
    std::size_t bytes;
    std::shared_ptr<const std::byte> owner = {};
};

const char *format_name(WeightType type) {
    switch (type) {
    case WeightType::float32:
        return "F32";
    case WeightType::float16:
        return "F16";
    case WeightType::uint8:
        return "U8";
    case WeightType::int32:
        return "I32";
    }
    fail(ErrorKind::weights, "unknown type of a weight");
}

WrittenTensor of_floats(std::string name, const Shape &shape, const std::vector<float> &values) {
    return {std::move(name),
            "F32",
            sizeof(float),
            shape,
            reinterpret_cast<const std::byte *>(values.data()),
            values.size() * sizeof(float)};
}

void add_weight(std::vector<WrittenTensor> &tensors, const std::string &name, const WeightTensor &weight) {
    if (!weight.factors().empty()) { // files have no factors, so the values are written
        const auto values = WeightTensor::from_floats(weight.shape(), weight.values());
        tensors.push_back({name, format_name(values.type()), size_of(values.type()), values.shape(),
                           values.data(), values.bytes(), values.owner()});
        return;
    }
    tensors.push_back({name, format_name(weight.type()), size_of(weight.type()), weight.shape(),
                       weight.data(), weight.bytes()});
    if (!weight.has_quantization()) return;
    const auto count = static_cast<std::int64_t>(weight.scales().size());
    tensors.push_back(of_floats(name + ".scale", Shape{count}, weight.scales()));
    tensors.push_back(of_floats(name + ".zero_point", Shape{count}, weight.zero_points()));
}

/// Return the tensors of the model. They are ordered by decreasing element size, which keeps all of them
/// aligned.
std::vector<WrittenTensor> tensors_to_write(const ModelFile &model) {
    std::vector<WrittenTensor> tensors;
    for (std::size_t i = 0; i < model.graph.nodes().size(); ++i) {
        const Node &node = model.graph.nodes()[i];
        if (node.operation.is<ops::Custom>())
            fail(ErrorKind::unsupported,
                 {"layer ", quoted(node.name), " is a function of this program: no file can hold it"});
        for (const ops::WeightSpec &spec : model.graph.weight_specs(i)) {
            const std::string name = concat({node.name, ".", spec.role});
            if (const auto stored = node.weights.find(spec.role); stored != node.weights.end())
                add_weight(tensors, name, stored->second);
            else if (spec.required)
                fail(ErrorKind::weights,
                     {"layer ", quoted(node.name), ": ", spec.role, " is missing; set its weights first"});
        }
    }
    if (!model.anchors.empty())
        tensors.push_back(of_floats(
            "mpscnn.anchors", Shape{static_cast<std::int64_t>(model.anchors.size() / 4), 4}, model.anchors));
    if (model.calibration) {
        const Calibration &known = *model.calibration;
        const auto photos = static_cast<std::int64_t>(known.distances.size());
        const auto all = static_cast<std::int64_t>(known.features.size());
        tensors.push_back(
            of_floats("mpscnn.calibration.features", Shape{photos, all / photos}, known.features));
        tensors.push_back(of_floats("mpscnn.calibration.distances", Shape{photos}, known.distances));
        tensors.push_back(of_floats("mpscnn.calibration.probabilities",
                                    Shape{static_cast<std::int64_t>(known.probabilities.size())},
                                    known.probabilities));
    }
    std::stable_sort(tensors.begin(), tensors.end(), [](const WrittenTensor &a, const WrittenTensor &b) {
        return a.element_size > b.element_size;
    });
    return tensors;
}

Json metadata_of(const ModelFile &model) {
    Json metadata = Json::object();
    metadata.set("mpscnn.version", std::to_string(ModelFile::newest_version));
    metadata.set("mpscnn.graph", to_text(model.graph.to_json()));
    if (!model.labels.empty()) metadata.set("mpscnn.labels", to_text(Json(model.labels)));
    if (model.preprocess) metadata.set("mpscnn.preprocess", to_text(*model.preprocess));
    if (model.scores) metadata.set("mpscnn.scores", to_text(Json(name_of(*model.scores))));
    if (model.answers) metadata.set("mpscnn.answers", to_text(*model.answers));
    if (JsonView(model.information).size() > 0)
        metadata.set("mpscnn.information", to_text(model.information));
    if (model.detection) metadata.set("mpscnn.detection", to_text(*model.detection));
    if (model.calibration) {
        Json calibration = Json::object();
        calibration.set("layer", model.calibration->layer);
        metadata.set("mpscnn.calibration", to_text(calibration));
    }
    return metadata;
}

std::string header_of(const ModelFile &model, const std::vector<WrittenTensor> &tensors) {
    Json::Object members;
    members.emplace_back("__metadata__", metadata_of(model));
    std::size_t position = 0;
    for (const WrittenTensor &tensor : tensors) {
        Json entry = Json::object();
        entry.set("dtype", tensor.dtype);
        entry.set("shape", std::vector<std::int64_t>(tensor.shape.begin(), tensor.shape.end()));
        entry.set("data_offsets", std::vector<std::size_t>{position, position + tensor.bytes});
        members.emplace_back(tensor.name, std::move(entry));
        position += tensor.bytes;
    }
    std::string header = to_text(Json::object(std::move(members)));
    header.resize((header.size() + 7) / 8 * 8,
                  ' '); // pad with spaces, so that the data begins at a multiple of 8
    return header;
}

/// The parts of a model file: the bytes up to the data, and the tensors of the data.
struct FileParts {
    explicit FileParts(const ModelFile &model) : tensors(tensors_to_write(model)) {
        const std::string header = header_of(model, tensors);
        for (int byte = 0; byte < 8; ++byte) // the header's length, little-endian
            begin += static_cast<char>(static_cast<std::uint64_t>(header.size()) >> (8 * byte) & 0xff);
        begin += header;
    }
    std::vector<WrittenTensor> tensors;
    std::string begin;
};

} // namespace

void ModelFile::write(const std::function<void(std::string_view piece)> &take) const {
    const FileParts parts(*this);
    take(parts.begin);
    for (const WrittenTensor &tensor : parts.tensors)
        take({reinterpret_cast<const char *>(tensor.data), tensor.bytes});
}

std::string ModelFile::content() const {
    const FileParts parts(*this);
    std::string content = parts.begin;
    std::size_t size = content.size();
    for (const WrittenTensor &tensor : parts.tensors) size += tensor.bytes;
    content.reserve(size);
    for (const WrittenTensor &tensor : parts.tensors)
        content.append(reinterpret_cast<const char *>(tensor.data), tensor.bytes);
    return content;
}

} // namespace mpscnn::engine
