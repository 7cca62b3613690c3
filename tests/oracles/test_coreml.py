"""Compare models of every kind that coremltools makes of torch's modules with torch.

coremltools runs models on macOS only. So the results are compared with those of the modules that the models are made
of, and compressed weights with what coremltools makes of them.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement import computed
from numpy.typing import NDArray
from oracles.test_torch_operators import CASES, Function
from oracles.torchvision_models import randomized
from PIL import Image

import mpscnn
from mpscnn import converters
from mpscnn.converters.values.rows import schema_of

torch = pytest.importorskip("torch", reason="torch is not installed")
coremltools = pytest.importorskip("coremltools", reason="coremltools is not installed")

pytestmark = [
    pytest.mark.full,
    # coremltools removes its temporary folders only when the process ends.
    pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

#: The allowed difference, relative to the largest result. Core ML's models are float32, and coremltools folds constants
#: in float32.
TOLERANCE = 1e-4
KINDS = {"neuralnetwork": "iOS14", "iOS15": "iOS15", "iOS17": "iOS17", "iOS18": "iOS18"}
# coremltools cannot convert these modules.
NOT_CONVERTED = {
    *("chunk with a rest", "tensor_split", "reshape", "crop", "interpolate, exact", "CELU", "LogSigmoid"),
    *("addcmul", "lerp", "prod", "channel_shuffle", "local_response_norm", "attention (rows)"),
    "interpolate, cubic averages",
}
NOT_OLD = {"pixel_unshuffle"}  # exists from iOS16 on
# Modules whose meaning coremltools changes: it adds a small number to divisors, and leaves out antialiasing.
OTHERWISE = {
    "reciprocal": lambda x: 1.0 / (x.abs() + 0.5 + 1e-4),
    "interpolate, averages": lambda x: torch.nn.functional.interpolate(x, (5, 11), mode="bilinear"),
}


def saved(module: Any, x: Any, path: Path, target: str, **settings: Any) -> Path:
    """Save the module as a model of Core ML."""
    is_network = target == "iOS14"
    if not is_network:
        settings.setdefault("compute_precision", coremltools.precision.FLOAT32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(module, x, check_trace=False)
        model = coremltools.convert(
            traced,
            inputs=settings.pop("inputs", [coremltools.TensorType("x", shape=x.shape)]),
            convert_to="neuralnetwork" if is_network else "mlprogram",
            minimum_deployment_target=None if is_network else getattr(coremltools.target, target),
            **settings,
        )
        file = path / ("model.mlmodel" if is_network else "model.mlpackage")
        model.save(str(file))
    return file


def images(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Move the channels of an array of images to the end. Other arrays stay as they are."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if x.ndim == 4 else x


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CASES)
def test_operators(name: str, kind: str, tmp_path: Path) -> None:
    if name in NOT_CONVERTED or (name in NOT_OLD and kind in ("neuralnetwork", "iOS15")):
        pytest.skip("coremltools does not convert it")
    made, shape = CASES[name]
    torch.manual_seed(1)
    module = (made if isinstance(made, torch.nn.Module) else Function(made)).eval()
    x = torch.rand((1, *shape[1:])) * 4.0 - 2.0
    network = converters.read_network([saved(module, x, tmp_path, KINDS[kind])])
    with torch.no_grad():
        expected = OTHERWISE.get(name, module)(x).numpy()
    given = images(x.numpy())
    if len(network.inputs[0].shape) == 4 and x.ndim == 3:
        given = x.numpy().transpose(0, 2, 1)[:, None]
    found = computed(network, np.ascontiguousarray(given))
    if expected.ndim == 4 and name != "permute":
        expected = images(expected)
    assert np.abs(found - expected.reshape(found.shape)).max() < TOLERANCE * np.abs(expected).max()


class Block(torch.nn.Module):  # type: ignore[misc, name-defined]
    """An inverted residual block."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        nn, hidden = torch.nn, inputs * expansion
        self.layers = nn.Sequential(
            *(nn.Conv2d(inputs, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6()),
            *(
                nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
                nn.BatchNorm2d(hidden),
                nn.ReLU6(),
            ),
            *(nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs)),
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Any) -> Any:
        return x + self.layers(x) if self.adds else self.layers(x)


def classifier(classes: int) -> Any:
    """Return a small MobileNet V2 for images of 64 x 64, whose normalizations have random statistics."""
    nn = torch.nn
    start = (nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6())
    blocks = (Block(16, 16, 1, 2), Block(16, 24, 2, 6), Block(24, 24, 1, 6), Block(24, 40, 2, 6))
    end = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(40, classes), nn.Softmax(1))
    return randomized(nn.Sequential(*start, *blocks, *end))


