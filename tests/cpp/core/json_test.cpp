// Tests the JSON reader and writer: values, exact numbers, and errors.

#include "core/json.h"

#include <clocale>
#include <cmath>
#include <cstring>
#include <limits>
#include <locale>

#include "tests/cpp/check.h"

using mpscnn::ErrorKind;
using mpscnn::Json;
using mpscnn::JsonLimits;
using mpscnn::JsonView;
using mpscnn::parse_json;
using mpscnn::to_text;
using namespace std::string_literals;

namespace {

constexpr auto parameter = ErrorKind::parameter;

std::string round_trip(std::string_view text) { return to_text(parse_json(text)); }

bool same_bits(double a, double b) { return std::memcmp(&a, &b, sizeof a) == 0; }

/// True if the number is the same, bit for bit, after it is written and read.
bool survives(double number) { return same_bits(parse_json(to_text(number)).get<double>(), number); }

} // namespace

TEST(values_of_every_type) {
    CHECK(parse_json("null").is_null());
    CHECK(parse_json(" \t\r\n true ").get<bool>());
    CHECK(!parse_json("false").get<bool>());
    CHECK(parse_json("-12").get<int>() == -12);
    CHECK(parse_json("0.5").get<double>() == 0.5);
    CHECK(parse_json("\"a\"").get<std::string>() == "a");
    CHECK(parse_json("[]").get_if<Json::Array>()->empty());
    CHECK(parse_json("{ }").get_if<Json::Object>()->empty());
    CHECK(parse_json("[1, [2, 3], {\"k\": 4}]") ==
          Json(Json::Array{1, Json::Array{2, 3}, parse_json("{\"k\":4}")}));
}

TEST(members_keep_their_order) {
    const Json json = parse_json("{\"z\": 1, \"a\": {\"y\": 2}, \"\": 3}");
    const auto &members = *json.get_if<Json::Object>();
    CHECK(members.size() == 3 && members[0].first == "z" && members[1].first == "a" &&
          members[2].first == "");
    CHECK(json.at("a").at("y").get<int>() == 2);
    CHECK(json.find("b") == nullptr && Json(1).find("b") == nullptr);
}

TEST(integers_are_exact) {
    CHECK(parse_json("9223372036854775807").get<std::int64_t>() == std::numeric_limits<std::int64_t>::max());
    CHECK(parse_json("-9223372036854775808").get<std::int64_t>() == std::numeric_limits<std::int64_t>::min());
    CHECK(parse_json("9007199254740993").get<std::int64_t>() == 9007199254740993);
    CHECK(parse_json("-0") == Json(0));
    CHECK(parse_json("9223372036854775808") == Json(9223372036854775808.0));
    CHECK(parse_json("1.0") == Json(1.0) && parse_json("1.0") != Json(1));
    CHECK(parse_json("1e2") == Json(100.0));
}

TEST(doubles_are_the_nearest) {
    CHECK(parse_json("0.1") == Json(0.1));
    CHECK(parse_json("1.7976931348623157e308") == Json(std::numeric_limits<double>::max()));
    CHECK(parse_json("5e-324") == Json(std::numeric_limits<double>::denorm_min()));
    CHECK(parse_json("2.2250738585072011e-308") == Json(2.2250738585072011e-308));
    CHECK(parse_json("1e-999") == Json(0.0));
    CHECK(std::signbit(parse_json("-0.0").get<double>()));
    CHECK(parse_json("1.0000000000000000000000000000000000000000000000000000e5") == Json(1e5));
    CHECK(parse_json("-2.5E+3") == Json(-2500.0) && parse_json("25E-1") == Json(2.5));
    CHECK_THROWS(parse_json("[1e309]"), parameter, "byte 1: the number '1e309' is too large");
}

TEST(strings_are_decoded) {
    CHECK(parse_json(R"("\"\\\/\b\f\n\r\t")").get<std::string>() == "\"\\/\b\f\n\r\t");
    CHECK(parse_json(R"("\u0041\u00e9\u20AC\ud83d\uDE00")").get<std::string>() == "A\u00e9\u20ac\U0001F600");
    CHECK(parse_json(R"("\u0000")").get<std::string>() == "\0"s);
    CHECK(parse_json("\"\u00e9\u20ac\U0001F600\x7f\"").get<std::string>() == "\u00e9\u20ac\U0001F600\x7f");
    CHECK(parse_json("\"\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80\"").get<std::string>().size() == 10);
}

