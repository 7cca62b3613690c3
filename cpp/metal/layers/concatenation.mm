#include <algorithm>
#include <array>

#include "metal/encoding/transfer.h"
#include "metal/layers/step_arrays.h"
#include "metal/layers/steps.h"
#include "shaders/concatenation_params.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(ConcatenationParams) == 11 * sizeof(int));

/// Concatenates parts, whose slices do not overlap, by copying each into the result.
class ConcatenationStep : public Step {
public:
    ConcatenationStep(std::vector<ShaderCall> calls, Operands operands)
        : calls_(std::move(calls)), operands_(std::move(operands)) {}

    void encode(Encoding &encoding) const override {
        MPSImage *whole = encoding.create(operands_.destination.value);
        for (std::size_t i = 0; i < calls_.size(); ++i) {
            const Operand &part = operands_.sources[i];
            const std::array images{encoding.image(part.value), whole};
            calls_[i].encode(encoding.command_buffer(), images, part.layout);
            encoding.was_read_by_shader(part.value);
        }
    }

    std::string kernel() const override { return calls_[0].shader; }

private:
    std::vector<ShaderCall> calls_;
    Operands operands_;
};

DType element_type(const ImageLayout &image) {
    return image.precision == engine::Precision::float16 ? DType::float16 : DType::float32;
}

/// Concatenates parts that share slices of the result. They are combined in an array, because no kernel can
/// write only some channels of a texture's pixel.
class ChannelConcatenationStep : public Step {
public:
    ChannelConcatenationStep(std::string name, Operands operands, Device &device)
        : name_(std::move(name)), operands_(std::move(operands)),
          to_whole_(Transfer::Direction::to_image, operands_.destination.layout, device.shaders()),
          arrays_(device, {bytes_of(operands_.destination.layout)}) {
        for (const Operand &part : operands_.sources)
            from_parts_.emplace_back(Transfer::Direction::to_array, part.layout, device.shaders());
    }

    void encode(Encoding &encoding) const override {
        const ImageLayout &whole = operands_.destination.layout;
        const DType type = element_type(whole);
        const auto array = arrays_.of(encoding.command_buffer())[0];
        std::size_t offset = 0; // offset of the part's first channel in the first pixel
        for (std::size_t i = 0; i < from_parts_.size(); ++i) {
            const Operand &part = operands_.sources[i];
            from_parts_[i].encode(encoding.command_buffer(), name_, encoding.image(part.value),
                                  {array.get(), type, Pitches::dense(whole), offset});
            encoding.was_read_by_shader(part.value);
            offset += static_cast<std::size_t>(part.layout.channels) * size_of(type);
        }
        to_whole_.encode(encoding.command_buffer(), name_, encoding.create(operands_.destination.value),
                         {array.get(), type, Pitches::dense(whole)});
    }

    std::string kernel() const override { return "image_to_buffer + buffer_to_image"; }
    std::size_t scratch_bytes() const override { return arrays_.bytes(); }

private:
    static std::size_t bytes_of(const ImageLayout &whole) {
        return static_cast<std::size_t>(whole.elements()) * size_of(element_type(whole));
    }

    std::string name_;
    Operands operands_;
    std::vector<Transfer> from_parts_;
    Transfer to_whole_;
    StepArrays arrays_;
};

/// Return the number of blocks of rows in the result. If axes before the concatenated one count as rows, each
/// block has the rows of the first part, and then the rows of the second part.
std::int64_t blocks_before(int from_end, const Shape &shape) {
    std::int64_t blocks = 1;
    for (int axis = 1; axis < std::min(shape.rank() - from_end, shape.rank() - 2); ++axis)
        blocks *= shape[axis];
    return blocks;
}

class ConcatenationLayer : public Layer {
public:
    /// Concatenate along `from_end`, the axis counted from the last one: 1 for channels, 2 for columns.
    ConcatenationLayer(int from_end, const LayerSource &source, Device &device)
        : shaders_(source, device), from_end_(from_end) {}

    std::unique_ptr<Step> bind(Operands operands) const override {
        if (from_end_ == 1 && !has_whole_slices(operands)) {
            shaders_.choice().take("image_to_buffer");
            return std::make_unique<ChannelConcatenationStep>(shaders_.name(), std::move(operands),
                                                              shaders_.device());
        }
        const ImageLayout &whole = operands.destination.layout;
        ConcatenationParams params{};
        params.whole_slices = whole.params().slices;
        params.whole_rows = rows_of_block(operands.destination);
        std::vector<ShaderCall> calls;
        for (const Operand &operand : operands.sources) {
            const ImageLayout &part = operand.layout;
            params.part = part.params();
            params.part_rows = rows_of_block(operand);
            calls.push_back(shaders_.call("concatenation", {&part, 1}, whole, ShaderArguments(params)));
            if (from_end_ == 1)
                params.slice += params.part.slices;
            else if (from_end_ == 2)
                params.x += params.part.width;
            else
                params.y += params.part_rows;
        }
        return std::make_unique<ConcatenationStep>(std::move(calls), std::move(operands));
    }

private:
    static bool has_whole_slices(const Operands &operands) {
        for (const Operand &part : std::span(operands.sources).first(operands.sources.size() - 1))
            if (part.layout.channels % 4 != 0) return false;
        return true;
    }

    unsigned int rows_of_block(const Operand &operand) const {
        return static_cast<unsigned int>(operand.layout.height / blocks_before(from_end_, operand.shape));
    }

    ShaderMaker shaders_;
    int from_end_;
};

} // namespace

std::unique_ptr<Layer> make_layer(const ops::Concatenation &operation, const LayerSource &source,
                                  Device &device) {
    const Shape &first = source.graph.shape(source.node.inputs[0]);
    const int from_end = first.rank() - operation.positive_axis({&first, 1});
    return std::make_unique<ConcatenationLayer>(from_end, source, device);
}

} // namespace mpscnn::metal
