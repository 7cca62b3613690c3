#pragma once

// Arguments and results of the functions for profiles.

#include "engine/run/profile.h"
#include "mpscnn/mpscnn.h"

namespace mpscnn::c_api {

/// Return the number of runs to measure: the caller's number, or 20 if that is 0 or `given` is NULL. Throws
/// ParameterError for a number below 0 or above 100 000.
int profile_runs(const mpscnn_profile_options *given);

/// Give a profile to the caller; `trace` may be null.
void give(const engine::Profile &profile, mpscnn_text **json, mpscnn_text **trace);

} // namespace mpscnn::c_api
