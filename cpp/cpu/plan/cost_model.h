#pragma once

// Predicts the time of convolutions, alone or as a chain, to decide between the two. Times are in
// microseconds on the processor for which the constants were measured; only ratios matter.
// benchmarks/fusion.py compares predictions with measurements.

#include <cstdint>
#include <span>
#include <vector>

#include "cpu/isa/kernels.h"

namespace mpscnn::cpu {

/// The model's view of the machine. Rates are in bytes or operations per microsecond.
struct MachineModel {
    std::int64_t l2_bytes = 0;         ///< usable_l2_bytes(): the limit for a band
    std::int64_t last_level_bytes = 0; ///< usable_last_level_bytes()
    double operations = 0;             ///< floating-point operations of one thread
    double l2_rate = 0;                ///< bytes between a thread and its L1 and L2 during computation
    double last_level_rate = 0;        ///< bytes of one thread from the last-level cache
    double memory_rate = 0;            ///< bytes of all threads together from memory
    std::int64_t vector_width = 0;
    std::int64_t element_bytes = sizeof(float); ///< in tensors between layers
    int threads = 1;
};

/// Return the machine for a kernel table.
MachineModel machine_model(const KernelTable &kernels, int threads, Element element);

/// Return the time of a convolution that runs alone; its views have extents.
double predicted_alone(const MachineModel &machine, const ConvolutionTask &task);

/// Return the time of a step that is not a convolution. It reads and writes `bytes` of tensors and computes
/// `operations` on their numbers. Its inputs are no longer in L1 and L2, since weights of other layers have
/// displaced them.
double predicted_plain(const MachineModel &machine, double bytes, double operations);

/// The sizes of a chain's bands and panels: members of ChainTask.
struct ChainCut {
    std::int64_t band_rows = 0, panel_channels = 0;

    friend bool operator==(const ChainCut &, const ChainCut &) = default;
};

/// Return the time of stages as a chain; the extents of their tensors are given as in ChainTask.
double predicted_chain(const MachineModel &machine, std::span<const ConvolutionTask> stages,
                       const ChainCut &cut);

/// A cut and its predicted time.
struct ChainPrediction {
    double time = 0;
    ChainCut cut;
};
ChainPrediction best_chain(const MachineModel &machine, std::span<const ConvolutionTask> stages);
/// Return the best cut for each size of panels; 0 means whole results. Empty if all candidates exceed L1 and
/// L2 by far.
std::vector<ChainPrediction> best_chains(const MachineModel &machine,
                                         std::span<const ConvolutionTask> stages);

} // namespace mpscnn::cpu
