"""Hints for attributes of other frameworks that mpscnn does not have, by class (docs/from_other_frameworks.md)."""

from __future__ import annotations

__all__ = ["SAID"]

_LOAD = "mpscnn.load(path) reads files of ONNX, Keras, TensorFlow Lite, Caffe and PyTorch"
_BATCHES = (
    "data is a pair of arrays, an iterable of batches (PyTorch's DataLoader is one) or an mpscnn.ImageFolder"
)
_LAYERS = "layers are methods of mpscnn.Network: x = net.conv2d(net.input, 8, 3)"
_WEIGHTS = "Network.weights has the arrays by name, and Network.load_weights takes them"

#: Functions that other frameworks have as layers or modules, each with the name that `Network.activation` takes.
_FUNCTIONS = {
    **{name: name for name in ("relu6", "leaky_relu", "prelu", "elu", "gelu", "mish", "swish", "hard_swish")},
    **{name: name for name in ("sigmoid", "hard_sigmoid", "tanh", "softplus", "softsign")},
    "silu": "swish",
    "hardswish": "hard_swish",
    "hardsigmoid": "hard_sigmoid",
}
_CALLBACKS = "Trainer.fit(callbacks=...) takes functions of an Epoch"

_SESSION = "with mpscnn.load(path).session() as session: session.run(x)"
_PLACES = (
    "layers and activations are methods of mpscnn.Network, metrics are mpscnn.evaluate, "
    "and learning rates mpscnn.training.schedules"
)
_SHAPES = "Network.inputs and Network.outputs are tensors with names and shapes"
_DEVICE = "mpscnn.load(..., device='metal') chooses the device"
_RUNS = "session.run(x) computes arrays"
_NUMBER = "it is the attribute index"

_NO_BOXES = "a classifier finds no boxes"
_MOST_PROBABLE = "the most probable object is the first: detections[0]"
_PICTURE = {
    "plot": "draw() returns the picture, and show() opens it",
    **dict.fromkeys(
        ("render", "annotated", "image", "orig_img"),
        "draw() returns the picture, and photo is what was given",
    ),
    "save": "draw().save(path) writes the picture, and to_json() the numbers",
    **dict.fromkeys(("to_df", "pandas", "dataframe"), "it is to_pandas()"),
    **dict.fromkeys(("dict", "asdict"), "it is to_dict()"),
    **dict.fromkeys(("json", "tojson"), "it is to_json()"),
    **dict.fromkeys(("speed", "time", "seconds", "latency"), "it is 'milliseconds' here"),
    "path": "photo is what was given",
}

