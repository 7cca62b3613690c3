#pragma once

// A photo through a model's network, by a session that waits for it or by a runner.

#include <string>

#include "api/handles.h"
#include "mpscnn/mpscnn.h"
#include "vision/image_view.h"

namespace mpscnn::c_api {

/// Throws unless the program has one image input of a fixed size. `doing` begins the complaint:
/// "classifying".
void require_image_input(const engine::Program &program, const std::string &doing);
/// Throws unless a photo can become the program's only input: in the same way, and preprocessing is stated.
void require_photo_input(const engine::Program &program, const mpscnn_model &model, const std::string &doing);

/// Throws unless each class has a label, or none has.
void require_labels(const engine::Program &program, const mpscnn_model &model, std::int64_t classes);

/// "class 17" where there are no labels.
std::string label_of(const mpscnn_model &model, int index);

/// A photo that is preprocessed when the frame is run; the program must have passed require_image_input.
/// Outputs are left to the caller.
engine::Frame photo_frame(const engine::Program &program, const vision::ImageView &photo,
                          const vision::Preprocess &preprocess);
/// The same, whose outputs are read; they must be of fixed shapes for one image.
engine::Frame photo_frame(const engine::Program &program, const vision::ImageView &photo,
                          const vision::Preprocess &preprocess, engine::Frame::Read read);

/// Throws what went wrong. A session serves one photo at a time: a second one is refused.
void run(mpscnn_session &session, const engine::Frame &frame);

/// The caller's photo as the vision code sees it, which also checks it.
vision::ImageView image_view(const mpscnn_image &image);

} // namespace mpscnn::c_api
