#include "cpu/plan/placement.h"

#include <algorithm>

namespace mpscnn::cpu {

using engine::ValueId;

namespace {

/// The number of axes of a kernel's image: batch, rows, columns, channels. In a tensor with more axes,
/// several of them form the rows, so it must be contiguous.
constexpr int image_rank = 4;

std::size_t index(ValueId value) { return static_cast<std::size_t>(value); }

int joined_axis(const FusedOperation &operation, const Shape &first_operand) {
    return operation.operation.as<ops::Concatenation>().positive_axis({&first_operand, 1});
}

/// Return the part of a concatenation's result that an operand fills. The part begins at `position` along an
/// axis that is counted from the last one.
Region part_of(Region whole, int axis_from_end, std::int64_t position, const Extents &extents) {
    std::int64_t &origin = axis_from_end == 1 ? whole.channel : axis_from_end == 2 ? whole.x : whole.y;
    origin += position;
    whole.extents = extents;
    return whole;
}

class Placer {
public:
    Placer(const LoweredNetwork &network, const std::vector<Shape> &shapes, std::span<const Chain> chains)
        : network_(network), shapes_(shapes) {
        placement_.regions.resize(shapes.size());
        whole_.assign(shapes.size(), false);
        within_chain_.assign(shapes.size(), false);
        for (const Chain &chain : chains)
            for (std::size_t i = 0; i + 1 < chain.operations.size(); ++i)
                within_chain_[index(network.operations[chain.operations[i]].result)] = true;
    }

    Placement run() {
        find_contiguous();
        place_inputs();
        place_outputs();
        // Go backwards, so that a concatenation's result is placed before its operands, which may be parts of
        // it.
        const auto &operations = network_.operations;
        for (auto operation = operations.rbegin(); operation != operations.rend(); ++operation) {
            if (operation->operation.is<ops::Reshape>() || is_view(*operation)) continue;
            if (within_chain_[index(operation->result)]) continue;
            if (!placed(operation->result)) place(operation->result, Storage::Home::arena, 0);
            if (operation->operation.is<ops::Concatenation>()) place_operands(*operation);
        }
        for (const FusedOperation &operation : operations) {
            if (operation.operation.is<ops::Reshape>()) place_reshape(operation);
            if (is_view(operation)) place_slice(operation);
        }
        copy_remaining_outputs();
        return std::move(placement_);
    }

private:
    Region &region(ValueId value) { return placement_.regions[index(value)]; }
    bool placed(ValueId value) { return region(value).storage >= 0; }

    /// Find values that need a storage of their own, without gaps: values of which a reshape is a view,
    /// weights that are tensors, and other values that kernels read as contiguous memory.
    void find_contiguous() {
        for (std::size_t value = 0; value < shapes_.size(); ++value)
            whole_[value] = shapes_[value].rank() > image_rank;
        for (const FusedOperation &operation : network_.operations)
            if (operation.operation.is<ops::Reshape>() || operation.operation.is<ops::FullyConnected>())
                whole_[index(operation.inputs[0])] = true;
        for (const FusedOperation &operation : network_.operations) {
            for (const auto &variable : operation.variables) whole_[index(variable.second)] = true;
            if (operation.operation.is<ops::ConvolutionDataGradient>())
                whole_[index(operation.inputs[1])] = true;
            if (operation.operation.is<ops::ConvolutionWeightGradient>())
                whole_[index(operation.result)] = true;
        }
    }

    void place(ValueId value, Storage::Home home, std::size_t port) {
        region(value) = add_storage(shapes_[index(value)], home, port, whole_[index(value)], element(value));
    }

    Element element(ValueId value) const { return network_.elements[index(value)]; }

    Region add_storage(const Shape &shape, Storage::Home home, std::size_t port, bool contiguous,
                       Element element) {
        return placement_.add_storage(extents_of(shape), home, port, contiguous,
                                      network_.kernels->vector_width, element);
    }

    void place_inputs() {
        for (std::size_t i = 0; i < network_.graph.inputs().size(); ++i)
            place(static_cast<ValueId>(i), Storage::Home::input, i);
    }

    /// Place outputs of the graph in the caller's memory, unless they are views of other tensors or have
    /// another element type.
    void place_outputs() {
        std::vector<bool> computed(shapes_.size(), false);
        for (const FusedOperation &operation : network_.operations)
            computed[index(operation.result)] = !operation.operation.is<ops::Reshape>();
        const auto &outputs = network_.graph.outputs();
        for (std::size_t port = 0; port < outputs.size(); ++port) {
            const ValueId value = outputs[port];
            if (computed[index(value)] && !placed(value) && element(value) == Element::float32)
                place(value, Storage::Home::output, port);
        }
    }

    void place_operands(const FusedOperation &operation) {
        const Region &result = region(operation.result);
        const Shape &first = shapes_[index(operation.inputs[0])];
        if (first.rank() > image_rank) return;
        const int axis = joined_axis(operation, first);
        std::int64_t position = 0;
        for (ValueId operand : operation.inputs) {
            const Shape &shape = shapes_[index(operand)];
            if (!placed(operand) && !whole_[index(operand)] && !is_reshape_result(operand) &&
                element(operand) == element(operation.result) && has_integers_of(operand, operation.result))
                region(operand) = part_of(result, first.rank() - axis, position, extents_of(shape));
            position += shape[axis];
        }
    }

