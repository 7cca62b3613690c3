#pragma once

// The encoding of a raw kernel's call: operations of ops/op_list.h between parts of images. The CPU engine,
// and Metal where MPS has no such kernel, run it as a small graph on strided views.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/image_descriptor.h"
#include "kernels/properties.h"
#include "ops/op_list.h"

namespace mpscnn::kernels {

/// A part of an image: a range of images, rows, columns and feature channels.
struct ImageRegion {
    std::int64_t image = 0, y = 0, x = 0, channel = 0;
    std::int64_t images = 1, height = 1, width = 1, channels = 1;

    Shape shape() const { return {images, height, width, channels}; }
    friend bool operator==(const ImageRegion &, const ImageRegion &) = default;
};

/// An input of an encoding: a region of a source image, or something in place of an image.
struct EncodedSource {
    /// Value of `image` for the statistics of a batch normalization state, which are the same for every
    /// image.
    static constexpr std::size_t statistics = ~std::size_t{0};
    /// Values of `image` for numbers that the encoding contains, and for a weight of the kernel.
    static constexpr std::size_t numbers = ~std::size_t{1}, weight = ~std::size_t{2};
    /// Value of `image` for the destination, of which only the shape is used.
    static constexpr std::size_t destination = ~std::size_t{3};

    std::size_t image; ///< index among the kernel's source images, or one of the constants above
    ImageRegion region;
    /// The shape of numbers, weights and other tensors that have no batch.
    std::optional<Shape> variable{};
    std::vector<float> values{}; ///< for numbers: the values
    std::string role{};          ///< for a weight: its role
    bool is_flat = false;        ///< true: one pixel of each image, as a tensor (images, channels)

    bool is_image() const { return image < destination; }
    Shape shape() const {
        if (variable) return *variable;
        return is_flat ? Shape{region.images, region.channels} : region.shape();
    }
};

/// Return a region for the mean and variance of each channel, as a tensor (images, 2, 1, channels).
inline ImageRegion statistics_region(std::int64_t images, std::int64_t channels) {
    return {0, 0, 0, 0, images, 2, 1, channels};
}

/// A weight of the kernel and the operation's weight that gets its elements, in the same order.
struct WeightUse {
    std::string role;        ///< role in the operation
    std::string kernel_role; ///< role in the kernel
    Shape shape;
};

struct EncodedNode {
    ops::Operation operation;
    std::vector<int> inputs; ///< numbers of values: the sources come first, then the result of each node
    std::optional<ops::Neuron> activation;
    std::vector<WeightUse> weights;
    /// Weights that are sources: the role, and the value's number.
    std::vector<std::pair<std::string, int>> variables{};
};

/// Makes an encoding compute a gradient: its result is the gradient of the source `wanted`. `gradient` is the
/// source with the gradient of the last node's result.
struct EncodedDerivative {
    int gradient, wanted;
    std::vector<ops::Operation> then; ///< operations that are applied to the result, one after the other
};

/// The operations of one call. The last node's result, or the derivative, is written to the destination
/// region.
struct Encoding {
    std::vector<EncodedSource> sources;
    std::vector<EncodedNode> nodes;
    ImageRegion destination;
    std::optional<EncodedDerivative> derivative{};
};

/// The number of feature channels that are read from each source.
using ChannelCounts = std::span<const std::int64_t>;

struct ImageSize {
    std::int64_t width, height;
};

/// Throws ParameterError "<kernel>: <name> must be <minimum> to ..., got ..." for a value that is too small
/// or beyond ops::largest_size.
void require_range(const std::string &kernel, const char *name, std::int64_t value, std::int64_t minimum);

/// Return the offset. Throws ParameterError "<kernel>: <name> must be a multiple of 4 ..., got ..." for
/// another number.
std::int64_t require_channel_offset(const std::string &kernel, const std::string &name, std::int64_t offset);

/// Return the region of a source that a kernel may read: the images and channels from their offsets on, at
/// most their stated numbers, and all pixels. Throws ParameterError if the region is empty. Without
/// `any_channel` the first channel must be a multiple of 4.
ImageRegion readable(const std::string &kernel, std::span<const ImageDescriptor> sources, std::size_t source,
                     const SourceProperties &given, bool any_channel);

struct EncodingOptions {
    bool any_source_channel = false; ///< the first channel that is read need not be a multiple of 4
    bool with_statistics = false;    ///< the caller gives a batch normalization state
    bool whole_images = false;       ///< the sources may have other numbers of images than the destination
    bool is_gradient = false;        ///< the destination gets a gradient and not the result of the nodes
};

/// Builds the encoding of one call. It checks what all kernels have in common; every error begins with the
/// kernel's name. Functions that return int return the number of a value, which `add` takes as input.
class EncodingBuilder {
public:
    EncodingBuilder(std::string kernel, const KernelProperties &properties,
                    std::span<const ImageDescriptor> sources, const ImageDescriptor &destination,
                    EncodingOptions options = {});

    const std::string &kernel() const { return kernel_; }
    const KernelProperties &properties() const { return properties_; }
    std::size_t sources() const { return sources_.size(); }
    const ImageDescriptor &image(std::size_t source = 0) const { return sources_[source]; }

