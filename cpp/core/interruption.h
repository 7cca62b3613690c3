#pragma once

namespace mpscnn {

/// A function that returns another number than 0 if a wait for a device should end, for example after Ctrl-C.
using WaitCallback = int (*)(void *context);

/// Set the function; nullptr sets none.
void set_wait_callback(WaitCallback callback, void *context);

/// Return whether a wait of the calling thread should end. Waits ask a few times a second.
bool is_interrupted();

} // namespace mpscnn
