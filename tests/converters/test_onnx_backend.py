"""The ONNX project's own test cases: what is converted gives the right answer, and what is not is listed here.

The first input of floats with two axes or more stays an input, for arithmetic and joins also those like it;
the others become constants. The first axis of these inputs is the batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.onnx_files import Array, onnx

from mpscnn import Network
from mpscnn.converters.onnx_reader.file import file_of_model
from mpscnn.converters.onnx_reader.operators import OPERATORS
from mpscnn.converters.onnx_reader.reader import convert
from mpscnn.converters.read_options import ReadOptions
from mpscnn.errors import UnsupportedError

# The package's own bounds.
RELATIVE, ABSOLUTE = 1e-3, 1e-5
KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator")

# Operators whose operands are all inputs, where they are alike.
TOGETHER = {
    *("Add", "Concat", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"),
    *("Max", "Mean", "Min", "Mul", "Pow", "Sub", "Sum"),
}

# Cases of operators that are converted, but not in this form; by the reason that the error gives.
OUT_OF_SCOPE: dict[str, tuple[str, ...]] = {
    "compares images of the batch": (
        "test_argmax_default_axis_example",
        "test_argmax_default_axis_random",
        "test_argmin_default_axis_example",
        "test_argmin_default_axis_random",
        "test_logsoftmax_axis_0",
        "test_softmax_axis_0",
    ),
    "takes the last of equals of the batch": (
        "test_argmax_default_axis_example_select_last_index",
        "test_argmax_default_axis_random_select_last_index",
        "test_argmin_default_axis_example_select_last_index",
        "test_argmin_default_axis_random_select_last_index",
    ),
    "a sequence that holds a constant": ("test_sequence_model4", "test_sequence_model5"),
    "places of several axes": ("test_gathernd_example_float32",),
    "three spatial axes": (
        "test_AvgPool3d",
        "test_AvgPool3d_stride",
        "test_AvgPool3d_stride1_pad0_gpu_input",
        "test_Conv3d",
        "test_Conv3d_dilated",
        "test_Conv3d_dilated_strided",
        "test_Conv3d_groups",
        "test_Conv3d_no_bias",
        "test_Conv3d_stride",
        "test_Conv3d_stride_padding",
        "test_MaxPool3d",
        "test_MaxPool3d_stride",
        "test_MaxPool3d_stride_padding",
        "test_PReLU_3d_multiparam",
        "test_averagepool_3d_default",
        "test_averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_False",
        "test_averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_True",
        "test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_False",
        "test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True",
        "test_averagepool_3d_dilations_small",
        "test_convtranspose_3d",
        "test_lppool_3d_default",
        "test_maxpool_3d_default",
        "test_maxpool_3d_dilations",
        "test_maxpool_3d_dilations_use_ref_impl",
        "test_maxpool_3d_dilations_use_ref_impl_large",
    ),
    "a result that is not computed": (
        "test_batchnorm_epsilon_training_mode",
        "test_batchnorm_example_training_mode",
        "test_dropout_default_mask",
        "test_dropout_default_mask_ratio",
        "test_maxpool_with_argmax_2d_precomputed_pads",
        "test_maxpool_with_argmax_2d_precomputed_strides",
        "test_training_dropout_default_mask",
        "test_training_dropout_mask",
        "test_training_dropout_zero_ratio_mask",
    ),
    "reduces along the batch": (
        "test_concat_2d_axis_0",
        "test_concat_2d_axis_negative_2",
        "test_concat_3d_axis_0",
        "test_concat_3d_axis_negative_3",
        "test_reduce_log_sum_asc_axes",
        "test_reduce_log_sum_asc_axes_expanded",
    ),
    "a transposed convolution larger than its windows": ("test_convtranspose_output_shape",),
    "quantised results": (
        "test_dequantizelinear_blocked",
        "test_quantizelinear_axis",
        "test_quantizelinear_blocked_asymmetric",
    ),
    "drops elements as in training": (
        "test_training_dropout",
        "test_training_dropout_default",
    ),
    "repeats a tensor": (
        "test_expand_dim_changed",
        "test_expand_shape_model3",
        "test_expand_shape_model4",
    ),
    "the first axis of the result is not the batch": (
        "test_flatten_axis0",
        "test_flatten_axis2",
        "test_flatten_axis3",
        "test_flatten_negative_axis1",
        "test_flatten_negative_axis2",
        "test_flatten_negative_axis4",
        "test_reshape_negative_extended_dims",
        "test_reshape_one_dim",
        "test_reshape_reordered_all_dims",
        "test_transpose_all_permutations_2",
        "test_transpose_all_permutations_3",
        "test_transpose_all_permutations_4",
        "test_transpose_all_permutations_5",
        "test_transpose_default",
        "test_unsqueeze_axis_0",
    ),
    "changes or divides the batch": (
        "test_gather_0",
        "test_gemm_all_attributes",
        "test_gemm_transposeA",
        "test_slice",
        "test_slice_neg_steps",
        "test_tile",
        "test_tile_precomputed",
    ),
    "nothing of an axis": ("test_slice_start_out_of_bounds",),
    "a constant with a batch, or that repeats the value": (
        "test_PReLU_1d_multiparam",
        "test_PReLU_2d_multiparam",
        "test_gemm_default_matrix_bias",
        "test_greater_equal_expanded",
        "test_less_equal_expanded",
        "test_operator_params",
        "test_prelu_example",
        "test_swiglu_alpha_expanded",
        "test_swiglu_expanded",
        "test_where_example",
    ),
    "normalises the batch": (
        "test_l2normalization_axis_0",
        "test_layer_normalization_2d_axis0",
        "test_layer_normalization_2d_axis_negative_2",
        "test_layer_normalization_3d_axis0_epsilon",
        "test_layer_normalization_3d_axis_negative_3_epsilon",
        "test_layer_normalization_4d_axis0",
        "test_layer_normalization_4d_axis_negative_4",
        "test_rms_normalization_2d_axis0",
        "test_rms_normalization_2d_axis_negative_2",
        "test_rms_normalization_3d_axis0_epsilon",
        "test_rms_normalization_3d_axis_negative_3_epsilon",
        "test_rms_normalization_4d_axis0",
        "test_rms_normalization_4d_axis_negative_4",
    ),
    "a product of several matrices": (
        "test_matmul_3d",
        "test_matmul_4d_1d",
        "test_matmul_bcast",
    ),
    "reduces all axes, the batch among them": (
        "test_reduce_l1_default_axes_keepdims_example",
        "test_reduce_l1_default_axes_keepdims_example_expanded",
        "test_reduce_l1_default_axes_keepdims_random",
        "test_reduce_l1_default_axes_keepdims_random_expanded",
        "test_reduce_l2_default_axes_keepdims_example",
        "test_reduce_l2_default_axes_keepdims_example_expanded",
        "test_reduce_l2_default_axes_keepdims_random",
        "test_reduce_l2_default_axes_keepdims_random_expanded",
        "test_reduce_log_sum_default",
        "test_reduce_log_sum_default_expanded",
        "test_reduce_max_default_axes_keepdim_example",
        "test_reduce_max_default_axes_keepdims_random",
        "test_reduce_mean_default_axes_keepdims_example",
        "test_reduce_mean_default_axes_keepdims_random",
        "test_reduce_min_default_axes_keepdims_example",
        "test_reduce_min_default_axes_keepdims_random",
        "test_reduce_prod_default_axes_keepdims_example",
        "test_reduce_prod_default_axes_keepdims_random",
        "test_reduce_sum_default_axes_keepdims_example",
        "test_reduce_sum_default_axes_keepdims_random",
        "test_reduce_sum_square_default_axes_keepdims_example",
        "test_reduce_sum_square_default_axes_keepdims_example_expanded",
        "test_reduce_sum_square_default_axes_keepdims_random",
        "test_reduce_sum_square_default_axes_keepdims_random_expanded",
    ),
    "a way of resizing that mpscnn lacks": (
        "test_resize_downsample_scales_linear_align_corners",
        "test_resize_downsample_scales_linear_half_pixel_symmetric",
        "test_resize_downsample_sizes_nearest_not_smaller",
        "test_resize_tf_crop_and_resize",
        "test_resize_tf_crop_and_resize_axes_2_3",
        "test_resize_tf_crop_and_resize_axes_3_2",
        "test_resize_tf_crop_and_resize_extrapolation_value",
        "test_resize_upsample_scales_linear_half_pixel_symmetric",
    ),
    "cubic": (
        "test_resize_downsample_scales_cubic",
        "test_resize_downsample_scales_cubic_align_corners",
        "test_resize_downsample_sizes_cubic",
        "test_resize_upsample_scales_cubic",
        "test_resize_upsample_scales_cubic_align_corners",
        "test_resize_upsample_scales_cubic_asymmetric",
        "test_resize_upsample_sizes_cubic",
    ),
    "exclude_outside or antialias": (
        "test_resize_downsample_scales_cubic_A_n0p5_exclude_outside",
        "test_resize_downsample_scales_cubic_antialias",
        "test_resize_downsample_scales_linear_antialias",
        "test_resize_downsample_sizes_cubic_antialias",
        "test_resize_downsample_sizes_linear_antialias",
        "test_resize_upsample_scales_cubic_A_n0p5_exclude_outside",
    ),
}


@dataclass
class Case:
    """A model, the values of its inputs, and the right answers."""

    name: str
    model: Any
    inputs: list[Array]
    answers: list[Array]

    @property
    def operators(self) -> set[str]:
        """The kinds of its nodes."""
        return {node.op_type for node in self.model.graph.node}


def cases(kind: str) -> Iterator[Case]:
    """The package's cases that have an input of ours."""
    from onnx.backend.test.loader import load_model_tests

    for given in load_model_tests(kind=kind):
        found = _stored(Path(given.model_dir)) if given.model is None else (given.model, *given.data_sets[0])
        model, inputs, answers = onnx.ModelProto.FromString(found[0].SerializeToString()), *found[1:]
        arrays = [
            np.asarray(one) if isinstance(one, (np.ndarray, np.generic)) else None
            for one in (*inputs, *answers)
        ]
        if any(one is None for one in arrays):
            continue  # sequences, maps and optional values
        if any(node.op_type == "NonMaxSuppression" for node in model.graph.node):
            continue  # networks end before it
        ours = [one for one in arrays if one is not None]
        if {node.op_type for node in model.graph.node} == {"LayerNormalization"}:
            del model.graph.output[1:]  # its statistics
        known = {tensor.name for tensor in model.graph.initializer}
        names = [info.name for info in model.graph.input if info.name not in known]
        chosen = [place for place, one in enumerate(ours[: len(names)]) if _is_input(one)]
        if not chosen:
            continue
        first = ours[chosen[0]]
        alike = [
            place for place in chosen if ours[place].ndim == first.ndim and len(ours[place]) == len(first)
        ]
        kept = alike if {node.op_type for node in model.graph.node} <= TOGETHER else chosen[:1]
        for place, name in enumerate(names):
            if place not in kept:
                model.graph.initializer.append(onnx.numpy_helper.from_array(ours[place], name))
        yield Case(given.name, model, [ours[place] for place in kept], ours[len(names) :])


