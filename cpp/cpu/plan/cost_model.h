#pragma once

// How long convolutions take, alone or as a chain: what decides between the two. Microseconds on a processor
// like those that its constants were measured on; only ratios count. benchmarks/fusion.py compares them with
// what was measured.

#include <cstdint>
#include <span>
#include <vector>

#include "cpu/isa/kernels.h"

namespace mpscnn::cpu {

/// What the model knows of the machine. Bytes and operations for each microsecond.
struct MachineModel {
    std::int64_t l2_bytes = 0;         ///< usable_l2_bytes(): what a band may fill
    std::int64_t last_level_bytes = 0; ///< usable_last_level_bytes()
    double operations = 0;             ///< floating-point operations, of one thread
    double l2_rate = 0;                ///< what passes between a thread and its L1 and L2 while it computes
    double last_level_rate = 0;        ///< the same for the last-level cache
    double memory_rate = 0;            ///< the same for memory, of all threads together
    std::int64_t vector_width = 0;
    std::int64_t element_bytes = sizeof(float); ///< of tensors between layers
    int threads = 1;
};

/// For a table of kernels on this machine.
MachineModel machine_model(const KernelTable &kernels, int threads, Element element);

/// One convolution that runs alone; its views have extents.
double predicted_alone(const MachineModel &machine, const ConvolutionTask &task);

/// A step that is not a convolution, but reads and writes `bytes` of tensors and computes `operations` on
/// their numbers. What it reads others wrote, whose weights have displaced it in L1 and L2.
double predicted_plain(const MachineModel &machine, double bytes, double operations);

/// How a chain is computed: members of ChainTask.
struct ChainCut {
    std::int64_t band_rows = 0, panel_channels = 0;

    friend bool operator==(const ChainCut &, const ChainCut &) = default;
};

/// Stages that run as a chain, their tensors' extents given as in ChainTask.
double predicted_chain(const MachineModel &machine, std::span<const ConvolutionTask> stages,
                       const ChainCut &cut);

/// The cut that takes least, of those worth trying.
struct ChainPrediction {
    double time = 0;
    ChainCut cut;
};
ChainPrediction best_chain(const MachineModel &machine, std::span<const ConvolutionTask> stages);
/// The best one for each size of panels, the whole (0) among them; none where all far outgrow the
/// L1 and L2.
std::vector<ChainPrediction> best_chains(const MachineModel &machine,
                                         std::span<const ConvolutionTask> stages);

} // namespace mpscnn::cpu