    /// Return the size of the whole destination. destination_channels() counts the channels from the first
    /// written one on.
    ImageSize destination_size() const { return destination_size_; }
    std::int64_t destination_channels() const { return destination_channels_ - written_.channel; }
    /// Return the extents of the written region, which is the clip rectangle within the destination.
    std::int64_t width() const { return written_.width; }
    std::int64_t height() const { return written_.height; }
    std::int64_t images() const { return written_.images; }
    /// Return the number of feature channels that are read from a source. They begin at its offset and are at
    /// most its maximum.
    std::int64_t channels(std::size_t source = 0) const { return ranges_[source].channels; }

    /// Add a source with all pixels of the images and channels that the kernel reads.
    int whole(std::size_t source = 0);
    /// Add a source with one pixel for each written pixel. The source's pixels begin at the offset. They are
    /// `stride_x` columns and `stride_y` rows apart; with stride 0 the same column or row is read each time.
    /// The edge mode defines pixels outside the image.
    int pixels(std::size_t source = 0, std::int64_t stride_x = 1, std::int64_t stride_y = 1);
    /// Return whether the caller gives a batch normalization state. `statistics` adds the state's statistics
    /// as a source.
    bool has_statistics() const { return options_.with_statistics; }
    int statistics(std::int64_t channels);
    /// Add a source with all of its images and channels, whatever part is written.
    int everything(std::size_t source);
    /// Add a source as a tensor without a batch: `tensor` with the extents of the image, `row` with the shape
    /// (1, channels) of an image of one pixel.
    int tensor(std::size_t source);
    int row(std::size_t source);
    /// Add a source with the shape of the written region and this number of channels. Only its shape may be
    /// used.
    int destination(std::int64_t channels);
    /// Add a source of numbers, or of a weight of the kernel, as a tensor.
    int numbers(std::vector<float> values, const Shape &shape);
    int weight(std::string role, const Shape &shape);
    /// Add a batch normalization state's statistics as a tensor, (1, 2, 1, channels).
    int statistics_of_batch(std::int64_t channels);
    /// Add the part of a source that lies in `clip`, and set `size` to its size.
    int part(const ClipRect &clip, ImageSize &size, std::size_t source = 0);
    /// Throws ShapeError, with the reason `why`, unless the written region has exactly this size.
    void require_written(const ImageSize &size, const char *why) const;
    int add(ops::Operation operation, std::vector<int> inputs, std::vector<WeightUse> weights = {},
            std::optional<ops::Neuron> activation = std::nullopt);
    /// Return the window for a source that is read whole (`whole`). It has the kernel, stride and dilation of
    /// `taps`, and paddings that express the kernel's offset.
    ops::Window place(ops::Window taps, std::size_t source = 0) const {
        return place(taps, {width(), height()}, source);
    }
    /// Return the window for a result that has another size than the written region.
    ops::Window place(ops::Window taps, ImageSize result, std::size_t source = 0) const;
    /// Add a source for a windowed operation that supports only zeros outside the image. In edge mode clamp
    /// the image gets a border, and `window`, which place() has returned, is changed so that it reads nothing
    /// outside.
    int widened(ops::Window &window, std::size_t source = 0);
    /// Crop a value of this size to the upper left part that is written.
    int cut(int value, ImageSize size);
    /// Throws ParameterError, with the reason `why`, unless the offset of source 0 is (0, 0).
    void require_no_offset(const char *why) const;

    /// Read only this many channels, beginning at the offset. Throws ShapeError if there are fewer.
    void read_channels(std::int64_t count, std::size_t source = 0);
    /// Add a neuron after `value`, if there is one.
    int add_neuron(const std::optional<ops::Neuron> &neuron, int value, std::int64_t channels);

    /// Make the encoding compute a gradient. Its result is the gradient of the source `wanted`, if `gradient`
    /// is the gradient of the last node's result.
    void differentiate(int gradient, int wanted, std::vector<ops::Operation> then = {});

    /// Return the region that a result with this many channels is written to. Throws ShapeError if the
    /// destination has fewer.
    ImageRegion written(std::int64_t channels) const;
    /// Return the encoding, which writes the last node's result with this many channels.
    Encoding finish(std::int64_t channels) &&;

    [[noreturn]] void refuse(ErrorKind kind, const std::string &message) const;

private:
    void place_destination(const ImageDescriptor &destination);
    void place_source(std::size_t source);
    int add_source(std::size_t source, const ImageRegion &region);
    /// Add a source with a border, whose pixels follow from the edge mode. Negative amounts crop the source.
    int bordered(ops::Padding border, std::size_t source);

    std::string kernel_;
    const KernelProperties &properties_;
    std::span<const ImageDescriptor> sources_;
    ImageSize destination_size_;
    std::int64_t destination_channels_;
    EncodingOptions options_;
    ImageRegion written_;
    std::vector<ImageRegion> ranges_; ///< the images and channels of each source that are read
    // While building, values from 0 on are nodes and values from -1 downwards are sources, because sources
    // may be added after nodes.
    std::vector<EncodedNode> nodes_;
    std::vector<EncodedSource> inputs_;
    std::optional<EncodedDerivative> derivative_;
};

} // namespace mpscnn::kernels
