#pragma once

#include <optional>
#include <string>

#include "engine/backend.h"

namespace mpscnn::engine {

/// Runs small networks (convolution, depthwise, transposed, pooling at edges, resize, a dense layer over an
/// image that is not square) on both backends. Returns what differed, or nothing. What `subject` refuses is
/// left out.
std::optional<std::string> find_wrong_answer(const Backend &subject, const Backend &judge);

/// Whether the environment says MPSCNN_SKIP_SELF_CHECK=1.
bool skips_self_check();

/// Throws DeviceError when `subject` answers otherwise than `judge`. Right answers are remembered for the
/// identity of the backend, in this process and in the cache directory; a wrong one in this process only, for
/// a new system or driver may cure it. Looks at nothing where skips_self_check().
void require_right_answers(const Backend &subject, const Backend &judge);

} // namespace mpscnn::engine