LABELS = [f"kind {number}" for number in range(7)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_photos_are_classified(kind: str, order: str, tmp_path: Path) -> None:
    """The model's own preprocessing and labels are used. torch gives the same probabilities for the same pixels."""
    module = classifier(len(LABELS))
    image = coremltools.ImageType(
        "photo",
        shape=(1, 3, 64, 64),
        scale=1 / 60.0,
        bias=[-2.1, -2.0, -1.8],
        color_layout=getattr(coremltools.colorlayout, order),
    )
    path = saved(
        module,
        torch.zeros(1, 3, 64, 64),
        tmp_path,
        KINDS[kind],
        inputs=[image],
        classifier_config=coremltools.ClassifierConfig(LABELS),
    )
    pixels = np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8)
    given = pixels.astype(np.float32)
    if order == "BGR":
        given = given[..., ::-1]
    given = given / 60.0 + np.float32([-2.1, -2.0, -1.8])
    with torch.no_grad():
        expected = module(torch.from_numpy(np.ascontiguousarray(given.transpose(2, 0, 1))[None])).numpy()[0]
    found = mpscnn.load(path, device="cpu").predict(Image.fromarray(pixels), top=len(LABELS))
    probabilities = {one.label: one.probability for one in found}
    assert set(probabilities) == set(LABELS)
    for label, probability in zip(LABELS, expected, strict=True):
        assert abs(probabilities[label] - probability) < TOLERANCE


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("labels", [LABELS, [10, -3, 7, 2**40, 0, 1, 5]])
def test_grayscale_photos_are_classified(labels: list[Any], kind: str, tmp_path: Path) -> None:
    """The file's scale and bias apply to the gray samples. Labels that are numbers become text."""
    nn = torch.nn
    torch.manual_seed(2)
    layers = (nn.Conv2d(1, 8, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 7 * 7, len(labels)))
    module = nn.Sequential(*layers, nn.Softmax(1)).eval()
    image = coremltools.ImageType(
        "photo",
        shape=(1, 1, 16, 16),
        scale=1 / 60.0,
        bias=-2.1,
        color_layout=coremltools.colorlayout.GRAYSCALE,
    )
    settings = {"inputs": [image], "classifier_config": coremltools.ClassifierConfig(labels)}
    path = saved(module, torch.zeros(1, 1, 16, 16), tmp_path, KINDS[kind], **settings)
    pixels = np.random.default_rng(3).integers(0, 256, (16, 16), np.uint8)
    with torch.no_grad():
        given = pixels.astype(np.float32)[None, None] / 60.0 - 2.1
        expected = module(torch.from_numpy(given.astype(np.float32))).numpy()[0]
    assert np.ptp(expected) > 0.05
    found = mpscnn.load(path, device="cpu").predict(Image.fromarray(pixels), top=len(labels))
    probabilities = {one.label: one.probability for one in found}
    assert list(probabilities) == [str(labels[place]) for place in np.argsort(-expected)]
    for label, probability in zip(labels, expected, strict=True):
        assert abs(probabilities[str(label)] - probability) < TOLERANCE


def saved_classifier(path: Path, target: str, **settings: Any) -> Path:
    """Save a classifier whose input is an array rather than a photo."""
    return saved(classifier(len(LABELS)), torch.zeros(1, 3, 64, 64), path, target, **settings)


def answer(path: Path) -> NDArray[Any]:
    """Return what the network of a file computes from random numbers."""
    x = np.random.default_rng(1).normal(size=(2, 64, 64, 3)).astype(np.float32)
    return computed(converters.read_network([path]), x)


