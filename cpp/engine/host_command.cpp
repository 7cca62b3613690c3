#include "engine/host_command.h"

namespace mpscnn::engine {

namespace {

/// Programs of the graphs that a kernel's encodings are: one for each geometry, with weights packed once.
class HostKernelState : public KernelState {
public:
    std::shared_ptr<Program> program_for(const Kernel &kernel, const kernels::Encoding &encoding);

private:
    static constexpr std::size_t max_programs = 64;
    std::map<std::string, std::shared_ptr<Program>> programs_;
};

Graph graph_of(const Kernel &kernel, const kernels::Encoding &encoding) {
    const std::string name = kernel.definition().name();
    Graph graph(name);
    for (std::size_t i = 0; i < encoding.sources.size(); ++i)
        graph.add_input("source " + std::to_string(i),
                        encoding.sources[i].region.shape().with_batch(Shape::any));
    ValueId result = -1;
    for (std::size_t i = 0; i < encoding.nodes.size(); ++i) {
        const kernels::EncodedNode &node = encoding.nodes[i];
        const bool last = i + 1 == encoding.nodes.size();
        result = graph.add_node(last ? name : name + " step " + std::to_string(i), node.operation,
                                node.inputs, node.activation);
    }
    graph.mark_output(result);
    return graph;
}

void set_weights(Graph &graph, const Kernel &kernel, const kernels::Encoding &encoding) {
    for (std::size_t i = 0; i < encoding.nodes.size(); ++i)
        for (const kernels::WeightUse &use : encoding.nodes[i].weights)
            if (const WeightTensor *weight = kernel.weight(use.kernel_role))
                graph.set_weight(graph.nodes()[i].name, use.role, weight->reshaped(use.shape));
}

std::shared_ptr<Program> HostKernelState::program_for(const Kernel &kernel,
                                                      const kernels::Encoding &encoding) {
    Graph graph = graph_of(kernel, encoding);
    std::string key = to_text(graph.to_json());
    if (const auto found = programs_.find(key); found != programs_.end()) return found->second;
    set_weights(graph, kernel, encoding);
    const auto program = Program::compile(graph, choose_backend("cpu", "float32"));
    if (programs_.size() >= max_programs) programs_.clear(); // encoded commands keep theirs
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

/// Loads the inputs, calls run(input views, output views), stores the outputs.
template <class Run>
void run_on(const std::vector<HostRegion> &inputs, const std::vector<HostRegion> &outputs, Run run) {
    std::vector<RegionTensor> sources = tensors_of(inputs), results = tensors_of(outputs);
    for (RegionTensor &source : sources) source.load();
    run(views_of(sources), views_of(results));
    for (RegionTensor &result : results) result.store();
}

class KernelCommand : public HostCommand {
public:
    KernelCommand(std::shared_ptr<Program> program, std::vector<HostRegion> sources, HostRegion destination)
        : program_(std::move(program)), sources_(std::move(sources)), destination_{std::move(destination)} {
        std::vector<Shape> shapes;
        for (const HostRegion &source : sources_) shapes.push_back(source.region.shape());
        planned_ = program_->plan_for(shapes);
    }

    void run(HostRunner &runner) override {
        run_on(sources_, destination_, [&](const auto &inputs, const auto &outputs) {
            runner.run(program_->lowered(), *planned_->plan, inputs, outputs);
        });
    }

private:
    std::shared_ptr<Program> program_;
    std::shared_ptr<const Program::Planned> planned_;
    std::vector<HostRegion> sources_, destination_;
};

class SessionCommand : public HostCommand {
public:
    SessionCommand(std::shared_ptr<Session> session, std::vector<HostRegion> inputs,
                   std::vector<HostRegion> outputs)
        : session_(std::move(session)), inputs_(std::move(inputs)), outputs_(std::move(outputs)) {}

    void run(HostRunner &) override {
        run_on(inputs_, outputs_,
               [&](const auto &inputs, const auto &outputs) { session_->run(inputs, outputs); });
    }

private:
    std::shared_ptr<Session> session_;
    std::vector<HostRegion> inputs_, outputs_;
};

HostRegion whole(const ImagePointer &image, int rank) {
    const ImageDescriptor &size = image->descriptor();
    return {host_memory(*image),
            {0, 0, 0, 0, size.number_of_images, size.height, size.width, size.feature_channels},
            rank};
}

/// The images as tensors of the shapes that a program's ports have.
std::vector<HostRegion> whole_images(const std::vector<Port> &ports, std::span<const ImagePointer> images,
                                     const char *role) {
    if (images.size() != ports.size())
        fail(ErrorKind::parameter, "the program has " + std::to_string(ports.size()) + " " + role +
                                       "s, got " + std::to_string(images.size()) + " images");
    std::vector<HostRegion> regions;
    for (std::size_t i = 0; i < ports.size(); ++i) {
        const int rank = ports[i].shape.rank();
        const ImageDescriptor &size = images[i]->descriptor();
        if (rank != 4 && (rank != 2 || size.width != 1 || size.height != 1))
            fail(ErrorKind::shape, std::string(role) + " " + quoted(ports[i].name) + " is " +
                                       ports[i].shape.text() + ", which is no image of " + size.text());
        regions.push_back(whole(images[i], rank));
    }
    return regions;
}

Shape shape_of(const HostRegion &region) {
    return region.rank == 4 ? region.region.shape() : Shape{region.region.images, region.region.channels};
}

} // namespace

void HostRunner::run(const LoweredGraph &lowered, const Plan &plan, std::span<const TensorView> inputs,
                     std::span<const TensorView> outputs) {
    if (!executor_) executor_ = lowered.executor({.threads = threads_});
    if (prepared_ != &plan) executor_->prepare(plan);
    prepared_ = &plan;
    executor_->run(plan, inputs, outputs);
}

std::shared_ptr<HostImageMemory> host_memory(const Image &image) {
    const auto memory = image.memory([&] { return std::make_shared<HostImageMemory>(image.descriptor()); });
    if (auto own = std::dynamic_pointer_cast<HostImageMemory>(memory)) return own;
    fail(ErrorKind::state, image.text() + " is in the memory of device " + quoted(memory->device()));
}

std::shared_ptr<HostImageMemory> accessible_host_memory(const Image &image) {
    image.require_accessible();
    return host_memory(image);
}

std::unique_ptr<HostCommand> make_kernel_command(Kernel &kernel, const kernels::Encoding &encoding,
                                                 std::span<const ImagePointer> sources,
                                                 const ImagePointer &destination) {
    auto program = kernel.state<HostKernelState>().program_for(kernel, encoding);
    std::vector<HostRegion> regions;
    for (const kernels::EncodedSource &source : encoding.sources)
        regions.push_back({host_memory(*sources[source.image]), source.region});
    HostRegion written{host_memory(*destination), encoding.destination, program->outputs()[0].shape.rank()};
    return std::make_unique<KernelCommand>(std::move(program), std::move(regions), std::move(written));
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
            fail(ErrorKind::shape, "output " + quoted(program.outputs()[i].name) +
                                       ": expected an image for " + planned->output_shapes[i].text() +
                                       ", got " + outputs[i]->text());
    return std::make_unique<SessionCommand>(session, std::move(sources), std::move(results));
}

} // namespace mpscnn::engine
