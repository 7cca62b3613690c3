#pragma once

#include "mpscnn/mpscnn.h"
#include "vision/image_view.h"

namespace mpscnn::c_api {

/// The caller's photo as the vision code sees it, which also checks it.
vision::ImageView image_view(const mpscnn_image &image);

} // namespace mpscnn::c_api
