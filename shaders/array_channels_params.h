#pragma once

enum {
    /// Number of threads of a threadgroup that sums the numbers of channels (array_channels.h).
    channel_threads = 256
};
