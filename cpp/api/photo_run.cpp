#include "api/photo_run.h"

#include "api/image.h"

namespace mpscnn::c_api {

void require_photo_input(const engine::Program &program, const mpscnn_model &model,
                         const std::string &doing) {
    const std::string what = "network " + quoted(program.name());
    if (!model.preprocess)
        fail(ErrorKind::unsupported,
             what + ": the model file does not say how a photo becomes its input "
                    "('mpscnn.preprocess'); preprocess the photo and run a session instead");
    const Shape input = program.inputs().empty() ? Shape{} : program.inputs()[0].shape.with_batch(1);
    if (program.inputs().size() != 1 || input.rank() != 4 || !input.fixed())
        fail(ErrorKind::shape,
             what + ": " + doing + " needs one image input of a fixed size, it has " +
                 (program.inputs().size() == 1 ? program.inputs()[0].shape.text()
                                               : std::to_string(program.inputs().size()) + " inputs") +
                 "; preprocess the photo to the wanted size and run a session instead");
}

void require_labels(const engine::Program &program, const mpscnn_model &model, std::int64_t classes) {
    const auto &labels = model.file.labels;
    if (!labels.empty() && labels.size() != static_cast<std::size_t>(classes))
        fail(ErrorKind::shape, "network " + quoted(program.name()) + " has " + std::to_string(classes) +
                                   " classes, the model has " + std::to_string(labels.size()) + " labels");
}

std::string label_of(const mpscnn_model &model, int index) {
    return model.file.labels.empty() ? "class " + std::to_string(index)
                                     : model.file.labels[static_cast<std::size_t>(index)];
}

PhotoRun::PhotoRun(mpscnn_session &session) : session_(session) {
    if (session_.has_photo.exchange(true, std::memory_order_acquire))
        fail(ErrorKind::state,
             "this session is working on a photo in another thread already; a session serves "
             "one caller at a time. Make one session per thread");
}

PhotoRun::~PhotoRun() { session_.has_photo.store(false, std::memory_order_release); }

const std::vector<std::vector<float>> &PhotoRun::run(const mpscnn_image &image,
                                                     const vision::Preprocess &preprocess) {
    const engine::Program &program = *session_.session->program();
    const Shape shape = program.inputs()[0].shape.with_batch(1);
    const auto height = static_cast<int>(shape[1]), width = static_cast<int>(shape[2]),
               channels = static_cast<int>(shape[3]);
    session_.input.resize(static_cast<std::size_t>(shape.elements()));
    vision::preprocess(image_view(image), preprocess, height, width, channels, session_.input.data(),
                       channels, std::ptrdiff_t{channels} * width);
    const auto input = engine::TensorView::dense(session_.input.data(), DType::float32, shape);
    session_.outputs.resize(program.outputs().size());
    std::vector<engine::TensorView> outputs;
    for (std::size_t i = 0; i < session_.outputs.size(); ++i) {
        const Shape result = program.outputs()[i].shape.with_batch(1);
        session_.outputs[i].resize(static_cast<std::size_t>(result.elements()));
        outputs.push_back(engine::TensorView::dense(session_.outputs[i].data(), DType::float32, result));
    }
    session_.session->run({&input, 1}, outputs);
    return session_.outputs;
}

} // namespace mpscnn::c_api
