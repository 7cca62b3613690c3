#include "api/photo_frame.h"

#include <algorithm>
#include <utility>

#include "engine/run/runner.h"
#include "vision/preprocess.h"

namespace mpscnn::c_api {

void require_image_input(const engine::Program &program, const std::string &doing) {
    const Shape input = program.inputs().empty() ? Shape{} : program.inputs()[0].shape.with_batch(1);
    if (program.inputs().size() != 1 || input.rank() != 4 || !input.fixed())
        fail(ErrorKind::shape,
             {"network ", quoted(program.name()), ": ", doing,
              " needs one image input of a fixed size, it has ",
              (program.inputs().size() == 1 ? program.inputs()[0].shape.text()
                                            : std::to_string(program.inputs().size()) + " inputs"),
              "; preprocess the photo to the wanted size and run a session instead"});
}

void require_photo_input(const engine::Program &program, const mpscnn_model &model,
                         const std::string &doing) {
    if (!model.preprocess)
        fail(ErrorKind::unsupported,
             {"network ", quoted(program.name()),
              ": the model file does not say how a photo becomes its input "
              "('mpscnn.preprocess'); mpscnn.load(path, preprocess=NAME) says it in Python, and "
              "mpscnn convert --preprocess NAME writes it to a file; or preprocess "
              "the photo and run a session instead"});
    require_image_input(program, doing);
}

void require_labels(const engine::Program &program, const mpscnn_model &model, std::int64_t classes) {
    const auto &labels = model.file.labels;
    if (!labels.empty() && labels.size() != static_cast<std::size_t>(classes))
        fail(ErrorKind::shape, {"network ", quoted(program.name()), " has ", classes,
                                " classes, the model has ", labels.size(), " labels"});
}

std::string label_of(const mpscnn_model &model, int index) {
    return model.file.labels.empty() ? "class " + std::to_string(index)
                                     : model.file.labels[static_cast<std::size_t>(index)];
}

engine::Frame photo_frame(const engine::Program &program, std::vector<vision::ImageView> photos,
                          const vision::Preprocess &preprocess) {
    const Shape input = program.inputs()[0].shape.with_batch(static_cast<std::int64_t>(photos.size()));
    engine::Frame frame;
    frame.inputs = {engine::TensorView::dense(nullptr, DType::float32, input)};
    frame.fill = [photos = std::move(photos), preprocess](std::span<const engine::TensorView> inputs,
                                                          const WorkSharing &share) {
        const Shape &shape = inputs[0].shape;
        const auto height = static_cast<int>(shape[1]), width = static_cast<int>(shape[2]),
                   channels = static_cast<int>(shape[3]);
        auto *image = static_cast<float *>(inputs[0].data);
        const std::ptrdiff_t row = std::ptrdiff_t{channels} * width;
        for (const vision::ImageView &photo : photos) {
            vision::preprocess(photo, preprocess, height, width, channels, image, channels, row, share);
            image += row * height;
        }
    };
    return frame;
}

engine::Frame photo_frame(const engine::Program &program, std::vector<vision::ImageView> photos,
                          const vision::Preprocess &preprocess, engine::Frame::Read read) {
    const auto count = static_cast<std::int64_t>(photos.size());
    engine::Frame frame = photo_frame(program, std::move(photos), preprocess);
    for (const engine::Port &output : program.outputs())
        frame.outputs.push_back(
            engine::TensorView::dense(nullptr, DType::float32, output.shape.with_batch(count)));
    frame.read = std::move(read);
    return frame;
}

std::vector<vision::Tile> tiles_of(const engine::Program &program, const vision::ImageView &photo, int side,
                                   double overlap) {
    constexpr double usual_overlap = 0.2; // SAHI's
    if (side == 0) {
        if (overlap != 0.0) fail(ErrorKind::parameter, "tile_overlap needs tile_side, which is 0");
        return {};
    }
    if (const engine::Node *layer = engine::layer_over_the_batch(program.graph()))
        fail(ErrorKind::unsupported,
             {"network ", quoted(program.name()), ": tiles are a batch of images, and layer ",
              quoted(layer->name), " makes them depend on each other"});
    vision::check_image(photo);
    return vision::tiles_of(photo.oriented_width(), photo.oriented_height(),
                            {side, overlap == 0.0 ? usual_overlap : std::max(overlap, 0.0)});
}

std::vector<engine::TensorView> outputs_of(std::span<const engine::TensorView> outputs, std::size_t image) {
    std::vector<engine::TensorView> own;
    for (const engine::TensorView &output : outputs) {
        const Shape shape = output.shape.with_batch(1);
        auto *numbers = static_cast<float *>(output.data);
        own.push_back(engine::TensorView::dense(numbers + image * static_cast<std::size_t>(shape.elements()),
                                                DType::float32, shape));
    }
    return own;
}

void run(mpscnn_session &session, const engine::Frame &frame) {
    const std::shared_ptr photos = session.photos;
    if (photos->is_used.exchange(true, std::memory_order_acquire))
        fail(ErrorKind::state,
             "this session is working on a photo in another thread already; a session serves "
             "one caller at a time. Make one session per thread");
    const engine::Frame *const frames[] = {&frame};
    const Failure failure = failure_of([&] { photos->session.run(frames).front().raise(); });
    photos->is_used.store(false, std::memory_order_release);
    failure.raise();
}

} // namespace mpscnn::c_api
