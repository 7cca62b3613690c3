"""Define the parts of ONNX' protocol buffer messages that are read, with the published field numbers.

Values of enumerations are integers. The names that mark files of mpscnn are here, too.
"""

from __future__ import annotations

from mpscnn.converters.opening.wire.kinds import read_table

MESSAGES = {
    "Entry": "key:string:1 value:string:2",
    "OperatorSet": "domain:string:1 version:int64:2",
    "Dimension": "dim_value:int64:1 dim_param:string:2",
    "Shape": "dim:Dimension*:1",
    "TensorType": "elem_type:int32:1 shape:Shape:2",
    "Other": "elem_type:Type:1",
    "Map": "key_type:int32:1",
    "Type": "tensor_type:TensorType:1 sequence_type:Other:4 map_type:Map:5 opaque_type:Map:7 "
    "sparse_tensor_type:TensorType:8 optional_type:Other:9",
    "Value": "name:string:1 type:Type:2",
    "Tensor": "dims:int64*:1 data_type:int32:2 float_data:float*:4 int32_data:int32*:5 string_data:bytes*:6 "
    "int64_data:int64*:7 name:string:8 raw_data:bytes:9 double_data:double*:10 uint64_data:uint64*:11 "
    "external_data:Entry*:13 data_location:int32:14",
    "SparseTensor": "dims:int64*:3",
    "Attribute": "name:string:1 f:float:2 i:int64:3 s:bytes:4 t:Tensor:5 g:Graph:6 floats:float*:7 ints:int64*:8 "
    "strings:bytes*:9 tensors:Tensor*:10 graphs:Graph*:11 tp:Type:14 type_protos:Type*:15 type:int32:20 "
    "ref_attr_name:string:21 sparse_tensor:SparseTensor:22 sparse_tensors:SparseTensor*:23",
    "Node": "input:string*:1 output:string*:2 name:string:3 op_type:string:4 attribute:Attribute*:5 "
    "doc_string:string:6 domain:string:7 overload:string:8",
    "Graph": "node:Node*:1 name:string:2 initializer:Tensor*:5 input:Value*:11 output:Value*:12 value_info:Value*:13 "
    "sparse_initializer:SparseTensor*:15",
    "Function": "name:string:1 input:string*:4 output:string*:5 attribute:string*:6 node:Node*:7 "
    "opset_import:OperatorSet*:9 domain:string:10 attribute_proto:Attribute*:11 value_info:Value*:12 "
    "overload:string:13",
    "Model": "producer_name:string:2 graph:Graph:7 opset_import:OperatorSet*:8 metadata_props:Entry*:14 "
    "training_info:Training*:20 functions:Function*:25",
    "Training": "",
}

KINDS = read_table(MESSAGES)

#: The producer's name in files of mpscnn. In such files each node's doc_string has the name of its layer.
PRODUCER = "mpscnn"
#: The suffix of a constant's name, if other nodes repeat the constant and their result has the layer's name.
VALUE = ".value"
"""The kinds of messages by name."""

EXTERNAL = 1
"""The number of the location of a tensor's data that is not in its message."""

ATTRIBUTE_TYPES = {
    1: "f",
    2: "i",
    3: "s",
    4: "t",
    5: "g",
    6: "floats",
    7: "ints",
    8: "strings",
    9: "tensors",
    10: "graphs",
    11: "sparse_tensor",
    12: "sparse_tensors",
    13: "tp",
    14: "type_protos",
}
"""The field with the value of an attribute, by the number of its type."""
