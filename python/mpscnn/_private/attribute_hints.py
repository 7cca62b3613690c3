"""List hints for attributes of other frameworks that mpscnn does not have, by class (docs/from_other_frameworks.md)."""

from __future__ import annotations

from mpscnn._private.result_hints import RESULTS

__all__ = ["SAID"]

_LOAD = "mpscnn.load(path) reads files of ONNX, Core ML, Keras, TensorFlow, Caffe and PyTorch"
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
_AWAITED = (
    "`await runner.submit(frame)` computes a frame in asyncio, and `async for` takes runner.map(frames)"
)
_FRAME = "runner.submit(frame).result() computes a frame, and runner.map(frames) many"


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
        **dict.fromkeys(("Interpreter", "MLModel"), _SESSION),
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
        **dict.fromkeys(
            ("submit", "map", "stream", "run_async", "predict_async", "apredict", "predict_batch", "imap"),
            "mpscnn.Runner(model) has submit(photo) and map(photos), also for asyncio",
        ),
        **dict.fromkeys(("threads", "num_threads"), "Model.run_options.threads says it"),
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
        ("run", "profile", "submit", "predict", "classify", "detect", "segment", "get_inputs", "get_outputs"),
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
        "train_step": "Trainer.step(x, y) trains on one batch",
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
            ("submit", "run_async", "start_async", "infer_async", "arun"),
            "it is program.session().submit(x), or mpscnn.Runner",
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
        **dict.fromkeys(
            ("run_async", "start_async", "infer_async", "arun"),
            "it is session.submit(x), which can be awaited",
        ),
        **dict.fromkeys(("device", "precision", "get_providers"), "Session.program has it"),
        **dict.fromkeys(("map", "run_many", "imap"), "mpscnn.Runner(session.program).map(arrays) runs many"),
        **dict.fromkeys(("threads", "num_threads"), "Program.session(threads=2) says it"),
        "close": "a Session needs no closing",
    },
    "Runner": {
        **dict.fromkeys(
            ("run", "predict", "infer", "process", "compute", "forward", "classify", "detect", "segment"),
            _FRAME,
        ),
        **dict.fromkeys(("enqueue", "put", "push", "apply_async", "send", "get", "results"), _FRAME),
        **dict.fromkeys(
            ("run_async", "arun", "predict_async", "submit_async", "asubmit", "map_async", "amap", "gather"),
            _AWAITED,
        ),
        "aclose": "`async with` closes it, and await asyncio.to_thread(runner.close) does",
        **dict.fromkeys(
            ("imap", "imap_unordered", "stream", "starmap", "run_many", "predict_batch", "as_completed"),
            "it is runner.map(frames)",
        ),
        **dict.fromkeys(("stop", "shutdown", "join", "terminate", "release", "wait"), "it is runner.close()"),
        "start": "a Runner computes from its first frame on",
        **dict.fromkeys(("model", "network"), "Runner.program is the compiled network"),
        **dict.fromkeys(("workers", "num_workers", "max_workers"), "Runner.sessions is their number"),
        **dict.fromkeys(("batch_size", "max_batch_size"), "it is 'max_batch' here"),
    },
    "FrameFuture": {
        **dict.fromkeys(
            ("get", "wait", "value", "output", "outputs", "data", "join"), "it is future.result()"
        ),
        **dict.fromkeys(
            ("label", "labels", "boxes", "top", "top1", "scores", "probabilities"),
            "future.result() waits for the result, which has it",
        ),
        **dict.fromkeys(("ready", "is_done", "finished"), "it is future.done()"),
        **dict.fromkeys(("then", "on_done", "add_callback"), "it is future.add_done_callback(function)"),
    },
    "Request": {
        **dict.fromkeys(("get", "wait", "value", "output", "outputs", "join"), "it is request.result()"),
        **dict.fromkeys(("ready", "is_done", "finished"), "it is request.done()"),
        **dict.fromkeys(
            ("add_done_callback", "then", "cancel", "exception"),
            "mpscnn.Runner(program).submit(x) gives a future that has it",
        ),
    },
    "FeatureExtractor": {
        **dict.fromkeys(
            (
                "predict",
                "transform",
                "extract",
                "features",
                "forward",
                "embed",
                "get_features",
                "fit_transform",
            ),
            "it is extractor.run(photo)",
        ),
        "fit": "nothing is trained; mpscnn.sklearn.FeatureExtractor is a transformer of scikit-learn",
        **dict.fromkeys(
            ("output_shape", "outputs", "shapes"), "FeatureExtractor.program.outputs has the shapes by name"
        ),
        "session": "FeatureExtractor.program.session() makes a session",
    },
    "ImageFolder": {
        "class_names": "it is 'classes' here",
        **dict.fromkeys(("num_classes", "n_classes"), "len(folder.classes) is the number of classes"),
        "imgs": "it is 'samples' here",
        **dict.fromkeys(("y", "targets_"), "it is 'targets' here"),
        **dict.fromkeys(
            ("shuffle", "prefetch", "repeat", "cache", "map", "batch", "loader"),
            "folder.batches(32) shuffles the photos and reads ahead, and Trainer.fit(folder) calls it",
        ),
        **dict.fromkeys(("random_split", "train_test_split"), "it is folder.split(...)"),
        "flow": "folder.batches(32) yields batches",
    },
    "Video": {
        **dict.fromkeys(
            ("read", "frames", "run", "next", "results"),
            "for frame, result in video reads the frames in order",
        ),
        **dict.fromkeys(("release", "stop"), "it is video.close()"),
        **dict.fromkeys(("fps", "frame_rate", "get"), "video.source.rate is the number of frames a second"),
    },
    "VideoFrame": {
        **dict.fromkeys(("image", "frame", "array", "img", "data"), "it is 'photo' here"),
        **dict.fromkeys(("timestamp", "pts", "seconds"), "it is 'time' here, in seconds"),
        **dict.fromkeys(("index", "id", "frame_number"), "it is 'number' here"),
    },
    "Image": {
        **dict.fromkeys(("array", "data", "tensor", "to_numpy", "asarray", "tobytes"), "it is image.numpy()"),
        **dict.fromkeys(
            ("shape", "size"), "image.height, image.width and image.feature_channels are the extents"
        ),
        **dict.fromkeys(("dtype", "pixel_format"), "it is 'format' here"),
        **dict.fromkeys(("channels", "depth"), "it is 'feature_channels' here"),
    },
    "CommandQueue": {
        **dict.fromkeys(("makeCommandBuffer", "begin", "encoder"), "it is queue.command_buffer()"),
        **dict.fromkeys(("synchronize", "sync", "flush", "finish"), "it is queue.wait()"),
    },
    "CommandBuffer": {
        **dict.fromkeys(
            ("waitUntilCompleted", "wait_until_completed", "synchronize", "sync"), "it is commands.wait()"
        ),
        **dict.fromkeys(("submit", "execute", "run", "flush"), "it is commands.commit()"),
        "encode": "kernel.encode(commands, image) encodes a kernel",
    },
    **RESULTS,
}
