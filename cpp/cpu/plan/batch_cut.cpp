#include "cpu/plan/batch_cut.h"

#include <algorithm>

#include "cpu/plan/caches.h"

namespace mpscnn::cpu {

namespace {

/// The minimum number of operations for each thread, some 50 microseconds. For less work, waking a thread
/// does not pay.
constexpr std::int64_t min_operations = 5'000'000;

/// From this number of output pixels on, a step's arithmetic takes longer than reading its weights.
constexpr std::int64_t busy_pixels = 16;

double bytes_of(const Region &region) {
    const Extents &extents = region.extents;
    return static_cast<double>(extents.batch * extents.pixels() * extents.channels) * sizeof(float);
}

/// Return the bytes of a step's weights if reading them limits its time. Return 0 for steps with many output
/// pixels, where arithmetic takes longer.
double awaited_weights(const Step &step, std::int64_t pixels) {
    const auto *convolution = step.task.get_if<ConvolutionTask>();
    if (!convolution || pixels >= busy_pixels) return 0;
    return static_cast<double>(convolution->packed->weights.size()) * sizeof(float);
}

/// Return the bytes per image that do not come from L2 if `images` images are computed together.
double bytes_beyond_l2(const CpuPlan &plan, std::int64_t images) {
    const auto l2_bytes = static_cast<double>(machine_caches().second);
    const auto batch = static_cast<double>(plan.batch()), at_a_time = static_cast<double>(images);
    double beyond = 0;
    for (const Step &step : plan.steps()) {
        double bytes = bytes_of(step.source) + bytes_of(step.destination);
        for (const Region &other : step.others) bytes += bytes_of(other);
        if (bytes / batch * at_a_time > l2_bytes) beyond += bytes / batch;
        beyond += awaited_weights(step, images * step.destination.extents.pixels()) / at_a_time;
    }
    return beyond;
}

/// Return the number of images for which the fewest bytes come from beyond L2 if they are computed together.
/// Only `max_images` and smaller powers of two are compared. If several numbers are equally good, return
/// `max_images` if it is one of them, otherwise the smallest.
std::int64_t images_at_a_time(const CpuPlan &plan, std::int64_t max_images) {
    std::int64_t best = max_images;
    double fewest_bytes = bytes_beyond_l2(plan, max_images);
    for (std::int64_t images = 1; images < max_images; images *= 2)
        if (const double beyond = bytes_beyond_l2(plan, images); beyond < fewest_bytes)
            best = images, fewest_bytes = beyond;
    return best;
}

} // namespace

BatchCut cut_batch(const CpuPlan &plan, int threads) {
    const std::int64_t batch = plan.batch();
    if (batch < 2 || batch < threads || !plan.images_are_independent()) return {};
    if (threads > 1 && plan.operations() / threads < min_operations) return {};
    BatchCut cut;
    cut.rest = batch % threads;
    cut.images = batch - cut.rest;
    const std::int64_t share = cut.images / threads;
    const std::int64_t images = images_at_a_time(plan, share);
    if (threads == 1 && images == batch) return {};
    cut.groups = (share + images - 1) / images * threads; // the same number of groups for each thread
    return cut;
}

} // namespace mpscnn::cpu
