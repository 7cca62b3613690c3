#include "metal/layers/recurrent.h"

#include "core/half.h"
#include "metal/encoding/transfer.h"
#include "metal/layers/layer.h"
#include "metal/layers/neuron.h"
#include "metal/layers/step_arrays.h"
#include "metal/layers/weights.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(ArrayRecurrentParams) == 24 * sizeof(int));

GateParams gate_params(const ops::GateFunction &function) {
    const Activation activation = activation_of(function.neuron());
    return {static_cast<int>(activation.kind), activation.params};
}

ArrayRecurrentParams common_params(const Shape &sums, std::int64_t gates, bool reverse) {
    ArrayRecurrentParams params{};
    params.steps = static_cast<unsigned int>(sums[1]);
    params.sequences = static_cast<unsigned int>(sums[2]);
    params.units = static_cast<unsigned int>(sums[3] / gates);
    params.reverse = reverse ? 1 : 0;
    params.weight_output = params.units;
    params.weight_input = 1;
    return params;
}

/// Return the weights as [inputs][outputs]. The threads of a group then read neighbouring weights.
std::vector<float> transposed_weights(const LayerSource &source) {
    const engine::WeightTensor &tensor = source.node.weights.at("weight");
    const std::vector<float> values = tensor.values();
    require_weights_fit(values, source.precision, source.name());
    const auto outputs = static_cast<std::size_t>(tensor.shape()[0]),
               inputs = static_cast<std::size_t>(tensor.shape()[1]);
    std::vector<float> result(values.size());
    for (std::size_t output = 0; output < outputs; ++output)
        for (std::size_t input = 0; input < inputs; ++input) {
            const float value = values[output * inputs + input];
            result[input * outputs + output] =
                source.precision == engine::Precision::float16 ? round_to_half(value) : value;
        }
    return result;
}

using Buffer = objc_ptr<id<MTLBuffer>>;

/// A recurrent layer between images. It copies its sources to arrays, and its result back to an image. MPS
/// only has recurrent layers of matrices.
class RecurrentStep : public Step {
public:
    RecurrentStep(const std::string &name, const ArrayRecurrentParams &params, const Buffer &weight,
                  const Buffer &bias, Operands operands, Device &device)
        : name_(name), params_(params), weight_(weight), bias_(bias), operands_(std::move(operands)),
          pipeline_(device.shaders().pipeline("array_recurrent")), arrays_(device, array_sizes()) {
        for (const Operand &source : operands_.sources)
            transfers_.emplace_back(Transfer::Direction::to_array, source.layout, device.shaders());
        transfers_.emplace_back(Transfer::Direction::to_image, operands_.destination.layout,
                                device.shaders());
    }

    void encode(Encoding &encoding) const override {
        id<MTLCommandBuffer> commands = encoding.command_buffer();
        const std::size_t result = operands_.sources.size();
        const StepArrays::Buffers arrays = arrays_.of(commands);
        const auto array = [&](std::size_t i) {
            return ArrayView{arrays[i].get(), DType::float32, Pitches::dense(transfers_[i].layout()), 0};
        };
        for (std::size_t i = 0; i < result; ++i) {
            const engine::ValueId value = operands_.sources[i].value;
            transfers_[i].encode(commands, name_, encoding.image(value), array(i));
            encoding.was_read_by_shader(value);
        }
        run(commands, arrays);
        transfers_[result].encode(commands, name_, encoding.create(operands_.destination.value),
                                  array(result));
    }

    std::string kernel() const override { return "image_to_buffer + array_recurrent + buffer_to_image"; }
    std::size_t scratch_bytes() const override { return arrays_.bytes(); }

private:
    static std::size_t bytes_of(const ImageLayout &layout) {
        return static_cast<std::size_t>(layout.elements()) * sizeof(float);
    }

    std::vector<std::size_t> array_sizes() const {
        std::vector<std::size_t> sizes;
        for (const Operand &source : operands_.sources) sizes.push_back(bytes_of(source.layout));
        sizes.push_back(bytes_of(operands_.destination.layout));
        return sizes;
    }

    void run(id<MTLCommandBuffer> commands, const StepArrays::Buffers &arrays) const {
        Dispatch dispatch(commands, name_, pipeline_);
        dispatch.bytes(std::as_bytes(std::span(&params_, 1)), 0);
        const auto state = [&](std::size_t number) {
            return arrays[number + 1 < arrays.size() ? number : 0].get();
        };
        NSUInteger index = 1;
        for (id<MTLBuffer> buffer :
             {arrays[0].get(), state(1), state(2), weight_.get(), bias_.get(), arrays.back().get()})
            dispatch.buffer(buffer, 0, index++);
        dispatch.threadgroup_memory(recurrent_bytes(params_), 0);
        const auto sequences =
            static_cast<NSUInteger>(operands_.source().layout.images) * NSUInteger{params_.sequences};
        dispatch.run(MTLSizeMake(sequences * recurrent_threads, 1, 1), MTLSizeMake(recurrent_threads, 1, 1));
    }

    std::string name_;
    ArrayRecurrentParams params_;
    Buffer weight_, bias_;
    Operands operands_;
    id<MTLComputePipelineState> pipeline_;
    std::vector<Transfer> transfers_;
    StepArrays arrays_; ///< of the sources, then of the result
};

template <class Op> class Recurrent : public Layer {
public:
    Recurrent(const Op &operation, const LayerSource &source, Device &device)
        : operation_(operation), name_(source.name()),
          rounds_(source.precision == engine::Precision::float16), device_(device),
          weight_(device.make_constants(transposed_weights(source))),
          bias_(device.make_constants(source.node.weight_or("bias", 1, 0.0f))) {
        source.choice.take("array_recurrent");
    }

    std::unique_ptr<Step> bind(Operands operands) const override {
        const ImageLayout &sums = operands.source().layout;
        ArrayRecurrentParams params =
            recurrent_params(operation_, {sums.images, sums.height, sums.width, sums.channels});
        params.weight_output = 1;
        params.weight_input = static_cast<unsigned int>(sums.channels);
        params.has_states = operands.sources.size() > 1 ? 1 : 0;
        params.rounds = rounds_ ? 1 : 0;
        return std::make_unique<RecurrentStep>(name_, params, weight_, bias_, std::move(operands), device_);
    }

private:
    Op operation_;
    std::string name_;
    bool rounds_;
    Device &device_;
    Buffer weight_, bias_;
};

} // namespace

ArrayRecurrentParams recurrent_params(const ops::Lstm &lstm, const Shape &sums) {
    ArrayRecurrentParams params = common_params(sums, ops::Lstm::gates, lstm.reverse);
    params.is_lstm = 1;
    params.gate = gate_params(lstm.gate);
    params.candidate = gate_params(lstm.candidate);
    params.output = gate_params(lstm.output);
    return params;
}

ArrayRecurrentParams recurrent_params(const ops::Gru &gru, const Shape &sums) {
    ArrayRecurrentParams params = common_params(sums, ops::Gru::gates, gru.reverse);
    params.reset_after = gru.reset_after ? 1 : 0;
    params.gate = gate_params(gru.gate);
    params.candidate = gate_params(gru.candidate);
    return params;
}

std::unique_ptr<Layer> make_layer(const ops::Lstm &lstm, const LayerSource &source, Device &device) {
    return std::make_unique<Recurrent<ops::Lstm>>(lstm, source, device);
}

std::unique_ptr<Layer> make_layer(const ops::Gru &gru, const LayerSource &source, Device &device) {
    return std::make_unique<Recurrent<ops::Gru>>(gru, source, device);
}

} // namespace mpscnn::metal
