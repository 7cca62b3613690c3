#include "engine/commands/host_command.h"

#include <algorithm>

#include "core/text.h"
#include "engine/commands/kernel_graph.h"

namespace mpscnn::engine {

namespace {

/// The compiled programs of a raw kernel. There is one for each device and each graph that its encodings
/// need, so weights are packed once.
class HostKernelState : public KernelState {
public:
    std::shared_ptr<Program> program_for(const Kernel &kernel, const kernels::Encoding &encoding, Graph graph,
                                         const KernelTarget &target);

private:
    static constexpr std::size_t max_programs = 64;
    std::map<std::string, std::shared_ptr<Program>> programs_;
};

std::shared_ptr<Program> HostKernelState::program_for(const Kernel &kernel, const kernels::Encoding &encoding,
                                                      Graph graph, const KernelTarget &target) {
    std::string key = concat({target.identity, "\n", to_text(graph.to_json())});
    if (const auto found = programs_.find(key); found != programs_.end()) return found->second;
    set_weights(graph, kernel, encoding);
    auto program = Program::compile(graph, target.choice);
    if (programs_.size() >= max_programs)
        // Commands that are already encoded keep the programs that they use alive.
        programs_.clear();
    programs_.emplace(std::move(key), program);
    return program;
}

std::vector<RegionTensor> tensors_of(const std::vector<HostRegion> &regions) {
    std::vector<RegionTensor> tensors;
    tensors.reserve(regions.size());
    for (const HostRegion &region : regions) tensors.emplace_back(*region.memory, region.region, region.rank);
    return tensors;
}

std::vector<TensorView> views_of(const std::vector<RegionTensor> &tensors) {
    std::vector<TensorView> views;
    for (const RegionTensor &tensor : tensors) views.push_back(tensor.view());
    return views;
}

/// True if one of the regions has a normalised format (unorm8 or unorm16), which the processor converts.
bool are_converted(const std::vector<HostRegion> &regions) {
    return std::any_of(regions.begin(), regions.end(), [](const HostRegion &region) {
        const ImageFormat format = region.memory->descriptor().format;
        return format == ImageFormat::unorm8 || format == ImageFormat::unorm16;
    });
}

/// Load the inputs, call run(input views, output views), and store the outputs.
template <class Run>
void run_on(HostRunner &runner, const std::vector<HostRegion> &inputs, const std::vector<HostRegion> &outputs,
            Run run) {
    if (are_converted(inputs) || are_converted(outputs)) runner.finish();
    std::vector<RegionTensor> sources = tensors_of(inputs), results = tensors_of(outputs);
    for (RegionTensor &source : sources) source.load();
    run(views_of(sources), views_of(results));
    for (RegionTensor &result : results) result.store();
}

/// Return means and then variances as a tensor for a program's input. Its stride of 0 along the batch gives
/// every image the same values.
TensorView statistics_view(std::vector<float> &statistics, std::int64_t images) {
    const auto channels = static_cast<std::int64_t>(statistics.size() / 2);
    TensorView view = TensorView::dense(statistics.data(), DType::float32,
                                        kernels::statistics_region(images, channels).shape());
    view.strides[0] = 0;
    return view;
}

/// The program of a kernel for the shapes of one encoding, together with its inputs that are not images, such
/// as weights.
class PlannedProgram {
public:
    PlannedProgram(Kernel &kernel, const kernels::Encoding &encoding, const KernelTarget &target) {
        KernelGraph made = make_kernel_graph(kernel, encoding);
        program_ =
            kernel.state<HostKernelState>().program_for(kernel, encoding, std::move(made.graph), target);
        std::vector<Shape> shapes;
        for (const std::size_t index : made.sources) {
            const kernels::EncodedSource &source = encoding.sources[index];
            const Shape shape = source.variable ? variable_shape(*source.variable) : source.shape();
            shapes.push_back(shape);
            inputs_.push_back({source.image, shape, source.values});
            if (source.image == kernels::EncodedSource::weight)
                inputs_.back().values = kernel.weight(source.role)->values();
        }
        planned_ = program_->plan_for(shapes);
    }

    int output_rank() const { return program_->outputs()[0].shape.rank(); }
    /// Run the program. `images` has one image for each source, in order. `statistics` has the statistics of
    /// a state, if the kernel reads them.
    void run(HostRunner &runner, std::span<const TensorView> images, std::span<const TensorView> outputs,
             std::vector<float> statistics = {}) {
        statistics_ = std::move(statistics);
        std::vector<TensorView> views;
        std::size_t next = 0;
        for (Given &input : inputs_) {
            if (input.source == kernels::EncodedSource::statistics)
                views.push_back(statistics_view(statistics_, input.shape[0]));
            else if (input.values.empty())
                views.push_back(images[next++]);
            else
                views.push_back(TensorView::dense(input.values.data(), DType::float32, input.shape));
        }
        runner.run(program_->lowered(), *planned_->plan, views, outputs);
    }

private:
    struct Given {
        std::size_t source; ///< index of the input image, EncodedSource::image
        Shape shape;
        std::vector<float> values; ///< values of an input that is not an image
    };

