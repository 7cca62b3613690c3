// Detection on a photo with a model and its session: boxes in pixels of the photo.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <utility>

#include "api/found_boxes.h"
#include "api/guard.h"
#include "api/photo_frame.h"
#include "api/photo_results.h"
#include "vision/rotated_boxes.h"
#include "vision/tiles.h"

using namespace mpscnn;
using c_api::guarded;
using c_api::require;

namespace {

using Views = std::span<const engine::TensorView>;

/// Return the index of the program's output with this name.
std::size_t output_named(const engine::Program &program, const std::string &name) {
    const auto &outputs = program.outputs();
    const auto found =
        std::find_if(outputs.begin(), outputs.end(), [&](const auto &port) { return port.name == name; });
    if (found == outputs.end())
        fail(ErrorKind::unsupported,
             {"network ", quoted(program.name()), ": detecting needs the output ", quoted(name),
              ", which this program does not compute; compile all outputs of the model's graph"});
    return static_cast<std::size_t>(found - outputs.begin());
}

const vision::Detector &require_detector(const engine::Program &program, const mpscnn_model &model) {
    if (!model.detector)
        fail(ErrorKind::unsupported,
             {"network ", quoted(program.name()),
              " is not a detector: the model file does not say how its outputs become "
              "boxes ('mpscnn.detection')"});
    c_api::require_photo_input(program, model, "detecting");
    return *model.detector;
}

/// Convert a box from fractions of the network's input to pixels of the photo, and clip it to the part of the
/// photo that the network has seen.
vision::Box on_photo(const vision::Box &box, const Shape &input, const vision::PhotoPart &part,
                     const vision::Transform &mapping) {
    const auto limited = [](double value, int first, int size) {
        return static_cast<float>(
            std::clamp(value, static_cast<double>(first), static_cast<double>(first + size)));
    };
    const auto x = [&](float share) {
        return limited(mapping.photo_x(share * static_cast<double>(input[2])), part.left, part.width);
    };
    const auto y = [&](float share) {
        return limited(mapping.photo_y(share * static_cast<double>(input[1])), part.top, part.height);
    };
    return {x(box.left), y(box.top), x(box.right), y(box.bottom)};
}

std::span<const float> numbers_of(const engine::TensorView &output) {
    return {static_cast<const float *>(output.data), static_cast<std::size_t>(output.shape.elements())};
}

std::span<const float> row_of(const engine::TensorView &output, int row) {
    const auto columns = static_cast<std::size_t>(output.shape.back());
    return numbers_of(output).subspan(static_cast<std::size_t>(row) * columns, columns);
}

/// Finds the outputs of a detector, and adds to a detection what the network computes besides boxes.
class DetectionOutputs {
public:
    DetectionOutputs(const engine::Program &program, const vision::DetectionHead &head,
                     const vision::PhotoPart &part, const vision::Transform &mapping)
        : input_(program.inputs()[0].shape), part_(part), mapping_(mapping) {
        const auto find = [&](const std::string &name) {
            return name.empty() ? absent : output_named(program, name);
        };
        boxes_ = find(head.boxes_output);
        scores_ = find(head.scores_output);
        angles_ = find(head.angles_output);
        keypoints_ = find(head.keypoints_output);
        coefficients_ = find(head.coefficients_output);
        prototypes_ = find(head.prototypes_output);
    }

    std::vector<vision::Detection> find(const vision::Detector &detector, Views outputs,
                                        const vision::Suppression &settings) const {
        const auto columns = static_cast<int>(outputs[scores_].shape.back());
        return detector.detect(numbers_of(outputs[boxes_]), numbers_of(outputs[scores_]), columns, settings,
                               angles_ == absent ? std::span<const float>() : numbers_of(outputs[angles_]));
    }

    /// Set the entry's box, and what the network computes besides it. Return false if the box is outside the
    /// photo.
    bool place(const vision::Detection &found, Views outputs, mpscnn_detections::Entry &entry) const {
        if (angles_ == absent)
            entry.box = on_photo(found.box, input_, part_, mapping_);
        else
            add_corners(found, entry);
        if (!(entry.box.left < entry.box.right && entry.box.top < entry.box.bottom)) return false;
        if (keypoints_ != absent) add_keypoints(row_of(outputs[keypoints_], found.anchor), entry);
        if (prototypes_ != absent) {
            const engine::TensorView &grid = outputs[prototypes_];
            const auto extent = [&](int axis) { return static_cast<int>(grid.shape[axis]); };
            entry.masks.emplace_back(
                vision::Prototypes{numbers_of(grid).data(), extent(1), extent(2), extent(3)},
                row_of(outputs[coefficients_], found.anchor), entry.box, mapping_,
                static_cast<int>(input_[1]), static_cast<int>(input_[2]));
        }
        return true;
    }

private:
    static constexpr std::size_t absent = SIZE_MAX;

    void add_corners(const vision::Detection &found, mpscnn_detections::Entry &entry) const {
        const auto height = static_cast<int>(input_[1]), width = static_cast<int>(input_[2]);
        vision::Box around{INFINITY, INFINITY, -INFINITY, -INFINITY};
        for (const auto &[x, y] : vision::rotated_corners(found.box, found.angle, height, width)) {
            around = {std::min(around.left, x), std::min(around.top, y), std::max(around.right, x),
                      std::max(around.bottom, y)};
            entry.corners.push_back(static_cast<float>(mapping_.photo_x(x)));
            entry.corners.push_back(static_cast<float>(mapping_.photo_y(y)));
        }
        const auto w = static_cast<float>(width), h = static_cast<float>(height);
        entry.box = on_photo({around.left / w, around.top / h, around.right / w, around.bottom / h}, input_,
                             part_, mapping_);
    }

