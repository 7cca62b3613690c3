#include "kernels/neuron.h"

#include "core/text.h"

namespace mpscnn::kernels {

ops::WeightSpecs NeuronDescriptor::weights(std::int64_t channels) const {
    if (!neuron || neuron->kind != ops::NeuronKind::prelu) return {};
    return {{data_role, {channels}}};
}

void NeuronDescriptor::add_weights(ops::WeightSpecs &specs, std::int64_t channels) const {
    for (ops::WeightSpec &spec : weights(channels)) specs.push_back(std::move(spec));
}

void Neuron::check(const std::string &kernel) const {
    const ops::Neuron neuron = neuron_descriptor.neuron.value_or(ops::Neuron{});
    if (only && neuron.kind != *only)
        fail(ErrorKind::parameter,
             {kernel, ": neuron_type must be ", ops::name_of(*only), ", got ", ops::name_of(neuron.kind)});
    const bool prelu = neuron.kind == ops::NeuronKind::prelu;
    if (prelu) require_range(kernel, "data_count", data_count, 1);
    if (!prelu && data_count != 0)
        fail(ErrorKind::parameter,
             {kernel, ": data_count must be 0 unless neuron_type is prelu, got ", data_count});
    const Shape one{1, 1, 1, 1};
    neuron.check({&one, 1});
}

int Neuron::build(EncodingBuilder &builder) const {
    const int source = builder.pixels();
    const ops::Neuron neuron = neuron_descriptor.neuron.value_or(ops::Neuron{});
    if (neuron.kind == ops::NeuronKind::none) return builder.add(neuron, {source});
    if (neuron.kind == ops::NeuronKind::prelu && builder.channels() != data_count)
        builder.refuse(ErrorKind::shape, concat({"there are slopes for ", data_count,
                                                 " feature channels, the source has ", builder.channels()}));
    return builder.add_neuron(neuron, source, builder.channels());
}

} // namespace mpscnn::kernels

namespace mpscnn::ops {

Json FieldCodec<kernels::NeuronDescriptor>::write(const kernels::NeuronDescriptor &descriptor) {
    if (!descriptor.neuron) return {};
    Json result = Json::object();
    const Json attributes = write_fields(*descriptor.neuron);
    for (const auto &[key, value] : *attributes.get_if<Json::Object>())
        result.set(key == "kind" ? "neuron_type" : key, value);
    return result;
}

kernels::NeuronDescriptor FieldCodec<kernels::NeuronDescriptor>::read(const JsonView &json) {
    if (json.value().is_null()) return {};
    Json::Object attributes;
    for (const auto &[key, value] : json.object())
        attributes.emplace_back(key == "neuron_type" ? "kind" : key, value);
    Neuron neuron;
    read_fields(neuron, Json::object(std::move(attributes)), json.path());
    return {neuron};
}

} // namespace mpscnn::ops
