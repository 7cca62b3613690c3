#pragma once

// An encoded kernel: operations of ops/op_list.h between parts of images. Engines without native kernels run
// it as a small graph on strided views; nothing is computed anywhere else.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/image_descriptor.h"
#include "kernels/properties.h"
#include "ops/op_list.h"

namespace mpscnn::kernels {

/// Part of an image: a box of images, rows, columns and feature channels.
struct ImageRegion {
    std::int64_t image = 0, y = 0, x = 0, channel = 0;
    std::int64_t images = 1, height = 1, width = 1, channels = 1;

    Shape shape() const { return {images, height, width, channels}; }
    friend bool operator==(const ImageRegion &, const ImageRegion &) = default;
};

/// A source region of one image.
struct EncodedSource {
    /// In place of an image: the statistics of a batch normalization state, the same for every image.
    static constexpr std::size_t statistics = ~std::size_t{0};
    /// In place of an image: numbers that the encoding has, or a weight of the kernel, if it is set.
    static constexpr std::size_t numbers = ~std::size_t{1}, weight = ~std::size_t{2};
    /// The destination, of which only the shape counts.
    static constexpr std::size_t destination = ~std::size_t{3};

    std::size_t image; ///< index among the kernel's sources
    ImageRegion region;
    /// The shape of numbers, weights and other tensors without a batch.
    std::optional<Shape> variable{};
    std::vector<float> values{}; ///< numbers
    std::string role{};          ///< weight
    bool is_flat = false;        ///< one pixel of each image: (images, channels)

    bool is_image() const { return image < destination; }
    Shape shape() const {
        if (variable) return *variable;
        return is_flat ? Shape{region.images, region.channels} : region.shape();
    }
};

/// Mean and variance of each channel as a tensor: (images, 2, 1, channels).
inline ImageRegion statistics_region(std::int64_t images, std::int64_t channels) {
    return {0, 0, 0, 0, images, 2, 1, channels};
}

/// A weight of the kernel as an operation takes it: the same elements in the same order.
struct WeightUse {
    std::string role;        ///< of the operation
    std::string kernel_role; ///< of the kernel
    Shape shape;
};

struct EncodedNode {
    ops::Operation operation;
    std::vector<int> inputs; ///< values: the sources first, then one for each node
    std::optional<ops::Neuron> activation;
    std::vector<WeightUse> weights;
    std::vector<std::pair<std::string, int>> variables{}; ///< weights that are sources: role and value
};

/// The nodes of an encoding are differentiated: the gradient of `wanted`, a source, is the result.
struct EncodedDerivative {
    int gradient, wanted;
    std::vector<ops::Operation> then; ///< what becomes of it, one after the other
};

/// The last node computes the destination region.
struct Encoding {
    std::vector<EncodedSource> sources;
    std::vector<EncodedNode> nodes;
    ImageRegion destination;
    std::optional<EncodedDerivative> derivative{};
};

/// Feature channels that are read of each source.
using ChannelCounts = std::span<const std::int64_t>;

struct ImageSize {
    std::int64_t width, height;
};

/// Throws ParameterError "<kernel>: <name> must be <least> to ..., got ..." for a value that is too small or
/// beyond ops::largest_size.
void require_range(const std::string &kernel, const char *name, std::int64_t value, std::int64_t least);

/// The offset, or ParameterError "<kernel>: <name> must be a multiple of 4 ..., got ...".
std::int64_t require_channel_offset(const std::string &kernel, const std::string &name, std::int64_t offset);

/// The region of a source that a kernel may read: the images from its offset on, all of their pixels, the
/// channels of its range. Throws ParameterError if the region is empty. `any_channel`: not only from
/// multiples of 4 on.
ImageRegion readable(const std::string &kernel, std::span<const ImageDescriptor> sources, std::size_t source,
                     const SourceProperties &given, bool any_channel);

struct EncodingOptions {
    bool any_source_channel = false; ///< channels may be read from others than multiples of 4 on
    bool with_statistics = false;    ///< a batch normalization state is given
    bool whole_images = false;       ///< sources may have other numbers of images than the destination
    bool is_gradient = false;        ///< the destination is the gradient of what is written
};

/// Builds the encoding of one call. Checks what all kernels have in common; every error begins with the
/// kernel's name.
class EncodingBuilder {
public:
    EncodingBuilder(std::string kernel, const KernelProperties &properties,
                    std::span<const ImageDescriptor> sources, const ImageDescriptor &destination,
                    EncodingOptions options = {});

    const std::string &kernel() const { return kernel_; }
    const KernelProperties &properties() const { return properties_; }
    std::size_t sources() const { return sources_.size(); }
    const ImageDescriptor &image(std::size_t source = 0) const { return sources_[source]; }

