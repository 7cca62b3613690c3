"""Define the parts of Caffe's messages that are read.

From a .caffemodel only names and weights are read, so the schema has the field numbers of Caffe's caffe.proto. A
.prototxt is text, whose fields are found by name, so the field numbers of its schema are arbitrary.
"""

from __future__ import annotations

from mpscnn.converters.opening.wire.kinds import read_table

# Message: its fields as "name:type" or "name:type:number"; a type with a star is a list.
WEIGHTS = {
    "Shape": "dim:int64*:1",
    "Blob": "num:int32:1 channels:int32:2 height:int32:3 width:int32:4 data:float*:5 shape:Shape:7 "
    "double_data:double*:8 raw_data_type:uint32:10 raw_data:bytes:12",
    "Layer": "name:string:1 type:string:2 blobs:Blob*:7",
    "OldLayer": "name:string:4 blobs:Blob*:6",
    "Weights": "name:string:1 layers:OldLayer*:2 layer:Layer*:100",
}
_POOLING = "pool:string global_pooling:bool round_mode:string ceil_mode:bool"
_WINDOW = " ".join(f"{name}_h:uint32 {name}_w:uint32" for name in ("kernel", "pad", "stride"))
_PARAMETERS = {
    "ArgMax": "out_max_val:bool top_k:uint32 axis:int32",
    "BatchNorm": "use_global_stats:bool eps:float",
    "Bias": "axis:int32 num_axes:int32",
    "Clip": "min:float max:float",
    "Concat": "axis:int32 concat_dim:uint32",
    "Convolution": "num_output:uint32 bias_term:bool pad:uint32* kernel_size:uint32* stride:uint32* "
    f"dilation:uint32* group:uint32 axis:int32 {_WINDOW}",
    "Crop": "axis:int32 offset:uint32*",
    "DetectionOutput": "num_classes:uint32 share_location:bool background_label_id:int32 nms_param:Nms "
    "code_type:string variance_encoded_in_target:bool keep_top_k:int32 confidence_threshold:float",
    "Dropout": "dropout_ratio:float scale_train:bool",
    "ELU": "alpha:float",
    "Eltwise": "operation:string coeff:float*",
    "Exp": "base:float scale:float shift:float",
    "Flatten": "axis:int32 end_axis:int32",
    "InnerProduct": "num_output:uint32 bias_term:bool axis:int32 transpose:bool",
    "Input": "shape:Shape*",
    "Interp": "height:int32 width:int32 zoom_factor:int32 shrink_factor:int32 pad_beg:int32 pad_end:int32",
    "LRN": "local_size:uint32 alpha:float beta:float norm_region:string k:float",
    "Log": "base:float scale:float shift:float",
    "MVN": "normalize_variance:bool across_channels:bool eps:float",
    "MemoryData": "batch_size:uint32 channels:uint32 height:uint32 width:uint32",
    "Norm": "across_spatial:bool channel_shared:bool eps:float",
    "PReLU": "channel_shared:bool",
    "Permute": "order:uint32*",
    "Pooling": f"{_POOLING} pad:uint32 kernel_size:uint32 stride:uint32 {_WINDOW}",
    "Power": "power:float scale:float shift:float",
    "PriorBox": "min_size:float* max_size:float* aspect_ratio:float* flip:bool clip:bool variance:float* "
    "img_size:uint32 img_h:uint32 img_w:uint32 step:float step_h:float step_w:float offset:float",
    "ReLU": "negative_slope:float",
    "Reduction": "operation:string axis:int32 coeff:float",
    "ReLU6": "engine:string",
    "Reshape": "shape:Shape axis:int32 num_axes:int32",
    "Scale": "axis:int32 num_axes:int32 bias_term:bool",
    "ShuffleChannel": "group:uint32",
    "Sigmoid": "engine:string",
    "Slice": "axis:int32 slice_point:uint32* slice_dim:uint32",
    "Softmax": "axis:int32",
    "Swish": "beta:float",
    "TanH": "engine:string",
    "Threshold": "threshold:float",
    "Tile": "axis:int32 tiles:int32",
    "Upsample": "scale:int32",
}
_UNUSED = (
    "bias_filler engine filler force_nd_im2col moving_average_fraction save_output_param scale_filler "
    "stable_prod_grad visualize visualize_threshold weight_filler"
)
UNUSED = frozenset(_UNUSED.split())
"""The parameters that change training, speed or what is written to files, but not the results of a layer."""

_FIELD_NAMES = {
    "ArgMax": "argmax_param",
    "BatchNorm": "batch_norm_param",
    "DetectionOutput": "detection_output_param",
    "InnerProduct": "inner_product_param",
    "MemoryData": "memory_data_param",
    "PriorBox": "prior_box_param",
    "ShuffleChannel": "shuffle_channel_param",
}
TEXT = {
    "Shape": "dim:int64*",
    "Nms": "nms_threshold:float top_k:int32 eta:float",
    "Rule": "phase:string min_level:int32 max_level:int32 stage:string* not_stage:string*",
    "Transform": "scale:float mean_value:float* mean_file:string crop_size:uint32 force_gray:bool",
    **{f"{kind}Parameter": fields for kind, fields in _PARAMETERS.items()},
    "Layer": "name:string type:string bottom:string* top:string* phase:string include:Rule* exclude:Rule* "
    "transform_param:Transform "
    + " ".join(f"{_FIELD_NAMES.get(kind, kind.lower() + '_param')}:{kind}Parameter" for kind in _PARAMETERS),
    "Net": "name:string input:string* input_shape:Shape* input_dim:int32* layer:Layer* layers:Layer*",
}


def parameter_name(kind: str) -> str:
    """Return the field with the parameters of a kind of layer."""
    return _FIELD_NAMES.get(kind, kind.lower() + "_param")


WEIGHTS_KIND = read_table(WEIGHTS)["Weights"]
"""The kind of a .caffemodel's message."""

NET_KIND = read_table(TEXT)["Net"]
"""The kind of a .prototxt's message. Its enumerations are texts."""
