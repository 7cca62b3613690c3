"""List Keras's layers that are not supported, with the reason."""

from __future__ import annotations

_REASONS = {
    "recurrent layers of this kind are not supported": """
        ConvLSTM1D ConvLSTM2D ConvLSTM3D GRUCell LSTMCell RNN SimpleRNN SimpleRNNCell StackedRNNCells""",
    "holds code of Python, which is never executed: build the model without Lambda layers and load its weights": """
        Lambda""",
    "is an operation of TensorFlow: save the model as .tflite or .onnx": "TensorFlowOpLayer TFSMLayer",
    "is a module of another framework: convert it from there": "FlaxLayer JaxLayer TorchModuleWrapper",
    "attention of this kind is not supported": "AdditiveAttention GroupQueryAttention GroupedQueryAttention",
    "lookups of words in both directions are not supported": "ReversibleEmbedding",
    "text and categories are not supported": """
        CategoryEncoding Discretization HashedCrossing Hashing IntegerLookup StringLookup TextVectorization""",
    "wrappers of layers are not supported": "Pipeline SpectralNormalization Wrapper",
    "masks are not supported": "Masking",
    "spectra of sound are not supported": "MelSpectrogram STFTSpectrogram",
    "3-D layers are not supported": """
        AdaptiveAveragePooling3D AdaptiveMaxPooling3D AveragePooling3D Conv3D Conv3DTranspose Cropping3D
        GlobalAveragePooling3D GlobalMaxPooling3D MaxPooling3D SpatialDropout3D UpSampling3D ZeroPadding3D""",
    "crops at random; leave it out of the model that is saved": "RandomCrop",
    "changes photos depending on their content; remove it before you save the model": """
        AutoContrast ContrastLimitedAdaptiveHistogramEqualization CutMix Equalization MaxNumBoundingBoxes MixUp
        Solarization""",
}

REFUSED = {kind: reason for reason, kinds in _REASONS.items() for kind in kinds.split()}
"""The reason by the name of the class."""