def _stored(folder: Path) -> tuple[Any, list[Any], list[Any]]:
    """A case that is kept as files; old ones in an opset that the package brings to a newer one."""
    model = onnx.load(folder / "model.onnx")
    inputs, answers = (
        [_array(path) for path in sorted((folder / "test_data_set_0").glob(f"{what}_*.pb"))]
        for what in ("input", "output")
    )
    if model.opset_import[0].domain == "" and model.opset_import[0].version < 7:
        from onnx import version_converter

        model = version_converter.convert_version(model, 9)
    return model, inputs, answers


def _array(path: Path) -> Any:
    try:
        return onnx.numpy_helper.to_array(onnx.TensorProto.FromString(path.read_bytes()))
    except Exception:  # a sequence, whose message is another one
        return None


def _is_input(array: Array) -> bool:
    return array.dtype == np.float32 and array.ndim >= 2 and array.size > 0


def run(network: Network, case: Case) -> list[Array]:
    """The network's answers to the case's input."""
    given = []
    for tensor, x in zip(network.inputs, case.inputs, strict=True):
        if x.ndim == 4:
            x = x.transpose(0, 2, 3, 1)
        elif x.ndim == 3 and len(tensor.shape) == 4:
            x = x.transpose(0, 2, 1)[:, None]
        given.append(x)
    results = network.compile(device="cpu", precision="float32").session(threads=1).run(given)
    return list(results.values()) if isinstance(results, dict) else [results]


