// Gradients of normalizations by the statistics of groups of channels over all pixels of an image, or of all
// channels of each pixel. Three passes over the input compute the mean, the other sums, and the result.
//
// Registers hold three sums of one vector of channels. Pieces are summed in float32, and their sums are added
// in double. The speed is limited by memory or L2, 24 bytes for each element; a pixel's channels are in L1.
// One image with groups of few channels is slower, because it leaves threads or lanes without work.

#include "cpu/isa/instance.h"
#include "cpu/isa/lanes.h"
#include "cpu/isa/simd_math.h"
#include "cpu/kernels/elementwise/piece_sums.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

/// A mean as the sum of two floats.
struct ExactMean {
    float mean, rest;

    explicit MPSCNN_INLINE ExactMean(double exact)
        : mean(static_cast<float>(exact)), rest(static_cast<float>(exact - static_cast<double>(mean))) {}
};

/// The coefficients of each element's gradient: scale * gamma * gradient + slope * deviation + shift.
struct GradientTerms {
    double scale, slope, shift;

    /// Compute the coefficients from means of h = gamma * gradient, of h * deviation, and of the squared
    /// deviation.
    MPSCNN_INLINE GradientTerms(double of_gradient, double of_product, double variance, float epsilon) {
        const double inverse = 1.0 / __builtin_sqrt(variance + static_cast<double>(epsilon));
        scale = inverse;
        slope = -inverse * inverse * inverse * of_product;
        shift = -inverse * of_gradient;
    }

    /// Compute the coefficients for any norm. `of_product` and `spread` are means or sums, as in the norm
    /// itself. For the L1 norm they are the sums of h * x and of |x|, and the slope multiplies the
    /// sign. The slope is 0 if the norm is 0 or was replaced by epsilon.
    MPSCNN_INLINE GradientTerms(const LayerGradientTask &task, double of_gradient, double of_product,
                                double spread) {
        const auto epsilon = static_cast<double>(task.epsilon);
        const bool magnitudes = task.norm == VectorNorm::l1_norm;
        if (task.epsilon_rule == EpsilonRule::inside) spread += epsilon;
        const double root = magnitudes ? spread : __builtin_sqrt(spread);
        const bool is_replaced = task.epsilon_rule == EpsilonRule::minimum && root < epsilon;
        const double norm = is_replaced                                 ? epsilon
                            : task.epsilon_rule == EpsilonRule::outside ? root + epsilon
                                                                        : root;
        const double inverse = norm == 0.0 ? 0.0 : 1.0 / norm;
        // The derivative of the norm is deviation / root, except that the derivative of the L1 norm is the
        // sign.
        const double steepness = is_replaced || root == 0.0 ? 0.0 : magnitudes ? 1.0 : 1.0 / root;
        scale = inverse;
        slope = -inverse * inverse * steepness * of_product;
        shift = -inverse * of_gradient;
    }

    /// Return the gradient of one element in double.
    float of(double h, double away) const { return static_cast<float>(scale * h + slope * away + shift); }
};

/// Return true if floats are precise enough for these means: of h * deviation, and of the squared deviation
/// plus epsilon. Otherwise all is computed again in double.
inline bool holds_products(double of_product, double spread) {
    return of_product - of_product == 0.0 && spread >= 1e-30 && spread < 1e35;
}

template <class V>
MPSCNN_INLINE typename V::reg deviation(typename V::reg x, typename V::reg mean, typename V::reg rest) {
    return V::sub(V::sub(x, mean), rest);
}

// ---- Groups of channels over all pixels of an image ----

/// Arrays in a worker's memory with one number for each channel, padded to whole vectors.
template <class V> struct GroupTerms {
    double *sums, *gradients, *products, *squares;
    float *mean, *rest, *scale, *slope, *shift;

    MPSCNN_INLINE GroupTerms(std::byte *scratch, std::int64_t channels) {
        const std::int64_t padded = round_up(channels, V::width);
        sums = reinterpret_cast<double *>(scratch);
        gradients = sums + padded, products = gradients + padded, squares = products + padded;
        mean = reinterpret_cast<float *>(squares + padded);
        rest = mean + padded, scale = rest + padded, slope = scale + padded, shift = slope + padded;
    }
    static MPSCNN_INLINE std::size_t bytes(std::int64_t channels) {
        const auto padded = static_cast<std::size_t>(round_up(channels, V::width));
        return padded * (4 * sizeof(double) + 5 * sizeof(float));
    }
};

