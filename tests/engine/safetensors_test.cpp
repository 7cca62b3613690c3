// Tests the reader of safetensors files: valid files, damaged ones, and limits.

#include "engine/file/safetensors.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <system_error>

#include "core/json.h"
#include "tests/cpp/check.h"

using mpscnn::ErrorKind;
using mpscnn::Shape;
using mpscnn::engine::describe_size;
using mpscnn::engine::SafetensorsFile;
using mpscnn::engine::StoredTensor;
using mpscnn::engine::StoredType;

namespace {

constexpr auto weights = ErrorKind::weights;

std::string with_length(std::uint64_t length, const std::string &rest) {
    std::string result;
    for (int i = 0; i < 8; ++i) result += static_cast<char>(length >> 8 * i & 255);
    return result + rest;
}

/// Return a file with this header and data bytes 0, 1, 2, ...
std::string file_of(const std::string &header, std::size_t data_size = 0) {
    std::string data(data_size, '\0');
    for (std::size_t i = 0; i < data_size; ++i) data[i] = static_cast<char>(i);
    return with_length(header.size(), header + data);
}

SafetensorsFile parse(const std::string &bytes) {
    return SafetensorsFile::parse(std::as_bytes(std::span(bytes)), "x.safetensors");
}

SafetensorsFile parse(const std::string &header, std::size_t data_size) {
    return parse(file_of(header, data_size));
}

std::string tensor(const std::string &dtype, const std::string &shape, const std::string &offsets) {
    return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

/// Return a header with the single tensor "a".
std::string one(const std::string &dtype, const std::string &shape, const std::string &offsets) {
    return R"({"a":)" + tensor(dtype, shape, offsets) + "}";
}

/// Return a header with uint8 tensors "t0", "t1", ... at these offsets.
std::string spans(const std::vector<std::pair<int, int>> &offsets) {
    std::string header = "{";
    for (std::size_t i = 0; i < offsets.size(); ++i) {
        const auto [begin, end] = offsets[i];
        header += (i ? ",\"t" : "\"t") + std::to_string(i) + "\":" +
                  tensor("U8", "[" + std::to_string(end - begin) + "]",
                         "[" + std::to_string(begin) + "," + std::to_string(end) + "]");
    }
    return header + "}";
}

bool holds(const SafetensorsFile &file, const char *name, std::size_t first, std::size_t count) {
    const StoredTensor &tensor = file.at(name);
    const std::shared_ptr<const std::byte> bytes = file.share(tensor);
    for (std::size_t i = 0; i < tensor.size; ++i)
        if (bytes.get()[i] != static_cast<std::byte>(first + i)) return false;
    return tensor.size == count;
}

/// A temporary directory that the destructor removes.
class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::random_device random;
        path_ = std::filesystem::temp_directory_path() / ("mpscnn_test_" + std::to_string(random()));
        std::filesystem::create_directory(path_);
    }
    ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
    TemporaryDirectory(const TemporaryDirectory &) = delete;
    TemporaryDirectory &operator=(const TemporaryDirectory &) = delete;

    std::string path(const std::string &name) const { return (path_ / name).string(); }
    std::string write(const std::string &name, const std::string &bytes) const {
        std::ofstream(path(name), std::ios::binary) << bytes;
        return path(name);
    }

private:
    std::filesystem::path path_;
};

} // namespace

TEST(tensors_and_metadata_are_read) {
    const std::string header = R"({"__metadata__":{"format":"pt","b":"\u00e9"},"second":)" +
                               tensor("F32", "[1,2]", "[6,14]") + R"(,"first":)" +
                               tensor("F16", "[3]", "[0,6]") + "}  \n";
    const SafetensorsFile file = parse(header, 14);
    CHECK(file.origin() == "x.safetensors");
    CHECK(file.metadata().size() == 2 && file.metadata().at("format") == "pt" &&
          file.metadata().at("b") == "\u00e9");
    CHECK(file.tensors().size() == 2 && file.tensors()[0].name == "second" &&
          file.tensors()[1].name == "first");
    CHECK(file.at("second").type == StoredType::float32 && file.at("second").shape == Shape({1, 2}));
    CHECK(holds(file, "second", 6, 8) && holds(file, "first", 0, 6));
    CHECK(file.find("third") == nullptr && file.find("__metadata__") == nullptr);
    CHECK_THROWS(file.at("third"), weights, "x.safetensors: there is no tensor 'third' among its 2.");
}

