#pragma once

// A raw kernel: one of Apple's kernel classes with its properties, independent of any engine.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/variant.h"
#include "kernels/arithmetic.h"
#include "kernels/arithmetic_gradient.h"
#include "kernels/batch_normalization_gradient.h"
#include "kernels/binary_convolution.h"
#include "kernels/conversion.h"
#include "kernels/convolution.h"
#include "kernels/dropout.h"
#include "kernels/fully_connected.h"
#include "kernels/gram_matrix.h"
#include "kernels/loss.h"
#include "kernels/neuron.h"
#include "kernels/normalization.h"
#include "kernels/optimizer.h"
#include "kernels/pooling.h"
#include "kernels/reduction.h"
#include "kernels/reshape.h"
#include "kernels/resize.h"
#include "kernels/scale.h"
#include "kernels/softmax.h"
#include "kernels/transposed_convolution.h"
#include "kernels/yolo_loss.h"

namespace mpscnn::kernels {

// A family is the struct of one or several of Apple's kernel classes, whose members are:
//   template <class Visitor> void fixed(Visitor &);    visit properties that are set when a kernel is made
//   template <class Visitor> void fields(Visitor &);   visit properties that may change between encodes
//   void check(const std::string &kernel) const;       throw if a property is out of its range
//   ops::WeightSpecs weights() const;                  roles and shapes of the weights
//   int build(EncodingBuilder &) const;                add the operations of one encode; return the result
//   std::int64_t output_channels(ChannelCounts) const; feature channels of the result
//   static constexpr auto default_padding = ...;       default size rule of the padding policy, else same
//   static constexpr EdgeMode default_edge_mode = ...; default edge mode, else zero
// If a pixel of the result depends on more than the source's pixel at its place, the family also has one of
//   ops::Window taps() const;                          kernel, stride and dilation
//   ImageSize destination_size(std::span<const ImageDescriptor>) const;
//                                                      the result's size under every padding policy
// Members that only some families need:
//   std::int64_t written_channels(ChannelCounts, std::int64_t room) const;
//                                                      channels written to a destination with `room` channels
//   void policy_applied(KernelProperties &, ImageDescriptor &destination);
//                                                      called after the padding policy has set offset and
//                                                      size
//   static constexpr bool reads_whole_source = true;   the destination's size does not change what is read
//   ImageRegion source_region(const Offset &, const ImageSize &, std::size_t source) const;
//                                                      the pixels that are read, if they do not follow from
//                                                      taps() or from the written pixels
//   ImageDescriptor destination(std::span<const ImageDescriptor>) const;
//                                                      the kernel reads and writes whole images; it has no
//                                                      offset, clip rectangle or channel ranges
struct FamilyList
    : TypeList<ArgumentReduction, ConvolutionTranspose, Arithmetic, ArithmeticGradient, BatchNormalization,
               BatchNormalizationGradient, BatchStatistics, BinaryConvolution, BinaryFullyConnected, Compare,
               Conversion, Convolution, CrossChannelNormalization, Dropout, FullyConnected, GramMatrix,
               GroupNormalization, InitialGradient, Loss, LossGradient, Neuron, Optimizer, Pad, Pooling,
               Reduction, Reshape, Resize, Scale, Slice, Softmax, SoftmaxGradient, WeightedReduction,
               WindowNormalization, YoloLoss> {};
using Family = Variant<FamilyList>;

struct Kernel;

/// How a kernel uses a batch normalization state, if it does.
enum class StateUse {
    none,
    reads, ///< the caller may give a state to read
    writes ///< the kernel writes a state and no destination image
};

/// One of Apple's kernel classes, as mpscnn offers it.
struct KernelClass {
    const char *name;  ///< the name in Python and the C interface
    const char *apple; ///< Apple's name: "MPSCNNPoolingMax"
    /// The documentation. Its first sentence says what the kernel computes; empty lines divide paragraphs.
    const char *meaning;
    std::size_t sources;
    Family (*make)();
    StateUse state = StateUse::none;
    /// True for a gradient kernel. Its sources are the gradient of the result, and the source of the forward
    /// pass.
    bool is_gradient = false;
    std::size_t optional_sources = 0; ///< sources that follow the others and may be missing
};

/// Return the table of raw kernels, in the order of their names.
std::span<const KernelClass> kernel_classes();

struct Kernel {
    const KernelClass *type;
    KernelProperties properties;
    Family family;

    /// Make a kernel with the given properties; missing ones have their defaults. Throws ParameterError for
    /// an unknown class or property and for a value that is not allowed.
    static Kernel make(std::string_view name, const Json &properties);

    std::string name() const { return type->name; }
    /// Change the given properties. If it throws, none is changed.
    void set(const Json &changes);
    Json get() const;

    ops::WeightSpecs weights() const;
    /// Return the destination image that the padding policy requires. It also sets the kernel's offset that
    /// this policy requires, as Apple's kernels do.
    ImageDescriptor make_destination(std::span<const ImageDescriptor> sources);
    /// The same in the format of the source.
    ImageDescriptor make_like_source(std::span<const ImageDescriptor> sources);
    /// Return the pixels of a source that the kernel needs for a destination of this size; they may lie
    /// outside the source. The clip rectangle is ignored, and images and channels of the region are not set.
    ImageRegion source_region(std::int64_t width, std::int64_t height, std::size_t source = 0) const;
    /// Return the operations of one call. With `with_statistics` they use the statistics of a batch
    /// normalization state.
    Encoding encode(std::span<const ImageDescriptor> sources, const ImageDescriptor &destination,
                    bool with_statistics = false) const;
    /// Return the operations of a kernel that writes a batch normalization state. The destination is (1, 2,
    /// 1, channels).
    Encoding encode_statistics(const ImageDescriptor &source) const;

private:
    void check() const;
    void check_gradient() const;
    /// True for Pad, which supports all edge modes and reads sources from any channel on.
    bool any_edge_mode() const;
    std::int64_t output_channels(ChannelCounts sources) const;
    /// Encode a gradient kernel.
    Encoding encode_gradient(std::span<const ImageDescriptor> sources,
                             const ImageDescriptor &destination) const;
    ImageDescriptor make_gradient_destination(std::span<const ImageDescriptor> sources) const;
    /// Return the forward kernel whose gradient this kernel computes. `forward_offset` returns its offset.
    /// Both follow from this kernel's offsets and, for a reshape, from the size of the gradient.
    Family forward_family(const ImageRegion &gradient) const;
    Offset forward_offset() const;
    /// Return the shape that a weight's gradient has in the forward kernel's operation.
    Shape gradient_shape() const;
    /// Set the destination's size and the offset of a kernel with one source by the padding policy.
    void apply_policy(const ImageDescriptor &source, ImageDescriptor &destination);
    void require_sources(std::size_t given) const;
    /// Throws ParameterError for a kernel that has no destination image.
    void require_destination() const;
    Encoding finish(EncodingBuilder builder) const;
};

/// Return all classes with their properties as JSON: name, apple, meaning, sources, optional_sources, state
/// (none, reads or writes), fixed and properties (name, type, default, allowed, meaning).
Json describe_kernels();

} // namespace mpscnn::kernels
