#pragma once

// The kernels of steps: MPS kernels and the engine's shaders.

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "metal/layers/layer.h"

namespace mpscnn::metal {

/// The arguments of a shader other than images: its parameters as buffer 0, then other buffers.
struct ShaderArguments {
    std::vector<std::byte> params;
    std::vector<objc_ptr<id<MTLBuffer>>> buffers;

    template <class Params>
    explicit ShaderArguments(const Params &values, std::vector<objc_ptr<id<MTLBuffer>>> more = {})
        : buffers(std::move(more)) {
        static_assert(std::is_trivially_copyable_v<Params>);
        const auto bytes = std::as_bytes(std::span(&values, 1));
        params.assign(bytes.begin(), bytes.end());
    }
};

/// A shader that is ready to run: the variant for the types of its images, with its arguments.
struct ShaderCall {
    std::string label;
    id<MTLComputePipelineState> pipeline = nil;
    ShaderArguments arguments;
    std::string shader; ///< name of the shader without the variant

    /// Encode the shader. The last of the images is the destination. There is one thread for each pixel and
    /// slice of `grid`.
    void encode(id<MTLCommandBuffer> command_buffer, std::span<MPSImage *const> images,
                const ImageLayout &grid) const;
};

/// Makes the shader calls of a layer.
class ShaderMaker {
public:
    ShaderMaker(const LayerSource &source, Device &device)
        : name_(source.name()), choice_(source.choice), device_(&device) {}

    const std::string &name() const { return name_; }
    Device &device() const { return *device_; }
    const Choice &choice() const { return choice_; }
    /// Return the call of a shader. Throws UnsupportedError for a shader or an activation that the device may
    /// not use.
    ShaderCall call(const std::string &shader, std::span<const ImageLayout> sources,
                    const ImageLayout &destination, ShaderArguments arguments,
                    NeuronKind activation = NeuronKind::none) const;
    ShaderCall call(const std::string &shader, const Operands &operands, ShaderArguments arguments,
                    NeuronKind activation = NeuronKind::none) const;

private:
    std::string name_;
    Choice choice_;
    Device *device_;
};

/// One kernel of a step. `sources` are indices of images: the step's sources come first, then the results of
/// earlier stages.
struct Stage {
    std::function<void(Encoding &, std::span<MPSImage *const> images)> encode; ///< the destination comes last
    bool is_mps = false; ///< true for an MPS kernel, which decrements the read counts of its sources itself
    std::vector<std::size_t> sources;
    ImageLayout result;
    std::string kernel; ///< the MPS kernel's or the shader's name
};
/// Return a stage for an MPS kernel with one source. `offset` is stored separately, because it depends on the
/// extents and one kernel serves all extents.
Stage mps_stage(MPSCNNKernel *kernel, const MPSOffset &offset, std::size_t source, const ImageLayout &result);
Stage shader_stage(ShaderCall call, std::vector<std::size_t> sources, const ImageLayout &result);
Stage shader_stage(ShaderCall call, std::vector<std::size_t> sources, const ImageLayout &result,
                   const ImageLayout &grid);

/// Return a step that runs the stages in order. Its result is the result of the last stage.
std::unique_ptr<Step> staged_step(std::vector<Stage> stages, Operands operands);
std::unique_ptr<Step> mps_step(MPSCNNKernel *kernel, Operands operands, const MPSOffset &offset);
std::unique_ptr<Step> shader_step(ShaderCall call, Operands operands);

/// Return a layer that is one shader. `bind` returns the shader's arguments for images with given extents.
using BindShader = std::function<ShaderArguments(const Operands &)>;
std::unique_ptr<Layer> shader_layer(const LayerSource &source, Device &device, std::string shader,
                                    BindShader bind, NeuronKind activation = NeuronKind::none);

} // namespace mpscnn::metal
