#include "kernels/yolo_loss.h"

#include <cmath>

#include "core/text.h"

namespace mpscnn::kernels {

namespace {

/// The number of values that precede a box's classes: x, y, w, h and the confidence.
constexpr std::int64_t box_values = 5;

/// The corners and areas of all boxes, as values of shape (images, boxes, 1, numbers). The unit is a cell.
struct Boxes {
    int low, high, area;
};

class YoloGraph {
public:
    YoloGraph(const YoloLoss &loss, EncodingBuilder &builder)
        : loss_(loss), builder_(builder), images_(builder.image().number_of_images),
          anchors_(static_cast<std::int64_t>(loss.anchor_boxes.size() / 2)),
          values_(builder.image().feature_channels / anchors_),
          boxes_(builder.image().width * builder.image().height * anchors_) {}

    int build();

private:
    int add(ops::Operation operation, std::vector<int> inputs) {
        return builder_.add(std::move(operation), std::move(inputs));
    }
    int part(int value, std::int64_t front, std::int64_t channels) {
        return add(ops::Slice{.front = front, .channels = channels}, {value});
    }
    /// Add a constant as a tensor that is broadcast to all boxes.
    int constant(float value) {
        return builder_.numbers(std::vector<float>(static_cast<std::size_t>(images_), value),
                                {images_, 1, 1, 1});
    }
    template <class Op> Op with_constant() const {
        Op operation;
        operation.secondary_stride_y = operation.secondary_stride_x = operation.secondary_stride_channels = 0;
        return operation;
    }
    /// Return 1 where a value is above a number, otherwise 0.
    int above(int value, float number) {
        return add(with_constant<ops::Greater>(), {value, constant(number)});
    }
    int below(int value, float number) {
        ops::Greater greater;
        greater.primary_stride_y = greater.primary_stride_x = greater.primary_stride_channels = 0;
        return add(greater, {constant(number), value});
    }
    /// Add a table with two columns for every box: the position of its cell, or the size of its anchor.
    int table(bool of_cells);
    Boxes boxes(int places, int sizes);
    /// Return intersections over unions: of each box of `of` with the box of `with` at the same index, or, if
    /// `all`, with every box.
    int overlap(const Boxes &of, const Boxes &with, bool all);
    /// Move the boxes to the axis of columns.
    int turned(int value, std::int64_t channels) {
        return add(ops::Reshape{.shape = {1, boxes_, channels}}, {value});
    }
    /// Return the losses of some values, or their gradients. `weight` has one number for each box.
    int losses(ops::LossKind kind, int prediction, int label, int weight, std::int64_t channels);
    int reduced(int losses);

