#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/trust/case_check.h"

namespace mpscnn::engine {

// Stores results of device checks in the cache directory (MPSCNN_CACHE, otherwise the platform's). There is a
// small file for each identity of a backend and version of mpscnn. If the directory cannot be written, the
// next process checks again.

/// Return the text that identifies a record: mpscnn's version and the backend's identity, each with a line
/// end.
std::string check_record_of(const std::string &identity);

/// Read the verdict that this version of mpscnn recorded for a backend of this identity.
std::optional<Verdict> verdict_on_record(const std::string &identity);

/// Write a verdict, and replace the recorded one. Failures are ignored.
void remember(const std::string &identity, const Verdict &verdict) noexcept;

/// A lock between processes that check the same identity. The constructor waits until the lock is free. The
/// destructor releases the lock, and so does the end of the process. If the cache directory does not support
/// locks, the constructor does not wait.
class CheckTurn {
public:
    explicit CheckTurn(const std::string &identity);
    ~CheckTurn();
    CheckTurn(const CheckTurn &) = delete;
    CheckTurn &operator=(const CheckTurn &) = delete;

private:
    int descriptor_ = -1;
};

} // namespace mpscnn::engine
