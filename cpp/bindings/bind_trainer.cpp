#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <string>

#include "arrays.h"
#include "bind.h"
#include "gil.h"
#include "kept_graph.h"

namespace mpscnn::bindings {

namespace {

/// Make a trainer. This may wait for a device, as a compilation does, so other threads go on meanwhile; they
/// may change the network then.
std::unique_ptr<Trainer, DeleteUnlocked> make_trainer(const KeptGraph &network, const std::string &options,
                                                      const std::string &device, int threads,
                                                      const KeptGraph *loss) {
    const Graph own = network.copy();
    const std::optional<Graph> own_loss = loss == nullptr ? std::nullopt : std::optional(loss->copy());
    const GilReleased unlocked;
    return std::unique_ptr<Trainer, DeleteUnlocked>(
        own_loss ? new Trainer(own, *own_loss, options, device, threads)
                 : new Trainer(own, options, device, threads));
}

/// Write the loss after the step. If a signal handler then raises, the loss still shows that the step was
/// made.
void step(Trainer &trainer, const py::list &inputs, const py::array &labels, float learning_rate,
          const py::object &prediction, py::array_t<double> loss) {
    Tensors sources;
    float_tensors(inputs, "input", Access::read, sources);
    const mpscnn_tensor wanted = float_tensor(labels, "labels", Access::read);
    mpscnn_tensor made{};
    if (!prediction.is_none()) made = float_tensor(prediction, "prediction", Access::write);
    double &found = loss.mutable_at(0);
    const GilReleased unlocked; // the caller's arguments keep the arrays alive
    found = trainer.step(sources, wanted, learning_rate, prediction.is_none() ? nullptr : &made);
}

/// Return (profile, trace), both as JSON.
py::tuple profile_steps(Trainer &trainer, const py::list &inputs, const py::array &labels, int runs) {
    Tensors sources;
    float_tensors(inputs, "input", Access::read, sources);
    const mpscnn_tensor wanted = float_tensor(labels, "labels", Access::read);
    const Profile profile = [&] {
        const GilReleased unlocked;
        return trainer.profile(sources, wanted, runs);
    }();
    return py::make_tuple(profile.json, profile.trace);
}

} // namespace

void bind_trainer(py::module_ &module) {
    py::class_<Trainer, std::unique_ptr<Trainer, DeleteUnlocked>>(module, "Trainer")
        .def(py::init(&make_trainer), py::arg("network"), py::arg("options"), py::arg("device"),
             py::arg("threads"), py::arg("loss") = py::none())
        .def("step", step, py::arg("inputs"), py::arg("labels"), py::arg("learning_rate"),
             py::arg("prediction"), py::arg("loss").noconvert())
        .def("profile", profile_steps, py::arg("inputs"), py::arg("labels"), py::arg("runs"))
        .def("describe", &Trainer::describe)
        .def(
            "read",
            [](const Trainer &trainer, const std::string &name, py::array_t<float> values) {
                trainer.read(name, {values.mutable_data(), static_cast<std::size_t>(values.size())});
            },
            py::arg("name"), py::arg("values").noconvert())
        .def(
            "write",
            [](Trainer &trainer, const std::string &name,
               const py::array_t<float, py::array::c_style> &values) {
                trainer.write(name, {values.data(), static_cast<std::size_t>(values.size())});
            },
            py::arg("name"), py::arg("values"))
        .def("set_steps", &Trainer::set_steps, py::arg("steps"))
        .def("network", [](const Trainer &trainer) { return KeptGraph(trainer.network()); })
        .def("averages", [](const Trainer &trainer) { return KeptGraph(trainer.averages()); });
    module.def(
        "gradient_graph",
        [](const KeptGraph &network, const std::string &options, bool of_output) {
            return KeptGraph(gradient_graph(network, options, of_output));
        },
        py::arg("network"), py::arg("options"), py::arg("of_output"));
}

} // namespace mpscnn::bindings