    const YoloLoss &loss_;
    EncodingBuilder &builder_;
    std::int64_t images_, anchors_, values_, boxes_;
};

int YoloGraph::table(bool of_cells) {
    const ImageDescriptor &image = builder_.image();
    std::vector<float> numbers;
    for (std::int64_t n = 0; n < images_; ++n)
        for (std::int64_t y = 0; y < image.height; ++y)
            for (std::int64_t x = 0; x < image.width; ++x)
                for (std::size_t a = 0; a < static_cast<std::size_t>(anchors_); ++a) {
                    numbers.push_back(of_cells ? static_cast<float>(x)
                                               : static_cast<float>(loss_.anchor_boxes[2 * a]));
                    numbers.push_back(of_cells ? static_cast<float>(y)
                                               : static_cast<float>(loss_.anchor_boxes[2 * a + 1]));
                }
    return builder_.numbers(std::move(numbers), {images_, boxes_, 1, 2});
}

Boxes YoloGraph::boxes(int places, int sizes) {
    const int centre = add(ops::Addition{}, {places, table(true)});
    const int power = add(ops::Neuron{.kind = ops::NeuronKind::exponential, .a = 1.0f, .c = -1.0f}, {sizes});
    const int size = add(ops::Multiplication{}, {power, table(false)});
    ops::Subtraction low;
    ops::Addition high;
    low.secondary_scale = high.secondary_scale = 0.5f;
    return {add(low, {centre, size}), add(high, {centre, size}),
            add(ops::Reduction{.kind = ops::ReductionKind::product}, {size})};
}

int YoloGraph::overlap(const Boxes &of, const Boxes &with, bool all) {
    const auto pairs = [&]<class Op>(Op operation, int own, int other, std::int64_t channels) {
        if (!all) return add(operation, {own, other});
        operation.primary_stride_x = 0;
        operation.secondary_stride_y = 0;
        return add(operation, {own, turned(other, channels)});
    };
    const int low = pairs(ops::Maximum{}, of.low, with.low, 2);
    const int high = pairs(ops::Minimum{}, of.high, with.high, 2);
    ops::Subtraction extent;
    extent.minimum = 0.0f;
    const int common = add(ops::Reduction{.kind = ops::ReductionKind::product}, {add(extent, {high, low})});
    const int both = pairs(ops::Addition{}, of.area, with.area, 1);
    return add(ops::Division{}, {common, add(ops::Subtraction{}, {both, common})});
}

int YoloGraph::losses(ops::LossKind kind, int prediction, int label, int weight, std::int64_t channels) {
    ops::LossFields fields{.kind = kind, .reduction = ops::LossReduction::none};
    fields.number_of_classes = channels;
    const int weights = channels == 1 ? weight : add(ops::Tile{.channels = channels}, {weight});
    if (loss_.result == YoloLoss::Result::gradient)
        return add(ops::LossGradient{fields, false}, {prediction, label, weights});
    return add(ops::Loss{fields}, {prediction, label, weights});
}

int YoloGraph::reduced(int losses) {
    const ImageDescriptor &image = builder_.image();
    if (loss_.result == YoloLoss::Result::gradient || loss_.reduction_type == ops::LossReduction::none)
        return add(ops::Reshape{.shape = {image.height, image.width, image.feature_channels}}, {losses});
    const std::int64_t kept = loss_.reduce_across_batch ? 1 : images_;
    const int like = builder_.numbers(std::vector<float>(static_cast<std::size_t>(kept), 0.0f), {kept, 1});
    const int sum = add(ops::SumLike{}, {losses, like});
    if (loss_.reduction_type == ops::LossReduction::sum) return sum;
    const std::int64_t count = boxes_ * values_ * (loss_.reduce_across_batch ? images_ : 1);
    return add(ops::Neuron{.kind = ops::NeuronKind::linear, .a = 1.0f / static_cast<float>(count)}, {sum});
}

int YoloGraph::build() {
    const std::int64_t classes = values_ - box_values;
    const auto rows = [&](std::size_t source) {
        return add(ops::Reshape{.shape = {boxes_, 1, values_}}, {builder_.tensor(source)});
    };
    const int prediction = rows(0), label = rows(1);
    const ops::Neuron sigmoid{.kind = ops::NeuronKind::sigmoid};
    const int places = add(sigmoid, {part(prediction, 0, 2)}), sizes = part(prediction, 2, 2);
    const int true_places = part(label, 0, 2), true_sizes = part(label, 2, 2);
    const int present = above(part(label, 4, 1), 0.5f);

    const Boxes own = boxes(places, sizes), truth = boxes(true_places, true_sizes);
    ops::Mask labelled; // keeps only the overlaps with boxes that labels contain
    labelled.primary_stride_y = 0;
    const int all = add(labelled, {turned(present, 1), overlap(own, truth, true)});
    const int best =
        add(ops::Reduction{.kind = ops::ReductionKind::max, .axis = ops::ReductionAxis::width}, {all});
    const int object = add(ops::Maximum{}, {present, above(best, loss_.min_iou_for_object_presence)});
    const int nothing = add(ops::MaskOut{}, {object, below(best, loss_.max_iou_for_object_absence)});

    int target = object;
    // With `rescore`, the target of the confidence is an overlap: with the label's box where there is a
    // label, otherwise with the box that overlaps most.
    if (loss_.rescore) {
        const int near = add(ops::Mask{}, {object, add(ops::MaskOut{}, {present, best})});
        target = add(ops::Addition{}, {near, add(ops::Mask{}, {present, overlap(own, truth, false)})});
    }
    const auto scaled = [&](int value, float factor) {
        return add(ops::Neuron{.kind = ops::NeuronKind::linear, .a = factor}, {value});
    };
    ops::Addition confidence;
    confidence.primary_scale = loss_.scale_object;
    confidence.secondary_scale = loss_.scale_no_object;
    int of_places = losses(loss_.xy_loss_type, places, true_places, scaled(present, loss_.scale_xy), 2);
    if (loss_.result == YoloLoss::Result::gradient)
        of_places = add(ops::NeuronGradient{sigmoid, true}, {of_places, places});
    std::vector<int> parts{of_places,
                           losses(loss_.wh_loss_type, sizes, true_sizes, scaled(present, loss_.scale_wh), 2),
                           losses(loss_.confidence_loss_type, part(prediction, 4, 1), target,
                                  add(confidence, {object, nothing}), 1)};
    if (classes > 0)
        parts.push_back(losses(loss_.classes_loss_type, part(prediction, box_values, classes),
                               part(label, box_values, classes), scaled(present, loss_.scale_class),
                               classes));
    return reduced(add(ops::Concatenation{}, std::move(parts)));
}

} // namespace

void YoloLoss::check(const std::string &kernel) const {
    if (anchor_boxes.empty() || anchor_boxes.size() % 2 != 0)
        fail(ErrorKind::parameter,
             {kernel, ": anchor_boxes must be a width and a height for each anchor, got ",
              anchor_boxes.size(), " numbers"});
    for (const double size : anchor_boxes)
        if (!(size > 0.0) || !std::isfinite(size))
            fail(ErrorKind::parameter, {kernel, ": anchor_boxes must be above 0, got ", size});
    if (reduction_type == ops::LossReduction::sum_by_nonzero_weights)
        fail(ErrorKind::parameter,
             {kernel, ": reduction_type must be none, sum or mean, got ", ops::name_of(reduction_type)});
    for (const ops::LossKind kind : {xy_loss_type, wh_loss_type, confidence_loss_type, classes_loss_type})
        if (kind == ops::LossKind::cosine_distance)
            fail(ErrorKind::parameter, {kernel, ": a part's loss cannot be cosine_distance, which is a sum"});
}

ImageDescriptor YoloLoss::destination(std::span<const ImageDescriptor> sources) const {
    if (is_map()) return sources[0];
    return {1, 1, 1, reduce_across_batch ? 1 : sources[0].number_of_images, ImageFormat::float32};
}

int YoloLoss::build(EncodingBuilder &builder) const {
    const auto anchors = static_cast<std::int64_t>(anchor_boxes.size() / 2);
    const std::int64_t channels = builder.image().feature_channels;
    if (channels % anchors != 0 || channels / anchors < box_values)
        builder.refuse(ErrorKind::shape,
                       concat({"the prediction must have ", box_values, " + classes ",
                               "feature channels for each of ", anchors, " anchors, got ", channels}));
    ImageDescriptor labels = builder.image(1);
    labels.format = builder.image(0).format;
    if (!(labels == builder.image(0)))
        builder.refuse(ErrorKind::shape, concat({"labels must have the size of the prediction, ",
                                                 builder.image(0).text(), ", got ", labels.text()}));
    return YoloGraph(*this, builder).build();
}

} // namespace mpscnn::kernels
