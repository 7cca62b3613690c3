// Detection on a photo with a model and its session: boxes in pixels of the photo.

#include <algorithm>

#include "api/detections.h"
#include "api/guard.h"
#include "api/photo_frame.h"
#include "api/photo_results.h"

using namespace mpscnn;
using c_api::guarded;
using c_api::require;

namespace {

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

/// Convert a box from fractions of the network's input to pixels of the photo, and clip it to the photo.
vision::Box on_photo(const vision::Box &box, const Shape &input, const vision::ImageView &view,
                     const vision::Transform &mapping) {
    const auto limited = [](double value, int size) {
        return static_cast<float>(std::clamp(value, 0.0, static_cast<double>(size)));
    };
    const auto x = [&](float share) {
        return limited(mapping.photo_x(share * static_cast<double>(input[2])), view.oriented_width());
    };
    const auto y = [&](float share) {
        return limited(mapping.photo_y(share * static_cast<double>(input[1])), view.oriented_height());
    };
    return {x(box.left), y(box.top), x(box.right), y(box.bottom)};
}

std::span<const float> numbers_of(const engine::TensorView &output) {
    return {static_cast<const float *>(output.data), static_cast<std::size_t>(output.shape.elements())};
}

} // namespace

c_api::Read c_api::into_detections(const engine::Program &program, const mpscnn_model &model,
                                   const vision::ImageView &photo, const mpscnn_detect_options *options,
                                   mpscnn_detections **detections) {
    const vision::Detector &detector = require_detector(program, model);
    const vision::DetectionHead &head = detector.head();
    const vision::Suppression settings = with_options(head.suppression, options);
    const std::size_t boxes = output_named(program, head.boxes_output),
                      scores = output_named(program, head.scores_output);
    const Shape input = program.inputs()[0].shape;
    const vision::Transform mapping = vision::output_to_photo(
        photo, *model.preprocess, static_cast<int>(input[1]), static_cast<int>(input[2]));
    return [=, &detector, &model](std::span<const engine::TensorView> outputs) {
        auto found = std::make_unique<mpscnn_detections>();
        const auto columns = static_cast<int>(outputs[scores].shape.back());
        for (const vision::Detection &entry :
             detector.detect(numbers_of(outputs[boxes]), numbers_of(outputs[scores]), columns, settings)) {
            const vision::Box box = on_photo(entry.box, input, photo, mapping);
            if (box.left < box.right && box.top < box.bottom)
                found->entries.push_back(
                    {label_of(model, entry.label), entry.label, entry.score, box, entry.anchor});
        }
        *detections = found.release();
    };
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
        const auto read = c_api::into_detections(program, *model, photo, options, detections);
        c_api::run(*session, c_api::photo_frame(program, photo, *model->preprocess, read));
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