TEST(malformed_text_is_refused) {
    CHECK_THROWS(parse_json(""), parameter, "JSON, byte 0: expected a value, got the end of the text");
    CHECK_THROWS(parse_json("  "), parameter, "byte 2: expected a value");
    CHECK_THROWS(parse_json("\xef\xbb\xbf{}"), parameter, "byte 0: expected a value");
    CHECK_THROWS(parse_json("1 2"), parameter, "byte 2: expected the end of the text, got '2'");
    CHECK_THROWS(parse_json("1\0"s), parameter, "byte 1: expected the end of the text, got '\\x00'");
    CHECK_THROWS(parse_json("nul"), parameter, "expected a value, got 'n'");
    CHECK_THROWS(parse_json("True"), parameter, "expected a value, got 'T'");
    CHECK_THROWS(parse_json("[1,]"), parameter, "byte 3: expected a value, got ']'");
    CHECK_THROWS(parse_json("[1 2]"), parameter, "byte 3: expected ',' or ']' after an element, got '2'");
    CHECK_THROWS(parse_json("[1"), parameter,
                 "expected ',' or ']' after an element, got the end of the text");
    CHECK_THROWS(parse_json("[,1]"), parameter, "byte 1: expected a value, got ','");
    CHECK_THROWS(parse_json("{\"a\":1,}"), parameter, "byte 7: expected a key in double quotes, got '}'");
    CHECK_THROWS(parse_json("{a:1}"), parameter, "byte 1: expected a key in double quotes, got 'a'");
    CHECK_THROWS(parse_json("{\"a\" 1}"), parameter, "byte 5: expected ':' after a key, got '1'");
    CHECK_THROWS(parse_json("{\"a\":1 \"b\":2}"), parameter, "expected ',' or '}' after a member");
    CHECK_THROWS(parse_json("{\"a\":"), parameter, "expected a value, got the end of the text");
    CHECK_THROWS(parse_json("// no\n1"), parameter, "expected a value, got '/'");
    CHECK_THROWS(parse_json("\v1"), parameter, "expected a value, got '\\x0b'");
    CHECK_THROWS(parse_json("]"), parameter, "expected a value, got ']'");
}

TEST(malformed_numbers_are_refused) {
    for (const char *text : {"NaN", "Infinity", "-Infinity", "+1", ".5", "-", "-a", "--1", "1.", "1.e5", "1e",
                             "1e+", "01", "-01", "0x10", "1_000", "1,5"})
        CHECK_THROWS(parse_json(text), parameter, "expected ");
    CHECK_THROWS(parse_json("-x"), parameter, "byte 1: expected a digit after '-', got 'x'");
    CHECK_THROWS(parse_json("1."), parameter, "byte 2: expected a digit after the decimal point");
    CHECK_THROWS(parse_json("1e"), parameter, "byte 2: expected a digit in the exponent");
}

TEST(malformed_strings_are_refused) {
    CHECK_THROWS(parse_json("\"a"), parameter, "byte 2: expected '\"' at the end of a string");
    CHECK_THROWS(parse_json("\"a\nb\""), parameter, "byte 2: the control character 0x0a must be escaped");
    CHECK_THROWS(parse_json("\"\0\""s), parameter, "byte 1: the control character 0x00 must be escaped");
    CHECK_THROWS(parse_json(R"("\x")"), parameter,
                 "byte 2: expected one of \"\\/bfnrtu after a backslash, got 'x'");
    CHECK_THROWS(parse_json("\"\\\0\""s), parameter, "after a backslash, got '\\x00'");
    CHECK_THROWS(parse_json("\"\\"), parameter, "after a backslash, got the end of the text");
    CHECK_THROWS(parse_json(R"("\u12g4")"), parameter,
                 "byte 5: expected four hexadecimal digits after \\u, got 'g'");
    CHECK_THROWS(parse_json("\"\\u12"), parameter, "expected four hexadecimal digits after \\u, got the end");
    for (const char *lone : {R"("\ud83d")", R"("\ude00")", R"("\ud83dx")", R"("\ud83d\n")",
                             R"("\ud83d\ud83d")", R"("\ud83d\u0041")"})
        CHECK_THROWS(parse_json(lone), parameter, "byte 1: half of a surrogate pair");
}

