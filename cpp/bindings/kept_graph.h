#pragma once

#include <pybind11/pybind11.h>

#include <mpscnn/mpscnn.hpp>
#include <utility>

namespace mpscnn::bindings {

/// A graph that keeps the text of its structure until the structure changes. Reading a file asks for it many
/// times, and the text of a large network takes long to write.
class KeptGraph : public Graph {
public:
    explicit KeptGraph(Graph graph) : Graph(std::move(graph)) {}

    /// Return the graph for a function that changes its structure. Weights are no part of the structure.
    Graph &changed() {
        text_ = pybind11::object();
        return *this;
    }
    /// Return the structure as JSON: the same object until the structure changes.
    pybind11::object text() {
        if (!text_) text_ = pybind11::str(to_json());
        return text_;
    }

private:
    pybind11::object text_;
};

} // namespace mpscnn::bindings
