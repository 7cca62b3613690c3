// Gradients of batch normalization. The first pass computes sums over all pixels, and the second one applies
// them (normalization_gradient.h). Both read whole pixels in order, which hardware prefetchers recognise.
//
// Registers hold two sums of a vector of channels over a few narrow pixels, or one wide one; the sums of
// other channels are in L1. The speed is limited by memory: 8 bytes for each element. Tensors with few
// channels are slower, because they leave lanes empty.

#include "cpu/kernels/training/normalization_gradient.h"
#include "cpu/isa/instance.h"
#include "cpu/kernels/elementwise/piece_sums.h"

namespace mpscnn::cpu {
namespace {

template <class V>
Prepared normalization_sums_prepare(const NormalizationSumsTask &task, const Planning &planning) {
    const ConstView &from = task.source;
    const std::int64_t vectors = divide_up(from.channels, V::width);
    const WorkSplit split =
        split_work(from.batch, 1, vectors, from.batch * from.height * from.width * from.channels,
                   min_elements, planning.threads);
    // Scratch memory holds means, deviations, two sums, the sums' totals in double (each as large as two
    // arrays of floats), and the arrays of the mask.
    const std::int64_t floats = (8 + Mask<V, true>::arrays) * vectors * V::width;
    return planning.keep(split, split.items(), static_cast<std::size_t>(floats) * sizeof(float));
}

/// Computes the two sums over the pixels of an image for some vectors of channels: of the gradient, and of
/// the gradient times the normalized source.
template <class V, bool masks> class ImageSums {
public:
    ImageSums(const NormalizationSumsTask &task, std::byte *scratch)
        : task_(task), channels_(task.source.channels), numbers_(scratch, round_up(channels_, V::width)),
          gradient_totals_(reinterpret_cast<double *>(numbers_.take())), spare_(numbers_.take()),
          product_totals_(reinterpret_cast<double *>(numbers_.take())), spare_too_(numbers_.take()),
          gradients_(numbers_.take()), products_(numbers_.take()), means_(numbers_.take()),
          inverses_(numbers_.take()), mask_(task, numbers_, channels_) {
        for (std::int64_t c = 0; c < channels_; c += V::width) {
            const std::int64_t left = channels_ - c;
            V::store(means_ + c, load_lanes<V>(pixel_at(task.statistics, 0, statistics_mean, 0) + c, left));
            V::store(inverses_ + c, inverse_deviation<V>(task.statistics, task.epsilon, c, left));
        }
    }

    void run(std::int64_t image, Range vectors) {
        const ConstView &from = task_.source;
        const std::int64_t begin = vectors.begin * V::width, end = vectors.end * V::width;
        for (std::int64_t c = begin; c < end; ++c) gradient_totals_[c] = product_totals_[c] = 0.0;
        clear(begin, end);
        // Memory is read faster in the order of its addresses, so only narrow pixels are added together.
        const std::int64_t maximum = end - begin > max_narrow ? 1 : at_once;
        std::int64_t added = 0;
        for (std::int64_t y = 0; y < from.height; ++y) {
            for (std::int64_t x = 0; x < from.width;) {
                const std::int64_t pixels = min(min(from.width - x, sum_piece - added), maximum);
                const float *source = pixel_at(from, image, y, x),
                            *gradient = pixel_at(task_.gradient, image, y, x);
                pixels == at_once ? add<at_once>(source, gradient, begin, end)
                                  : add_each(source, gradient, pixels, begin, end);
                x += pixels;
                if ((added += pixels) == sum_piece) settle(begin, end), added = 0;
            }
        }
        settle(begin, end);
        float *of_gradient = pixel_at(task_.destination, image, 0, 0),
              *of_product = pixel_at(task_.destination, image, 1, 0);
        for (std::int64_t c = begin; c < min(end, channels_); ++c) {
            of_gradient[c] = static_cast<float>(gradient_totals_[c]);
            of_product[c] = static_cast<float>(product_totals_[c]);
        }
    }

private:
    static constexpr std::int64_t at_once = 4;     ///< narrow pixels whose sums stay in registers
    static constexpr std::int64_t max_narrow = 64; ///< channels of a narrow pixel

    void clear(std::int64_t begin, std::int64_t end) {
        for (std::int64_t c = begin; c < end; ++c) gradients_[c] = products_[c] = 0.0f;
    }
    void settle(std::int64_t begin, std::int64_t end) {
        for (std::int64_t c = begin; c < end; ++c) {
            gradient_totals_[c] += static_cast<double>(gradients_[c]);
            product_totals_[c] += static_cast<double>(products_[c]);
        }
        clear(begin, end);
    }
    void add_each(const float *source, const float *gradient, std::int64_t pixels, std::int64_t begin,
                  std::int64_t end) {
        for (; pixels > 0; --pixels) {
            add<1>(source, gradient, begin, end);
            source += task_.source.pixel_stride, gradient += task_.gradient.pixel_stride;
        }
    }
    template <int pixels>
    MPSCNN_INLINE void add(const float *source, const float *gradient, std::int64_t begin, std::int64_t end) {
        const std::int64_t whole = min(end, channels_ / V::width * V::width);
        for (std::int64_t c = begin; c < whole; c += V::width)
            add_vector<pixels>(source + c, gradient + c, c, V::width);
        if (whole < end) add_vector<pixels>(source + whole, gradient + whole, whole, channels_ - whole);
    }
    template <int pixels>
    MPSCNN_INLINE void add_vector(const float *source, const float *gradient, std::int64_t channel,
                                  std::int64_t left) {
        const auto mean = V::load(means_ + channel), inverse = V::load(inverses_ + channel);
        auto of_gradient = V::load(gradients_ + channel), of_product = V::load(products_ + channel);
#pragma GCC unroll 4
        for (int i = 0; i < pixels; ++i) {
            const float *x = source + i * task_.source.pixel_stride,
                        *g = gradient + i * task_.gradient.pixel_stride;
            prefetch<V::width>(x), prefetch<V::width>(g);
            const auto away = V::sub(load_lanes<V>(x, left), mean);
            const auto passed = mask_.passed(load_lanes<V>(g, left), away, channel);
            of_gradient = V::add(of_gradient, passed);
            of_product = V::fma(passed, V::mul(away, inverse), of_product);
        }
        V::store(gradients_ + channel, of_gradient);
        V::store(products_ + channel, of_product);
    }

    const NormalizationSumsTask &task_;
    const std::int64_t channels_;
    ChannelNumbers numbers_;
    double *gradient_totals_;
    float *spare_; ///< the second array of totals in double
    double *product_totals_;
    float *spare_too_;
    float *gradients_, *products_, *means_, *inverses_;
    Mask<V, masks> mask_;
};

template <class V, bool masks>
void sum_images(const NormalizationSumsTask &task, const WorkSplit &split, std::int64_t begin,
                std::int64_t end, Worker &worker) {
    ImageSums<V, masks> sums(task, worker.scratch);
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        sums.run(item.image, item.vectors);
    }
}

template <class V>
void normalization_sums_run(const NormalizationSumsTask &task, const Prepared &prepared, std::int64_t begin,
                            std::int64_t end, Worker &worker) {
    const auto &split = prepared.plan_as<WorkSplit>();
    task.mask.applies ? sum_images<V, true>(task, split, begin, end, worker)
                      : sum_images<V, false>(task, split, begin, end, worker);
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(NormalizationSumsTask, normalization_sums)
MPSCNN_KERNEL(NormalizationGradientTask, normalization_gradient)
