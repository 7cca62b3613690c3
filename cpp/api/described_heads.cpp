// Checks that the outputs (heads) of a network are those that its model file describes for a detector.

#include "api/described_heads.h"

#include "core/json.h"
#include "core/text.h"
#include "vision/detection_json.h"
#include "vision/json_fields.h"

namespace mpscnn::c_api {

namespace {

constexpr const char *subject = "detection: "; // the prefix of the detector's error messages

/// Return the shape of the output `name`, which must be (n, boxes, columns), or have the `rank` of the form.
Shape head_shape(const engine::Graph &graph, const std::string &name, const JsonView &json, int rank = 3,
                 const char *form = "a detector's are (n, boxes, columns)") {
    for (const engine::ValueId output : graph.outputs()) {
        if (graph.value_name(output) != name) continue;
        const Shape shape = graph.shape(output).with_batch(1);
        if (shape.rank() != rank || !shape.fixed())
            json.refuse(concat({"output ", quoted(name), " is ", graph.shape(output).text(), ", ", form}));
        return shape;
    }
    json.refuse("the network has no output " + quoted(name));
}

/// Return the columns of the output `name`, which must have a row for each of `boxes`.
std::int64_t columns_of_boxes(const engine::Graph &graph, const std::string &name, std::int64_t boxes,
                              const JsonView &json) {
    const Shape shape = head_shape(graph, name, json);
    if (shape[1] != boxes)
        json.refuse(
            concat({"output ", quoted(name), " of ", shape[1], " rows does not fit ", boxes, " boxes"}));
    return shape[2];
}

/// Check the outputs of networks that compute more of an object than its box.
void check_details(const engine::Graph &graph, const vision::DetectionHead &head, std::int64_t boxes,
                   const JsonView &json) {
    if (const std::string &name = head.angles_output; !name.empty()) {
        const std::int64_t columns = columns_of_boxes(graph, name, boxes, json);
        if (columns != 1)
            json.refuse(concat({"output ", quoted(name), " has ", columns, " angles for a box, expected 1"}));
    }
    if (const std::string &name = head.keypoints_output; !name.empty()) {
        const std::int64_t columns = columns_of_boxes(graph, name, boxes, json);
        if (columns % 3 != 0)
            json.refuse(concat({"output ", quoted(name), " has ", columns,
                                " numbers for a box, keypoints have 3: x, y and probability"}));
    }
    if (const std::string &name = head.coefficients_output; !name.empty()) {
        const std::int64_t columns = columns_of_boxes(graph, name, boxes, json);
        const Shape prototypes = head_shape(graph, head.prototypes_output, json, 4,
                                            "prototypes of masks are (n, height, width, channels)");
        if (prototypes[3] != columns)
            json.refuse(concat({"outputs ", quoted(name), " of ", columns, " numbers for a box and ",
                                quoted(head.prototypes_output), " of ", prototypes[3],
                                " channels do not fit each other"}));
    }
}

void check_heads(const engine::ModelFile &file, const vision::Detector &detector, const JsonView &json) {
    const vision::DetectionHead &head = detector.head();
    const Shape boxes = head_shape(file.graph, head.boxes_output, json);
    const Shape scores = head_shape(file.graph, head.scores_output, json);
    if (boxes[2] != 4)
        json.refuse(
            concat({"output ", quoted(head.boxes_output), " is ", boxes.text(), ", boxes have 4 numbers"}));
    if (scores[1] != boxes[1])
        json.refuse(concat({"outputs ", quoted(head.boxes_output), " of ", boxes[1], " boxes and ",
                            quoted(head.scores_output), " of ", scores[1], " do not fit each other"}));
    vision::located(json, subject, [&] { detector.check_box_count(static_cast<std::size_t>(boxes[1])); });
    check_details(file.graph, head, boxes[1], json);
    const std::int64_t classes = scores[2] - (head.background ? 1 : 0);
    if (classes < 1) json.refuse(concat({"output ", quoted(head.scores_output), " has no class"}));
    if (!file.labels.empty() && static_cast<std::int64_t>(file.labels.size()) != classes)
        json.refuse(concat({file.labels.size(), " labels for a detector of ", classes, " classes",
                            (head.background ? "; the background has no label" : "")}));
}

vision::Anchors stored_anchors(const engine::ModelFile &file) {
    vision::Anchors anchors;
    for (std::size_t i = 0; i + 4 <= file.anchors.size(); i += 4)
        anchors.add(file.anchors[i], file.anchors[i + 1], file.anchors[i + 2], file.anchors[i + 3]);
    return anchors;
}

} // namespace

std::optional<vision::Detector> detector_of(const engine::ModelFile &file, const std::string &origin) {
    if (!file.detection) return std::nullopt;
    const JsonView json(*file.detection, origin + ": mpscnn.detection", ErrorKind::weights);
    vision::DetectionHead head = vision::detection_from_json(json);
    const auto inputs = file.graph.inputs();
    if (inputs.size() != 1 || inputs[0].shape.rank() != 4 || !inputs[0].shape.with_batch(1).fixed())
        json.refuse("a detector has one image input of a fixed size");
    if (!file.anchors.empty() && !std::holds_alternative<vision::StoredAnchors>(head.anchors))
        json.refuse("the file stores anchors, but the anchor rule is not 'stored'");
    const Shape input = inputs[0].shape;
    auto detector = vision::located(json, subject, [&] {
        return vision::Detector(std::move(head), static_cast<int>(input[1]), static_cast<int>(input[2]),
                                stored_anchors(file));
    });
    check_heads(file, detector, json);
    return detector;
}

} // namespace mpscnn::c_api