TEST(every_data_type_has_its_size) {
    const std::vector<std::pair<std::string, std::size_t>> sizes{
        {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"U16", 2}, {"I16", 2}, {"F16", 2}, {"BF16", 2},
        {"U32", 4},  {"I32", 4}, {"F32", 4}, {"U64", 8}, {"I64", 8}, {"F64", 8}};
    for (const auto &[name, size] : sizes) {
        const SafetensorsFile file = parse(one(name, "[]", "[0," + std::to_string(size) + "]"), size);
        CHECK(name_of(file.at("a").type) == name && size_of(file.at("a").type) == size);
        CHECK(file.at("a").shape.rank() == 0 && file.at("a").size == size);
        CHECK_THROWS(parse(one(name, "[1]", "[0," + std::to_string(size + 1) + "]"), size + 1), weights,
                     "data type " + name + " take " + std::to_string(size));
    }
}

TEST(empty_files_and_tensors_are_allowed) {
    CHECK(parse("{}", 0).tensors().empty() && parse(R"({"__metadata__":{}})", 0).metadata().empty());
    const SafetensorsFile file = parse(spans({{4, 4}, {0, 4}, {0, 0}, {4, 4}}), 4);
    CHECK(file.tensors().size() == 4 && holds(file, "t1", 0, 4) && file.at("t3").size == 0);
    CHECK(parse(one("F32", "[2147483647,0,2]", "[0,0]"), 0).at("a").shape == Shape({2147483647, 0, 2}));
}

TEST(copies_and_shares_outlive_the_source) {
    std::shared_ptr<const std::byte> shared;
    std::optional<SafetensorsFile> copy;
    {
        std::string bytes = file_of(spans({{0, 2}, {2, 5}}), 5);
        const SafetensorsFile file = parse(bytes);
        std::fill(bytes.begin(), bytes.end(), '\xff');
        shared = file.share(file.at("t1"));
        copy = file;
    }
    CHECK(holds(*copy, "t0", 0, 2));
    CHECK(copy->share(copy->at("t1")) == shared);
    copy.reset();
    CHECK(shared.get()[0] == std::byte{2} && shared.get()[2] == std::byte{4});
}

TEST(short_files_are_refused) {
    CHECK_THROWS(parse(""), weights,
                 "x.safetensors is not a model file: it has 0 bytes, a model file has at least 8.");
    CHECK_THROWS(parse("1"), weights, "it has 1 byte, a model file has at least 8.");
    CHECK_THROWS(parse("1234567"), weights, "it has 7 bytes, a model file has at least 8.");
    const std::string whole = file_of(spans({{0, 2}, {2, 5}}), 5);
    for (std::size_t size = 0; size < whole.size(); ++size)
        CHECK_THROWS(parse(whole.substr(0, size)), weights, "x.safetensors");
}

