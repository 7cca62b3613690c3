"""Lead from the names of other frameworks to mpscnn's: one table for attributes, arguments, options and commands.

Names that are nearly right are found by `difflib`. This table has only the other words that users type.
"""

from __future__ import annotations

from functools import cache

__all__ = ["ROWS", "twin_of"]

_FIT = "mpscnn.train(folder) trains on photos, and mpscnn.Trainer(network).fit(data) on arrays"
_DEVICE = (
    "device='cpu' or 'metal' of mpscnn.load, Network.compile and Trainer chooses it; mpscnn.devices() "
    "lists them"
)
_PRECISION = "precision='float16' of mpscnn.load and Network.compile chooses it"
_THREADS = "threads= of mpscnn.load, Program.session and Trainer says it"
_LAYERS = "layers are methods of mpscnn.Network: x = net.conv2d(net.input, 8, 3)"
_LOAD = "mpscnn.load(name or path) loads a model, also of ONNX, Core ML, Keras, TensorFlow, Caffe and PyTorch"
_RUNS = "mpscnn.Runner(model) has submit(photo) and map(photos), also for asyncio"
_ARRAYS = (
    "session.run(x) computes arrays (`with model.session() as session`); mpscnn.InferenceSession has "
    "onnxruntime's run"
)
_MEASURES = (
    "session.profile(x) measures the layers (`with program.session() as session`), and `mpscnn benchmark`"
    " in a shell"
)
_WEIGHTS = "Network.weights has the arrays by name, and Network.load_weights takes them"
_BATCHES = (
    "data is a pair of arrays, an iterable of batches (PyTorch's DataLoader is one) or an mpscnn.ImageFolder"
)
_QUANTIZE = "mpscnn.quantize(model, photos) makes a network of integers"
_CALLBACKS = (
    "Trainer.fit(callbacks=...) takes functions of an Epoch, and early_stopping= an mpscnn.EarlyStopping"
)
_ACTIVATION = "net.activation(x, name) applies it"

