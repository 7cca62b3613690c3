#pragma once

// Predicts the time of convolutions, alone or as a chain, to decide between the two. Times are in
// microseconds on the processor for which the constants were measured; only ratios matter.
// benchmarks/fusion.py compares predictions with measurements.

#include <cstdint>
#include <span>
#include <vector>

#include "cpu/isa/kernels.h"

namespace mpscnn::cpu {

/// The numbers of the machine that the model uses. Rates are in bytes or operations per microsecond.
struct MachineModel {
    std::int64_t l2_bytes = 0;         ///< usable_l2_bytes()
    std::int64_t last_level_bytes = 0; ///< usable_last_level_bytes()
    double operations = 0;             ///< floating-point operations of one thread per microsecond
    double l2_rate = 0;                ///< rate between a thread and its L1 and L2 during computation
    double last_level_rate = 0;        ///< rate of one thread from the last-level cache
    double memory_rate = 0;            ///< rate of all threads together from memory
    std::int64_t vector_width = 0;
    std::int64_t element_bytes = sizeof(float); ///< bytes of an element in tensors between layers
    int threads = 1;
};

/// Return the numbers for this machine, with these kernels, threads and elements.
MachineModel machine_model(const KernelTable &kernels, int threads, Element element);

/// Return the time of a convolution that runs as a separate step. The views of `task` need extents but no
/// data.
double predicted_alone(const MachineModel &machine, const ConvolutionTask &task);

/// Return the time of a step that is not a convolution. It transfers `bytes` of tensors and computes
/// `operations` floating-point operations. The model assumes that its inputs are no longer in L1 and L2,
/// because weights of other layers have displaced them.
double predicted_plain(const MachineModel &machine, double bytes, double operations);

/// The sizes of a chain's bands and panels, with the meaning of ChainTask's members; 0 means all.
struct ChainCut {
    std::int64_t band_rows = 0, panel_channels = 0;

    friend bool operator==(const ChainCut &, const ChainCut &) = default;
};

/// Return the time of these stages as a chain. Their views have extents but no data, as in ChainTask.
double predicted_chain(const MachineModel &machine, std::span<const ConvolutionTask> stages,
                       const ChainCut &cut);

/// A cut and its predicted time.
struct ChainPrediction {
    double time = 0;
    ChainCut cut;
};
ChainPrediction best_chain(const MachineModel &machine, std::span<const ConvolutionTask> stages);
/// Return the best cut for each size of panels; size 0 means whole results. The result is empty if all
/// candidates need far more scratch memory than L1 and L2 have.
std::vector<ChainPrediction> best_chains(const MachineModel &machine,
                                         std::span<const ConvolutionTask> stages);

} // namespace mpscnn::cpu