template <class V> Prepared group_gradient_prepare(const GroupGradientTask &task, const Planning &planning) {
    const View &to = task.destination;
    const WorkSplit split =
        split_work(to.batch, task.groups, 1, to.batch * to.height * to.width * to.channels, min_elements / 4,
                   planning.threads);
    return planning.keep(split, split.items(), GroupTerms<V>::bytes(to.channels));
}

/// Call visit(y, x) for each pixel of an image.
template <class Visit> MPSCNN_INLINE void for_each_pixel(const View &view, Visit visit) {
    for (std::int64_t y = 0; y < view.height; ++y)
        for (std::int64_t x = 0; x < view.width; ++x) visit(y, x);
}

/// Copy the totals of the lanes that are channels, of which there are `left`.
template <class V> MPSCNN_INLINE void copy_totals(const double *totals, std::int64_t left, double *to) {
    for (std::int64_t lane = 0; lane < min(left, V::width); ++lane) to[lane] = totals[lane];
}

/// Call visit(element, its gradient, its channel, the element of the result) for a group of an image.
template <class Visit>
void for_each_of_group(const GroupGradientTask &task, std::int64_t image, Range channels, Visit visit) {
    for_each_pixel(task.destination, [&](std::int64_t y, std::int64_t x) {
        const float *from = pixel_at(task.others[0], image, y, x);
        const float *gradient = pixel_at(task.source, image, y, x);
        float *out = pixel_at(task.destination, image, y, x);
        for (std::int64_t c = channels.begin; c < channels.end; ++c)
            visit(static_cast<double>(from[c]), static_cast<double>(gradient[c]), c, out[c]);
    });
}

/// Compute the gradients of a group of an image in double.
__attribute__((noinline)) inline void wide_group_gradient(const GroupGradientTask &task, std::int64_t image,
                                                          Range channels) {
    const View &to = task.destination;
    const auto count = static_cast<double>(to.height * to.width * channels.size());
    const float *gamma = task.has_gamma ? task.others[1].data : nullptr;
    const auto weighted = [&](double gradient, std::int64_t c) {
        return gamma ? gradient * static_cast<double>(gamma[c]) : gradient;
    };
    double mean = 0.0, gradients = 0.0, products = 0.0, squares = 0.0;
    for_each_of_group(task, image, channels, [&](double x, double, std::int64_t, float &) { mean += x; });
    mean /= count;
    for_each_of_group(task, image, channels, [&](double x, double gradient, std::int64_t c, float &) {
        const double h = weighted(gradient, c), away = x - mean;
        gradients += h, products += h * away, squares += away * away;
    });
    const GradientTerms terms(gradients / count, products / count, squares / count, task.epsilon);
    for_each_of_group(task, image, channels, [&](double x, double gradient, std::int64_t c, float &out) {
        out = terms.of(weighted(gradient, c), x - mean);
    });
}

