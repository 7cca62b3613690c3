"""ATen's operators as nodes of ONNX: one table of all.

A function takes the model and the operator's arguments. Tensors are names, everything else is as in torch. It returns
the name of its result, or one for each result. It raises UnsupportedError with a reason for arguments that cannot be
expressed. The reader of ONNX may refuse what is written here.
"""

from __future__ import annotations

from mpscnn.torch_backend.aten.arithmetic import ARITHMETIC
from mpscnn.torch_backend.aten.matrices import MATRICES
from mpscnn.torch_backend.aten.moves import MOVES
from mpscnn.torch_backend.aten.neurons import NEURONS
from mpscnn.torch_backend.aten.norms import NORMS
from mpscnn.torch_backend.aten.reductions import REDUCTIONS
from mpscnn.torch_backend.aten.resizes import RESIZES
from mpscnn.torch_backend.aten.windows import WINDOWS
from mpscnn.torch_backend.aten.writer import Operator

OPERATORS: dict[str, Operator] = {
    **WINDOWS,
    **NORMS,
    **MATRICES,
    **NEURONS,
    **ARITHMETIC,
    **REDUCTIONS,
    **MOVES,
    **RESIZES,
}

#: Operators that multiply matrices or slide windows, for which a network pays even alone.
PRODUCTS = frozenset(
    {
        *("convolution.default", "mm.default", "bmm.default", "matmul.default", "addmm.default"),
        *("baddbmm.default", "linear.default", "_scaled_dot_product_flash_attention_for_cpu.default"),
    }
)
