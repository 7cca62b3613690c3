#include "api/profiles.h"

#include <string>
#include <utility>

#include "api/guard.h"
#include "core/error.h"
#include "core/json.h"

namespace mpscnn::c_api {

int profile_runs(const mpscnn_profile_options *given) {
    constexpr int usual = 20, maximum = 100'000;
    const int runs = read_options(given, "mpscnn_profile_options").runs;
    if (runs < 0 || runs > maximum)
        fail(ErrorKind::parameter, {"runs must be 0 (", usual, ") to ", maximum, ", got ", runs});
    return runs == 0 ? usual : runs;
}

void give(const engine::Profile &profile, mpscnn_text **json, mpscnn_text **trace) {
    std::string text = to_text(to_json(profile));
    if (trace) give(to_text(chrome_trace(profile)), trace);
    give(std::move(text), json);
}

} // namespace mpscnn::c_api