    /// True unless the values are integers whose scales or zero points differ.
    bool has_integers_of(ValueId operand, ValueId result) const {
        return element(result) != Element::uint8 ||
               network_.graph.quantization(operand) == network_.graph.quantization(result);
    }

    bool is_reshape_result(ValueId value) const {
        return !network_.graph.is_input(value) && network_.graph.producer(value).operation.is<ops::Reshape>();
    }

    void place_reshape(const FusedOperation &operation) {
        Region view = region(operation.inputs[0]);
        view.extents = view.whole = extents_of(shapes_[index(operation.result)]);
        region(operation.result) = view;
    }

    /// True for a slice whose result can be a view of its source.
    bool is_view(const FusedOperation &operation) {
        const auto *slice = operation.operation.get_if<ops::Slice>();
        return slice && element(operation.inputs[0]) == element(operation.result) && slice->is_view() &&
               !placed(operation.result) && !whole_[index(operation.result)];
    }

    void place_slice(const FusedOperation &operation) {
        const ValueId input = operation.inputs[0];
        region(operation.result) = sliced(operation.operation.as<ops::Slice>(), region(input),
                                          shapes_[index(input)], shapes_[index(operation.result)]);
    }

    void copy_remaining_outputs() {
        const auto &outputs = network_.graph.outputs();
        for (std::size_t port = 0; port < outputs.size(); ++port) {
            const Storage &home =
                placement_.storages[static_cast<std::size_t>(region(outputs[port]).storage)];
            if (home.home == Storage::Home::output && home.port == port && !is_reshape_result(outputs[port]))
                continue;
            const Shape &shape = shapes_[index(outputs[port])];
            const bool contiguous = shape.rank() > image_rank;
            placement_.output_copies.push_back({outputs[port], add_storage(shape, Storage::Home::output, port,
                                                                           contiguous, Element::float32)});
        }
    }

    const LoweredNetwork &network_;
    const std::vector<Shape> &shapes_;
    Placement placement_;
    std::vector<bool> whole_; ///< by value: true if it needs a separate storage without gaps
    std::vector<bool> within_chain_;
};

/// Return a tensor of any rank as an image of one row. Its axes from `axis` on become the channels, so that a
/// concatenation along `axis` joins channels.
Region as_matrix(Region region, const Shape &shape, int axis) {
    Extents matrix{shape[0], 1, 1, 1};
    for (int i = 1; i < shape.rank(); ++i) (i < axis ? matrix.width : matrix.channels) *= shape[i];
    region.extents = region.whole = matrix;
    return region;
}

} // namespace

Region Placement::add_storage(const Extents &extents, Storage::Home home, std::size_t port, bool contiguous,
                              std::int64_t vector_width, Element element) {
    Storage storage;
    storage.home = home;
    storage.port = port;
    storage.extents = extents;
    storage.contiguous = contiguous;
    storage.element = element;
    storage.strides = arena_strides(extents, contiguous, vector_width, element);
    storages.push_back(storage);
    Region all;
    all.storage = static_cast<int>(storages.size()) - 1;
    all.extents = all.whole = extents;
    return all;
}

Placement place_tensors(const LoweredNetwork &network, const std::vector<Shape> &shapes,
                        std::span<const Chain> chains) {
    return Placer(network, shapes, chains).run();
}

Region sliced(const ops::Slice &slice, Region whole, const Shape &input, const Shape &result) {
    const ops::Slice::Origin origin = slice.origin(input);
    whole.y += origin.row * whole.row_step;
    whole.x += origin.column * whole.column_step;
    whole.channel += origin.channel;
    whole.row_step *= slice.stride_y;
    whole.column_step *= slice.stride_x;
    whole.extents = extents_of(result);
    return whole;
}

std::vector<ConcatenationPart> parts_to_copy(const FusedOperation &concatenation, const Placement &placement,
                                             const std::vector<Shape> &shapes) {
    const Shape &first = shapes[index(concatenation.inputs[0])],
                &result = shapes[index(concatenation.result)];
    const int axis = joined_axis(concatenation, first);
    const bool is_image = first.rank() <= image_rank;
    const Region whole = is_image ? placement.region(concatenation.result)
                                  : as_matrix(placement.region(concatenation.result), result, axis);
    std::vector<ConcatenationPart> parts;
    std::int64_t position = 0;
    for (ValueId operand : concatenation.inputs) {
        const Shape &shape = shapes[index(operand)];
        Region source = placement.region(operand);
        if (!is_image) source = as_matrix(source, shape, axis);
        const Extents extents = is_image ? extents_of(shape) : source.extents;
        const Region part =
            is_image ? part_of(whole, first.rank() - axis, position, extents)
                     : part_of(whole, 1, position * (source.extents.channels / shape[axis]), extents);
        if (!(source == part)) parts.push_back({operand, source, part});
        position += shape[axis];
    }
    return parts;
}

} // namespace mpscnn::cpu
