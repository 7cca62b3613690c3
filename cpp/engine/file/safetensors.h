#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/shape.h"

namespace mpscnn::engine {

/// The element types of safetensors files that this library reads. Their elements are whole bytes.
enum class StoredType {
    boolean,
    uint8,
    int8,
    uint16,
    int16,
    float16,
    bfloat16,
    uint32,
    int32,
    float32,
    uint64,
    int64,
    float64
};

/// Return the type's name in the format: "F32", "BF16", "BOOL".
const char *name_of(StoredType type);
std::size_t size_of(StoredType type);

struct StoredTensor {
    std::string name;
    StoredType type;
    Shape shape;         ///< rank 0 to Shape::max_rank, no extent is Shape::any
    std::uint64_t begin; ///< where its elements begin in the file's data, in bytes; they are little-endian,
                         ///< in row-major order
    std::size_t size;    ///< size of its elements in bytes
};

/// The contents of a safetensors file, whose header is checked. Copies share the memory. Every fault of a
/// file is a WeightsError that begins with the file's name.
///
/// The format: eight bytes, the header's length as a little-endian integer; the header, a JSON object of
/// tensors {"dtype", "shape", "data_offsets"} with an optional "__metadata__" object of strings; then the
/// data, which the tensors cover without gaps or overlaps.
class SafetensorsFile {
public:
    /// Read the whole file into memory. Later changes of the file have no effect.
    static SafetensorsFile read(const std::string &path);
    /// Read the header and keep the file open; each tensor is read on demand.
    static SafetensorsFile open(const std::string &path);
    /// Map the file into memory. Its tensors use the system's pages of the file instead of a copy. The file
    /// may be deleted, but its content must not change while tensors are used.
    static SafetensorsFile map(const std::string &path);
    /// Parse a copy of these bytes. `origin` replaces the file's name in messages.
    static SafetensorsFile parse(std::span<const std::byte> bytes, std::string origin);

    const std::string &origin() const { return origin_; }
    const std::map<std::string, std::string, std::less<>> &metadata() const { return metadata_; }
    /// Return the tensors in the header's order.
    const std::vector<StoredTensor> &tensors() const { return tensors_; }
    /// Return the tensor with this name, or nullptr if there is none.
    const StoredTensor *find(std::string_view name) const;
    /// Return the tensor with this name. Throws WeightsError if there is none.
    const StoredTensor &at(std::string_view name) const;
    /// Return the tensor's bytes. They stay valid after this object is destroyed, and may not be aligned for
    /// their type.
    std::shared_ptr<const std::byte> share(const StoredTensor &tensor) const;

private:
    /// Fills `target` with the file's bytes, beginning at `position`.
    using Read = std::function<void(std::uint64_t position, std::span<std::byte> target)>;
    SafetensorsFile(std::string origin, std::uint64_t size, Read read);
    void hold_everything();

    std::string origin_;
    std::map<std::string, std::string, std::less<>> metadata_;
    std::vector<StoredTensor> tensors_;
    std::map<std::string, std::size_t, std::less<>> index_;
    std::uint64_t data_begin_ = 0, data_size_ = 0;
    Read read_;
    std::shared_ptr<const std::byte[]> data_; ///< all bytes, or null if tensors are read one by one
};

/// Return a size as text: "999 bytes", "4 MB", "1.2 GB". Units are decimal. Numbers below 10 have one decimal
/// place unless it is 0; other numbers are whole.
std::string describe_size(std::uint64_t bytes);

} // namespace mpscnn::engine
