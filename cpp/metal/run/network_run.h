#pragma once

#include <span>

#include "metal/run/image_plan.h"
#include "metal/run/slots.h"

namespace mpscnn::metal {

// The encoding of a run of a network on images, for any command buffer.

/// Encode one pass. `give` makes the image of an input, and `take` reads the image of an output. Both are
/// called with the number of the port, the port and its name. All commands are encoded inside calls of
/// `around(number, name, encode)`, with the numbers of ImagePlan::describe_steps().
template <class Give, class Take, class Around>
void encode_pass(Encoding &encoding, const ImagePlan &plan, Give give, Take take, Around around) {
    const engine::Graph &graph = plan.network().graph;
    std::size_t number = 0;
    for (std::size_t i = 0; i < plan.inputs().size(); ++i, ++number) {
        const Port &port = plan.inputs()[i];
        const std::string &name = graph.inputs()[i].name;
        if (plan.values()[static_cast<std::size_t>(port.value)].readers > 0)
            around(number, name, [&] { give(i, port, name); });
    }
    for (std::size_t i = 0; i < plan.steps().size(); ++i, ++number)
        around(number, plan.network().layers[i].name, [&] { plan.steps()[i]->encode(encoding); });
    for (std::size_t i = 0; i < plan.outputs().size(); ++i, ++number) {
        const std::string &name = graph.value_name(graph.outputs()[i]);
        around(number, name, [&] { take(i, plan.outputs()[i], name); });
    }
}
template <class Give, class Take>
void encode_pass(Encoding &encoding, const ImagePlan &plan, Give give, Take take) {
    encode_pass(encoding, plan, give, take, [](std::size_t, const std::string &, auto encode) { encode(); });
}

} // namespace mpscnn::metal