template <class V>
void group_gradient_item(const GroupGradientTask &task, const WorkSplit::Item &item,
                         const GroupTerms<V> &numbers) {
    const View &to = task.destination;
    const ConstView &input = task.others[0];
    const std::int64_t size = to.channels / task.groups;
    const Range channels{item.rows.begin * size, item.rows.end * size};
    const float *gamma = task.has_gamma ? task.others[1].data : nullptr;
    const auto count = static_cast<double>(to.height * to.width * size);
    for (std::int64_t c = channels.begin; c < channels.end; c += V::width) {
        const std::int64_t left = channels.end - c;
        PieceSums<V, 1> sums;
        for_each_pixel(to, [&](std::int64_t y, std::int64_t x) {
            sums.add({load_lanes<V>(pixel_at(input, item.image, y, x) + c, left)});
        });
        copy_totals<V>(sums.totals(0), left, numbers.sums + c);
    }
    for (std::int64_t group = channels.begin; group < channels.end; group += size) {
        double sum = 0;
        for (std::int64_t c = group; c < group + size; ++c) sum += numbers.sums[c];
        const ExactMean mean(sum / count);
        for (std::int64_t c = group; c < group + size; ++c)
            numbers.mean[c] = mean.mean, numbers.rest[c] = mean.rest;
    }
    for (std::int64_t c = channels.begin; c < channels.end; c += V::width) {
        const std::int64_t left = channels.end - c;
        const auto mean = load_lanes<V>(numbers.mean + c, left), rest = load_lanes<V>(numbers.rest + c, left);
        PieceSums<V, 3> sums;
        for_each_pixel(to, [&](std::int64_t y, std::int64_t x) {
            const auto g = load_lanes<V>(pixel_at(task.source, item.image, y, x) + c, left);
            const auto d =
                deviation<V>(load_lanes<V>(pixel_at(input, item.image, y, x) + c, left), mean, rest);
            sums.add({g, V::mul(g, d), V::mul(d, d)});
        });
        copy_totals<V>(sums.totals(0), left, numbers.gradients + c);
        copy_totals<V>(sums.totals(1), left, numbers.products + c);
        copy_totals<V>(sums.totals(2), left, numbers.squares + c);
    }
    for (std::int64_t group = channels.begin; group < channels.end; group += size) {
        double gradient = 0, product = 0, square = 0;
        for (std::int64_t c = group; c < group + size; ++c) {
            const double factor = gamma ? static_cast<double>(gamma[c]) : 1.0;
            gradient += factor * numbers.gradients[c], product += factor * numbers.products[c];
            square += numbers.squares[c];
        }
        const GradientTerms terms(gradient / count, product / count, square / count, task.epsilon);
        for (std::int64_t c = group; c < group + size; ++c) {
            numbers.scale[c] = static_cast<float>(terms.scale) * (gamma ? gamma[c] : 1.0f);
            numbers.slope[c] = static_cast<float>(terms.slope);
            numbers.shift[c] = static_cast<float>(terms.shift);
        }
        numbers.squares[group] = square / count + static_cast<double>(task.epsilon);
        numbers.products[group] = product / count;
    }
    for_each_pixel(to, [&](std::int64_t y, std::int64_t x) {
        const float *from = pixel_at(input, item.image, y, x);
        const float *gradient = pixel_at(task.source, item.image, y, x);
        float *out = pixel_at(to, item.image, y, x);
        for (std::int64_t c = channels.begin; c < channels.end; c += V::width) {
            const std::int64_t left = channels.end - c;
            const auto number = [&](const float *of) { return load_lanes<V>(of + c, left); };
            const auto d = deviation<V>(number(from), number(numbers.mean), number(numbers.rest));
            const auto value = V::fma(number(numbers.scale), number(gradient),
                                      V::fma(number(numbers.slope), d, number(numbers.shift)));
            // Store `left` channels only, because the next channels may belong to other work items.
            store_lanes<V>(out + c, value, left);
        }
    });
    for (std::int64_t group = channels.begin; group < channels.end; group += size)
        if (!holds_products(numbers.products[group], numbers.squares[group]))
            wide_group_gradient(task, item.image, {group, group + size});
}

template <class V>
void group_gradient_run(const GroupGradientTask &task, const Prepared &prepared, std::int64_t begin,
                        std::int64_t end, Worker &worker) {
    const auto &split = prepared.plan_as<WorkSplit>();
    const GroupTerms<V> numbers(worker.scratch, task.destination.channels);
    for (std::int64_t index = begin; index < end; ++index)
        group_gradient_item<V>(task, split.item(index), numbers);
}

// ---- All channels of a pixel ----

template <class V> Prepared layer_gradient_prepare(const LayerGradientTask &task, const Planning &planning) {
    return prepare_pixels(task.destination, planning);
}

/// Compute the gradients of a pixel in double.
__attribute__((noinline)) inline void wide_layer_gradient(const LayerGradientTask &task, const float *from,
                                                          const float *gradient, float *out) {
    const std::int64_t channels = task.destination.channels;
    const float *gamma = task.has_gamma ? task.others[1].data : nullptr;
    const auto weighted = [&](std::int64_t c) {
        const auto g = static_cast<double>(gradient[c]);
        return gamma ? g * static_cast<double>(gamma[c]) : g;
    };
    const auto count = static_cast<double>(channels);
    const bool centred = task.norm == VectorNorm::deviation, magnitudes = task.norm == VectorNorm::l1_norm;
    double mean = 0.0, gradients = 0.0, products = 0.0, spread = 0.0;
    for (std::int64_t c = 0; centred && c < channels; ++c) mean += static_cast<double>(from[c]);
    mean /= count;
    // The derivative of a magnitude is a sign.
    const auto direction = [&](double away) {
        return magnitudes ? (away > 0.0 ? 1.0 : away < 0.0 ? -1.0 : 0.0) : away;
    };
    for (std::int64_t c = 0; c < channels; ++c) {
        const double away = static_cast<double>(from[c]) - mean;
        gradients += weighted(c), products += weighted(c) * away, spread += direction(away) * away;
    }
    const double size = centred || task.norm == VectorNorm::root_mean_square ? count : 1.0;
    const GradientTerms terms(task, centred ? gradients / count : 0.0, products / size, spread / size);
    for (std::int64_t c = 0; c < channels; ++c)
        out[c] = terms.of(weighted(c), direction(static_cast<double>(from[c]) - mean));
}