#: Rows of: where the words are typed (a class, "mpscnn", "argument", "option", "command", or "" for any class); the
#: words; and the twin. A twin without spaces is an attribute, to which the word is forwarded; "|" separates those of
#: several classes. Any other twin is the text that the error adds.
ROWS: tuple[tuple[str, str, str], ...] = (
    ("", "plot render", "draw"),
    ("", "names class_names", "labels|classes"),
    ("", "tojson json", "to_json"),
    ("", "to_df dataframe pandas", "to_pandas"),
    ("", "speed latency", "milliseconds"),
    ("", "info", "summary"),
    ("", "confusion_matrix cm", "confusion"),
    ("", "accuracy acc", "top1|pixel_accuracy|accuracies"),
    ("", "report classification_report", "class_table|table"),
    ("", "by_class", "classes"),
    ("", "class_id cls", "index|indices"),
    ("", "imap", "map"),
    ("", "stop shutdown release", "close"),
    ("", "max_pooling2d maxpool2d maxpool", "max_pool2d"),
    ("", "average_pooling2d avg_pool2d avgpool", "average_pool2d"),
    ("", "global_average_pooling2d adaptive_avg_pool2d", "global_average_pool2d"),
    ("", "batch_normalization batch_norm2d batchnorm2d bn", "batch_norm"),
    ("", "concatenate cat", "concat"),
    ("", "fc fully_connected", "dense"),
    ("", "conv_transpose2d deconv2d", "conv2d_transpose"),
    ("", "relu6 leaky_relu prelu elu gelu silu swish mish hardswish hardsigmoid softplus", _ACTIVATION),
    ("", "state_dict load_state_dict get_weights named_parameters", _WEIGHTS),
    ("", "eval", "nothing trains but a Trainer, so there is nothing to switch"),
    ("", "train fit train_on_batch", _FIT),
    ("", "to cuda cpu mps", _DEVICE),
    ("", "half float", _PRECISION),
    ("", "profile benchmark warmup", _MEASURES),
    (
        "",
        "export to_onnx to_coreml export_onnx export_coreml export_tflite",
        "save(path) writes the format of the suffix: .onnx, .mlpackage or .safetensors",
    ),
    ("", "to_torch", "save('model.onnx') writes a file that PyTorch's tools read"),
    ("", "evaluate val score", "mpscnn.evaluate(model, data) measures it"),
    ("", "predict_proba", "predict(photo) has the labels and probabilities, the most probable first"),
    ("", "submit stream predict_async run_async predict_batch", _RUNS),
    ("", "run forward infer get_inputs get_outputs", _ARRAYS),
    (
        "",
        "f1 f1_score precision recall per_class",
        "classes has the precision, the recall and F1 of each class, and class_table() is a text",
    ),
    ("Model", "inputs", "program.inputs"),
    ("Model", "outputs", "program.outputs"),
    ("Model", "track", "mpscnn.video(path, model) detects objects frame by frame, without tracks"),
    ("Trainer", "predict", "network.predict"),
    ("Trainer", "load load_weights", "mpscnn.Trainer.resume(path) reads a checkpoint"),
    ("Network", "calibrate", _QUANTIZE),
    ("Network", "load from_file", "mpscnn.load(path).network reads a file"),
    (
        "Network",
        "layers modules",
        "Network.layer_names() has their names, and Network.describe() what they are",
    ),
    (
        "Network",
        "squeeze unsqueeze permute view",
        "net.reshape(x, shape), net.flatten(x) and net.transpose(x, axes) change the shape",
    ),
    ("History", "history", "to_dict()"),
    ("Detections", "conf", "scores"),
    (
        "LentSession",
        "run profile submit predict",
        "a with statement lends it: with model.session() as session: session.run(x)",
    ),
    ("Classification", "boxes xyxy", "a classifier finds no boxes"),
    ("mpscnn", "list_models", "registry.names"),
    ("mpscnn", "datasets data Dataset DataLoader", _BATCHES),
    ("mpscnn", "image_dataset_from_directory", "ImageFolder"),
    ("mpscnn", "fine_tune fit", "train"),
    ("mpscnn", "schedules", "training.schedules"),
    ("mpscnn", "CosineDecay CosineAnnealingLR", "training.schedules.cosine"),
    (
        "mpscnn",
        "learning_rate_schedule lr_scheduler LearningRateScheduler",
        "mpscnn.training.schedules has learning rates that change, for learning_rate=",
    ),
    ("mpscnn", "AdamW", "mpscnn.Adam(weight_decay=0.01) is AdamW"),
    (
        "mpscnn",
        "optim losses",
        "optimizer= and loss= of Trainer take names, and mpscnn.Sgd, mpscnn.RmsProp and mpscnn.Adam have "
        "options",
    ),
    ("mpscnn", "callbacks TensorBoard ModelCheckpoint ReduceLROnPlateau", _CALLBACKS),
    ("mpscnn", "Sequential Module nn layers Conv2d Linear Dense", _LAYERS),
    (
        "mpscnn",
        "YOLO pipeline from_pretrained create_model from_onnx load_onnx from_tflite from_coreml Interpreter",
        _LOAD,
    ),
    (
        "mpscnn",
        "classify detect segment predict",
        "mpscnn.load(name).predict(photo), or `mpscnn classify`, `detect` or `segment` in a shell",
    ),
    (
        "mpscnn",
        "augment transforms",
        "ImageFolder(augment=mpscnn.Augmentation()) changes photos at random, and preprocess= of mpscnn.load "
        "says how they become inputs",
    ),
    (
        "mpscnn",
        "export export_onnx export_coreml export_tflite convert",
        "Model.save(path) and Network.save(path) write the format of the suffix, and `mpscnn convert` in a "
        "shell",
    ),
    ("mpscnn", "confusion_matrix", "mpscnn.evaluate(model, data).confusion has it"),
    ("mpscnn", "get_device is_available device cuda list_devices", "mpscnn.devices() lists the devices"),
    ("mpscnn", "set_num_threads", _THREADS),
    (
        "mpscnn",
        "set_random_seed manual_seed",
        "seed= of Network.initialize_weights, Trainer and ImageFolder takes the seed",
    ),
    ("mpscnn", "calibrate", _QUANTIZE),
    ("mpscnn", "profile benchmark", _MEASURES),
    ("mpscnn", "to_torch", "Network.save('model.onnx') writes a file that PyTorch's tools read"),
    ("mpscnn", "read_network", "mpscnn.load(path).network reads a file"),
    ("mpscnn.models", "list names", "mpscnn.registry.names() lists the models"),
    ("mpscnn.onnx_backend", "InferenceSession", "mpscnn.InferenceSession is onnxruntime's class"),
    ("mpscnn.quantization", "calibrate", _QUANTIZE),
    ("argument", "in_channels in_features", "the channels of the input follow from the tensor"),
    ("argument", "betas", "they are beta1= and beta2= here"),
    ("argument", "half fp16 float16", "it is precision='float16' here"),
    (
        "argument",
        "map_location providers device_map compute_units",
        "it is device= here; mpscnn.InferenceSession takes providers=",
    ),
    (
        "argument",
        "conf score_threshold iou_threshold max_detections",
        "only Model.detect has a lowest score and a limit",
    ),
    ("argument", "bgr", "it is channel_order='bgr' here"),
    ("argument", "task", "the file says the task, and Model.task has it"),
    ("argument", "stream workers num_workers", _RUNS),
    (
        "argument",
        "optimizer loss metrics",
        "mpscnn.Trainer takes it; the epochs of History have the loss and the accuracy",
    ),
    ("argument", "validation_split", "validation_data= takes the data, and ImageFolder.split(0.2) makes it"),
    (
        "argument",
        "class_weight sample_weight",
        "Trainer(weighted=True) takes (inputs, labels, weights) as data",
    ),
    (
        "argument",
        "shuffle",
        "arrays are shuffled by the seed, Trainer(seed=...), and other iterables keep their order",
    ),
    ("argument", "batch_size epochs", "Trainer.fit takes it, and a network takes batches of any size"),
    ("argument", "weight_decay momentum", "the optimizer has it: optimizer=mpscnn.Adam(weight_decay=0.01)"),
    (
        "argument",
        "pretrained",
        "mpscnn.load(name) loads trained weights, and weights= of the functions of mpscnn.models takes them",
    ),
    ("argument", "imgsz image_size", "photos are resized to the network's input: Model.input_shape"),
    (
        "argument",
        "hidden_layer_sizes",
        "network= takes a function that builds the network from an image's shape and the classes",
    ),
    (
        "argument",
        "input_shape",
        "mpscnn.Network(input) takes the shape of the input, and from_torch example inputs",
    ),
    (
        "argument",
        "dim axis",
        "images are (n, height, width, channels): it is axis= here, and -1 are the channels",
    ),
    ("argument", "save show", "the result has draw() for the picture, show(), to_json() and to_csv()"),
    (
        "argument",
        "format opset opset_version",
        "the suffix of the path says the format, and mpscnn.converters.export_onnx has more options",
    ),
    (
        "argument",
        "num_classes",
        "classes= of the functions of mpscnn.models says it; `mpscnn train` makes other classifiers",
    ),
    (
        "argument",
        "lr learning_rate",
        "learning_rate= of Trainer and of optimizers says it, and Trainer.learning_rate can be assigned",
    ),
    ("argument", "top", "a list of objects is shortened by max_detections="),
    (
        "argument",
        "rotate rotation mixup cutmix",
        "flip=, crop=, aspect=, brightness= and contrast= of Augmentation are the variants",
    ),
    ("argument", "seed", "Network.initialize_weights and Trainer take it"),
    ("argument", "callbacks data validation_data early_stopping", "Trainer.fit takes it"),
    ("argument", "quantized int8", _QUANTIZE),
    ("argument", "verbose", "Trainer.fit has progress=True or False, and results are returned"),
    (
        "argument",
        "kernel_initializer bias_initializer",
        "Network.initialize_weights makes the first weights",
    ),
    (
        "argument",
        "kernel_regularizer",
        "the optimizer has it: mpscnn.Sgd(regularization='l2', regularization_scale=0.01)",
    ),
    ("argument", "padding_mode", "a convolution pads with zeros; net.pad has other edges"),
    ("argument", "align_corners", "it is alignment='corners' here, otherwise 'half_pixel'"),
    ("argument", "criterion", "loss= takes the name of a loss, such as 'cross_entropy' or 'mse'"),
    ("argument", "scheduler lr_scheduler", "learning_rate= takes a function of mpscnn.training.schedules"),
    ("argument", "threads num_threads", _THREADS),
    ("argument", "device", _DEVICE),
    ("argument", "dtype", _PRECISION),
    (
        "option",
        "--image --images --input --source -i",
        "photos, videos and models are given without an option",
    ),
    (
        "option",
        "--conf --max-det --topk -k -n",
        "it is --score-threshold and --max-detections of `mpscnn detect`, and --top of `mpscnn classify`",
    ),
    ("option", "--half --fp16", "it is --precision float16 here"),
    ("option", "--gpu --mps --cuda --cpu", "it is --device metal or --device cpu here"),
    ("option", "--pretrained -m", "it is --model NAME here"),
    (
        "option",
        "--save --format --to",
        "-o FILE (or --output) writes the results; the suffix, --json or --csv chooses the format",
    ),
    ("option", "-q --quiet -v --verbose", "results are on stdout, and everything else on stderr"),
    ("option", "--imgsz --size", "photos are resized to the network's input"),
    ("option", "--data", "the folder is given without an option"),
    (
        "option",
        "--lr --early-stopping --class-weight",
        "`mpscnn train` chooses it, and mpscnn.Trainer takes it",
    ),
    ("option", "--calibration", "it is --images FOLDER of `mpscnn quantize`"),
    (
        "option",
        "--batch-size",
        "`mpscnn train` has --batch-size, benchmark and serve have --max-batch; other commands choose it",
    ),
    ("command", "predict run infer label", "mpscnn classify, detect or segment"),
    ("command", "export save", "mpscnn convert MODEL FILE.onnx"),
    ("command", "list ls search zoo", "mpscnn models"),
    ("command", "download pull install get", "mpscnn info NAME"),
    ("command", "show summary inspect describe", "mpscnn info MODEL"),
    ("command", "bench speed time", "mpscnn benchmark MODEL"),
    ("command", "eval val validate", "mpscnn evaluate"),
    ("command", "test selftest", "mpscnn verify"),
    ("command", "env config bug", "mpscnn doctor"),
    ("command", "webcam camera video", "mpscnn classify, detect or segment VIDEO"),
    ("command", "embed extract", "mpscnn features"),
    ("command", "gui ui web app start", "mpscnn serve"),
    ("command", "fit finetune fine-tune", "mpscnn train FOLDER"),
    ("command", "completion", "mpscnn --install-completion"),
)


@cache
def _twins() -> dict[tuple[str, str], str]:
    return {(place, word): twin for place, words, twin in ROWS for word in words.split()}


def twin_of(place: str, word: str) -> str:
    """Return the twin of a word that is typed at a place of ROWS; "" if there is none."""
    return _twins().get((place, word), "")