    /// All of the destination, and its feature channels from the first written on.
    ImageSize destination_size() const { return destination_size_; }
    std::int64_t destination_channels() const { return destination_channels_ - written_.channel; }
    /// Width and height of the written region: the clip rectangle within the destination.
    std::int64_t width() const { return written_.width; }
    std::int64_t height() const { return written_.height; }
    std::int64_t images() const { return written_.images; }
    /// Feature channels read of a source: those from its offset on, at most its maximum.
    std::int64_t channels(std::size_t source = 0) const { return ranges_[source].channels; }

    /// The images and channels read of a source, with all of their pixels.
    int whole(std::size_t source = 0);
    /// The pixels from the offset on, one for each that is written and strides apart (0: one pixel for all);
    /// outside the image as the edge mode says.
    int pixels(std::size_t source = 0, std::int64_t stride_x = 1, std::int64_t stride_y = 1);
    /// Whether a batch normalization state is given, and its statistics.
    bool has_statistics() const { return options_.with_statistics; }
    int statistics(std::int64_t channels);
    /// A source with all of its images and channels, whatever is written.
    int everything(std::size_t source);
    /// The same as a tensor that belongs to no batch, with the extents of the image; and of one pixel as (1,
    /// channels).
    int tensor(std::size_t source);
    int row(std::size_t source);
    /// The same of what is written, of which only the shape counts.
    int destination(std::int64_t channels);
    /// A tensor of numbers, and a weight of the kernel as a tensor.
    int numbers(std::vector<float> values, const Shape &shape);
    int weight(std::string role, const Shape &shape);
    /// A batch normalization state's statistics as a tensor, (1, 2, 1, channels).
    int statistics_of_batch(std::int64_t channels);
    /// The part of a source that lies in `clip`, whose size is given back.
    int part(const ClipRect &clip, ImageSize &size, std::size_t source = 0);
    /// Throws ShapeError unless exactly this size is written: `why`.
    void require_written(const ImageSize &size, const char *why) const;
    int add(ops::Operation operation, std::vector<int> inputs, std::vector<WeightUse> weights = {},
            std::optional<ops::Neuron> activation = std::nullopt);
    /// `taps` (kernel, stride and dilation) where the offset puts them on a source that is read whole.
    ops::Window place(ops::Window taps, std::size_t source = 0) const {
        return place(taps, {width(), height()}, source);
    }
    /// The same for a result of another size than is written.
    ops::Window place(ops::Window taps, ImageSize result, std::size_t source = 0) const;
    /// A source for a windowed operation that knows zeros outside the image only. In edge mode clamp the
    /// image is widened and `window`, as place() gave it, then reads nothing outside.
    int widened(ops::Window &window, std::size_t source = 0);
    /// The upper left part of a value of this size: as much as is written.
    int cut(int value, ImageSize size);
    /// Throws ParameterError unless the offset of source 0 is (0, 0); `why` this kernel has none.
    void require_no_offset(const char *why) const;

    /// Reads only this many channels from the offset on. Throws ShapeError when there are less.
    void read_channels(std::int64_t count, std::size_t source = 0);
    /// A neuron behind `value`, unless there is none.
    int add_neuron(const std::optional<ops::Neuron> &neuron, int value, std::int64_t channels);

    /// The result is not the last node's: it is the gradient of `wanted`, a source, for this gradient of that
    /// node's result.
    void differentiate(int gradient, int wanted, std::vector<ops::Operation> then = {});

    /// The region that a result of this many channels is written to. Throws ShapeError if the destination has
    /// fewer.
    ImageRegion written(std::int64_t channels) const;
    /// Writes the last node's result, of this many channels.
    Encoding finish(std::int64_t channels) &&;

    [[noreturn]] void refuse(ErrorKind kind, const std::string &message) const;

private:
    void place_destination(const ImageDescriptor &destination);
    void place_source(std::size_t source);
    int add_source(std::size_t source, const ImageRegion &region);
    /// A source with a border as its edge mode says, or with its own cut off where that is negative.
    int bordered(ops::Padding border, std::size_t source);

    std::string kernel_;
    const KernelProperties &properties_;
    std::span<const ImageDescriptor> sources_;
    ImageSize destination_size_;
    std::int64_t destination_channels_;
    EncodingOptions options_;
    ImageRegion written_;
    std::vector<ImageRegion> ranges_; ///< images and channels of each source
    // While building, values are nodes from 0 on and sources from -1 downwards: sources may follow nodes.
    std::vector<EncodedNode> nodes_;
    std::vector<EncodedSource> inputs_;
    std::optional<EncodedDerivative> derivative_;
};

} // namespace mpscnn::kernels