template <class V>
__attribute__((noinline)) void layer_gradient_pixel(const LayerGradientTask &task, std::int64_t image,
                                                    std::int64_t y, std::int64_t x) {
    const View &to = task.destination;
    const std::int64_t channels = to.channels;
    const float *from = pixel_at(task.others[0], image, y, x);
    const float *gradient = pixel_at(task.source, image, y, x);
    const float *gamma = task.has_gamma ? task.others[1].data : nullptr;
    const auto count = static_cast<double>(channels);
    const bool centred = task.norm == VectorNorm::deviation;
    const bool magnitudes = task.norm == VectorNorm::l1_norm;
    PieceSums<V, 1> sum;
    if (centred)
        for (std::int64_t c = 0; c < channels; c += V::width)
            sum.add({load_lanes<V>(from + c, channels - c)});
    const ExactMean exact(sum.total(0) / count);
    const auto mean = V::set1(exact.mean), rest = V::set1(exact.rest);
    const auto weighted = [&](std::int64_t c) {
        const auto g = load_lanes<V>(gradient + c, channels - c);
        return gamma ? V::mul(g, load_lanes<V>(gamma + c, channels - c)) : g;
    };
    PieceSums<V, 3> sums;
    for (std::int64_t c = 0; c < channels; c += V::width) {
        const auto d = fill_lanes<V>(deviation<V>(load_lanes<V>(from + c, channels - c), mean, rest),
                                     channels - c, 0.0f);
        const auto h = weighted(c);
        sums.add({h, V::mul(h, d), magnitudes ? absolute<V>(d) : V::mul(d, d)});
    }
    // Norms that are neither a deviation nor a root mean square are roots of sums instead of means. Without
    // centring there is no gradient of the mean.
    const bool averages = centred || task.norm == VectorNorm::root_mean_square;
    const double size = averages ? count : 1.0;
    const GradientTerms terms(task, centred ? sums.total(0) / count : 0.0, sums.total(1) / size,
                              sums.total(2) / size);
    float *out = pixel_at(to, image, y, x);
    const double added_epsilon =
        task.epsilon_rule == EpsilonRule::inside ? static_cast<double>(task.epsilon) : 0.0;
    if (!holds_products(sums.total(1), sums.total(2) / size + added_epsilon))
        return wide_layer_gradient(task, from, gradient, out);
    const auto scale = V::set1(static_cast<float>(terms.scale)),
               slope = V::set1(static_cast<float>(terms.slope)),
               shift = V::set1(static_cast<float>(terms.shift));
    const auto one = V::set1(1.0f);
    for (std::int64_t c = 0; c < channels; c += V::width) {
        auto d = deviation<V>(load_lanes<V>(from + c, channels - c), mean, rest);
        if (magnitudes) {
            const auto positive = V::select(V::less(V::zero(), d), one, V::zero());
            d = V::select(V::less(d, V::zero()), negate<V>(one), positive);
        }
        const auto value = V::fma(scale, weighted(c), V::fma(slope, d, shift));
        store_lanes<V>(out + c, value, to.writable_channels - c);
    }
}

template <class V>
void layer_gradient_run(const LayerGradientTask &task, const Prepared &prepared, std::int64_t begin,
                        std::int64_t end, Worker &) {
    for_each_split_pixel(prepared, begin, end, [&](std::int64_t image, std::int64_t y, std::int64_t x) {
        layer_gradient_pixel<V>(task, image, y, x);
    });
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(GroupGradientTask, group_gradient)
MPSCNN_KERNEL(LayerGradientTask, layer_gradient)
