#include "engine/train/training_options.h"

#include <cmath>
#include <type_traits>

#include "core/text.h"
#include "ops/fields.h"

namespace mpscnn::engine {

namespace {

void require_share(const char *field, double value) {
    if (!(value >= 0.0 && value <= 1.0))
        fail(ErrorKind::parameter, {"training: ", field, " must be 0 to 1, got ", value});
}

/// Throws unless `value` is 0 or more and below 1. The moving averages that start at 0 divide by 1 - value^n
/// to correct for the start.
void require_below_one(const char *field, double value) {
    if (!(value >= 0.0 && value < 1.0))
        fail(ErrorKind::parameter,
             {"training: optimizer.", field, " must be at least 0 and below 1, got ", value});
}

/// Choose the options of a loss that has more parameters than a kind, if `kind` names one.
template <class... Kinds> void choose_kind(LossOptions &loss, const std::string &kind) {
    ((kind == Kinds::name ? void(loss = Kinds{}) : void()), ...);
}

void read_loss(TrainingOptions &options, const JsonView &given) {
    const bool is_object = given.value().get_if<Json::Object>() != nullptr;
    if (is_object && given.has("kind"))
        choose_kind<MultiboxOptions, FocalOptions, SigmoidFocalOptions, DiceOptions>(
            options.loss, given.at("kind").get<std::string>());
    std::visit(
        [&]<class Loss>(Loss &loss) {
            if constexpr (!std::is_same_v<Loss, GraphLoss>) ops::read_fields(loss, given.value(), "loss");
        },
        options.loss);
}

void read_missed_updates(TrainingOptions &options, const JsonView &given) {
    for (const Json::Member &member : given.object()) {
        const JsonView missed = given.of(member);
        if (missed.get<std::int64_t>() < 0) missed.refuse("must be at least 0");
        options.missed_updates[member.first] = missed.get<std::int64_t>();
    }
}

} // namespace

TrainingOptions TrainingOptions::from_json(const Json &json) {
    TrainingOptions options;
    const JsonView view(json, "training");
    view.allow_only({"loss", "optimizer", "frozen", "missed_updates", "seed", "statistics_rate", "accumulate",
                     "average_rate", "weighted", "check_finite", "precision"});
    if (view.has("loss")) read_loss(options, view.at("loss"));
    if (view.has("optimizer")) ops::read_fields(options.optimizer, view.at("optimizer").value(), "optimizer");
    if (view.has("frozen")) options.frozen = view.at("frozen").get<std::vector<std::string>>();
    if (view.has("missed_updates")) read_missed_updates(options, view.at("missed_updates"));
    const auto read = [&]<class Value>(const char *field, Value &value) {
        if (view.has(field)) value = view.at(field).get<Value>();
    };
    read("seed", options.seed);
    read("statistics_rate", options.statistics_rate);
    read("accumulate", options.accumulate);
    read("average_rate", options.average_rate);
    read("weighted", options.weighted);
    read("check_finite", options.check_finite);
    read("precision", options.precision);
    require_share("statistics_rate", options.statistics_rate);
    require_share("average_rate", options.average_rate);
    require_below_one("beta1", options.optimizer.beta1);
    require_below_one("beta2", options.optimizer.beta2);
    if (options.accumulate < 1 || options.accumulate > ops::largest_size)
        fail(ErrorKind::parameter,
             {"training: accumulate must be 1 to ", ops::largest_size, ", got ", options.accumulate});
    const float norm = options.optimizer.global_norm;
    if (!(norm >= 0.0f) || !std::isfinite(norm))
        fail(ErrorKind::parameter, {"training: global_norm must be at least 0 and finite, got ", norm});
    return options;
}

} // namespace mpscnn::engine