TEST(headers_too_long_are_refused) {
    const std::string other =
        "x.safetensors is not a model file: it does not begin as one does; `mpscnn convert` "
        "makes model files of other formats.";
    CHECK_THROWS(parse(with_length(1'200'000'000, std::string(3'999'992, ' '))), weights, other);
    CHECK_THROWS(parse("\x1c" + std::string(3, '\0') + "TFL3" + std::string(40, '\0')), weights, other);
    CHECK_THROWS(parse(with_length(60'000'000, std::string(3'999'992, ' '))), weights,
                 "x.safetensors is not a model file: the first 8 bytes promise a header of 60 MB, the file "
                 "has 4 MB.");
    CHECK_THROWS(parse(with_length(4'000'001, std::string(3'999'993, ' '))), weights,
                 "promise a header of 4000001 bytes, 3999993 bytes follow.");
    CHECK_THROWS(parse(with_length(~std::uint64_t{0}, "{}")), weights, other);
    CHECK_THROWS(parse(with_length(~std::uint64_t{0} - 7, "{}")), weights, other);
    CHECK_THROWS(parse(with_length(3, "{}")), weights, "a header of 3 bytes, 2 bytes follow.");
    CHECK_THROWS(parse(with_length(64'000'001, std::string(64'000'001, ' '))), weights,
                 "promise a header of 64000001 bytes, at most 64 MB are allowed.");
    CHECK_THROWS(parse(with_length(90'000'000, std::string(90'000'000, ' '))), weights,
                 "promise a header of 90000000 bytes, at most 64 MB are allowed.");
}

TEST(damaged_headers_are_refused) {
    const std::string no_brace = "x.safetensors is not a model file: its header does not begin with '{'.";
    for (const char *header : {"", "[]", " {}", "null", "\xef\xbb\xbf{}", "GGUF"})
        CHECK_THROWS(parse(header, 0), weights, no_brace);
    CHECK_THROWS(parse("{\"a\":}", 0), weights,
                 "x.safetensors: the header is damaged: JSON, byte 5: expected a value, got '}'.");
    CHECK_THROWS(parse("{} x", 0), weights, "expected the end of the text");
    CHECK_THROWS(parse("{\"\xff\":1}", 0), weights, "is not valid UTF-8");
    CHECK_THROWS(parse("{\"a\":[[[", 0), weights, "more than 3 arrays and objects inside each other");
    CHECK_THROWS(parse(R"({"a":1,"a":1})", 0), weights, "the key 'a' twice");
    CHECK_THROWS(parse(R"({"__metadata__":{},"__metadata__":{}})", 0), weights,
                 "the key '__metadata__' twice");
}

TEST(malformed_metadata_is_refused) {
    CHECK_THROWS(parse(R"({"__metadata__":1})", 0), weights,
                 "x.safetensors: __metadata__: expected an object, got an integer");
    CHECK_THROWS(parse(R"({"__metadata__":{"version":1}})", 0), weights,
                 "x.safetensors: __metadata__.version: expected a string, got an integer");
    CHECK_THROWS(parse(R"({"__metadata__":{"a":"","a":""}})", 0), weights, "the key 'a' twice");
}

TEST(malformed_entries_are_refused) {
    CHECK_THROWS(parse(R"({"a":1})", 0), weights, "x.safetensors: 'a': expected an object, got an integer");
    CHECK_THROWS(parse(R"({"a":{}})", 0), weights, "'a': the key 'dtype' is missing");
    CHECK_THROWS(parse(R"({"a":{"dtype":"U8"}})", 0), weights, "'a': the key 'shape' is missing");
    CHECK_THROWS(parse(R"({"a":{"dtype":"U8","shape":[0]}})", 0), weights,
                 "'a': the key 'data_offsets' is missing");
    CHECK_THROWS(parse(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"code":""}})", 0), weights,
                 "'a': unknown key 'code'; known keys: 'dtype', 'shape', 'data_offsets'");
    CHECK_THROWS(parse(R"({"a":{"dtype":4,"shape":[0],"data_offsets":[0,0]}})", 0), weights,
                 "'a'.dtype: expected a string, got an integer");
    for (const char *dtype : {"F8_E4M3", "f32", "F32 ", "", "float32", "C64"})
        CHECK_THROWS(parse(one(dtype, "[0]", "[0,0]"), 0), weights,
                     "'a'.dtype: unknown data type '" + std::string(dtype) +
                         "'; known: BOOL, U8, I8, U16, I16, F16, ");
    CHECK_THROWS(parse(one("U8", "4", "[0,4]"), 4), weights, "'a'.shape: expected an array, got an integer");
    CHECK_THROWS(parse(one("U8", "[4]", "4"), 4), weights,
                 "'a'.data_offsets: expected an array, got an integer");
    CHECK_THROWS(parse(one("U8", "[4]", "[0]"), 4), weights,
                 "expected the two offsets of begin and end, got 1.");
    CHECK_THROWS(parse(one("U8", "[4]", "[0,2,4]"), 4), weights,
                 "expected the two offsets of begin and end, got 3.");
}

TEST(hostile_shapes_are_refused) {
    CHECK_THROWS(parse(one("U8", "[2,-1]", "[0,2]"), 2), weights,
                 "x.safetensors: 'a'.shape[1]: expected an extent from 0 to 2147483647, got -1.");
    CHECK_THROWS(parse(one("U8", "[2147483648]", "[0,2]"), 2), weights,
                 "'a'.shape[0]: expected an extent from 0 to");
    CHECK_THROWS(parse(one("U8", "[2.0]", "[0,2]"), 2), weights,
                 "'a'.shape[0]: expected an integer, got a number");
    CHECK_THROWS(parse(one("U8", "[18446744073709551618]", "[0,2]"), 2), weights,
                 "expected an integer, got a number");
    CHECK_THROWS(parse(one("U8", "[1,1,1,1,1,1,1]", "[0,1]"), 1), weights,
                 "'a'.shape: expected at most 6 axes, got 7.");
    const std::string large = "[2147483647,2147483647,2147483647";
    CHECK_THROWS(parse(one("U8", large + "]", "[0,2]"), 2), weights, "has too many elements.");
    CHECK_THROWS(parse(one("U8", large + ",0]", "[0,0]"), 0), weights, "has too many elements.");
    CHECK_THROWS(parse(one("U8", "[0," + large.substr(1) + "]", "[0,0]"), 0), weights,
                 "has too many elements.");
    // 2^62 elements fit 63 bits, but their 2^64 bytes would wrap around to 0.
    CHECK_THROWS(parse(one("F32", "[1073741824,1073741824,4]", "[0,0]"), 0), weights,
                 "has too many elements.");
    CHECK_THROWS(parse(one("U8", "[2147483647,2147483647]", "[0,2]"), 2), weights,
                 "take 4611686014132420609 bytes, the offsets span 2.");
}

TEST(wrong_offsets_are_refused) {
    CHECK_THROWS(parse(one("F32", "[2]", "[0,7]"), 7), weights,
                 "x.safetensors: 'a': shape (2,) and data type F32 take 8 bytes, the offsets span 7.");
    CHECK_THROWS(parse(one("F32", "[]", "[0,0]"), 0), weights, "take 4 bytes, the offsets span 0.");
    CHECK_THROWS(parse(one("U8", "[2]", "[2,0]"), 2), weights,
                 "'a'.data_offsets: the end 0 lies before the begin 2.");
    CHECK_THROWS(parse(one("U8", "[2]", "[0,2]"), 1), weights,
                 "'a'.data_offsets: the end 2 lies beyond the 1 byte of data: the file is cut or damaged.");
    CHECK_THROWS(parse(one("U8", "[2]", "[9223372036854775805,9223372036854775807]"), 2), weights,
                 "lies beyond the 2");
    CHECK_THROWS(parse(one("U8", "[2]", "[-2,0]"), 2), weights,
                 "'a'.data_offsets[0]: expected an integer from 0 to");
    CHECK_THROWS(parse(one("U8", "[2]", "[0,\"2\"]"), 2), weights,
                 "'a'.data_offsets[1]: expected an integer, got a string");
    CHECK_THROWS(parse(one("U8", "[2]", "[0,1e0]"), 2), weights, "expected an integer, got a number");
}

TEST(overlaps_are_refused) {
    CHECK_THROWS(parse(spans({{0, 4}, {3, 6}}), 6), weights,
                 "x.safetensors: the tensors 't0' and 't1' overlap in the data.");
    CHECK_THROWS(parse(spans({{2, 4}, {0, 4}}), 4), weights,
                 "the tensors 't1' and 't0' overlap in the data.");
    CHECK_THROWS(parse(spans({{0, 4}, {0, 4}}), 4), weights, "overlap in the data.");
    CHECK_THROWS(parse(spans({{0, 4}, {2, 2}}), 4), weights, "overlap in the data.");
}

TEST(gaps_are_refused) {
    CHECK_THROWS(parse(spans({{4, 6}, {0, 3}}), 6), weights,
                 "x.safetensors: bytes 3 to 4 of the data belong to no tensor; the format allows no gaps.");
    CHECK_THROWS(parse(spans({{1, 4}}), 4), weights, "bytes 0 to 1 of the data belong to no tensor");
    CHECK_THROWS(parse(spans({{0, 4}}), 9), weights, "bytes 4 to 9 of the data belong to no tensor");
    CHECK_THROWS(parse("{}", 1), weights, "bytes 0 to 1 of the data belong to no tensor");
}

TEST(number_of_tensors_is_limited) {
    const std::vector<std::pair<int, int>> most(100'000, {0, 0});
    CHECK(parse(spans(most), 0).tensors().size() == 100'000);
    const std::vector<std::pair<int, int>> many(100'002, {0, 0});
    CHECK_THROWS(parse(spans(many), 0), weights, "x.safetensors: more than 100000 tensors.");
}

TEST(every_damaged_byte_is_refused_or_harmless) {
    const std::string whole =
        file_of(R"({"__metadata__":{"k":"v"},"a":)" + tensor("F16", "[2,3]", "[0,12]") + "}", 12);
    int refused = 0, accepted = 0;
    for (std::size_t position = 0; position < whole.size(); ++position)
        for (const int flip : {1, 2, 4, 8, 16, 32, 64, 128}) {
            std::string damaged = whole;
            damaged[position] = static_cast<char>(damaged[position] ^ flip);
            try {
                const SafetensorsFile file = parse(damaged);
                CHECK(file.tensors().size() == 1 && file.tensors()[0].size == 12);
                ++accepted;
            } catch (const mpscnn::Error &error) {
                CHECK(error.kind() == weights);
                ++refused;
            }
        }
    CHECK(accepted > 12 * 8 && refused > 300); // changes of the data are always accepted
}

TEST(files_are_read_into_memory) {
    const TemporaryDirectory directory;
    const std::string path = directory.write("model.safetensors", file_of(spans({{0, 2}, {2, 5}}), 5));
    const SafetensorsFile file = SafetensorsFile::read(path);
    directory.write("model.safetensors", "cut");
    CHECK(file.origin() == path && holds(file, "t0", 0, 2) && holds(file, "t1", 2, 3));
    CHECK_THROWS(SafetensorsFile::read(path), weights, path + " is not a model file: it has 3 bytes");
    std::filesystem::create_symlink(path, directory.path("link"));
    CHECK_THROWS(SafetensorsFile::read(directory.path("link")), weights, "it has 3 bytes");
}

TEST(tensors_of_an_open_file_are_read_when_they_are_asked_for) {
    const TemporaryDirectory directory;
    const std::string path =
        directory.write("model.safetensors", file_of(spans({{0, 70'000}, {70'000, 140'000}}), 140'000));
    const SafetensorsFile file = SafetensorsFile::open(path);
    CHECK(holds(file, "t1", 70'000, 70'000) && holds(file, "t0", 0, 70'000));
    CHECK(file.share(file.at("t0")) != file.share(file.at("t0")));
    std::filesystem::resize_file(path, 80'000);
    CHECK(holds(file, "t0", 0, 70'000));
    CHECK_THROWS(file.share(file.at("t1")), weights, " bytes were read: it was changed meanwhile.");
    CHECK_THROWS(SafetensorsFile::open(path), weights, "the end 140000 lies beyond the ");
}

TEST(unreadable_files_are_refused) {
    const TemporaryDirectory directory;
    const std::string path = directory.write("file", "12345678"), missing = directory.path("missing");
    CHECK_THROWS(SafetensorsFile::read(missing), weights,
                 missing + " cannot be read: No such file or directory.");
    CHECK_THROWS(SafetensorsFile::read(""), weights, " cannot be read: No such file or directory.");
    CHECK_THROWS(SafetensorsFile::read(path + "/x"), weights, path + "/x cannot be read: Not a directory.");
    CHECK_THROWS(SafetensorsFile::read(directory.path("")), weights, "is a directory, not a model file.");
    CHECK_THROWS(SafetensorsFile::read("/dev/null"), weights,
                 "/dev/null is a device or pipe, not a model file.");
    std::filesystem::create_symlink("loop", directory.path("loop"));
    CHECK_THROWS(SafetensorsFile::read(directory.path("loop")), weights,
                 "loop cannot be read: Too many levels");
    std::filesystem::permissions(path, std::filesystem::perms::none);
    const bool privileged = std::ifstream(path).is_open(); // root can read it
    CHECK_THROWS(SafetensorsFile::read(path), weights,
                 privileged ? "is not a model file" : path + " cannot be read: Permission denied.");
}

TEST(large_promises_are_refused_before_allocation) {
    const TemporaryDirectory directory;
    const std::string path = directory.write("weights.bin", with_length(1'200'000'000, "{}"));
    std::filesystem::resize_file(path, 4'000'000);
    CHECK_THROWS(SafetensorsFile::read(path), weights,
                 "weights.bin is not a model file: it does not begin as one does");
    directory.write("weights.bin", with_length(1'200'000'000, "{}"));
    std::filesystem::resize_file(path, 1'300'000'000); // sparse: takes no space on the disk
    CHECK_THROWS(SafetensorsFile::read(path), weights,
                 "a header of 1200000000 bytes, at most 64 MB are allowed.");
    directory.write("weights.bin", with_length(2, "{}"));
    std::filesystem::resize_file(path, 1'300'000'000);
    CHECK_THROWS(SafetensorsFile::read(path), weights,
                 "bytes 0 to 1299999990 of the data belong to no tensor");
}

TEST(shortened_files_are_refused) {
    // Linux: sysfs files report the size of a page but have one line, like a file that is truncated while it
    // is read.
    for (const char *path : {"/sys/kernel/fscaps", "/sys/kernel/profiling", "/sys/kernel/uevent_seqnum"})
        if (std::error_code error; std::filesystem::file_size(path, error) > 8 && !error) {
            CHECK_THROWS(SafetensorsFile::read(path), weights, " bytes were read: it was changed meanwhile.");
            return;
        }
    SKIP("no sysfs file whose size is larger than its content");
}

TEST(sizes_are_described) {
    CHECK(describe_size(0) == "0 bytes" && describe_size(1) == "1 byte" && describe_size(999) == "999 bytes");
    CHECK(describe_size(1000) == "1 kB" && describe_size(1249) == "1.2 kB" &&
          describe_size(1250) == "1.3 kB");
    CHECK(describe_size(9'949) == "9.9 kB" && describe_size(9'950) == "10 kB" &&
          describe_size(14'400) == "14 kB");
    CHECK(describe_size(999'499) == "999 kB" && describe_size(999'500) == "1 MB");
    CHECK(describe_size(4'000'000) == "4 MB" && describe_size(1'200'000'000) == "1.2 GB");
    CHECK(describe_size(3'400'000'000'000) == "3.4 TB" && describe_size(~std::uint64_t{0}) == "18 EB");
}
