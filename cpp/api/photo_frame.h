#pragma once

// Frames that run a model's network on a photo, for a session or a runner.

#include <span>
#include <string>
#include <vector>

#include "api/handles.h"
#include "mpscnn/mpscnn.h"
#include "vision/image_view.h"
#include "vision/tiles.h"

namespace mpscnn::c_api {

/// Throws unless the program has a single image input of a fixed size (the batch may be free). `doing` names
/// the task in the message, such as "classifying".
void require_image_input(const engine::Program &program, const std::string &doing);
/// Throws unless a photo can be the program's only input, and the model describes its preprocessing.
void require_photo_input(const engine::Program &program, const mpscnn_model &model, const std::string &doing);

/// Throws unless all classes have labels, or none has.
void require_labels(const engine::Program &program, const mpscnn_model &model, std::int64_t classes);

/// Return the label of a class, or "class 17" if there are no labels.
std::string label_of(const mpscnn_model &model, int index);

/// Return a frame that preprocesses photos when it is run, each to one image of the batch. The program must
/// have passed require_image_input. The caller sets the outputs.
engine::Frame photo_frame(const engine::Program &program, std::vector<vision::ImageView> photos,
                          const vision::Preprocess &preprocess);
/// Return a frame like the function above, and set the outputs and the function that reads them. The outputs
/// must have fixed shapes for one image.
engine::Frame photo_frame(const engine::Program &program, std::vector<vision::ImageView> photos,
                          const vision::Preprocess &preprocess, engine::Frame::Read read);

/// Return the tiles that a caller asks for; none if `side` is 0. An overlap of 0 is the default, and a
/// negative one is none. Throws for numbers out of range, and for a network whose images depend on each
/// other.
std::vector<vision::Tile> tiles_of(const engine::Program &program, const vision::ImageView &photo, int side,
                                   double overlap);

/// Return the outputs of one image of a batch.
std::vector<engine::TensorView> outputs_of(std::span<const engine::TensorView> outputs, std::size_t image);

/// Run a frame in a session; throws its failure. A session runs one photo at a time, and a second one is an
/// error.
void run(mpscnn_session &session, const engine::Frame &frame);

/// Check the caller's photo, and return it as a view for the vision code.
vision::ImageView image_view(const mpscnn_image &image);

} // namespace mpscnn::c_api
