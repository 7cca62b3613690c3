#include "mpscnn/custom_layer.h"

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "api/guard.h"
#include "api/handles.h"
#include "api/tensors.h"
#include "core/text.h"
#include "ops/custom.h"

using namespace mpscnn;
using c_api::guarded;
using c_api::require;
using c_api::text;

namespace {

mpscnn_tensor tensor_without_gaps(float *data, const Shape &shape) {
    mpscnn_tensor tensor{};
    tensor.data = data;
    tensor.dtype = MPSCNN_FLOAT32;
    tensor.rank = shape.rank();
    for (int axis = 0; axis < shape.rank(); ++axis) tensor.shape[axis] = shape[axis];
    return tensor;
}

/// The error text that a custom layer's function writes when it fails.
class Message {
public:
    char *data() { return text_.data(); }
    std::size_t capacity() const { return text_.size(); }
    [[noreturn]] void refuse() {
        text_.back() = '\0';
        fail(ErrorKind::parameter,
             {text_[0] == '\0' ? "its function failed without a message" : text_.data()});
    }

private:
    std::array<char, 1024> text_{};
};

class CallerFunction : public ops::CustomFunction {
public:
    explicit CallerFunction(const mpscnn_custom_layer &layer) : layer_(layer) {}
    CallerFunction(const CallerFunction &) = delete;
    CallerFunction &operator=(const CallerFunction &) = delete;
    ~CallerFunction() override {
        if (owns_ && layer_.release) layer_.release(layer_.context);
    }

    /// Take ownership of the context: from now on the destructor releases it.
    void own() { owns_ = true; }

    Shape output_shape(const ops::InputShapes &inputs) const override {
        if (!layer_.shape) return inputs[0];
        std::vector<mpscnn_tensor> sources;
        for (const Shape &input : inputs) sources.push_back(tensor_without_gaps(nullptr, input));
        mpscnn_tensor output = tensor_without_gaps(nullptr, inputs[0]);
        Message message;
        if (layer_.shape(sources.data(), static_cast<int>(sources.size()), &output, message.data(),
                         message.capacity(), layer_.context) != 0)
            message.refuse();
        return c_api::shape_of(output.shape, output.rank, "the result of a custom layer");
    }

    void run(std::span<const ops::CustomTensor> inputs, const ops::CustomTensor &output) const override {
        std::array<mpscnn_tensor, static_cast<std::size_t>(ops::Custom::info.max_inputs)> sources;
        for (std::size_t i = 0; i < inputs.size(); ++i)
            sources[i] = tensor_without_gaps(inputs[i].data, inputs[i].shape);
        const mpscnn_tensor result = tensor_without_gaps(output.data, output.shape);
        Message message;
        if (layer_.run(sources.data(), static_cast<int>(inputs.size()), &result, message.data(),
                       message.capacity(), layer_.context) != 0)
            message.refuse();
    }

private:
    mpscnn_custom_layer layer_;
    bool owns_ = false;
};

} // namespace

mpscnn_status mpscnn_graph_add_custom(mpscnn_graph *graph, const char *name, const int *inputs,
                                      int input_count, const mpscnn_custom_layer *layer, int *value) {
    return guarded([&] {
        require(graph, "graph");
        require(layer, "layer");
        require(value, "value");
        c_api::require_array(inputs, input_count, "inputs");
        const auto given = c_api::read_options(layer, "mpscnn_custom_layer");
        if (!given.run) fail(ErrorKind::parameter, "layer: run must not be null");
        const auto function = std::make_shared<CallerFunction>(given);
        *value = graph->graph.add_node(std::string(text(name, "name")), ops::Custom{function},
                                       std::vector<engine::ValueId>(inputs, inputs + input_count));
        function->own();
    });
}