def compressed(kind: str, **options: Any) -> Any:
    """Return a function that compresses the weights of a program by coremltools."""
    optimize = coremltools.optimize.coreml
    made: Any
    name, *rest = kind.split()
    if name == "linear":
        made = optimize.OpLinearQuantizerConfig(
            mode="linear_symmetric" if "symmetric" in rest else "linear",
            weight_threshold=0,
            dtype="int4" if "int4" in rest else "uint8" if "uint8" in rest else "int8",
            granularity="per_block"
            if "blocks" in rest
            else "per_tensor"
            if "tensor" in rest
            else "per_channel",
            block_size=8,
        )
        return lambda model: optimize.linear_quantize_weights(
            model, optimize.OptimizationConfig(global_config=made), **options
        )
    if name == "table":
        made = optimize.OpPalettizerConfig(
            mode="kmeans" if "vectors" in rest else "uniform",
            cluster_dim=4 if "vectors" in rest else 1,
            nbits=int(rest[0]),
            weight_threshold=0,
            granularity="per_grouped_channel" if "groups" in rest else "per_tensor",
            group_size=4,
        )
        return lambda model: optimize.palettize_weights(
            model, optimize.OptimizationConfig(global_config=made), **options
        )
    # A channel whose weights are all pruned, as with a sparsity of 0.4, would have the scale 0, by which coremltools
    # divides.
    made = optimize.OpMagnitudePrunerConfig(target_sparsity=0.3, weight_threshold=0)
    pruned = optimize.OptimizationConfig(global_config=made)
    if not rest:
        return lambda model: optimize.prune_weights(model, pruned)
    then = compressed(" ".join(rest), joint_compression=True)
    return lambda model: then(optimize.prune_weights(model, pruned))


COMPRESSED = [
    *(("iOS16", kind) for kind in ("linear", "linear symmetric uint8", "linear tensor", "sparse")),
    *(("iOS16", f"table {bits}") for bits in (1, 2, 4, 6, 8)),
    *(("iOS18", kind) for kind in ("linear", "linear int4 blocks", "linear symmetric int4", "sparse")),
    *(("iOS18", f"table {kind}") for kind in ("1", "2", "3", "4 groups", "6 groups", "8", "2 vectors")),
    *(
        ("iOS18", f"sparse {kind}")
        for kind in ("linear", "linear symmetric int4", "table 4", "table 3 groups")
    ),
]


@pytest.mark.parametrize(("target", "kind"), COMPRESSED)
def test_compressed_weights_of_programs(target: str, kind: str, tmp_path: Path) -> None:
    model = coremltools.models.MLModel(str(saved_classifier(tmp_path, target)), skip_model_load=True)
    small = compressed(kind)(model)
    paths = [tmp_path / "small.mlpackage", tmp_path / "large.mlpackage"]
    small.save(str(paths[0]))
    coremltools.optimize.coreml.decompress_weights(small).save(str(paths[1]))
    found, expected, plain = (answer(path) for path in (*paths, tmp_path / "model.mlpackage"))
    assert np.abs(found - expected).max() < 1e-6
    assert np.abs(found - plain).max() > 1e-5  # compression changed the weights


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("mode", ["linear", "linear_symmetric", "linear_lut"])
def test_compressed_weights_of_neural_networks(mode: str, bits: int, tmp_path: Path) -> None:
    if mode == "linear_symmetric" and bits != 8:
        pytest.skip("coremltools makes symmetric integers of 8 bits only")
    utilities = coremltools.models.neural_network.quantization_utils
    path = saved_classifier(tmp_path, "iOS14")
    small = utilities.quantize_weights(
        coremltools.models.MLModel(str(path), skip_model_load=True), bits, mode
    )
    spec = small if not hasattr(small, "get_spec") else small.get_spec()
    paths = [tmp_path / "small.mlmodel", tmp_path / "large.mlmodel"]
    paths[0].write_bytes(spec.SerializeToString())
    utilities._dequantize_nn_spec(spec.neuralNetwork)
    paths[1].write_bytes(spec.SerializeToString())
    found, expected = (answer(path) for path in paths)
    assert paths[0].stat().st_size < 0.6 * paths[1].stat().st_size
    assert np.abs(found - expected).max() < 1e-6


def test_halves_of_neural_networks(tmp_path: Path) -> None:
    path = saved_classifier(tmp_path, "iOS14")
    utilities = coremltools.models.neural_network.quantization_utils
    model = coremltools.models.MLModel(str(path), skip_model_load=True)
    small = utilities.quantize_weights(model, 16)
    spec = small if not hasattr(small, "get_spec") else small.get_spec()
    (tmp_path / "small.mlmodel").write_bytes(spec.SerializeToString())
    assert np.abs(answer(tmp_path / "small.mlmodel") - answer(path)).max() < 1e-3


def test_programs_in_halves(tmp_path: Path) -> None:
    """The weights are halves. The inputs are floats, which the program casts."""
    module, shape = classifier(len(LABELS)), torch.zeros(1, 3, 64, 64)
    path = saved(module, shape, tmp_path, "iOS17", compute_precision=coremltools.precision.FLOAT16)
    x = np.random.default_rng(1).normal(size=(2, 64, 64, 3)).astype(np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))).numpy()
    assert np.abs(answer(path) - expected).max() < 2e-3


