#pragma once

// Profiles, as the functions that make them take and give them.

#include "engine/run/profile.h"
#include "mpscnn/mpscnn.h"

namespace mpscnn::c_api {

/// How many runs are measured.
int profile_runs(const mpscnn_profile_options *given);

/// `trace` may be null.
void give(const engine::Profile &profile, mpscnn_text **json, mpscnn_text **trace);

} // namespace mpscnn::c_api
