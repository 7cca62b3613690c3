#pragma once

#include "cpu/tasks/task.h"

namespace mpscnn::cpu {

/// Copies the channels of several sources side by side: each pixel of the destination is written once, which
/// a copy for each source would write in several passes. Channels between the sources are left as they are.
struct ConcatenationTask {
    static constexpr std::size_t most_others = 7;

    ConstView source; ///< to the destination's first channels
    View destination;
    ConstView others[most_others];
    std::int64_t positions[most_others] = {}; ///< each one's first channel in the destination
    std::int64_t count = 0;                   ///< of the others

    const char *kernel_name() const { return "concatenation"; }
};

} // namespace mpscnn::cpu
