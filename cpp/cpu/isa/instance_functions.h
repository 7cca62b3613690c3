// Included inside the namespace of each instruction set, hence without a guard: what its kernel files
// define (cpu/isa/instance.h). Each function fills in a part of the set's KernelTable.

void get(VectorTraits &);
void get(HalfConversion &);
void get(ConvolutionPacking &);
void get(NeuronFunctions &);
void get(SignalKernels &);
void get(FmaLoop &);
void get(Kernel<ConvolutionTask> &);
void get(Kernel<ChainTask> &);
void get(Kernel<PooledConvolutionTask> &);
void get(Kernel<InterleavedConvolutionTask> &);
void get(Kernel<SubpixelConvolutionTask> &);
void get(Kernel<DepthToSpaceTask> &);
void get(Kernel<BinaryConvolutionTask> &);
void get(Kernel<BetaScalingTask> &);
void get(Kernel<PoolingTask> &);
void get(Kernel<ArithmeticTask> &);
void get(Kernel<AffineTask> &);
void get(Kernel<SoftmaxTask> &);
void get(Kernel<MomentsTask> &);
void get(Kernel<StatisticsTask> &);
void get(Kernel<NormalizationTask> &);
void get(Kernel<CrossChannelTask> &);
void get(Kernel<WindowNormalizationTask> &);
void get(Kernel<ReductionTask> &);
void get(Kernel<ArgumentTask> &);
void get(Kernel<WeightedReductionTask> &);
void get(Kernel<DropoutTask> &);
void get(Kernel<ResizeTask> &);
void get(Kernel<PaddingTask> &);
void get(Kernel<ConcatenationTask> &);