def test_programs_in_halves_and_floats(tmp_path: Path) -> None:
    """Layers that coremltools leaves in float32 stay in float32 when the network runs with the precision float16."""
    transform = coremltools.transform
    halves = transform.FP16ComputePrecision(op_selector=lambda op: op.op_type not in ("softmax", "linear"))
    module, shape = classifier(len(LABELS)), torch.zeros(1, 3, 64, 64)
    network = converters.read_network([saved(module, shape, tmp_path, "iOS17", compute_precision=halves)])
    x = np.random.default_rng(1).normal(size=(1, 64, 64, 3)).astype(np.float32)
    found = network.compile(device="cpu", precision="float16").session().run(x)
    with torch.no_grad():
        expected = module(torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))).numpy()
    assert np.abs(found - expected).max() < 1e-2
    assert abs(float(found.sum()) - 1.0) < 1e-6
    kept = [node["operation"] for node in network.to_dict()["nodes"] if node.get("keep_float32")]
    assert {"fully_connected", "softmax"} <= set(kept)
    assert "convolution" not in kept


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", ["range", "listed"])
def test_images_of_several_sizes(sizes: str, kind: str, tmp_path: Path) -> None:
    nn = torch.nn
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 2, 1)
    ).eval()
    if sizes == "range":
        side = coremltools.RangeDim(16, 64, default=32)
        shape: Any = coremltools.Shape((1, 3, side, side))
    else:
        shape = coremltools.EnumeratedShapes([(1, 3, 32, 32), (1, 3, 48, 16)], default=(1, 3, 32, 32))
    inputs = [coremltools.TensorType("x", shape=shape)]
    path = saved(module, torch.zeros(1, 3, 32, 32), tmp_path, KINDS[kind], inputs=inputs)
    network = converters.read_network([path])
    assert network.input.shape == (None, None, None, 3)
    x = np.random.default_rng(1).normal(size=(1, 48, 16, 3)).astype(np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))).numpy()
    assert np.abs(computed(network, x) - images(expected)).max() < TOLERANCE
    assert converters.read_network([path], size=(48, 16)).input.shape == (None, 48, 16, 3)


def test_every_operand_of_coremltools_is_known() -> None:
    """Operands that a row does not know would be refused in all programs."""
    from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

    from mpscnn.converters.reading.coreml.program.operations import ROWS

    for kind, row in ROWS.items():
        schema = schema_of(row)
        known = {one.name for one in schema.operands} | schema.ignored
        for operation in SSAOpRegistry.core_ops.get(kind, {}).values():
            assert set(operation.input_spec.input_types) <= known, kind


def _compare(ours: Any, theirs: Any) -> None:
    """Walk the messages within the parameters of a layer: fields that are not known are refused."""
    for field in theirs.fields:
        assert ours.fields[field.name].number == field.number, (ours.name, field.name)
        inner = ours.fields[field.name].inner
        if inner is not None and inner.keeps_unknown:
            _compare(inner, field.message_type)


def test_the_schema_is_that_of_coremltools() -> None:
    """The schema has the number of each layer and each kind of model, and all settings of the layers that are read."""
    from converters.protobuf_messages import coreml_model
    from coremltools.proto import Model_pb2, NeuralNetwork_pb2

    from mpscnn.converters.reading.coreml.neural.layers import REFUSED, ROWS
    from mpscnn.converters.reading.coreml.schema import LAYERS, MODEL_KIND

    coreml_layer = MODEL_KIND.fields["neuralNetwork"].inner.fields["layers"].inner
    layer = NeuralNetwork_pb2.NeuralNetworkLayer.DESCRIPTOR
    layers = {field.name: field for field in layer.oneofs_by_name["layer"].fields}
    assert {name: field.number for name, field in layers.items()} == {
        name: number for name, (number, _) in LAYERS.items()
    }
    assert set(ROWS) | set(REFUSED) == set(LAYERS)
    for name in ROWS:
        theirs = {field.name: field.number for field in layers[name].message_type.fields}
        ours = {field.split(":")[0]: int(field.split(":")[2]) for field in LAYERS[name][1].split()}
        assert {key: number for key, number in ours.items() if key != "nothing"} == theirs, name
        _compare(coreml_layer.fields[name].inner, layers[name].message_type)
    kinds = Model_pb2.Model.DESCRIPTOR.oneofs_by_name["Type"].fields
    known = coreml_model().DESCRIPTOR.fields_by_name
    assert {kind.name: kind.number for kind in kinds} == {
        kind.name: known[kind.name].number for kind in kinds
    }