    std::shared_ptr<Program> program_;
    std::shared_ptr<const Program::Planned> planned_;
    std::vector<Given> inputs_;
    std::vector<float> statistics_; ///< statistics for the current run
};

/// Runs a raw kernel. If it has a state, it uses the state's statistics at the time when the command runs.
class KernelCommand : public HostCommand {
public:
    KernelCommand(PlannedProgram program, std::vector<HostRegion> sources, HostRegion destination,
                  const BatchNormalizationStatePointer &state)
        : program_(std::move(program)), sources_(std::move(sources)), destination_{std::move(destination)} {
        if (!state) return;
        moments_ = state->moments();
        generation_ = state->generation();
    }

    void run(HostRunner &runner) override {
        std::vector<float> statistics;
        if (moments_) statistics = moments_->statistics(generation_);
        run_on(runner, sources_, destination_, [&](const auto &inputs, const auto &outputs) {
            program_.run(runner, inputs, outputs, std::move(statistics));
        });
    }

private:
    PlannedProgram program_;
    std::vector<HostRegion> sources_, destination_;
    std::shared_ptr<const BatchMoments> moments_;
    std::int64_t generation_ = 0;
};

class StatisticsCommand : public HostCommand {
public:
    StatisticsCommand(PlannedProgram program, HostRegion source, const BatchNormalizationState &destination)
        : program_(std::move(program)), source_{std::move(source)}, moments_(destination.moments()),
          generation_(destination.generation()) {}

    void run(HostRunner &runner) override {
        const ImageRegion &read = source_[0].region;
        std::vector<float> statistics(2 * static_cast<std::size_t>(read.channels));
        run_on(runner, source_, {}, [&](const auto &inputs, const auto &) {
            const TensorView result = statistics_view(statistics, 1);
            program_.run(runner, inputs, {&result, 1});
        });
        moments_->add(generation_, read.images * read.height * read.width, statistics);
    }

private:
    PlannedProgram program_;
    std::vector<HostRegion> source_;
    std::shared_ptr<BatchMoments> moments_;
    std::int64_t generation_;
};

class SessionCommand : public HostCommand {
public:
    SessionCommand(std::shared_ptr<Session> session, std::shared_ptr<const Program::Planned> planned,
                   std::vector<HostRegion> inputs, std::vector<HostRegion> outputs)
        : session_(std::move(session)), planned_(std::move(planned)), inputs_(std::move(inputs)),
          outputs_(std::move(outputs)) {}

    void run(HostRunner &runner) override {
        const bool recorded = runner.records(*planned_->plan);
        if (!recorded) runner.finish();
        run_on(runner, inputs_, outputs_, [&](const auto &inputs, const auto &outputs) {
            if (recorded)
                runner.run(session_->program()->lowered(), *planned_->plan, inputs, outputs);
            else
                session_->run(inputs, outputs);
        });
    }

private:
    std::shared_ptr<Session> session_;
    std::shared_ptr<const Program::Planned> planned_;
    std::vector<HostRegion> inputs_, outputs_;
};

/// Runs a user's kernel. The kernel's parameters begin with its images.
class CustomCommand : public HostCommand {
public:
    CustomCommand(CustomRun run, std::vector<HostRegion> images)
        : run_(std::move(run)), images_(std::move(images)) {}

