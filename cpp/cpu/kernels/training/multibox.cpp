// The loss of a single-shot detector (multibox loss) and its gradient. The first task chooses the anchors
// that count in the loss, and its items are images. The second task computes the losses of anchors.
//
// Registers hold a sum of cross entropies, or a vector of gradients. The speed is limited by memory, 8 to 12
// bytes for each number of the prediction. Losses with few classes are slower, because they leave lanes
// empty.

#include "cpu/isa/instance.h"
#include "cpu/isa/lanes.h"
#include "cpu/isa/simd_math.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

/// The number of box coordinates that come before the classes of an anchor.
constexpr std::int64_t box_numbers = 4;

/// Return the cross entropy of an anchor. If a logit is NaN, all logarithms are NaN. Then the result is NaN
/// too, even if no class has a label.
template <class V>
MPSCNN_INLINE float cross_entropy(const float *labels, const float *logarithms, std::int64_t classes) {
    auto sum = V::zero();
    for (std::int64_t c = 0; c < classes; c += V::width) {
        const auto t = load_lanes<V>(labels + c, classes - c);
        const auto term = V::mul(t, load_lanes<V>(logarithms + c, classes - c));
        sum = V::add(sum, V::select(V::equal(t, V::zero()), V::zero(), term));
    }
    return logarithms[0] == logarithms[0] ? -V::sum(sum) : logarithms[0];
}

template <class V> MPSCNN_INLINE bool has_box(const float *labels, std::int64_t classes) {
    auto sum = V::zero();
    for (std::int64_t c = 1; c < classes; c += V::width)
        sum = V::add(sum, load_lanes<V>(labels + c, classes - c));
    return V::sum(sum) > 0.0f;
}

/// Return an integer for a non-negative error, so that integers have the order of the errors. NaN counts as
/// infinity.
MPSCNN_INLINE std::uint32_t key_of(float error) {
    if (error != error) error = __builtin_inff();
    return error > 0.0f ? __builtin_bit_cast(std::uint32_t, error) : 0;
}

/// The smallest of the `wanted` largest keys of an image, and how many of these keys are equal to it.
struct LargestKeys {
    std::uint32_t smallest;
    std::int64_t equal;
};

/// Find the smallest of the `wanted` largest keys by a radix search, eight bits at a time. `visit` calls its
/// argument for every key. There are at least `wanted` keys, and `wanted` is above 0.
template <class Visit> MPSCNN_INLINE LargestKeys largest_keys(std::int64_t wanted, Visit visit) {
    constexpr int digit_bits = 8, digits = 1 << digit_bits;
    std::uint32_t found = 0, known = 0; // the found digits, and a mask of their bits
    for (int shift = 32 - digit_bits; shift >= 0; shift -= digit_bits) {
        std::int64_t counts[digits];
        for (std::int64_t &count : counts) count = 0;
        visit([&](std::uint32_t key) {
            if ((key & known) == found) ++counts[key >> shift & (digits - 1)];
        });
        std::uint32_t digit = digits - 1;
        for (; counts[digit] < wanted; --digit) wanted -= counts[digit];
        found |= digit << shift;
        known |= std::uint32_t{digits - 1} << shift;
    }
    return {found, wanted};
}

/// Call visit(y, x) for each anchor of an image.
template <class Visit> MPSCNN_INLINE void for_each_anchor(const View &view, Visit visit) {
    for (std::int64_t y = 0; y < view.height; ++y)
        for (std::int64_t x = 0; x < view.width; ++x) visit(y, x);
}

/// The numbers of anchors of an image that have a box, and that are background.
struct AnchorCounts {
    std::int64_t boxes = 0, background = 0;
};
/// Count an image's anchors, and write two numbers for each: 1 if it has a box, otherwise 0, and the error of
/// a background anchor, otherwise -1.
template <class V> AnchorCounts look_at_anchors(const MultiboxChoiceTask &task, std::int64_t image) {
    AnchorCounts counts;
    const std::int64_t classes = task.source.channels;
    for_each_anchor(task.destination, [&](std::int64_t y, std::int64_t x) {
        const float *labels = pixel_at(task.others[0], image, y, x) + box_numbers;
        float *to = pixel_at(task.destination, image, y, x);
        const bool matched = has_box<V>(labels, classes), background = !matched && labels[0] > 0.0f;
        counts.boxes += matched;
        counts.background += background;
        to[0] = matched ? 1.0f : 0.0f;
        to[1] = background ? cross_entropy<V>(labels, pixel_at(task.source, image, y, x), classes) : -1.0f;
        // An exact error is never negative, but a rounded one may be.
        if (background && !(to[1] > 0.0f) && to[1] == to[1]) to[1] = 0.0f;
    });
    return counts;
}

MPSCNN_INLINE std::int64_t wanted_negatives(const MultiboxChoiceTask &task, const AnchorCounts &counts) {
    const float share = task.negative_ratio * static_cast<float>(counts.boxes);
    const std::int64_t wanted =
        share < static_cast<float>(counts.background) ? static_cast<std::int64_t>(share) : counts.background;
    return min(counts.background, max(wanted, task.min_negatives));
}

