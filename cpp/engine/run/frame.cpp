#include "engine/run/frame.h"

#include <algorithm>
#include <numeric>

#include "engine/run/tensor_copy.h"

namespace mpscnn::engine {

namespace {

bool same_but_for_the_batch(const TensorView &a, const TensorView &b) {
    return a.type == b.type && a.shape.with_batch(1) == b.shape.with_batch(1);
}

bool all_alike(const std::vector<TensorView> &a, const std::vector<TensorView> &b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), same_but_for_the_batch);
}

} // namespace

bool Frame::goes_with(const Frame &other) const {
    return all_alike(inputs, other.inputs) && all_alike(outputs, other.outputs);
}

void FrameSession::Staging::reserve(std::span<const TensorView> images, std::int64_t count) {
    tensors_.resize(images.size());
    for (std::size_t i = 0; i < images.size(); ++i) {
        Tensor &tensor = tensors_[i];
        tensor.image = TensorView::dense(nullptr, images[i].type, images[i].shape.with_batch(1));
        tensor.image_bytes =
            static_cast<std::size_t>(tensor.image.shape.elements()) * size_of(tensor.image.type);
        const std::size_t bytes = tensor.image_bytes * static_cast<std::size_t>(count);
        if (tensor.memory && tensor.memory->bytes() >= bytes) continue;
        tensor.memory.reset(); // frees the old pages before new ones are allocated
        tensor.memory = PageMemory::allocate(bytes);
    }
}

std::vector<TensorView> FrameSession::Staging::views(std::int64_t first, std::int64_t count) const {
    std::vector<TensorView> views;
    for (const Tensor &tensor : tensors_)
        views.push_back(
            TensorView::dense(tensor.memory->data() + tensor.image_bytes * static_cast<std::size_t>(first),
                              tensor.image.type, tensor.image.shape.with_batch(count)));
    return views;
}

std::vector<Failure> FrameSession::run(std::span<const Frame *const> frames) {
    const auto images = std::accumulate(frames.begin(), frames.end(), std::int64_t{0},
                                        [](auto sum, const Frame *frame) { return sum + frame->images(); });
    std::vector<Failure> failures(frames.size());
    if (const Failure refusal = failure_of([&] { prepare(*frames.front(), images); })) {
        if (frames.size() == 1) return {refusal};
        for (std::size_t i = 0; i < frames.size(); ++i) failures[i] = run(frames.subspan(i, 1)).front();
        return failures;
    }
    std::vector<Member> members;
    std::int64_t first = 0;
    for (std::size_t i = 0; i < frames.size(); ++i) {
        failures[i] = failure_of([&] {
            // A single frame in the caller's memory is not copied.
            if (frames.size() == 1 && !frames[i]->fill) return;
            inputs_.reserve(frames[i]->inputs, images);
            place(*frames[i], first);
        });
        if (failures[i]) continue; // a failed frame takes no place in the batch
        members.push_back({i, first});
        first += frames[i]->images();
    }
    const bool together = members.size() > 1 && !failure_of([&] { run_together(frames, members); });
    for (const Member &member : members)
        failures[member.frame] = failure_of([&] {
            const Frame &frame = *frames[member.frame];
            together ? hand_over(frame, member.first) : run_alone(frame, member.first);
        });
    return failures;
}

void FrameSession::prepare(const Frame &frame, std::int64_t images) {
    std::vector<TensorView> inputs = frame.inputs;
    for (TensorView &input : inputs) input.shape = input.shape.with_batch(images);
    session_->prepare(inputs);
}

void FrameSession::place(const Frame &frame, std::int64_t first) {
    const std::vector<TensorView> views = inputs_.views(first, frame.images());
    if (frame.fill)
        return frame.fill(views, [this](std::int64_t items, std::int64_t chunk, const RangeWork &work) {
            session_->share(items, chunk, work);
        });
    for (std::size_t i = 0; i < views.size(); ++i) copy_elements(frame.inputs[i], views[i]);
}

void FrameSession::run_alone(const Frame &frame, std::int64_t first) {
    const std::vector<TensorView> inputs = frame.fill ? inputs_.views(first, frame.images()) : frame.inputs;
    if (!frame.read) return session_->run(inputs, frame.outputs);
    outputs_.reserve(frame.outputs, frame.images());
    const std::vector<TensorView> outputs = outputs_.views(0, frame.images());
    session_->run(inputs, outputs);
    frame.read(outputs);
}

void FrameSession::run_together(std::span<const Frame *const> frames, std::span<const Member> members) {
    const std::int64_t images = members.back().first + frames[members.back().frame]->images();
    outputs_.reserve(frames.front()->outputs, images);
    session_->run(inputs_.views(0, images), outputs_.views(0, images));
}

void FrameSession::hand_over(const Frame &frame, std::int64_t first) {
    const std::vector<TensorView> views = outputs_.views(first, frame.images());
    if (frame.read) return frame.read(views);
    for (std::size_t i = 0; i < views.size(); ++i) copy_elements(views[i], frame.outputs[i]);
}

} // namespace mpscnn::engine
