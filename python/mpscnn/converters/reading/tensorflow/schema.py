"""Define the parts of TensorFlow's protocol buffer messages that are read, with the published field numbers.

Entries of maps are messages with the fields `key` and `value`. Values of enumerations are integers.
"""

from __future__ import annotations

from mpscnn.converters.opening.wire.kinds import read_table

MESSAGES = {
    "Dim": "size:int64:1",
    "Shape": "dim:Dim*:2 unknown_rank:bool:3",
    "Tensor": "dtype:int32:1 tensor_shape:Shape:2 tensor_content:bytes:4 float_val:float*:5 double_val:double*:6 "
    "int_val:int32*:7 string_val:bytes*:8 int64_val:int64*:10 bool_val:bool*:11 half_val:int32*:13 "
    "uint32_val:uint32*:16 uint64_val:uint64*:17",
    "List": "s:bytes*:2 i:int64*:3 f:float*:4 b:bool*:5 type:int32*:6 shape:Shape*:7",
    "Function": "name:string:1",
    "Value": "list:List:1 s:bytes:2 i:int64:3 f:float:4 b:bool:5 type:int32:6 shape:Shape:7 tensor:Tensor:8 "
    "func:Function:10",
    "Attribute": "key:string:1 value:Value:2",
    "Node": "name:string:1 op:string:2 input:string*:3 attr:Attribute*:5",
    "Argument": "name:string:1 type:int32:3",
    "Signature": "name:string:1 input_arg:Argument*:2 output_arg:Argument*:3",
    "Text": "key:string:1 value:string:2",
    "FunctionBody": "signature:Signature:1 node_def:Node*:3 ret:Text*:4",
    "Library": "function:FunctionBody*:1",
    "Versions": "producer:int32:1",
    "Graph": "node:Node*:1 library:Library:2 versions:Versions:4",
    "TensorInfo": "name:string:1 dtype:int32:2 tensor_shape:Shape:3",
    "NamedTensor": "key:string:1 value:TensorInfo:2",
    "SignatureDef": "inputs:NamedTensor*:1 outputs:NamedTensor*:2 method_name:string:3",
    "NamedSignature": "key:string:1 value:SignatureDef:2",
    "Saver": "filename_tensor_name:string:1 save_tensor_name:string:2 restore_op_name:string:3",
    "Information": "tags:string*:4",
    "MetaGraph": "meta_info_def:Information:1 graph_def:Graph:2 saver_def:Saver:3 signature_def:NamedSignature*:5 "
    "asset_file_def:Asset*:6",
    "Asset": "filename:string:2",
    "SavedModel": "saved_model_schema_version:int64:1 meta_graphs:MetaGraph*:2",
    "BundleHeader": "num_shards:int32:1 endianness:int32:2",
    "BundleEntry": "dtype:int32:1 shape:Shape:2 shard_id:int32:3 offset:int64:4 size:int64:5 slices:Shape*:7",
}


KINDS = read_table(MESSAGES)
"""The kinds of messages by name."""
