#include "metal/steps.h"
#include "shaders/concatenation_params.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(ConcatenationParams) == 9 * sizeof(int));

/// Writes the parts one after the other into the whole.
class ConcatenationStep : public Step {
public:
    ConcatenationStep(std::vector<ShaderCall> calls, Operands operands)
        : calls_(std::move(calls)), operands_(std::move(operands)) {}

    void encode(Encoding &encoding) const override {
        MPSImage *whole = encoding.create(operands_.destination.value);
        for (std::size_t i = 0; i < calls_.size(); ++i) {
            const Operand &part = operands_.sources[i];
            {
                Dispatch dispatch(encoding.command_buffer(), calls_[i].label, calls_[i].pipeline);
                dispatch.texture(encoding.image(part.value), 0);
                dispatch.texture(whole, 1);
                dispatch.bytes(calls_[i].params, 0);
                dispatch.run(part.layout);
            }
            encoding.was_read_by_shader(part.value);
        }
    }

private:
    std::vector<ShaderCall> calls_;
    Operands operands_;
};

class ConcatenationLayer : public Layer {
public:
    ConcatenationLayer(int axis, int rank, const LayerSource &source, Device &device)
        : name_(source.name()), rows_(rank == 4 && axis == 1), columns_(rank == 4 && axis == 2),
          precision_(source.precision), device_(device) {}

    std::unique_ptr<Step> bind(Operands operands) const override {
        const ImageLayout &whole = operands.destination.layout;
        std::vector<ShaderCall> calls;
        unsigned int begin = 0; // along the axis: rows, columns or slices
        for (const Operand &operand : operands.sources) {
            const ImageParams part = operand.layout.params();
            const std::string shader = shader_name("concatenation", precision_, operand.layout, whole);
            calls.push_back({name_, device_.shaders().pipeline(shader), {}, {}});
            calls.back().set_params(ConcatenationParams{part, whole.params().slices, columns_ ? begin : 0,
                                                        rows_ ? begin : 0, rows_ || columns_ ? 0 : begin});
            begin += rows_ ? part.height : columns_ ? part.width : part.slices;
        }
        return std::make_unique<ConcatenationStep>(std::move(calls), std::move(operands));
    }

private:
    std::string name_;
    bool rows_, columns_;
    engine::Precision precision_;
    Device &device_;
};

int axis_of(const ops::Concatenation &operation, const LayerSource &source) {
    const Shape &first = source.graph.shape(source.node.inputs[0]);
    return operation.positive_axis({&first, 1});
}

} // namespace

std::unique_ptr<Layer> make_layer(const ops::Concatenation &operation, const LayerSource &source,
                                  Device &device) {
    const int rank = source.graph.shape(source.node.inputs[0]).rank();
    return std::make_unique<ConcatenationLayer>(axis_of(operation, source), rank, source, device);
}

} // namespace mpscnn::metal
