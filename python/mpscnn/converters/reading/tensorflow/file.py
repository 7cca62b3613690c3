"""Read TensorFlow's SavedModels and frozen graphs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mpscnn._private.files import convert_read_errors, exists, is_file, is_folder, read_content
from mpscnn.converters.opening.file_bytes import Content, FileBytes, MemoryBytes, total_size
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.opening.read_options import ReadOptions, only
from mpscnn.converters.opening.unsupported import CHOOSE_EXTENTS
from mpscnn.converters.opening.wire.encode import encode
from mpscnn.converters.opening.wire.message import open_message
from mpscnn.converters.opening.wire.text import parse_text
from mpscnn.converters.reading.graph.builder import Extents
from mpscnn.converters.reading.tensorflow.bundle import INDEX, Bundle, bundle_files
from mpscnn.converters.reading.tensorflow.file_errors import convert_errors
from mpscnn.converters.reading.tensorflow.reader import GraphFile, convert
from mpscnn.converters.reading.tensorflow.schema import KINDS
from mpscnn.converters.reading.tensorflow.value_resolution import VARIABLES, Ref, ValueResolver
from mpscnn.converters.reading.tensorflow.values import TEXT, TYPE_NUMBERS, Array, parse_shape
from mpscnn.converters.reading.tensorflow.variables import stored_names, variable_name
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError
from mpscnn.graph.network import Network

MODEL = "saved_model.pb"
_DEFAULT_SIGNATURE, _SERVING, _INITIALISER = "serving_default", "serve", "__saved_model_init_op"
#: The last version of graphs in which the shape of a placeholder without axes means that the shape is not known.
_EMPTY_IS_UNKNOWN = 21
_SILENT = frozenset(
    {"NoOp", "Assert", "Const", "Placeholder", "VarHandleOp", "VariableV2", "PlaceholderWithDefault"}
)


def read(paths: Sequence[Path], options: ReadOptions) -> Network:
    """Return the network of a file. Raises the errors of `convert`, and those of opening the file."""
    return convert(read_tensorflow(only(paths), options), options)


def read_tensorflow(path: Path, options: ReadOptions) -> GraphFile:
    """Read a folder with a SavedModel, its saved_model.pb under any name, or a frozen graph; both also as text.

    Raises WeightsError for missing or damaged files, UnsupportedError for unsupported content, and ParameterError for a
    signature or an output that the file does not have.
    """
    model = _saved_model_file(path)
    with convert_errors(str(path)):
        if model is not None:
            return _saved_model(model, path, options)
        if options.signature is not None:
            raise ParameterError("a frozen graph has no signatures")
        return frozen_graph(_parsed("Graph", path), str(path), options, lambda: total_size([path]))


def _saved_model_file(path: Path) -> Path | None:
    """Return the file with a SavedModel for its folder, or for the file itself under any name; None for a graph.

    A SavedModel begins with the number of its version, and a graph with a message.
    """
    with convert_read_errors(path, WeightsError):
        if is_folder(path):
            return path / MODEL
    begins = FileBytes(path).read(0, _BEGINNING)
    is_saved = path.name == MODEL or begins[:1] == _VERSION_FIELD or _TEXT_OF_SAVED.match(begins)
    return path if is_saved else None


def network_files(path: Path) -> list[Path]:
    """Return all files that a network is read from: those of a SavedModel, or a graph alone."""
    model = _saved_model_file(path)
    if model is None:
        return [path]
    variables = _index_of(model)
    with convert_read_errors(path, WeightsError):
        has_variables = is_file(variables)
    return [model, *(bundle_files(variables, model) if has_variables else [])]


def _index_of(model: Path) -> Path:
    return model.parent / "variables" / f"variables{INDEX}"


_BEGINNING = 4_096
_VERSION_FIELD = b"\x08"
_OTHER_VERSION = re.compile(b"\x08[\x02-\x7f]")  # files of ONNX begin so; the version of SavedModels is 1
# The first field of a graph or SavedModel as text. The bytes of a message do not begin with these letters and a brace.
_COMMENTS = rb"\s*(?:#[^\n]*\n\s*)*"
_TEXT_OF_SAVED = re.compile(_COMMENTS + rb"(?:saved_model_schema_version|meta_graphs)\s*[:{<]")
_TEXT_OF_GRAPH = re.compile(_COMMENTS + rb"(?:node|versions|version|library)\s*[:{<]")
#: The messages of a text, which take more memory than those of a file of bytes.
_MAX_TEXT_MESSAGES = 1 << 19


def refuse_damaged(path: Path) -> None:
    """Raise WeightsError if the graph of a SavedModel or of a file is damaged. Its variables are not read."""
    model = _saved_model_file(path)
    with convert_errors(str(path)):
        _parsed("Graph" if model is None else "SavedModel", model or path)


def _parsed(name: str, path: Path) -> Any:
    """Return the message of a file of which all fields have the right form. The file may also be text."""
    content: Content = FileBytes(path)
    begins = content.read(0, _BEGINNING)
    if _TEXT_OF_GRAPH.match(begins) or _TEXT_OF_SAVED.match(begins):
        content = MemoryBytes(_encoded_text(name, path))
    elif name == "SavedModel" and _OTHER_VERSION.match(begins):
        raise UnsupportedError(
            "is no SavedModel of version 1; if it is an ONNX file, rename it so that it ends in .onnx"
        )
    message = open_message(KINDS[name], content)
    try:
        message.stated()
    except WeightsError as error:
        raise WeightsError(f"is not a graph of TensorFlow: {error}") from error
    return message


def _encoded_text(name: str, path: Path) -> bytes:
    """Return the bytes of a message that a file has as text."""
    content = read_content(path, WeightsError, is_text=True)
    count = content.count(b"{") + content.count(b"<")
    if count > _MAX_TEXT_MESSAGES:
        raise UnsupportedError(
            f"has {count} inner messages as text; more than {_MAX_TEXT_MESSAGES} are not supported"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WeightsError(f"damaged: is not text: {error}") from error
    return encode(parse_text(KINDS[name], text, TYPE_NUMBERS), lambda _: {})


# ---- SavedModel ----------------------------------------------------------------------------------------------------


def _saved_model(file: Path, path: Path, options: ReadOptions) -> GraphFile:
    model = _parsed("SavedModel", file)
    graphs = list(model.meta_graphs)
    graph = _graph_for_serving(graphs)
    chosen, signature = _signature(graph, options.signature)
    inputs = {entry.key: entry.value for entry in signature.inputs}
    outputs = {entry.key: entry.value for entry in signature.outputs}
    if not outputs:
        raise WeightsError("damaged: its signature has no outputs")
    places = {name: info.name.partition(":")[0] for name, info in sorted(inputs.items())}
    flow = ValueResolver(graph.graph_def, frozenset(places.values()), lambda: total_size(network_files(file)))
    for name, place in places.items():
        if place not in flow.main.nodes:
            raise WeightsError(f"damaged: the node of its input {quote_name(name)} does not exist")
    return GraphFile(
        str(path),
        flow,
        {name: _extents(name, inputs[name].dtype, inputs[name].tensor_shape, options) for name in places},
        places,
        {name: flow.main.ref(info.name) for name, info in sorted(outputs.items())},
        _Variables(file, flow, graph.saver_def.restore_op_name),
        chosen,
        initialisers=_initialisers(graph, flow),
        assets=graph.count("asset_file_def"),
        others=_others(graphs, graph, chosen),
        names_outputs=True,
    )


def _initialisers(graph: Any, flow: ValueResolver) -> list[Ref]:
    """Return the operators that run once, before the first inference."""
    stated = [entry.value for entry in graph.signature_def if entry.key == _INITIALISER]
    names = [entry.value.name.partition(":")[0] for one in stated for entry in one.outputs]
    return [Ref(flow.main, name) for name in names if name in flow.main.nodes]


def _others(graphs: Sequence[Any], graph: Any, chosen: str) -> list[str]:
    """Return descriptions of the signatures and graphs that are not read."""
    keys = [entry.key for entry in graph.signature_def]
    signatures = [f"the signature {quote_name(key)}" for key in keys if key not in (chosen, _INITIALISER)]
    others = [", ".join(one.meta_info_def.tags) for one in graphs if one is not graph]
    return signatures + [f"the graph for {quote_name(tags)}" for tags in others]


def _graph_for_serving(graphs: Sequence[Any]) -> Any:
    for graph in graphs:
        if _SERVING in graph.meta_info_def.tags:
            return graph
    if len(graphs) != 1:
        raise UnsupportedError(f'has {len(graphs)} graphs, and none with the tag "{_SERVING}"')
    return graphs[0]


def _signature(graph: Any, wanted: str | None) -> tuple[str, Any]:
    """Return the name and the message of the signature to convert: `wanted`, "serving_default", or the only one."""
    named = {entry.key: entry.value for entry in graph.signature_def if entry.value.outputs}
    named.pop(_INITIALISER, None)
    if wanted is not None:
        if wanted not in named:
            known = ", ".join(map(quote_name, sorted(named)[:8])) or "none"
            raise ParameterError(f"it has no signature {quote_name(wanted)}; its signatures: {known}")
        return wanted, named[wanted]
    if _DEFAULT_SIGNATURE in named:
        return _DEFAULT_SIGNATURE, named[_DEFAULT_SIGNATURE]
    if len(named) == 1:
        return next(iter(named.items()))
    if not named:
        raise UnsupportedError(
            "has no signature: save it with one (tf.saved_model.save(..., signatures=...), or model.export in Keras)"
        )
    raise UnsupportedError(
        f'has the signatures {", ".join(map(quote_name, sorted(named)[:8]))}, and none is "{_DEFAULT_SIGNATURE}": '
        "choose one (--signature NAME, `signature=` in Python)"
    )


def _extents(name: str, dtype: int, shape: Any, options: ReadOptions) -> Extents:
    """Return the shape of an input; None as the shape means that it is not known."""
    if dtype == TEXT:
        raise UnsupportedError(
            f"its input {quote_name(name)} takes texts or encoded photos: save a signature that takes images as numbers"
        )
    stated = None if shape is None else parse_shape(shape)
    extents = options.shapes.get(name) if stated is None else stated
    if extents is None:
        raise UnsupportedError(
            f"the file does not say how many axes its input {quote_name(name)} has: {CHOOSE_EXTENTS}"
        )
    return tuple(extents)


class _Variables:
    """Reads the variables of a SavedModel."""

    def __init__(self, model: Path, flow: ValueResolver, restore: str) -> None:
        self._model = model
        self._flow = flow
        self._restore = restore
        self._bundle: Bundle | None = None
        self._names: dict[str, str] = {}
        self._arrays: dict[str, Array] = {}

    def __call__(self, ref: Ref) -> Array:
        if self._bundle is None:
            index = _index_of(self._model)
            if not exists(index):
                raise WeightsError(
                    f"its variables are missing ({index}): copy the whole folder of the model again"
                )
            self._bundle = Bundle(index, self._model)
            self._names = stored_names(self._flow, self._restore)
        name = variable_name(ref)
        stored = self._names.get(name, name)
        if stored in self._bundle.divided:
            raise UnsupportedError(
                f"the variable {quote_name(stored)} is stored in parts, which is not supported: save the model again "
                "without partitioned variables, or freeze its graph"
            )
        if stored not in self._bundle:
            raise WeightsError(f"damaged: the variable {quote_name(name)} is not in {self._bundle.origin}")
        if stored not in self._arrays:  # several operators may refer to one variable
            self._arrays[stored] = self._bundle.array(stored)
        return self._arrays[stored]


# ---- Frozen graphs -------------------------------------------------------------------------------------------------


def frozen_graph(
    graph: Any,
    origin: str,
    options: ReadOptions,
    size: Callable[[], int],
    stated: Mapping[str, str] | None = None,
) -> GraphFile:
    """Return a graph whose weights are constants.

    Inputs are placeholders. Outputs are those that the file states, otherwise results without consumers.

    Args:
        graph: the message of the graph.
        origin: the name of its file, for messages.
        options: the options of the caller.
        size: a function that returns the bytes of the files with the graph's weights.
        stated: the tensors of the outputs by the outputs' names, in order; empty or None: the file states none.
    """
    if not graph.node:
        raise WeightsError("damaged: is not a graph of TensorFlow: it has no operators")
    placeholders = [node.name for node in graph.node if node.op == "Placeholder"]
    flow = ValueResolver(graph, frozenset(placeholders), size)
    outputs = _outputs(flow, options.outputs, stated or {})
    reached = _computed(flow, outputs)
    if not (options.outputs or stated):  # constants that saving left in the graph are no outputs
        outputs = {
            name: ref for name, ref in outputs.items() if flow.source(ref)._replace(place=0) in reached
        }
    needed = {ref.name for ref in reached if flow.is_input(ref)}
    inputs: dict[str, Extents] = {}
    for name in placeholders:
        if name in needed:
            attributes = flow.main.nodes[name].attributes
            dtype = attributes["dtype"].type if "dtype" in attributes else 1
            shape = attributes["shape"].shape if "shape" in attributes else None
            if graph.versions.producer <= _EMPTY_IS_UNKNOWN and shape is not None and not shape.dim:
                shape = None
            inputs[name] = _extents(name, dtype, shape, options)
    if not inputs:
        raise UnsupportedError("none of its outputs depends on an input")
    places = {name: name for name in inputs}
    return GraphFile(origin, flow, inputs, places, outputs, _no_variable, names_outputs=bool(stated))


def _computed(flow: ValueResolver, outputs: Mapping[str, Ref]) -> set[Ref]:
    """Return the first results of all nodes before the outputs that are inputs, or depend on one."""
    found: set[Ref] = set()
    for ref in flow.in_order([flow.source(ref) for ref in outputs.values()]):
        is_leaf = ref.node.op in VARIABLES
        if flow.is_input(ref) or (
            not is_leaf and any(operand._replace(place=0) in found for operand in flow.operands(ref))
        ):
            found.add(ref)
    return found


def _outputs(flow: ValueResolver, wanted: Sequence[str], stated: Mapping[str, str]) -> dict[str, Ref]:
    nodes = flow.main.nodes
    for name, tensor in stated.items():
        if tensor.partition(":")[0] not in nodes:
            raise WeightsError(
                f"damaged: its output {quote_name(name)} is {quote_name(tensor)}, which its graph does not have"
            )
    if stated and set(wanted) <= set(stated):
        return {name: flow.main.ref(stated[name]) for name in wanted or stated}
    for name in wanted:
        if name.partition(":")[0] not in nodes:
            raise ParameterError(f"it has no operator {quote_name(name)}")
    if wanted:
        return {name: flow.main.ref(name) for name in wanted}
    read = {text.partition(":")[0] for node in nodes.values() for text in node.inputs}
    ends = [name for name, node in nodes.items() if name not in read and node.op not in _SILENT]
    if not ends:
        raise WeightsError("damaged: all of its results are read again")
    return {name: flow.main.ref(name) for name in ends}


def _no_variable(ref: Ref) -> Array:
    raise UnsupportedError(
        f"its variable {quote_name(ref.name)} has no value in the file: freeze the graph, or save a SavedModel"
    )