TEST(invalid_utf8_is_refused) {
    for (const char *bytes : {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc3", "\xc3(", "\xe0\x9f\xbf",
                              "\xe2\x82", "\xe2(\xa1", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf0\x9f\x98",
                              "\xf0\x9f(\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
        CHECK_THROWS(parse_json("\""s + bytes + "\""), parameter, "byte 1: the byte 0x");
        CHECK_THROWS(parse_json("{\""s + bytes + "\":1}"), parameter, "is not valid UTF-8");
        CHECK_THROWS(to_text(Json(bytes)), parameter, "is not UTF-8");
    }
    CHECK_THROWS(parse_json("\"\xe2\x82"), parameter, "the byte 0xe2 is not valid UTF-8");
}

TEST(repeated_keys_are_refused) {
    CHECK_THROWS(parse_json("[{\"a\":1,\"b\":2,\"a\":1}]"), parameter,
                 "byte 1: the object that begins here has the key 'a' twice");
    CHECK_THROWS(parse_json(R"({"a":1,"\u0061":2})"), parameter, "has the key 'a' twice");
    CHECK(parse_json("{\"a\":{\"a\":1},\"b\":{\"a\":1}}").at("b").at("a").get<int>() == 1);
}

TEST(limits_are_kept) {
    const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    CHECK(round_trip(nested(64)) == nested(64));
    CHECK_THROWS(parse_json(nested(65)), parameter,
                 "byte 64: more than 64 arrays and objects inside each other");
    CHECK_THROWS(parse_json(std::string(1'000'000, '[')), parameter, "more than 64 arrays and objects");
    std::string objects;
    for (int i = 0; i < 65; ++i) objects += "{\"a\":";
    CHECK_THROWS(parse_json(objects), parameter, "byte 320: more than 64 arrays and objects");
    CHECK_THROWS(parse_json("[]", {.max_depth = 0}), parameter, "more than 0 arrays");
    CHECK(parse_json(nested(256), {.max_depth = 256}).get_if<Json::Array>()->size() == 1);
    CHECK_THROWS(parse_json("1", {.max_depth = 257}), parameter, "max_depth must be 0 to 256, got 257");
    CHECK_THROWS(parse_json("1", {.max_depth = -1}), parameter, "max_depth must be 0 to 256, got -1");
    CHECK(parse_json("1234", {.max_bytes = 4}).get<int>() == 1234);
    CHECK_THROWS(parse_json("12345", {.max_bytes = 4}), parameter, "has 5 bytes, more than the 4 allowed");
    CHECK(parse_json("[1,2]", {.max_values = 3}).get<std::vector<int>>().size() == 2);
    CHECK_THROWS(parse_json("[1,2,3]", {.max_values = 3}), parameter, "byte 5: more than 3 values");
}

TEST(errors_have_the_kind_asked_for) {
    CHECK_THROWS(parse_json("x", {}, ErrorKind::weights), ErrorKind::weights, "expected a value");
    CHECK_THROWS(parse_json("{\"a\":1,\"a\":1}", {}, ErrorKind::weights), ErrorKind::weights, "twice");
    const Json json = parse_json("{\"a\":1}");
    CHECK_THROWS(JsonView(json, "graph", ErrorKind::weights).at("b"), ErrorKind::weights,
                 "graph: the key 'b'");
    CHECK_THROWS(JsonView(json, "graph", ErrorKind::weights).at("a").at("b"), ErrorKind::weights,
                 "graph.a: ");
}

TEST(complaints_name_the_path) {
    const Json json = parse_json(R"({"nodes": [{"stride": 2}, {"stride": [1, "x"], "\n": 0}]})");
    const JsonView nodes = JsonView(json, "graph").at("nodes");
    CHECK(nodes.size() == 2 && nodes.at(0).size() == 1 && nodes.at(0).has("stride") &&
          !nodes.at(0).has("pad"));
    CHECK(nodes.at(1).at("stride").path() == "graph.nodes[1].stride");
    CHECK_THROWS(nodes.at(0).at("pad"), parameter,
                 "graph.nodes[0]: the key 'pad' is missing; keys given: 'stride'");
    CHECK_THROWS(nodes.at(2), parameter, "graph.nodes: expected at least 3 elements, got 2");
    CHECK_THROWS(nodes.at(1).at("stride").get<std::vector<int>>(), parameter,
                 "graph.nodes[1].stride[1]: expected an integer, got a string");
    CHECK_THROWS(nodes.at(1).at("\n").array(), parameter,
                 "graph.nodes[1].\\x0a: expected an array, got an integer");
    CHECK_THROWS(nodes.at(1).allow_only({"stride", "pad"}), parameter,
                 "graph.nodes[1]: unknown key '\\x0a'; known keys: 'stride', 'pad'");
    nodes.at(1).allow_only({"\n", "stride"});
    CHECK_THROWS(nodes.at("a"), parameter, "graph.nodes: expected an object, got an array");
    CHECK_THROWS(nodes.has("a"), parameter, "graph.nodes: expected an object, got an array");
    CHECK_THROWS(nodes.at(0).at("stride").size(), parameter,
                 "graph.nodes[0].stride: expected an object, got an int");
    CHECK_THROWS(json.at("edges"), parameter, "JSON: the key 'edges' is missing");
    CHECK_THROWS(Json::object().at("edges"), parameter, "keys given: none");
}

TEST(wrong_types_are_refused) {
    CHECK_THROWS(Json(1).get<bool>(), parameter, "JSON: expected true or false, got an integer");
    CHECK_THROWS(Json(true).get<int>(), parameter, "expected an integer, got a boolean");
    CHECK_THROWS(Json(1.0).get<int>(), parameter, "expected an integer, got a number");
    CHECK_THROWS(Json("1").get<double>(), parameter, "expected a number, got a string");
    CHECK_THROWS(Json().get<std::string>(), parameter, "expected a string, got null");
    CHECK_THROWS(Json::object().get<std::vector<int>>(), parameter, "expected an array, got an object");
    CHECK_THROWS(Json::array().at("a"), parameter, "expected an object, got an array");
}

TEST(ranges_are_checked) {
    CHECK_THROWS(Json(3'000'000'000).get<int>(), parameter, "from -2147483648 to 2147483647, got 3000000000");
    CHECK_THROWS(Json(-1).get<unsigned>(), parameter, "from 0 to 4294967295, got -1");
    CHECK_THROWS(Json(256).get<std::uint8_t>(), parameter, "from 0 to 255, got 256");
    CHECK_THROWS(Json(-1).get<std::uint64_t>(), parameter, "from 0 to 9223372036854775807, got -1");
    CHECK(Json(255).get<std::uint8_t>() == 255 && Json(7).get<std::uint64_t>() == 7);
    CHECK(Json(7).get<float>() == 7.0f && Json(0.1).get<float>() == 0.1f);
    CHECK_THROWS(Json(1e300).get<float>(), parameter,
                 "at most 3.4028234663852886e+38 in magnitude, got 1e+300");
    CHECK_THROWS(Json(-1e39).get<float>(), parameter, "in magnitude, got -1e+39");
    CHECK_THROWS(Json(std::numeric_limits<std::uint64_t>::max()), parameter,
                 "18446744073709551615 does not fit");
    CHECK_THROWS(Json(std::nan("")), parameter, "a number must be finite, got nan");
    CHECK_THROWS(Json(-HUGE_VAL), parameter, "a number must be finite, got -inf");
}

TEST(objects_are_built) {
    Json json = Json::object();
    json.set("b", true);
    json.set("a", std::vector<std::int64_t>{1, 2});
    json.set("list", Json::array());
    json.set("text", std::string_view("x"));
    CHECK(to_text(json) == R"({"b":true,"a":[1,2],"list":[],"text":"x"})");
    CHECK_THROWS(json.set("a", 1), parameter, "already has the key 'a'");
    CHECK_THROWS(json.push_back(1), ErrorKind::state, "cannot append to an object");
    Json list = Json::array();
    list.push_back(nullptr);
    list.push_back(json);
    CHECK(to_text(list) == R"([null,{"b":true,"a":[1,2],"list":[],"text":"x"}])");
    CHECK_THROWS(list.set("a", 1), ErrorKind::state, "cannot add a member to an array");
    CHECK(to_text(Json::object({{"b", 1}, {"a", 2}})) == R"({"b":1,"a":2})");
    CHECK_THROWS(Json::object({{"b", 1}, {"a", 2}, {"b", 3}}), parameter, "has the key 'b' twice");
}

TEST(text_is_compact_and_comes_back) {
    const std::string text = R"({"z":[1,-2,3.5,1e+100,true,false,null],"a":{"":"\"\\/\b\f\n\r\t\u0001\u001f)"
                             "\x7f\u00e9\U0001F600\"}}";
    CHECK(round_trip(text) == text);
    CHECK(round_trip(" { \"a\" : [ 1 , 2 ] } ") == R"({"a":[1,2]})");
    CHECK(parse_json(to_text(Json("\0a"s))).get<std::string>() == "\0a"s);
}

TEST(doubles_come_back) {
    CHECK(to_text(0.1) == "0.1" && to_text(1.0) == "1.0" && to_text(-0.0) == "-0.0" &&
          to_text(1e22) == "1e+22");
    CHECK(to_text(double{0.1f}) == "0.10000000149011612");
    CHECK(to_text(1.0 / 3.0) == "0.33333333333333331");
    CHECK(to_text(123456789.0) == "123456789.0");
    CHECK(survives(-0.0) && survives(std::numeric_limits<double>::denorm_min()));
    CHECK(survives(std::numeric_limits<double>::max()) && survives(-std::numeric_limits<double>::min()));
    std::uint64_t state = 1;
    for (int i = 0; i < 2000; ++i) {
        state = state * 6364136223846793005u + 1442695040888963407u; // Knuth's MMIX generator
        double number;
        std::memcpy(&number, &state, sizeof number);
        if (std::isfinite(number)) CHECK(survives(number));
    }
}

TEST(locale_does_not_matter) {
    struct Comma : std::numpunct<char> {
        char do_decimal_point() const override { return ','; }
        char do_thousands_sep() const override { return '.'; }
        std::string do_grouping() const override { return "\3"; }
    };
    const std::locale before = std::locale::global(std::locale(std::locale::classic(), new Comma));
    for (const char *name : {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"})
        if (std::setlocale(LC_NUMERIC, name)) break;
    CHECK(round_trip("[1234567.5,1234567]") == "[1234567.5,1234567]");
    std::setlocale(LC_NUMERIC, "C");
    std::locale::global(before);
}

TEST(too_deep_values_are_not_written) {
    Json json = 1;
    for (int i = 0; i < 64; ++i) json = Json(Json::Array{json});
    CHECK(parse_json(to_text(json)) == json);
    CHECK_THROWS(to_text(Json(Json::Array{json})), parameter, "cannot write more than 64 arrays and objects");
}

TEST(messages_show_small_and_large_numbers) {
    const float tenth = 0.1f;
    CHECK(mpscnn::concat({1e-9, ", ", 0.5, ", ", 65520.0, ", ", 1e30}) == "1e-09, 0.5, 65520, 1e+30");
    CHECK(mpscnn::concat({tenth, ", ", 1.0000001, ", ", 1e6}) == "0.1, 1.0000001, 1000000");
    CHECK(mpscnn::concat({std::nan(""), ", ", -HUGE_VAL}) == "nan, -inf");
}

TEST(messages_quote_safely) {
    CHECK(mpscnn::quoted("a\u00e9\n\x7f\xff") == "'a\u00e9\\x0a\\x7f\\xff'");
    CHECK(mpscnn::quoted("\u009b1m \u061c \u202e \u2028 \u2069 \u00a0\u2013") ==
          "'\\xc2\\x9b1m \\xd8\\x9c \\xe2\\x80\\xae \\xe2\\x80\\xa8 \\xe2\\x81\\xa9 \u00a0\u2013'");
    CHECK(mpscnn::quoted(std::string(100, 'x')) == "'" + std::string(100, 'x') + "'");
    CHECK(mpscnn::quoted(std::string(101, 'x')) == "'" + std::string(100, 'x') + "...'");
}
