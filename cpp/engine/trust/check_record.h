#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/trust/case_check.h"

namespace mpscnn::engine {

// Stored results of device checks, in the cache directory (MPSCNN_CACHE, otherwise the platform's): a small
// file for each identity of a backend and version of mpscnn. If the directory cannot be written, the next
// process checks again.

/// All on which a record depends: mpscnn's version and the identity. Ends with a line end.
std::string check_record_of(const std::string &identity);

/// What this version of mpscnn found about a backend of this identity.
std::optional<Verdict> verdict_on_record(const std::string &identity);

/// Replaces what is on record.
void remember(const std::string &identity, const Verdict &verdict) noexcept;

/// While alive, no other process has a turn for this identity: waits for the one that has. Ends with its
/// process at the latest. Where the cache directory has no locks, nobody waits.
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
