"""List all functions that write ATen's operators as ONNX nodes.

A function takes the model and the operator's arguments, in which tensors are replaced by their names. It returns the
name of its result, or of each result. It raises UnsupportedError with a reason for unsupported arguments. mpscnn's ONNX
reader may still refuse the nodes later.
"""

from __future__ import annotations

from mpscnn.converters.reading.pytorch.aten.arithmetic import ARITHMETIC
from mpscnn.converters.reading.pytorch.aten.array_ops import ARRAY_OPS
from mpscnn.converters.reading.pytorch.aten.indexing import INDEXING
from mpscnn.converters.reading.pytorch.aten.matrices import MATRICES
from mpscnn.converters.reading.pytorch.aten.neurons import NEURONS
from mpscnn.converters.reading.pytorch.aten.norms import NORMS
from mpscnn.converters.reading.pytorch.aten.recurrent import RECURRENT
from mpscnn.converters.reading.pytorch.aten.reductions import REDUCTIONS
from mpscnn.converters.reading.pytorch.aten.resizes import RESIZES
from mpscnn.converters.reading.pytorch.aten.windows import WINDOWS
from mpscnn.converters.values.rows import Row

OPERATORS: dict[str, Row] = {
    **WINDOWS,
    **NORMS,
    **MATRICES,
    **NEURONS,
    **ARITHMETIC,
    **REDUCTIONS,
    **ARRAY_OPS,
    **INDEXING,
    **RECURRENT,
    **RESIZES,
}

#: Matrix products and convolutions. A network is worth a call even if it has only one such operator.
PRODUCTS = frozenset(
    {
        *("convolution.default", "mm.default", "bmm.default", "matmul.default", "addmm.default"),
        *("baddbmm.default", "linear.default", "_scaled_dot_product_flash_attention_for_cpu.default"),
    }
)
