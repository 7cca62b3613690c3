// Neuron functions of every instruction set of this processor, compared with double: their errors in units in
// the last place, and their results for zeros, infinities, subnormal numbers and NaN.

#include <bit>
#include <functional>
#include <string>

#include "tests/cpp/kernel_memory.h"

#include "tests/cpp/check.h"

using namespace kernel_test;

namespace {

struct Case {
    std::string name;
    Activation activation;
    std::function<double(double)> reference;
    double allowed;    ///< maximum error in units in the last place
    double lost = 0.0; ///< absolute error that is allowed in addition
};

Activation function(NeuronKind which, float a, float b, double c = 0.0) {
    Activation activation{.kind = Activation::Kind::function, .function = which, .a = a, .b = b};
    activation.c = static_cast<float>(c);
    activation.c_low = static_cast<float>(c - activation.c);
    return activation;
}

// The functions of a * x + b compute a sum, so their result for -0 + 0 is 0.

Case power_case(float c) {
    return {"power " + std::to_string(c), function(NeuronKind::power, 1, 0, c),
            [c](double x) { return std::isnan(x) ? x : std::pow(x + 0.0, c); }, 2.0};
}
Case exponential_case(double base) {
    return {"exponential " + std::to_string(base), function(NeuronKind::exponential, 1, 0, std::log(base)),
            [base](double x) { return std::isnan(x) ? x : std::pow(base, x); }, 2.0};
}
Case logarithm_case(double base) {
    return {"logarithm " + std::to_string(base), function(NeuronKind::logarithm, 1, 0, 1 / std::log(base)),
            [base](double x) { return std::log(x + 0.0) / std::log(base); }, 1.0};
}

/// Return x / (1 + e^-x), without overflow.
double swish(double x) { return x < 0 ? x * std::exp(x) / (1 + std::exp(x)) : x / (1 + std::exp(-x)); }

std::vector<Case> cases() {
    constexpr double e = 2.718281828459045;
    std::vector<Case> all{
        {"sigmoid", function(NeuronKind::sigmoid, 0, 0),
         [](double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }, 3.0},
        {"hard_sigmoid", function(NeuronKind::hard_sigmoid, 0.25f, 0.5f),
         [](double x) { return std::isnan(x) ? x : std::min(std::max(0.25 * x + 0.5, 0.0), 1.0); }, 1.0},
        {"tanh", function(NeuronKind::tanh, 1, 1), [](double x) { return std::tanh(x); }, 6.0},
        {"absolute", function(NeuronKind::absolute, 0, 0), [](double x) { return std::fabs(x); }, 0.0},
        {"softplus", function(NeuronKind::softplus, 1, 1),
         [](double x) { return std::isnan(x) ? x : std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); },
         2.0},
        {"softsign", function(NeuronKind::softsign, 0, 0), [](double x) { return x / (1 + std::fabs(x)); },
         1.5},
        {"elu", function(NeuronKind::elu, 1, 0), [](double x) { return x < 0 ? std::expm1(x) : x; }, 2.0},
        {"gelu", function(NeuronKind::gelu, 0, 0),
         [](double x) { return x * (0.5 * std::erfc(-x / std::sqrt(2.0))); }, 7.0},
        {"hard_swish", function(NeuronKind::hard_swish, 0, 0),
         [](double x) { return std::isnan(x) ? x : x * (std::min(std::max(x + 3, 0.0), 6.0) / 6); }, 2.5},
        {"swish", function(NeuronKind::swish, 0, 1), swish, 4.0, 104 * 0x1p-150},
        {"mish", function(NeuronKind::mish, 0, 0),
         [](double x) {
             const double z = std::exp(std::min(x, 40.0)), product = z * (z + 2);
             return x * (product / (product + 2));
         },
         6.0},
        {"sign", function(NeuronKind::sign, 0, 0),
         [](double x) { return std::isnan(x) ? x : (x > 0) - (x < 0.0); }, 0.0},
        {"floor", function(NeuronKind::floor, 0, 0), [](double x) { return std::floor(x); }, 0.0},
        {"ceil", function(NeuronKind::ceil, 0, 0), [](double x) { return std::ceil(x); }, 0.0},
        {"round", function(NeuronKind::round, 0, 0), [](double x) { return std::nearbyint(x); }, 0.0},
        {"erf", function(NeuronKind::erf, 0, 0), [](double x) { return std::erf(x); }, 3.0},
    };
    for (const float c :
         {0.5f, -0.5f, 0.75f, 1.0f, 2.0f, 3.0f, -1.0f, -2.0f, 7.0f, 0.1f, 123.456f, -33.0f, 0.0f, 1e9f})
        all.push_back(power_case(c));
    for (const double base : {e, 2.0, 10.0, 0.5, 1.0}) all.push_back(exponential_case(base));
    for (const double base : {e, 2.0, 10.0, 0.5}) all.push_back(logarithm_case(base));
    return all;
}

