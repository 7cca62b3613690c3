#pragma once

// Reads decisions from a fuzzer's input.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <string>
#include <string_view>

/// The largest size of a text in bytes for which a short input may stand: libFuzzer's option -max_len, or a
/// megabyte without it. Most inputs are tried with a small size, because a text of a megabyte takes as long
/// as a thousand short ones.
inline std::size_t largest_text = 1 << 20;

/// libFuzzer calls this function with its command line before the first input.
extern "C" int LLVMFuzzerInitialize(int *count, char ***words) {
    constexpr std::string_view option = "-max_len=";
    for (int i = 1; i < *count; ++i)
        if (std::string_view((*words)[i]).starts_with(option))
            largest_text = std::strtoull((*words)[i] + option.size(), nullptr, 10);
    return 0;
}

/// The decisions in an input. After its end, numbers are 0 and texts are empty.
class Choices {
public:
    Choices(const std::uint8_t *data, std::size_t size)
        : bytes_(reinterpret_cast<const char *>(data), size) {}

    bool empty() const { return bytes_.empty(); }

    std::size_t below(std::size_t count) {
        if (empty()) return 0;
        const auto byte = static_cast<unsigned char>(bytes_.front());
        bytes_.remove_prefix(1);
        return byte % count;
    }
    bool yes() { return below(2) != 0; }
    int up_to(int maximum) { return static_cast<int>(below(static_cast<std::size_t>(maximum) + 1)); }

    /// Return a number for which checks or arithmetic are often wrong.
    std::int64_t number() {
        static constexpr std::int64_t interesting[] = {0,          1,
                                                       2,          3,
                                                       4,          5,
                                                       7,          8,
                                                       64,         255,
                                                       1000,       1 << 23,
                                                       16'777'215, 1 << 24,
                                                       INT32_MAX,  INT32_MIN,
                                                       INT64_MAX,  INT64_MIN,
                                                       -1,         -2,
                                                       -4,         std::int64_t{1} << 40};
        return interesting[below(std::size(interesting))];
    }

    /// Return the next bytes as a value of this type.
    template <class T> T raw() {
        T value{};
        const std::size_t taken = bytes_.size() < sizeof value ? bytes_.size() : sizeof value;
        std::memcpy(&value, bytes_.data(), taken);
        bytes_.remove_prefix(taken);
        return value;
    }

    std::string_view take(std::size_t size) {
        const std::string_view taken = bytes_.substr(0, size);
        bytes_.remove_prefix(taken.size());
        return taken;
    }
    std::string_view rest() { return take(bytes_.size()); }

    /// Return a text of up to about `largest_text` bytes, which the rest of the input describes. Each part of
    /// the input is repeated, and a '#' in it becomes the number of the copy. Reading such a text must not
    /// take quadratic time.
    std::string long_text() {
        static constexpr std::size_t counts[] = {1, 1, 1, 2, 100, 10'000, 200'000};
        std::string text;
        while (!empty() && text.size() < largest_text) {
            const std::size_t count = counts[below(std::size(counts))];
            const std::string_view part = take(1 + below(255));
            for (std::size_t i = 0; i < count && text.size() < largest_text; ++i)
                for (const char c : part) c == '#' ? text += std::to_string(i) : text += c;
        }
        return text;
    }

private:
    std::string_view bytes_;
};