template <class V> void choose_anchors(const MultiboxChoiceTask &task, std::int64_t image) {
    const View &to = task.destination;
    const std::int64_t wanted = wanted_negatives(task, look_at_anchors<V>(task, image));
    LargestKeys largest{0, 0};
    if (wanted > 0)
        largest = largest_keys(wanted, [&](auto show) {
            for_each_anchor(to, [&](std::int64_t y, std::int64_t x) {
                const float error = pixel_at(to, image, y, x)[1];
                if (!(error < 0.0f)) show(key_of(error));
            });
        });
    for_each_anchor(to, [&](std::int64_t y, std::int64_t x) {
        float *own = pixel_at(to, image, y, x);
        const bool background = !(own[1] < 0.0f);
        const std::uint32_t key = background ? key_of(own[1]) : 0;
        bool chosen = wanted > 0 && background && key > largest.smallest;
        if (background && key == largest.smallest && largest.equal > 0) {
            chosen = true;
            --largest.equal;
        }
        own[1] = chosen ? 1.0f : own[0];
    });
}

template <class V>
Prepared multibox_choice_prepare(const MultiboxChoiceTask &task, const Planning &planning) {
    const WorkSplit split{task.destination.batch, 1, 1, 1, 1};
    return planning.keep(split, split.items());
}

template <class V>
void multibox_choice_run(const MultiboxChoiceTask &task, const Prepared &, std::int64_t begin,
                         std::int64_t end, Worker &) {
    for (std::int64_t image = begin; image < end; ++image) choose_anchors<V>(task, image);
}

/// The addresses of one anchor's data.
struct Anchor {
    const float *prediction, *labels, *logarithms, *choice;
    std::int64_t classes;
    float share; ///< 1 / number of boxes, or 1 if there are none
};

/// Return the loss of an anchor. Losses that do not count are multiplied by 0 instead of skipped, so that a
/// NaN anywhere appears in the loss.
template <class V> MPSCNN_INLINE float anchor_loss(const MultiboxTask &task, const Anchor &anchor) {
    float boxes = 0.0f;
    for (std::int64_t i = 0; i < box_numbers; ++i) {
        const float size = __builtin_fabsf(anchor.prediction[i] - anchor.labels[i]);
        boxes += size > task.delta ? task.delta * (size - 0.5f * task.delta) : 0.5f * size * size;
    }
    const float classes = cross_entropy<V>(anchor.labels + box_numbers, anchor.logarithms, anchor.classes);
    return anchor.share * (anchor.choice[0] * task.box_weight * boxes + anchor.choice[1] * classes);
}

template <class V>
MPSCNN_INLINE void anchor_gradient(const MultiboxTask &task, const Anchor &anchor, float *to,
                                   std::int64_t writable) {
    const float of_box = anchor.share * anchor.choice[0] * task.box_weight;
    for (std::int64_t i = 0; i < box_numbers; ++i) {
        const float difference = anchor.prediction[i] - anchor.labels[i];
        const float slope = difference > task.delta    ? task.delta
                            : difference < -task.delta ? -task.delta
                                                       : difference;
        to[i] = of_box * slope;
    }
    const auto factor = V::set1(anchor.share * anchor.choice[1]);
    for (std::int64_t c = 0; c < anchor.classes; c += V::width) {
        const std::int64_t left = anchor.classes - c;
        const auto t = load_lanes<V>(anchor.labels + box_numbers + c, left);
        const auto probability = exponential_of_negative<V>(load_lanes<V>(anchor.logarithms + c, left));
        store_lanes<V>(to + box_numbers + c, V::mul(factor, V::sub(probability, t)),
                       writable - box_numbers - c);
    }
}

template <class V> Prepared multibox_prepare(const MultiboxTask &task, const Planning &planning) {
    return prepare_pixels(task.source, planning);
}

template <class V>
void multibox_run(const MultiboxTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end,
                  Worker &) {
    const View &to = task.destination;
    const float boxes = pixel_at(task.others[3], 0, 0, 0)[0];
    Anchor anchor{};
    anchor.classes = task.source.channels - box_numbers;
    anchor.share = 1.0f / (boxes > 1.0f ? boxes : 1.0f);
    for_each_split_pixel(prepared, begin, end, [&](std::int64_t image, std::int64_t y, std::int64_t x) {
        anchor.prediction = pixel_at(task.source, image, y, x);
        anchor.labels = pixel_at(task.others[0], image, y, x);
        anchor.logarithms = pixel_at(task.others[1], image, y, x);
        anchor.choice = pixel_at(task.others[2], image, y, x);
        float *own = pixel_at(to, image, y, x);
        if (task.is_gradient)
            anchor_gradient<V>(task, anchor, own, to.writable_channels);
        else
            own[0] = anchor_loss<V>(task, anchor);
    });
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(MultiboxChoiceTask, multibox_choice)
MPSCNN_KERNEL(MultiboxTask, multibox)