    void add_keypoints(std::span<const float> row, mpscnn_detections::Entry &entry) const {
        for (std::size_t i = 0; i + 3 <= row.size(); i += 3) {
            for (std::size_t j = i; j < i + 3; ++j)
                if (!std::isfinite(row[j]))
                    fail(ErrorKind::parameter, {"detection: number ", j % 3, " of keypoint ", j / 3, " is ",
                                                row[j], ", keypoints must be finite"});
            entry.keypoints.push_back(
                static_cast<float>(mapping_.photo_x(row[i] * static_cast<double>(input_[2]))));
            entry.keypoints.push_back(
                static_cast<float>(mapping_.photo_y(row[i + 1] * static_cast<double>(input_[1]))));
            entry.keypoints.push_back(row[i + 2]);
        }
    }

    Shape input_;
    vision::PhotoPart part_;
    vision::Transform mapping_;
    std::size_t boxes_, scores_, angles_, keypoints_, coefficients_, prototypes_;
};

using Entries = std::vector<mpscnn_detections::Entry>;

/// Merge what was found on the tiles of a photo as SAHI does. `max_count` limits the objects of the whole
/// photo; 0: no limit.
Entries merged(Entries found, const vision::DetectionHead &head, const vision::Suppression &settings,
               int max_count) {
    constexpr float few_scores = 0.1f; // SAHI unites no boxes that are as uncertain as this
    const bool suppress = settings.score_threshold < few_scores || !head.angles_output.empty();
    std::vector<vision::TileBox> boxes;
    for (const auto &entry : found) boxes.push_back({entry.box, entry.score, entry.index});
    Entries result;
    for (const vision::MergedBoxes &object :
         vision::merge_tiles(boxes, suppress ? vision::MergeMethod::suppress : vision::MergeMethod::unite,
                             settings.per_class)) {
        if (max_count > 0 && result.size() == static_cast<std::size_t>(max_count)) break;
        mpscnn_detections::Entry entry = std::move(found[object.parts.front()]);
        entry.box = object.box;
        for (const std::size_t part : std::span(object.parts).subspan(1))
            std::move(found[part].masks.begin(), found[part].masks.end(), std::back_inserter(entry.masks));
        result.push_back(std::move(entry));
    }
    return result;
}

} // namespace

c_api::PhotoReading c_api::into_detections(const engine::Program &program, const mpscnn_model &model,
                                           const vision::ImageView &photo,
                                           const mpscnn_detect_options *options,
                                           mpscnn_detections **detections) {
    const vision::Detector &detector = require_detector(program, model);
    const vision::DetectionHead &head = detector.head();
    const vision::Suppression settings = with_options(head.suppression, options);
    const auto given = read_options(options, "mpscnn_detect_options");
    const Shape input = program.inputs()[0].shape;
    PhotoReading reading;
    std::vector<DetectionOutputs> parts;
    const auto add = [&](const vision::ImageView &image, const vision::PhotoPart &part) {
        vision::Transform mapping = vision::output_to_photo(
            image, *model.preprocess, static_cast<int>(input[1]), static_cast<int>(input[2]));
        mapping.offset_x += part.left;
        mapping.offset_y += part.top;
        parts.emplace_back(program, head, part, mapping);
        reading.images.push_back(image);
    };
    const auto tiles = tiles_of(program, photo, given.tile_side, given.tile_overlap);
    if (tiles.size() > 1) // otherwise the only tile is the photo
        for (vision::Tile tile : tiles) {
            const vision::ImageView image = vision::part_of(photo, tile.seen);
            add(image, tile.seen);
        }
    add(photo, {0, 0, photo.oriented_width(), photo.oriented_height()});
    reading.read = [settings, detections, &detector, &model, max_count = given.max_detections,
                    parts = std::move(parts)](Views outputs) {
        auto found = std::make_unique<mpscnn_detections>();
        for (std::size_t i = 0; i < parts.size(); ++i) {
            const auto own = outputs_of(outputs, i);
            for (const vision::Detection &one : parts[i].find(detector, own, settings)) {
                mpscnn_detections::Entry entry{
                    label_of(model, one.label), one.label, one.score, {}, one.anchor};
                if (parts[i].place(one, own, entry)) found->entries.push_back(std::move(entry));
            }
        }
        if (parts.size() > 1)
            found->entries = merged(std::move(found->entries), detector.head(), settings, max_count);
        *detections = found.release();
    };
    return reading;
}

mpscnn_status mpscnn_model_detect(const mpscnn_model *model, mpscnn_session *session,
                                  const mpscnn_image *image, const mpscnn_detect_options *options,
                                  mpscnn_detections **detections) {
    return guarded([&] {
        require(model, "model");
        require(session, "session");
        require(image, "image");
        require(detections, "detections");
        const engine::Program &program = *session->session->program();
        const vision::ImageView photo = c_api::image_view(*image);
        auto [images, read] = c_api::into_detections(program, *model, photo, options, detections);
        c_api::run(*session, c_api::photo_frame(program, std::move(images), *model->preprocess, read));
    });
}

mpscnn_status mpscnn_model_anchors(const mpscnn_model *model, const float **anchors, int64_t *count) {
    return guarded([&] {
        require(model, "model");
        require(anchors, "anchors");
        require(count, "count");
        *anchors = model->file.anchors.data();
        *count = static_cast<int64_t>(model->file.anchors.size() / 4);
    });
}
