// Messages of failures are shortened in the middle, between characters.

#include "core/failure.h"

#include <string>
#include <string_view>

#include "tests/cpp/check.h"

using namespace mpscnn;

namespace {

std::string repeated(std::string_view text, std::size_t count) {
    std::string result;
    for (std::size_t i = 0; i < count; ++i) result += text;
    return result;
}

/// True if no character of UTF-8 is cut. All characters of the tests have the same bytes.
bool is_whole(std::string_view text, std::string_view character) {
    while (text.starts_with(character)) text.remove_prefix(character.size());
    return text.empty();
}

} // namespace

TEST(long_messages_lose_their_middle) {
    constexpr std::string_view mark = " bytes) ... ";
    for (const std::string_view character : {"x", "\u00e9", "\u20ac", "\U0001f600"})
        for (const std::size_t bytes : {0, 1, 1999, 2000, 2001, 2002, 2003, 2004, 2005, 30000}) {
            const std::string message = repeated(character, bytes / character.size() + 1);
            const Failure failure = failure_of([&] { fail(ErrorKind::weights, message); });
            const std::string_view found = failure.message();
            CHECK(failure.error_kind() == ErrorKind::weights);
            if (message.size() <= 2000) {
                CHECK(found == message);
                continue;
            }
            const std::size_t begin = found.find(" ... ("), end = found.find(mark);
            CHECK(found.size() <= 2000 && begin > 1190 && end != std::string_view::npos);
            CHECK(found.size() - end - mark.size() > 690);
            CHECK(is_whole(found.substr(0, begin), character));
            CHECK(is_whole(found.substr(end + mark.size()), character));
        }
}

TEST(messages_that_are_not_utf_8_are_shortened) {
    for (const char byte : {'\x80', '\xff'}) {
        const Failure failure = failure_of([&] { fail(ErrorKind::weights, std::string(5000, byte)); });
        CHECK(std::string_view(failure.message()).size() <= 2000);
    }
}