#: Hints for attributes of other frameworks, by class; "mpscnn" stands for the module.
SAID: dict[str, dict[str, str]] = {
    "mpscnn": {
        "AdamW": "mpscnn.Adam(weight_decay=0.01) is AdamW",
        "optim": "the optimisers are mpscnn.Sgd, mpscnn.RmsProp and mpscnn.Adam",
        "losses": "Trainer(loss=...) takes the name of a loss, such as 'cross_entropy' or 'mse'",
        "nn": _LAYERS,
        "layers": _LAYERS,
        "Sequential": _LAYERS,
        "Module": _LAYERS,
        "from_onnx": _LOAD,
        "from_tflite": _LOAD,
        "list_models": "mpscnn.registry.names() lists the models",
        "create_model": "mpscnn.load(name) loads a model, and mpscnn.models has the architectures",
        "set_num_threads": "threads= of mpscnn.load, Program.session and Trainer says it",
        "manual_seed": "Network.initialize_weights(seed=...) and Trainer(seed=...) take the seed",
        "DataLoader": _BATCHES,
        "Dataset": _BATCHES,
        "classify": "mpscnn.load(...).classify(photo), or `mpscnn classify` in a shell",
        "detect": "mpscnn.load(...).detect(photo), or `mpscnn detect` in a shell",
        "segment": "mpscnn.load(...).segment(photo), or `mpscnn segment` in a shell",
        "train": "mpscnn.Trainer(network).fit(data), or `mpscnn train` in a shell",
        "convert": "mpscnn.converters.convert_files(...), or `mpscnn convert` in a shell",
        "export": "Network.save('file.onnx'), or mpscnn.converters.export_onnx",
        "benchmark": "`mpscnn benchmark` in a shell; Session.profile measures the layers",
        "callbacks": _CALLBACKS,
        **dict.fromkeys(
            ("TensorBoard", "SummaryWriter", "CSVLogger"),
            f"{_CALLBACKS}: lambda epoch: writer.add_scalar('loss', epoch.loss, epoch.index)",
        ),
        "LearningRateScheduler": "learning_rate= takes a function of the step (mpscnn.training.schedules)",
        "ModelCheckpoint": f"{_CALLBACKS}, and Trainer.save(path) writes a checkpoint",
        "ReduceLROnPlateau": f"{_CALLBACKS}, and Trainer.learning_rate can be assigned",
        **dict.fromkeys(("InferenceSession", "Interpreter", "MLModel"), _SESSION),
        **dict.fromkeys(("from_pretrained", "hub", "get_model", "zoo"), "mpscnn.load(name) loads a model"),
        **dict.fromkeys(("YOLO", "pipeline", "AutoModel"), "mpscnn.load(name or path) loads a model"),
        **dict.fromkeys(("from_coreml", "from_caffe", "from_pytorch", "from_tensorflow", "read"), _LOAD),
        **dict.fromkeys(
            ("tensor", "array", "zeros", "ones", "rand"),
            "arrays are NumPy's, and tensors of PyTorch are accepted",
        ),
        **dict.fromkeys(("no_grad", "inference_mode"), "a Model and a Program compute no gradients"),
        **dict.fromkeys(("save", "dump"), "Network.save(path) and Model.save(path) write files"),
        **dict.fromkeys(("version", "VERSION"), "it is mpscnn.__version__"),
        **dict.fromkeys(("list_devices", "get_available_devices"), "mpscnn.devices() lists them"),
        "cuda": "mpscnn runs on 'cpu' and on 'metal': mpscnn.devices()",
        "device": "device='cpu' or 'metal' is a name: mpscnn.devices() lists them",
        "compile": "Network.compile() compiles; torch.compile(module, backend='mpscnn') runs a module of PyTorch",
        "fit": "mpscnn.Trainer(network).fit(data) trains",
        "predict": "mpscnn.load(name).predict(photo)",
        "transforms": "preprocess= of mpscnn.load says how photos become inputs, and mpscnn.Augmentation changes them",
        "datasets": _BATCHES,
        **dict.fromkeys(("Conv2d", "Conv2D", "Linear", "Dense", "MaxPool2d", "ReLU", "Input"), _LAYERS),
        **dict.fromkeys(
            ("activations", "functional", "keras", "metrics", "schedulers", "lr_scheduler"), _PLACES
        ),
    },
    "Model": {
        "predict_proba": "predict(photo) has the labels and probabilities, the most probable first",
        "export": "Model.save('file.onnx') writes it",
        "evaluate": "mpscnn.evaluate(model, data) measures it",
        "profile": "with model.session() as session: session.profile(x)",
        "to": "mpscnn.load(..., device='metal') chooses the device",
        "half": "mpscnn.load(..., precision='float16') chooses the precision",
        "parameters": "Model.network.weights has the arrays by name",
        "fit": "mpscnn.Trainer(model.network).fit(data) trains",
        "eval": "a Model never trains, so there is nothing to switch",
        "train": "mpscnn.Trainer(model.network).fit(data) trains",
        **dict.fromkeys(
            ("output_shape", "inputs", "outputs", "input", "output", "get_inputs", "get_outputs"),
            "Model.program has inputs and outputs: shapes by name",
        ),
        **dict.fromkeys(
            ("run", "forward", "call", "infer"),
            f"Model.predict takes photos, and with model.session() as session: {_RUNS}",
        ),
        **dict.fromkeys(
            ("layers", "get_layer", "modules", "named_modules", "children", "graph"),
            "Model.network has the layers",
        ),
        **dict.fromkeys(
            ("weights", "get_weights", "state_dict", "named_parameters"),
            "Model.network.weights has the arrays by name",
        ),
        **dict.fromkeys(("num_classes", "n_classes"), "len(Model.labels) is the number of classes"),
        "classes_": "Model.labels has the names of the classes",
        **dict.fromkeys(("precision", "dtype"), "Model.program.precision says it"),
        **dict.fromkeys(
            ("config", "metadata", "default_cfg"),
            "Model.information has the file's texts, and Model.preprocess its settings",
        ),
        **dict.fromkeys(("cuda", "cpu", "mps"), _DEVICE),
        **dict.fromkeys(("float", "bfloat16"), "mpscnn.load(..., precision='float32') chooses the precision"),
        "compile": "a Model is compiled; Network.compile compiles again",
        **dict.fromkeys(
            ("benchmark", "warmup"), "`mpscnn benchmark` measures in a shell, and Session.profile the layers"
        ),
        **dict.fromkeys(("val", "score"), "mpscnn.evaluate(model, data) measures it"),
        "track": "mpscnn.video(model, path) detects objects frame by frame, without tracks",
        "info": "Model.summary() and Model.information say it",
        **dict.fromkeys(
            ("transform", "embed", "forward_features", "get_features"),
            "Model.features(layers).run(photo) computes features",
        ),
        "copy": "copy.copy(model) shares the program",
        "save_weights": "Model.save(path) writes the network with its weights",
        **dict.fromkeys(
            ("to_onnx", "to_coreml", "convert"), "Model.save('file.onnx') or .mlpackage writes it"
        ),
        "quantize": "mpscnn.quantize(model.network, samples) makes a network of integers",
        "close": "a Model needs no closing",
    },
    "LentSession": dict.fromkeys(
        ("run", "profile", "submit", "predict", "get_inputs", "get_outputs"),
        "a with statement lends it: with model.session() as session: session.run(x)",
    ),
    "Network": {
        "layers": "Network.layer_names() has their names, and Network.describe() what they are",
        "state_dict": _WEIGHTS,
        "load_state_dict": _WEIGHTS,
        "fit": "mpscnn.Trainer(network).fit(data) trains",
        "train": "mpscnn.Trainer(network).fit(data) trains",
        **{name: f"net.activation(x, {ours!r}) applies it" for name, ours in _FUNCTIONS.items()},
        **dict.fromkeys(("max_pooling2d", "maxpool2d"), "it is net.max_pool2d(x, 2)"),
        **dict.fromkeys(("average_pooling2d", "avg_pool2d"), "it is net.average_pool2d(x, 2)"),
        **dict.fromkeys(
            ("global_average_pooling2d", "adaptive_avg_pool2d"), "it is net.global_average_pool2d(x)"
        ),
        **dict.fromkeys(("batch_normalization", "batch_norm2d", "batchnorm2d"), "it is net.batch_norm(x)"),
        "layer_normalization": "it is net.layer_norm(x)",
        **dict.fromkeys(("concatenate", "cat"), "it is net.concat([x, y])"),
        "conv_transpose2d": "it is net.conv2d_transpose(x, filters, kernel_size)",
        "zero_padding2d": "it is net.pad(x, 1)",
        "interpolate": "it is net.resize(x, size=(height, width))",
        "permute": "it is net.transpose(x, axes)",
        "evaluate": "mpscnn.Trainer(network).evaluate(data) measures it",
        "to": "Network.compile(device='metal') chooses the device",
        "half": "Network.compile(precision='float16') chooses the precision",
        "export": "Network.save('file.onnx') writes it",
        **dict.fromkeys(("conv", "convolution", "conv1d"), "it is net.conv2d(x, filters, kernel_size)"),
        **dict.fromkeys(
            ("conv3d", "embedding", "multi_head_attention"),
            "there is no such layer: mpscnn.operations() lists all",
        ),
        **dict.fromkeys(
            ("separable_conv2d", "separable_conv"),
            "it is net.depthwise_conv2d and then net.conv2d with kernel size 1",
        ),
        **dict.fromkeys(
            ("conv_transpose", "deconv", "deconv2d"), "it is net.conv2d_transpose(x, filters, kernel_size)"
        ),
        **dict.fromkeys(("fc", "fully_connected"), "it is net.dense(x, units)"),
        **dict.fromkeys(("maxpool", "max_pool", "max_pooling"), "it is net.max_pool2d(x, 2)"),
        **dict.fromkeys(("avgpool", "avg_pool", "average_pool"), "it is net.average_pool2d(x, 2)"),
        "pool": "it is net.max_pool2d(x, 2) or net.average_pool2d(x, 2)",
        **dict.fromkeys(
            ("gap", "global_avg_pool", "global_avg_pool2d", "global_pool"),
            "it is net.global_average_pool2d(x)",
        ),
        **dict.fromkeys(("bn", "batchnorm"), "it is net.batch_norm(x)"),
        "lrn": "it is net.local_response_norm(x, size)",
        **dict.fromkeys(("l2_normalize", "normalize"), "it is net.unit_norm(x)"),
        "mul": "it is net.multiply(a, b), or a * b",
        "sub": "it is net.subtract(a, b), or a - b",
        "div": "it is net.divide(a, b), or a / b",
        "pow": "it is net.power(a, b)",
        "view": "it is net.reshape(x, shape)",
        **dict.fromkeys(
            ("squeeze", "unsqueeze", "expand_dims"),
            "net.reshape(x, shape) and net.flatten(x) change the shape",
        ),
        **dict.fromkeys(("upsampling2d", "upsample2d"), "it is net.upsample(x, 2)"),
        **dict.fromkeys(
            ("mean", "sum", "max", "min"), "it is net.reduce_mean(x, axis), or another method reduce_*"
        ),
        "exp": "net.activation(x, 'exponential') applies it",
        "log": "net.activation(x, 'logarithm') applies it",
        "abs": "net.activation(x, 'absolute') applies it",
        "erf": "net.activation(x, 'erf') applies it",
        **dict.fromkeys(("clip", "clamp"), "it is net.maximum and net.minimum, with tensors of net.constant"),
        "sqrt": "it is net.power(x, y), with a tensor of net.constant",
        "chunk": "it is net.split(x, parts)",
        **dict.fromkeys(
            ("lambda_", "lambda_layer"), "net.custom adds a layer that a Python function computes"
        ),
        "identity": "the tensor itself is the result",
        **dict.fromkeys(("set_output", "add_output", "set_outputs", "mark_output"), "it is net.output(x)"),
        **dict.fromkeys(("input_shape", "output_shape", "get_inputs", "get_outputs"), _SHAPES),
        "build": "a network is complete when its outputs are marked by net.output(x)",
        "get_layer": "net[name] is the tensor of a layer, and Network.describe() what the layers are",
        **dict.fromkeys(
            ("get_weights", "trainable_variables", "trainable_weights", "named_parameters"), _WEIGHTS
        ),
        **dict.fromkeys(("load", "from_file"), "mpscnn.load(path).network reads a file"),
        **dict.fromkeys(("count_parameters", "num_params", "n_parameters"), "it is net.num_parameters"),
        **dict.fromkeys(
            ("trainable", "requires_grad_", "freeze"),
            "Network.learn(layers, learn=False) keeps weights unchanged",
        ),
        **dict.fromkeys(
            ("init_weights", "initialize", "reset_parameters"), "it is net.initialize_weights(seed=0)"
        ),
        **dict.fromkeys(
            ("forward", "call", "run", "infer"), "net(x) computes once, and net.compile().run(x) many times"
        ),
        "session": "net.compile().session() makes a session",
        "features": "mpscnn.FeatureExtractor(net, layers) computes them",
        "eval": "Network.compile never trains, so there is nothing to switch",
        **dict.fromkeys(
            ("cuda", "cpu", "mps", "device"), "Network.compile(device='metal') chooses the device"
        ),
        **dict.fromkeys(("float", "bfloat16"), "Network.compile(precision='float32') chooses the precision"),
        **dict.fromkeys(
            ("modules", "children", "named_modules", "named_children", "nodes"),
            "Network.layer_names() has their names, and Network.describe() what they are",
        ),
        "zero_grad": "Trainer.step computes the gradients of a batch anew",
        "clone": "it is net.copy()",
        **dict.fromkeys(("to_json", "get_config"), "it is net.to_dict()"),
        **dict.fromkeys(
            ("plot", "draw", "show", "visualize", "plot_model"),
            "a notebook draws net, and net.summary() is a table",
        ),
        **dict.fromkeys(
            ("to_onnx", "to_coreml", "convert"), "Network.save('file.onnx') or .mlpackage writes it"
        ),
        "save_weights": "Network.save(path) writes the network with its weights",
        **dict.fromkeys(("classes", "names"), "Network.labels has the names of the classes"),
    },
    "Tensor": {
        **dict.fromkeys(("size", "ndim"), "Tensor.shape has the extents, and len(x.shape) is their number"),
        "dtype": "precision= of Network.compile says it",
        **dict.fromkeys(("view", "reshape"), "it is net.reshape(x, shape)"),
        "flatten": "it is net.flatten(x)",
        **dict.fromkeys(("permute", "transpose", "T"), "it is net.transpose(x, axes)"),
        **dict.fromkeys(
            ("mean", "sum", "max", "min"), "it is net.reduce_mean(x, axis), or another method reduce_*"
        ),
        **dict.fromkeys(("relu", "sigmoid", "tanh"), "it is net.activation(x, 'relu')"),
        **dict.fromkeys(
            ("numpy", "item", "tolist", "cpu", "detach", "value"),
            "a tensor is a place in a network and has no numbers: net.compile(outputs=[x]).run(...)",
        ),
        **dict.fromkeys(("abs", "exp", "sqrt", "pow"), "it is net.activation(x, ...) or net.power(x, y)"),
    },
    "Trainer": {
        "state_dict": "Trainer.save(path) writes a checkpoint, and Trainer.resume(path) continues it",
        "predict": "Trainer.network.predict(x) computes with the present weights",
        "train": "Trainer.fit(data) trains",
        "train_on_batch": "Trainer.step(x, y) trains on one batch",
        "compile": "Trainer(network, optimizer=..., loss=...) takes what Keras' compile takes",
        "save_weights": "Trainer.network.save(path) writes the network, and Trainer.save(path) a checkpoint",
        "model": "Trainer.network has the present weights",
        **dict.fromkeys(("zero_grad", "backward", "forward"), "Trainer.step(x, y) trains on one batch"),
        **dict.fromkeys(
            ("optimizer", "loss", "criterion"), "Trainer(network, optimizer=..., loss=...) takes it"
        ),
        **dict.fromkeys(
            ("epoch", "epochs"),
            "len(Trainer.history) is the number of trained epochs, and Trainer.steps of batches",
        ),
        **dict.fromkeys(("test", "validate", "score", "val"), "it is trainer.evaluate(data)"),
        "summary": "Trainer.network.summary() is a table of the layers",
        **dict.fromkeys(
            ("load", "load_weights", "load_checkpoint", "load_state_dict"),
            "mpscnn.Trainer.resume(path) reads a checkpoint",
        ),
        **dict.fromkeys(
            ("save_checkpoint", "save_model"),
            "Trainer.save(path) writes a checkpoint, and Trainer.network.save(path) the network",
        ),
        "fit_generator": "Trainer.fit takes iterables of batches, too",
        **dict.fromkeys(
            ("weights", "parameters", "get_weights"), "Trainer.network.weights has the arrays by name"
        ),
        "export": "Trainer.network.save('file.onnx') writes the network",
        **dict.fromkeys(
            ("device", "to", "cuda", "cpu"), "Trainer(network, device='metal') chooses the device"
        ),
    },
    "History": {
        "history": "History.to_dict() has the lists by name",
        "loss": "History.losses has those of all epochs, and history[-1].loss is the last",
        **dict.fromkeys(("accuracy", "acc"), "History.accuracies has those of all epochs"),
        **dict.fromkeys(("val_loss", "validation_loss"), "History.validation_losses has those of all epochs"),
        **dict.fromkeys(
            ("val_accuracy", "val_acc", "validation_accuracy"),
            "History.validation_accuracies has those of all epochs",
        ),
        **dict.fromkeys(("lr", "learning_rate"), "History.learning_rates has those of all epochs"),
        "epoch": "History.epochs has the epochs",
        **dict.fromkeys(("to_pandas", "to_df", "to_csv"), "pandas.DataFrame(history.to_dict()) is a table"),
        **dict.fromkeys(
            ("to_json", "save", "json"),
            "json.dumps(history.to_dict()) writes the numbers, and history.plot().save(path) the curves",
        ),
        "show": "history.plot().show() opens the curves",
        "best": "History.best_epoch is the number of the epoch that early stopping kept",
        "summary": "print(history) says it",
    },
    "Epoch": {
        "epoch": _NUMBER,
        "acc": "it is 'accuracy' here",
        "val_loss": "it is 'validation_loss' here",
        **dict.fromkeys(("val_accuracy", "val_acc"), "it is 'validation_accuracy' here"),
        "lr": "it is 'learning_rate' here",
        "time": "it is 'seconds' here",
    },
    "Prediction": {
        **dict.fromkeys(("class_id", "cls", "id", "class_index"), _NUMBER),
        **dict.fromkeys(("name", "class_name"), "it is 'label' here"),
        **dict.fromkeys(("prob", "p", "conf"), "it is 'probability' here"),
    },
    "Detection": {
        **dict.fromkeys(("class_id", "cls", "id", "class_index"), _NUMBER),
        **dict.fromkeys(("name", "class_name"), "it is 'label' here"),
        **dict.fromkeys(("prob", "probability", "conf"), "it is 'score' here"),
        **dict.fromkeys(("bbox", "xywh", "bounding_box"), "box has left, top, right and bottom"),
        **dict.fromkeys(
            ("left", "top", "right", "bottom", "x1", "y1", "x2", "y2", "area", "width", "height"),
            "box has left, top, right and bottom: detection.box.left",
        ),
    },
    "Area": {
        **dict.fromkeys(("class_id", "cls", "id"), _NUMBER),
        **dict.fromkeys(("name", "class_name"), "it is 'label' here"),
        **dict.fromkeys(("area", "count"), "pixels is their number, and fraction their share of the photo"),
        "mask": "Segmentation.mask(label) has the pixels of a class",
    },
    "Classification": {
        "boxes": _NO_BOXES,
        "xyxy": _NO_BOXES,
        "filter": "[one for one in result if one.probability > 0.1] has some classes",
        **dict.fromkeys(("labels", "classes", "names"), "[one.label for one in result] has the labels"),
        **dict.fromkeys(
            ("class_name", "prediction"),
            "label is the most probable class, and result[0] has its probability",
        ),
        **dict.fromkeys(
            ("scores", "logits", "numpy", "tolist"), "probabilities has an array, the most probable first"
        ),
        **dict.fromkeys(
            ("argmax", "label_id", "class_id", "top1_index"),
            "result[0].index is the number of the most probable class",
        ),
        **dict.fromkeys(("max", "top1conf", "prob", "probability"), "result[0].probability is the largest"),
        "top5conf": "[one.probability for one in result.top(5)] has them",
        **dict.fromkeys(("topk", "top_k"), "it is result.top(5)"),
        **_PICTURE,
    },
    "Detections": {
        "label": "labels has the label of each object, and detections[0].label that of the first",
        "score": "scores has the probability of each object, and detections[0].score that of the first",
        "top1": _MOST_PROBABLE,
        "top5": _MOST_PROBABLE,
        "probs": "scores has the probability of each object",
        **dict.fromkeys(("class_ids", "cls", "class_id"), "indices has the number of each object's class"),
        **dict.fromkeys(("names", "classes"), "labels has the label of each object"),
        "conf": "it is 'scores' here",
        **dict.fromkeys(("xywh", "xyxyn", "xywhn"), "boxes has left, top, right and bottom in pixels"),
        **dict.fromkeys(("masks", "mask"), "a detector finds boxes; Model.segment finds pixels"),
        "crop": "photo.crop(detections[0].box) is a picture of an object",
        **_PICTURE,
    },
    "Segmentation": {
        "top1": "areas[0] is the largest class",
        "top5": "areas has the classes, the largest first",
        "label": "labels has the class of each pixel, and areas[0].label is the largest",
        "filter": "[one for one in result if one.fraction > 0.1] has some classes",
        "masks": "mask(label) has the pixels of a class",
        **dict.fromkeys(("boxes", "xyxy"), "areas has the classes and their pixels"),
        **dict.fromkeys(
            ("probs", "score", "confidence"), "segment(photo, scores=True).scores has them for each pixel"
        ),
        **_PICTURE,
    },
    "Program": {
        "predict": "Program.run(x) computes, and Model.predict takes photos",
        "accumulate": "Program.accumulate_dtype has the number format of the sums",
        **dict.fromkeys(
            ("get_inputs", "input_names", "input_shape", "input"), "Program.inputs has the shapes by name"
        ),
        **dict.fromkeys(
            ("get_outputs", "output_names", "output_shape", "output"),
            "Program.outputs has the shapes by name",
        ),
        **dict.fromkeys(("profile", "warmup"), "it is program.session().profile(x)"),
        "benchmark": "`mpscnn benchmark` measures in a shell; program.session().profile(x) the layers",
        "save": "Network.save(path) writes the network",
        "close": "a Program needs no closing",
        **dict.fromkeys(
            ("submit", "run_async", "start_async"), "it is program.session().submit(x), or mpscnn.Runner"
        ),
        **dict.fromkeys(("forward", "infer", "call"), "it is program.run(x)"),
        **dict.fromkeys(("threads", "num_threads"), "it is program.session(threads=2)"),
    },
    "Session": {
        **dict.fromkeys(
            ("predict", "forward", "infer"), "Session.run(x) computes, and Model.predict takes photos"
        ),
        **dict.fromkeys(
            ("get_inputs", "inputs", "input_names"), "Session.program.inputs has the shapes by name"
        ),
        **dict.fromkeys(
            ("get_outputs", "outputs", "output_names"), "Session.program.outputs has the shapes by name"
        ),
        "run_async": "it is session.submit(x)",
        **dict.fromkeys(("device", "precision", "get_providers"), "Session.program has it"),
        "close": "a Session needs no closing",
    },
}
