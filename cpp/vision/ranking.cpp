#include "vision/ranking.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace mpscnn::vision {

void softmax(std::span<float> logits) {
    const float largest = *std::max_element(logits.begin(), logits.end());
    double sum = 0.0;
    for (float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);
    for (float &logit : logits)
        logit = static_cast<float>(std::exp(static_cast<double>(logit) - largest) / sum);
}

void sigmoid(std::span<float> logits) {
    for (float &logit : logits)
        logit = static_cast<float>(1.0 / (1.0 + std::exp(-static_cast<double>(logit))));
}

std::vector<int> top_k(std::span<const float> scores, std::size_t count) {
    std::vector<int> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    const auto better = [&](int a, int b) {
        const float x = scores[static_cast<std::size_t>(a)], y = scores[static_cast<std::size_t>(b)];
        return x > y || (x == y && a < b);
    };
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(), better);
    order.resize(count);
    return order;
}

} // namespace mpscnn::vision