/// Return values of every magnitude and sign, many of usual size, and all special ones.
std::vector<float> arguments(Random &random) {
    std::vector<float> values{
        0.0f,        -0.0f,         1.0f,          -1.0f,      infinity,        -infinity,
        0x1p-149f,   -0x1p-149f,    0x1p-126f,     -0x1p-126f, 0x1.fffffep127f, -0x1.fffffep127f,
        88.5f,       -88.5f,        103.9f,        -103.9f,    0x1.000002p0f,   0x1.fffffep-1f,
        1.41421354f, std::nanf(""), -std::nanf("")};
    for (int i = 0; i < 60'000; ++i)
        values.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random())));
    for (int i = 0; i < 60'000; ++i) values.push_back(uniform(random) * 20.0f);
    for (int i = 0; i < 20'000; ++i) values.push_back(uniform(random) * 110.0f);
    for (int i = 0; i < 20'000; ++i) values.push_back(1.0f + uniform(random) * 0.01f);
    while (values.size() % 16 != 0) values.push_back(1.0f);
    return values;
}

/// Return how far the distance between two numbers exceeds `lost`, in units in the last place of `expected`.
/// Return 0 if both are the same infinity or NaN.
double distance(float got, double expected, double lost) {
    if (std::isnan(expected) || std::isnan(got))
        return std::isnan(expected) == std::isnan(got) ? 0 : infinity;
    const auto nearest = static_cast<float>(expected);
    if (std::isinf(nearest) || std::isinf(got)) {
        // Infinity counts as the neighbour of the largest float.
        const float bound = std::copysign(0x1.fffffep127f, nearest);
        return got == nearest || (std::isinf(nearest) ? got : nearest) == bound ? 0 : infinity;
    }
    const double unit = std::ldexp(1.0, std::max(std::ilogb(expected == 0.0 ? 1e-300 : expected), -126) - 23);
    return std::max(std::fabs(got - expected) - lost, 0.0) / unit;
}

void check_errors(const KernelTable &table) {
    Random random(7);
    const std::vector<float> x = arguments(random);
    for (const Case &entry : cases()) {
        std::vector<float> y = x;
        table.apply_neuron(entry.activation, y.data(), 0, 1, static_cast<std::int64_t>(y.size()));
        double worst = 0.0;
        std::size_t place = 0;
        for (std::size_t i = 0; i < x.size(); ++i) {
            const double error = distance(y[i], entry.reference(x[i]), entry.lost);
            if (error > worst) worst = error, place = i;
        }
        if (!(worst <= entry.allowed))
            std::printf("%s, %s: %.2f units at %a: %a, expected %a\n", table.name, entry.name.c_str(), worst,
                        x[place], y[place], entry.reference(x[place]));
        CHECK(worst <= entry.allowed);
    }
}

void check_whole_powers(const KernelTable &table) {
    std::vector<float> x(16);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::ldexp(1.0f, static_cast<int>(i) - 8);
    table.apply_neuron(function(NeuronKind::logarithm, 1, 0, 1 / std::log(2.0)), x.data(), 0, 1, 16);
    for (std::size_t i = 0; i < x.size(); ++i) CHECK(x[i] == static_cast<float>(i) - 8.0f);
    table.apply_neuron(function(NeuronKind::exponential, 1, 0, std::log(2.0)), x.data(), 0, 1, 16);
    for (std::size_t i = 0; i < x.size(); ++i) CHECK(x[i] == std::ldexp(1.0f, static_cast<int>(i) - 8));
    table.apply_neuron(function(NeuronKind::power, 1, 0, 3), x.data(), 0, 1, 16);
    for (std::size_t i = 0; i < x.size(); ++i) CHECK(x[i] == std::ldexp(1.0f, 3 * static_cast<int>(i) - 24));
}

void check_rows(const KernelTable &table, std::int64_t rows, std::int64_t vectors) {
    const std::int64_t count = vectors * table.vector_width, gap = 3, stride = count + gap;
    std::vector<float> apart(static_cast<std::size_t>(rows * stride), guard), joined;
    Random random(static_cast<unsigned>(rows * 10 + vectors));
    for (std::int64_t row = 0; row < rows; ++row)
        for (std::int64_t i = 0; i < count; ++i) {
            joined.push_back(uniform(random) * 20.0f);
            apart[static_cast<std::size_t>(row * stride + i)] = joined.back();
        }
    const Activation swish = function(NeuronKind::swish, 0, 1);
    table.apply_neuron(swish, apart.data(), stride, rows, count);
    table.apply_neuron(swish, joined.data(), 0, 1, rows * count);
    for (std::int64_t i = 0; i < rows * stride; ++i) {
        const std::int64_t row = i / stride, column = i % stride;
        const float expected =
            column < count ? joined[static_cast<std::size_t>(row * count + column)] : guard;
        CHECK(apart[static_cast<std::size_t>(i)] == expected);
    }
}

} // namespace

TEST(rows_with_gaps_are_computed_as_joined_ones) {
    for (const KernelTable *table : available_kernels())
        for (std::int64_t rows = 1; rows <= 5; ++rows)
            for (std::int64_t vectors = 1; vectors <= 3; ++vectors) check_rows(*table, rows, vectors);
}

TEST(errors_are_within_what_is_stated) {
    for (const KernelTable *table : available_kernels()) check_errors(*table);
}

TEST(whole_powers_of_the_base_are_exact) {
    for (const KernelTable *table : available_kernels()) check_whole_powers(*table);
}