def is_right(network: Network, case: Case) -> bool:
    """Whether all answers are those of the case, images as NHWC."""
    for result, answer in zip(run(network, case), case.answers, strict=False):
        forms = [answer.transpose(0, 2, 3, 1)] if answer.ndim == 4 else []
        forms += [answer, answer.reshape(len(result), -1), answer[None]]
        fitting = [form for form in forms if form.shape == result.shape]
        if not any(np.allclose(result, form, RELATIVE, ABSOLUTE, equal_nan=True) for form in fitting):
            return False
    return True


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the package, while it computes its cases
@pytest.mark.parametrize("kind", KINDS)
def test_no_case_is_wrong(kind: str) -> None:
    wrong, unlisted, right = [], [], 0
    for case in cases(kind):
        try:
            network = convert(file_of_model(case.model, case.name), ReadOptions(case.name))
        except UnsupportedError as error:
            if case.operators <= set(OPERATORS) and not is_listed(case.name):
                unlisted.append(f"{case.name}: {error}")
            continue
        if is_right(network, case):
            right += 1
        else:
            wrong.append(case.name)
    assert not wrong
    assert not unlisted
    assert right >= {"node": 300, "simple": 1, "pytorch-converted": 20, "pytorch-operator": 5}[kind]


def is_listed(name: str) -> bool:
    """Whether the table says why a case is not converted."""
    return any(fnmatch(name, pattern) for patterns in OUT_OF_SCOPE.values() for pattern in patterns)
