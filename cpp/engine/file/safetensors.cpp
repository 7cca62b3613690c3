#include "engine/file/safetensors.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <new>
#include <system_error>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/error.h"
#include "core/json.h"
#include "core/memory.h"
#include "core/platform.h"

namespace mpscnn::engine {
namespace {

constexpr std::size_t length_bytes = 8;
constexpr std::uint64_t longest_header = 64'000'000;
constexpr std::size_t max_tensors = 100'000;
constexpr std::int64_t longest_extent = std::numeric_limits<std::int32_t>::max();
constexpr const char *metadata_key = "__metadata__";

struct TypeEntry {
    StoredType type;
    const char *name;
    std::size_t size;
};

constexpr std::array<TypeEntry, 13> types{{
    {StoredType::boolean, "BOOL", 1},
    {StoredType::uint8, "U8", 1},
    {StoredType::int8, "I8", 1},
    {StoredType::uint16, "U16", 2},
    {StoredType::int16, "I16", 2},
    {StoredType::float16, "F16", 2},
    {StoredType::bfloat16, "BF16", 2},
    {StoredType::uint32, "U32", 4},
    {StoredType::int32, "I32", 4},
    {StoredType::float32, "F32", 4},
    {StoredType::uint64, "U64", 8},
    {StoredType::int64, "I64", 8},
    {StoredType::float64, "F64", 8},
}};

const TypeEntry &entry_of(StoredType type) {
    return *std::find_if(types.begin(), types.end(),
                         [&](const TypeEntry &entry) { return entry.type == type; });
}

[[noreturn]] void refuse(const std::string &origin, const std::string &message) {
    fail(ErrorKind::weights, {origin, message, "."});
}

std::string count_bytes(std::uint64_t bytes) { return concat({bytes, (bytes == 1 ? " byte" : " bytes")}); }

/// A tensor as the header describes it; its bytes are [begin, end) of the data.
struct TensorEntry {
    std::string name;
    StoredType type;
    Shape shape;
    std::uint64_t begin, end;
};

std::uint64_t read_header_length(const std::string &origin, std::span<const std::byte, length_bytes> bytes,
                                 std::uint64_t file_size) {
    std::uint64_t length = 0;
    for (std::size_t i = length_bytes; i-- > 0;)
        length = length << 8 | std::to_integer<std::uint64_t>(bytes[i]);
    const std::string promise = " is not a model file: the first 8 bytes promise a header of ";
    const std::uint64_t rest = file_size - length_bytes;
    if (length > rest && length > longest_header)
        refuse(origin,
               " is not a model file: it does not begin as one does; `mpscnn convert` makes model files of "
               "other formats");
    if (length > rest) {
        const bool close = length <= file_size || describe_size(length) == describe_size(file_size);
        refuse(origin,
               promise + (close ? count_bytes(length) + ", " + count_bytes(rest) + " follow"
                                : describe_size(length) + ", the file has " + describe_size(file_size)));
    }
    if (length > longest_header)
        refuse(origin, concat({promise, count_bytes(length), ", at most ", describe_size(longest_header),
                               " are allowed"}));
    return length;
}

Json parse_header(const std::string &origin, std::string_view text) {
    if (!text.starts_with('{')) refuse(origin, " is not a model file: its header does not begin with '{'");
    constexpr JsonLimits limits{.max_depth = 3, .max_bytes = longest_header};
    try {
        return parse_json(text, limits, ErrorKind::weights);
    } catch (const Error &error) {
        refuse(origin, ": the header is damaged: " + std::string(error.what()));
    }
}

StoredType read_type(const JsonView &view) {
    const auto name = view.get<std::string>();
    const auto entry =
        std::find_if(types.begin(), types.end(), [&](const TypeEntry &e) { return e.name == name; });
    if (entry != types.end()) return entry->type;
    std::string known;
    for (const TypeEntry &type : types) known += (known.empty() ? "" : ", ") + std::string(type.name);
    view.refuse(concat({"unknown data type ", quoted(name), "; known: ", known, "."}));
}

Shape read_shape(const JsonView &view) {
    const auto extents = view.get<std::vector<std::int64_t>>();
    if (extents.size() > Shape::max_rank)
        view.refuse(concat({"expected at most ", Shape::max_rank, " axes, got ", extents.size(), "."}));
    for (std::size_t axis = 0; axis < extents.size(); ++axis)
        if (extents[axis] < 0 || extents[axis] > longest_extent)
            view.at(axis).refuse(
                concat({"expected an extent from 0 to ", longest_extent, ", got ", extents[axis], "."}));
    return Shape(extents);
}

/// Return the bytes of a tensor of this shape. Throws for a size that overflows. The check counts extents of
/// 0 as 1, because code that computes strides multiplies the other extents.
std::uint64_t bytes_needed(const JsonView &view, const Shape &shape, StoredType type) {
    std::uint64_t product = size_of(type);
    for (const std::int64_t extent : shape) {
        const auto factor = static_cast<std::uint64_t>(std::max<std::int64_t>(extent, 1));
        if (product > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / factor)
            view.refuse(concat({"the shape ", shape.text(), " has too many elements."}));
        product *= factor;
    }
    return std::find(shape.begin(), shape.end(), 0) == shape.end() ? product : 0;
}

TensorEntry read_entry(const std::string &name, const JsonView &view, std::uint64_t data_size) {
    view.allow_only({"dtype", "shape", "data_offsets"});
    const StoredType type = read_type(view.at("dtype"));
    const Shape shape = read_shape(view.at("shape"));
    const std::uint64_t needed = bytes_needed(view, shape, type);
    const JsonView offsets = view.at("data_offsets");
    if (offsets.array().size() != 2)
        offsets.refuse(concat({"expected the two offsets of begin and end, got ", offsets.size(), "."}));
    const auto begin = offsets.at(0).get<std::uint64_t>(), end = offsets.at(1).get<std::uint64_t>();
    if (begin > end) offsets.refuse(concat({"the end ", end, " lies before the begin ", begin, "."}));
    if (end > data_size)
        offsets.refuse(concat({"the end ", end, " lies beyond the ", count_bytes(data_size),
                               " of data: the file is cut or damaged."}));
    if (end - begin != needed)
        view.refuse(concat({"shape ", shape.text(), " and data type ", name_of(type), " take ",
                            count_bytes(needed), ", the offsets span ", end - begin, "."}));
    return {name, type, shape, begin, end};
}

std::vector<TensorEntry> read_entries(const std::string &origin, const Json::Object &members,
                                      std::uint64_t data_size) {
    if (members.size() > max_tensors + 1) refuse(origin, concat({": more than ", max_tensors, " tensors"}));
    std::vector<TensorEntry> entries;
    for (const auto &[name, value] : members)
        if (name != metadata_key)
            entries.push_back(read_entry(
                name, JsonView(value, concat({origin, ": ", quoted(name)}), ErrorKind::weights), data_size));
    return entries;
}

/// Throws unless the tensors cover the data exactly. The format requires this, so that a file cannot contain
/// hidden data.
void check_coverage(const std::string &origin, const std::vector<TensorEntry> &entries,
                    std::uint64_t data_size) {
    std::vector<const TensorEntry *> sorted;
    sorted.reserve(entries.size());
    for (const TensorEntry &entry : entries) sorted.push_back(&entry);
    std::sort(sorted.begin(), sorted.end(), [](const TensorEntry *a, const TensorEntry *b) {
        return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
    });
    const auto check_gap = [&](std::uint64_t covered, std::uint64_t next) {
        if (covered < next)
            refuse(origin, concat({": bytes ", covered, " to ", next,
                                   " of the data belong to no tensor; the format allows no gaps"}));
    };
    std::uint64_t covered = 0;
    for (std::size_t i = 0; i < sorted.size(); ++i) {
        if (sorted[i]->begin < covered)
            refuse(origin, concat({": the tensors ", quoted(sorted[i - 1]->name), " and ",
                                   quoted(sorted[i]->name), " overlap in the data"}));
        check_gap(covered, sorted[i]->begin);
        covered = sorted[i]->end;
    }
    check_gap(covered, data_size);
}

std::shared_ptr<std::byte[]> allocate(const std::string &origin, std::uint64_t size) {
    void *memory = platform::allocate(size, alignof(std::max_align_t));
    if (!memory)
        refuse(origin, concat({": its ", describe_size(size), " of weights do not fit into memory"}));
    return {static_cast<std::byte *>(memory), std::free};
}

std::uint64_t regular_file_size(const std::string &path) {
    std::error_code error;
    const std::filesystem::file_status status = std::filesystem::status(path, error);
    if (error) refuse(path, " cannot be read: " + error.message());
    if (std::filesystem::is_directory(status)) refuse(path, " is a directory, not a model file");
    if (!std::filesystem::is_regular_file(status)) refuse(path, " is a device or pipe, not a model file");
    const std::uintmax_t size = std::filesystem::file_size(path, error);
    if (error) refuse(path, " cannot be read: " + error.message());
    return size;
}

/// Throw the error of a system call that set `reason`. It is 0 after `errno = 0` if a C library had no memory
/// for a buffer and did not say so.
[[noreturn]] void refuse_unreadable(const std::string &path, int reason) {
    if (reason == ENOMEM || reason == 0) throw OutOfMemory("there is not enough memory to read a file");
    refuse(path, " cannot be read: " + std::generic_category().message(reason));
}

} // namespace

const char *name_of(StoredType type) { return entry_of(type).name; }
std::size_t size_of(StoredType type) { return entry_of(type).size; }

SafetensorsFile::SafetensorsFile(std::string origin, std::uint64_t size, Read read)
    : origin_(std::move(origin)), read_(std::move(read)) {
    if (size < length_bytes)
        refuse(origin_,
               concat({" is not a model file: it has ", count_bytes(size), ", a model file has at least 8"}));
    std::array<std::byte, length_bytes> prefix;
    read_(0, prefix);
    std::string text(read_header_length(origin_, prefix, size), '\0');
    read_(length_bytes, std::as_writable_bytes(std::span(text)));
    data_begin_ = length_bytes + text.size();
    data_size_ = size - data_begin_;

    const Json header = parse_header(origin_, text);
    const std::vector<TensorEntry> entries =
        read_entries(origin_, *header.get_if<Json::Object>(), data_size_);
    check_coverage(origin_, entries, data_size_);
    if (const Json *metadata = header.find(metadata_key)) {
        const JsonView view(*metadata, concat({origin_, ": ", metadata_key}), ErrorKind::weights);
        for (const Json::Member &entry : view.object())
            metadata_[entry.first] = view.of(entry).get<std::string>();
    }
    for (const TensorEntry &entry : entries) {
        index_[entry.name] = tensors_.size();
        tensors_.push_back({entry.name, entry.type, entry.shape, entry.begin,
                            static_cast<std::size_t>(entry.end - entry.begin)});
    }
}

void SafetensorsFile::hold_everything() {
    const std::shared_ptr<std::byte[]> data = allocate(origin_, data_size_);
    read_(data_begin_, {data.get(), data_size_});
    data_ = data;
    read_ = nullptr;
}

SafetensorsFile SafetensorsFile::open(const std::string &path) {
    const std::uint64_t size = regular_file_size(path);
    errno = 0;
    const std::shared_ptr<std::FILE> file(std::fopen(path.c_str(), "rb"), [](std::FILE *opened) {
        if (opened) std::fclose(opened);
    });
    if (!file) refuse_unreadable(path, errno);
    return {path, size, [=](std::uint64_t position, std::span<std::byte> target) {
                errno = 0;
                if (std::fseek(file.get(), static_cast<long>(position), SEEK_SET) == 0 &&
                    std::fread(target.data(), 1, target.size(), file.get()) == target.size())
                    return;
                if (!std::feof(file.get())) refuse_unreadable(path, errno);
                refuse(path, concat({" ended before its ", count_bytes(size),
                                     " were read: it was changed meanwhile"}));
            }};
}

SafetensorsFile SafetensorsFile::read(const std::string &path) {
    SafetensorsFile file = open(path);
    file.hold_everything();
    return file;
}

SafetensorsFile SafetensorsFile::map(const std::string &path) {
    SafetensorsFile file = open(path);
    const auto size = static_cast<std::size_t>(file.data_begin_ + file.data_size_);
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    void *pages = descriptor < 0 ? MAP_FAILED : mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    const int reason = errno;
    if (descriptor >= 0) close(descriptor);
    if (pages == MAP_FAILED) refuse_unreadable(path, reason);
    const std::shared_ptr<const std::byte> mapped(static_cast<const std::byte *>(pages),
                                                  [=](const std::byte *) { munmap(pages, size); });
    file.data_ = std::shared_ptr<const std::byte[]>(mapped, mapped.get() + file.data_begin_);
    file.read_ = nullptr;
    return file;
}

SafetensorsFile SafetensorsFile::parse(std::span<const std::byte> bytes, std::string origin) {
    SafetensorsFile file(std::move(origin), bytes.size(),
                         [=](std::uint64_t position, std::span<std::byte> target) {
                             if (!target.empty())
                                 std::memcpy(target.data(), bytes.data() + position, target.size());
                         });
    file.hold_everything();
    return file;
}

const StoredTensor *SafetensorsFile::find(std::string_view name) const {
    const auto found = index_.find(name);
    return found == index_.end() ? nullptr : &tensors_[found->second];
}

const StoredTensor &SafetensorsFile::at(std::string_view name) const {
    const StoredTensor *tensor = find(name);
    if (!tensor)
        refuse(origin_, concat({": there is no tensor ", quoted(name), " among its ", tensors_.size()}));
    return *tensor;
}

std::shared_ptr<const std::byte> SafetensorsFile::share(const StoredTensor &tensor) const {
    if (data_) return {data_, data_.get() + tensor.begin};
    const std::shared_ptr<std::byte[]> bytes = allocate(origin_, tensor.size);
    read_(data_begin_ + tensor.begin, {bytes.get(), tensor.size});
    return {bytes, bytes.get()};
}

std::string describe_size(std::uint64_t bytes) {
    constexpr std::array units{"bytes", "kB", "MB", "GB", "TB", "PB", "EB"};
    if (bytes < 1000) return count_bytes(bytes);
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (value >= 999.5) {
        value /= 1000;
        ++unit;
    }
    const long tenths = std::lround(value * 10);
    const std::string number = tenths < 100 && tenths % 10 != 0
                                   ? std::to_string(tenths / 10) + "." + std::to_string(tenths % 10)
                                   : std::to_string(std::lround(value));
    return concat({number, " ", units[unit]});
}

} // namespace mpscnn::engine
