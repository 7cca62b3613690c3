#include "cpu/plan/caches.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include "core/error.h"
#include "core/json.h"
#include "core/platform.h"

namespace mpscnn::cpu {

namespace {

CacheSizes detected_caches() {
    const platform::CacheSizes sizes = platform::cache_sizes();
    return {.first = static_cast<std::int64_t>(sizes.first),
            .second = static_cast<std::int64_t>(sizes.second),
            .last = static_cast<std::int64_t>(sizes.last)};
}

/// Read the three sizes in MPSCNN_CACHE_SIZES. Return false for any other text.
bool read_sizes(std::string_view text, CacheSizes &caches) {
    constexpr std::int64_t minimum = 1 << 10, maximum = std::int64_t{1} << 40;
    const char *next = text.data(), *const end = next + text.size();
    for (std::int64_t *size : {&caches.first, &caches.second, &caches.last}) {
        const auto [behind, error] = std::from_chars(next, end, *size);
        if (error != std::errc() || *size < minimum || *size > maximum) return false;
        const bool is_last = size == &caches.last;
        if (is_last) return behind == end;
        if (behind == end || *behind != ',') return false;
        next = behind + 1;
    }
    return false;
}

} // namespace

CacheSizes machine_caches() {
    static const CacheSizes detected = detected_caches();
    const char *variable = std::getenv("MPSCNN_CACHE_SIZES");
    if (!variable || !*variable) return detected;
    CacheSizes caches;
    if (!read_sizes(variable, caches))
        fail(ErrorKind::parameter,
             {"MPSCNN_CACHE_SIZES: expected bytes of the first, second and last level, each "
              "from 1024 to 2^40, such as \"32768,524288,8388608\", got ",
              quoted(variable)});
    return caches;
}

std::int64_t usable_l2_bytes(const CacheSizes &caches) { return caches.second * 3 / 4; }

std::int64_t usable_last_level_bytes(const CacheSizes &caches) {
    return std::max(usable_l2_bytes(caches), caches.last / 4);
}

} // namespace mpscnn::cpu
