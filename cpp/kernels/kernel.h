#pragma once

// A raw kernel: one of Apple's classes with its properties. Independent of any engine.

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

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

// A family is a struct with
//   template <class Visitor> void fixed(Visitor &);    properties set when the kernel is made
//   template <class Visitor> void fields(Visitor &);   properties that may change between encodes
//   void check(const std::string &kernel) const;       their ranges; throws
//   ops::WeightSpecs weights() const;
//   int build(EncodingBuilder &) const;                the operations of one encode; the value written
//   std::int64_t output_channels(ChannelCounts) const;
//   static constexpr auto default_padding = ...;       size bits of the padding policy, same unless given
//   static constexpr EdgeMode default_edge_mode = ...; zero unless given
// and, unless a pixel of the result depends on the pixel at the same place, one of
//   ops::Window taps() const;                          kernel, stride and dilation
//   ImageSize destination_size(std::span<const ImageDescriptor>) const;   whatever the padding policy
// and, where it applies,
//   std::int64_t written_channels(ChannelCounts, std::int64_t room) const;   channels of the result in a
//                                                      destination with room for this many
//   void policy_applied(KernelProperties &, ImageDescriptor &destination);   after the padding policy has set
//                                                      offset and size
//   static constexpr bool reads_whole_source = true;   whatever the destination's size
//   ImageRegion source_region(const Offset &, const ImageSize &, std::size_t source) const;   unless taps()
//   or
//                                                      the pixels at the same places say it
// A family with
//   ImageDescriptor destination(std::span<const ImageDescriptor>) const;
// reads and writes whole images: its kernels have none of the properties of parts.
using Family =
    std::variant<ArgumentReduction, ConvolutionTranspose, Arithmetic, ArithmeticGradient, BatchNormalization,
                 BatchNormalizationGradient, BatchStatistics, BinaryConvolution, BinaryFullyConnected,
                 Compare, Conversion, Convolution, CrossChannelNormalization, Dropout, FullyConnected,
                 GramMatrix, GroupNormalization, InitialGradient, Loss, LossGradient, Neuron, Optimizer, Pad,
                 Pooling, Reduction, Reshape, Resize, Scale, Slice, Softmax, SoftmaxGradient,
                 WeightedReduction, WindowNormalization, YoloLoss>;

struct Kernel;

/// How a kernel uses a batch normalization state.
enum class StateUse {
    none,
    reads, ///< where one is given
    writes ///< instead of a destination image
};

/// A class of Apple's as mpscnn has it.
struct KernelClass {
    const char *name;  ///< in Python and the C interface
    const char *apple; ///< "MPSCNNPoolingMax"
    /// The first sentence says what it computes; paragraphs are divided by empty lines.
    const char *meaning;
    std::size_t sources;
    Family (*make)();
    StateUse state = StateUse::none;
    /// True for a gradient kernel. Its sources are the gradient of the result, and the source of the forward
    /// pass.
    bool is_gradient = false;
    std::size_t optional_sources = 0; ///< after the others
};

/// THE table of raw kernels, by name.
std::span<const KernelClass> kernel_classes();

struct Kernel {
    const KernelClass *type;
    KernelProperties properties;
    Family family;

    /// The kernel with the given properties, those that are left out at their defaults. Throws ParameterError
    /// for an unknown class or property and for a value that is not allowed.
    static Kernel make(std::string_view name, const Json &properties);

    std::string name() const { return type->name; }
    /// Changes the given properties; all or, when it throws, none.
    void set(const Json &changes);
    Json get() const;

    ops::WeightSpecs weights() const;
    /// The image that the padding policy asks for. Sets the offset that goes with it, as Apple's kernels do.
    ImageDescriptor make_destination(std::span<const ImageDescriptor> sources);
    /// The pixels of a source that a destination of this size needs, taking no notice of the clip rectangle;
    /// they may reach outside. Images and channels are not looked at.
    ImageRegion source_region(std::int64_t width, std::int64_t height, std::size_t source = 0) const;
    /// `with_statistics`: those of a batch normalization state are used.
    Encoding encode(std::span<const ImageDescriptor> sources, const ImageDescriptor &destination,
                    bool with_statistics = false) const;
    /// Encode a kernel that writes a state. The destination is (1, 2, 1, channels).
    Encoding encode_statistics(const ImageDescriptor &source) const;

private:
    void check() const;
    void check_gradient() const;
    /// Pad: all edge modes, and sources read from any channel on.
    bool any_edge_mode() const;
    std::int64_t output_channels(ChannelCounts sources) const;
    /// Encode a gradient kernel.
    Encoding encode_gradient(std::span<const ImageDescriptor> sources,
                             const ImageDescriptor &destination) const;
    ImageDescriptor make_gradient_destination(std::span<const ImageDescriptor> sources) const;
    /// The forward kernel whose gradient this is, and its offset: as the offsets and the gradient say.
    Family forward_family(const ImageRegion &gradient) const;
    Offset forward_offset() const;
    /// The shape of a weight as the forward kernel's operation takes it.
    Shape gradient_shape() const;
    /// Size of the destination and offset of a kernel with one source, by the padding policy.
    void apply_policy(const ImageDescriptor &source, ImageDescriptor &destination);
    void require_sources(std::size_t given) const;
    /// Throws ParameterError for a kernel that has no destination image.
    void require_destination() const;
    Encoding finish(EncodingBuilder builder) const;
};

/// All classes with their properties as JSON: name, apple, meaning, sources, optional_sources, state (none,
/// reads or writes), fixed and properties (name, type, default, allowed, meaning).
Json describe_kernels();

} // namespace mpscnn::kernels