    /// The images that the kernel writes are loaded, too, because it may leave some of their pixels
    /// unchanged.
    void run(HostRunner &runner) override {
        if (are_converted(images_)) runner.finish();
        std::vector<RegionTensor> tensors = tensors_of(images_);
        for (std::size_t i = 0; i < tensors.size(); ++i) {
            tensors[i].load();
            run_.bindings[i].image = tensors[i].view();
        }
        runner.run(run_);
        for (std::size_t i = 0; i < tensors.size(); ++i)
            if (run_.bindings[i].parameter->written) tensors[i].store();
    }

private:
    CustomRun run_;
    std::vector<HostRegion> images_;
};

HostRegion whole(const ImagePointer &image, int rank) {
    const ImageDescriptor &size = image->descriptor();
    return {host_memory(*image),
            {0, 0, 0, 0, size.number_of_images, size.height, size.width, size.feature_channels},
            rank};
}

/// Return whole images as regions for the inputs or outputs of a program. Throws for an image of another
/// shape.
std::vector<HostRegion> whole_images(const std::vector<Port> &ports, std::span<const ImagePointer> images,
                                     const char *role) {
    if (images.size() != ports.size())
        fail(ErrorKind::parameter,
             {"the program has ", ports.size(), " ", role, "s, got ", images.size(), " images"});
    std::vector<HostRegion> regions;
    for (std::size_t i = 0; i < ports.size(); ++i) {
        const int rank = ports[i].shape.rank();
        const ImageDescriptor &size = images[i]->descriptor();
        if (rank != 4 && (rank != 2 || size.width != 1 || size.height != 1))
            fail(ErrorKind::shape, {role, " ", quoted(ports[i].name), " is ", ports[i].shape.text(),
                                    ", which is not an image of ", size.text()});
        regions.push_back(whole(images[i], rank));
    }
    return regions;
}

Shape shape_of(const HostRegion &region) {
    return region.rank == 4 ? region.region.shape() : Shape{region.region.images, region.region.channels};
}

} // namespace

void HostRunner::run(std::unique_ptr<HostCommand> command) {
    command->run(*this);
    if (recording_) recorded_.push_back(std::move(command));
}

void HostRunner::finish() {
    if (!recording_) return;
    recording_->finish();
    recorded_.clear();
}

void HostRunner::discard() {
    if (recording_) recording_->discard();
    recorded_.clear();
}

void HostRunner::run(const LoweredGraph &lowered, const Plan &plan, std::span<const TensorView> inputs,
                     std::span<const TensorView> outputs) {
    if (recording_) return recording_->run(plan, inputs, outputs);
    if (!executor_) executor_ = lowered.executor({.threads = threads_});
    if (prepared_ != &plan) executor_->prepare(plan);
    prepared_ = &plan;
    executor_->run(plan, inputs, outputs);
}

std::shared_ptr<HostImageMemory> host_memory(const Image &image) {
    const auto memory = image.memory([&] { return std::make_shared<HostImageMemory>(image.descriptor()); });
    if (auto own = std::dynamic_pointer_cast<HostImageMemory>(memory)) return own;
    fail(ErrorKind::state, {image.text(), " is in the memory of device ", quoted(memory->device())});
}

std::shared_ptr<HostImageMemory> accessible_host_memory(const Image &image) {
    image.require_accessible();
    return host_memory(image);
}

std::unique_ptr<HostCommand> make_kernel_command(Kernel &kernel, const kernels::Encoding &encoding,
                                                 std::span<const ImagePointer> sources,
                                                 const ImagePointer &destination,
                                                 const BatchNormalizationStatePointer &state,
                                                 const KernelTarget &target) {
    PlannedProgram program(kernel, encoding, target);
    HostRegion written{host_memory(*destination), encoding.destination, program.output_rank()};
    std::vector<HostRegion> regions;
    for (const kernels::EncodedSource &source : encoding.sources) {
        const int rank = source.shape().rank();
        if (source.is_image())
            regions.push_back({host_memory(*sources[source.image]), source.region, rank});
        else if (source.image == kernels::EncodedSource::destination)
            regions.push_back({written.memory, source.region, rank});
    }
    return std::make_unique<KernelCommand>(std::move(program), std::move(regions), std::move(written), state);
}

std::unique_ptr<HostCommand> make_statistics_command(Kernel &kernel, const kernels::Encoding &encoding,
                                                     const ImagePointer &source,
                                                     const BatchNormalizationState &destination,
                                                     const KernelTarget &target) {
    HostRegion read{host_memory(*source), encoding.sources[0].region};
    return std::make_unique<StatisticsCommand>(PlannedProgram(kernel, encoding, target), std::move(read),
                                               destination);
}

std::unique_ptr<HostCommand> make_session_command(const std::shared_ptr<Session> &session,
                                                  std::span<const ImagePointer> inputs,
                                                  std::span<const ImagePointer> outputs) {
    Program &program = *session->program();
    auto sources = whole_images(program.inputs(), inputs, "input");
    auto results = whole_images(program.outputs(), outputs, "output");
    std::vector<Shape> shapes;
    for (const HostRegion &source : sources) shapes.push_back(shape_of(source));
    const auto planned = program.plan_for(shapes);
    for (std::size_t i = 0; i < results.size(); ++i)
        if (!(shape_of(results[i]) == planned->output_shapes[i]))
            fail(ErrorKind::shape, {"output ", quoted(program.outputs()[i].name), ": expected an image for ",
                                    planned->output_shapes[i].text(), ", got ", outputs[i]->text()});
    return std::make_unique<SessionCommand>(session, planned, std::move(sources), std::move(results));
}

std::unique_ptr<HostCommand> make_custom_command(const std::shared_ptr<const CustomKernel> &kernel,
                                                 std::span<const CustomArgument *const> arguments,
                                                 const CustomGrid &grid) {
    CustomRun run{kernel, {}, grid_for(*kernel, arguments, grid), grid.threadgroup};
    std::vector<HostRegion> images;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        run.bindings.push_back({&kernel->parameters()[i], {}, arguments[i]->bytes});
        if (arguments[i]->image) images.push_back(whole(arguments[i]->image, 4));
    }
    return std::make_unique<CustomCommand>(std::move(run), std::move(images));
}

} // namespace mpscnn::engine
