#include "engine/commands/command_buffer.h"

#include <algorithm>

namespace mpscnn::engine {

const char *name_of(CommandStatus status) {
    static constexpr const char *names[] = {"not_enqueued", "enqueued",  "committed",
                                            "scheduled",    "completed", "error"};
    return names[static_cast<std::size_t>(status)];
}

void CommandBuffer::require_recording() const {
    if (status() >= CommandStatus::committed)
        fail(ErrorKind::state, {"the command buffer has been committed already (its status is ",
                                name_of(status()), "); take another one from the queue"});
}

void CommandBuffer::require_images(const std::string &encoder, std::span<const ImagePointer> sources,
                                   std::span<const ImagePointer> destinations) const {
    for (const ImagePointer &source : sources)
        source->require_usable(*this, (encoder + ": source").c_str(),
                               std::count(sources.begin(), sources.end(), source));
    for (std::size_t i = 0; i < destinations.size(); ++i) {
        const ImagePointer &destination = destinations[i];
        destination->require_usable(*this, (encoder + ": destination").c_str(), 0);
        const auto before = destinations.begin() + static_cast<std::ptrdiff_t>(i);
        if (std::find(sources.begin(), sources.end(), destination) != sources.end())
            fail(ErrorKind::parameter,
                 {encoder, ": ", destination->text(), " is source and destination; they must not overlap"});
        if (std::find(destinations.begin(), before, destination) != before)
            fail(ErrorKind::parameter,
                 {encoder, ": ", destination->text(), " is given for two results; they must not overlap"});
    }
}

void CommandBuffer::encode(Kernel &kernel, std::span<const ImagePointer> sources,
                           const ImagePointer &destination, const BatchNormalizationStatePointer &state) {
    require_recording();
    std::vector<ImageDescriptor> descriptors;
    for (const ImagePointer &source : sources) descriptors.push_back(source->descriptor());
    const kernels::Encoding encoding =
        kernel.definition().encode(descriptors, destination->descriptor(), state != nullptr);
    kernel.require_complete(encoding);
    require_images(kernel.definition().name(), sources, {&destination, 1});
    for (const kernels::EncodedSource &source : encoding.sources)
        if (source.image == kernels::EncodedSource::statistics && !state)
            fail(ErrorKind::parameter, {kernel.definition().name(), ": needs a batch normalization state"});
        else if (source.image == kernels::EncodedSource::statistics)
            state->require_usable(*this, kernel.definition().name(), source.region.channels, true);
    encode_kernel(kernel, encoding, sources, destination, state);
    for (const ImagePointer &source : sources) source->count_reads(1);
}

void CommandBuffer::encode_statistics(Kernel &kernel, const ImagePointer &source,
                                      const BatchNormalizationStatePointer &state) {
    require_recording();
    const kernels::Encoding encoding = kernel.definition().encode_statistics(source->descriptor());
    require_images(kernel.definition().name(), {&source, 1}, {});
    state->require_usable(*this, kernel.definition().name(), encoding.destination.channels, false);
    encode_kernel(kernel, encoding, source, state);
    state->written_by(*this);
    source->count_reads(1);
}

void CommandBuffer::encode(const std::shared_ptr<Session> &session, std::span<const ImagePointer> inputs,
                           std::span<const ImagePointer> outputs) {
    require_recording();
    require_images("network " + quoted(session->program()->name()), inputs, outputs);
    encode_session(session, inputs, outputs);
    for (const ImagePointer &input : inputs) input->count_reads(1);
}

void CommandBuffer::encode(const std::shared_ptr<const CustomKernel> &kernel,
                           std::span<const CustomArgument> arguments, const CustomGrid &grid) {
    require_recording();
    const auto bound = bind_arguments(*kernel, arguments);
    std::vector<ImagePointer> sources, destinations;
    for (std::size_t i = 0; i < bound.size(); ++i)
        if (bound[i]->image)
            (kernel->parameters()[i].written ? destinations : sources).push_back(bound[i]->image);
    require_images("kernel " + quoted(kernel->function()), sources, destinations);
    encode_custom(kernel, bound, grid);
    for (const ImagePointer &source : sources) source->count_reads(1);
}

} // namespace mpscnn::engine
