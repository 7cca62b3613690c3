"""Lead from the names of other frameworks to mpscnn's: one table for attributes, arguments, options and commands.

Names that are nearly right are found by `difflib`. This table has only the other words that users type.
"""

from __future__ import annotations

from functools import cache

__all__ = ["ROWS", "twin_of"]

_FIT = (
    "mpscnn.train(folder, model) returns a model that is trained on photos, and "
    "mpscnn.Trainer(network).fit(data) trains on arrays"
)
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
_TRAINS = (
    "mpscnn.train trains on photos; mpscnn.Trainer has loss=, optimizer= and learning_rate=, and Trainer.fit has "
    "epochs=, batch_size=, validation_data=, class_weight= and callbacks="
)
_LIMITS = (
    "Model.detect has score_threshold= and max_detections=, and Model.classify has top=; in a shell "
    "--score-threshold, --max-detections and --top"
)
_SAVES = (
    "Model.save(path) and Network.save(path) write the format of the suffix: .onnx, .tflite, .mlpackage or "
    ".safetensors; `mpscnn convert` in a shell"
)
_TO_TORCH = "Network.save('model.onnx') writes a file that PyTorch's tools read"
_ACTIVATION = "net.activation(x, name) applies it"

#: Rows of: where the words are typed (classes, modules, "argument", "option", "command", or "" for any class); the
#: words; and the twin. A twin without spaces is an attribute, to which the word is forwarded, or a function of mpscnn,
#: "mpscnn.name", which gets the object as its first argument. Any other twin is the text that the error adds.
#: Names of attributes that one class has under another name are declared by the class: `Expected._other_names`.
ROWS: tuple[tuple[str, str, str], ...] = (
    ("Model Network", "evaluate val score", "mpscnn.evaluate"),
    ("Model Network mpscnn", "profile benchmark", "mpscnn.profile"),
    ("Network mpscnn mpscnn.quantization", "calibrate", "mpscnn.quantize"),
    ("mpscnn mpscnn.models", "list list_models", "mpscnn.registry.names"),
    ("mpscnn.onnx_backend", "InferenceSession", "mpscnn.InferenceSession"),
    ("mpscnn", "fine_tune fit", "train"),
    ("mpscnn", "datasets data callbacks transforms optim lr_scheduler", "training"),
    ("mpscnn", "schedules learning_rate_schedule", "training.schedules"),
    ("mpscnn", "CosineDecay CosineAnnealingLR", "training.schedules.cosine"),
    ("mpscnn", "image_dataset_from_directory", "ImageFolder"),
    ("mpscnn", "augment", "Augmentation"),
    ("mpscnn", "export_onnx", "converters.export_onnx"),
    ("mpscnn", "export_coreml", "converters.export_coreml"),
    ("mpscnn", "export_tflite", "converters.export_tflite"),
    ("mpscnn", "list_devices", "devices"),
    (
        "Network",
        "relu6 leaky_relu prelu elu gelu silu swish mish hardswish hardsigmoid softplus",
        _ACTIVATION,
    ),
    ("", "state_dict load_state_dict get_weights named_parameters", _WEIGHTS),
    ("", "eval", "nothing trains but a Trainer, so there is nothing to switch"),
    ("", "train fit train_on_batch", _FIT),
    ("", "to cuda cpu mps", _DEVICE),
    ("", "half float", _PRECISION),
    ("", "profile benchmark warmup", _MEASURES),
    ("Model Network mpscnn", "export convert", _SAVES),
    ("Model Network mpscnn", "to_torch", _TO_TORCH),
    ("", "predict_proba", "predict(photo) has the labels and probabilities, the most probable first"),
    ("", "submit stream predict_async run_async predict_batch", _RUNS),
    ("", "run forward infer get_inputs get_outputs", _ARRAYS),
    ("Model", "track", "mpscnn.video(path, model) detects objects frame by frame, without tracks"),
    ("Trainer", "load load_weights", "mpscnn.Trainer.resume(path) reads a checkpoint"),
    ("Network", "load from_file", "mpscnn.load(path).network reads a file"),
    ("mpscnn", "read_network", "mpscnn.load(path).network reads a file"),
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
    (
        "LentSession",
        "run profile submit predict",
        "a with statement lends it: with model.session() as session: session.run(x)",
    ),
    ("Classification", "boxes xyxy", "a classifier finds no boxes"),
    ("mpscnn", "Dataset DataLoader", _BATCHES),
    (
        "mpscnn.training",
        "RandomHorizontalFlip RandomCrop ColorJitter RandomRotation Compose Resize ToTensor Normalize",
        "mpscnn.Augmentation(flip=0.5) has flip=, crop=, rotation=, brightness= and others, and preprocess= resizes",
    ),
    (
        "mpscnn.training",
        "ModelCheckpoint ReduceLROnPlateau LearningRateScheduler TensorBoard",
        _CALLBACKS,
    ),
    ("mpscnn", "losses", "loss= of Trainer takes a name, such as 'cross_entropy', or a mapping"),
    ("mpscnn", "TensorBoard ModelCheckpoint ReduceLROnPlateau", _CALLBACKS),
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
    ("mpscnn", "confusion_matrix", "mpscnn.evaluate(model, data).confusion has it"),
    ("mpscnn", "device cuda", "mpscnn.devices() lists the devices"),
    ("mpscnn", "set_num_threads", _THREADS),
    (
        "mpscnn",
        "set_random_seed manual_seed",
        "seed= of Network.initialize_weights, Trainer and ImageFolder takes the seed",
    ),
    (
        "argument",
        "optimizer loss metrics criterion scheduler lr learning_rate lr_scheduler weight_decay momentum "
        "kernel_regularizer epochs batch_size callbacks data validation_data early_stopping class_weight "
        "validation_split verbose",
        _TRAINS,
    ),
    ("argument", "in_channels in_features", "the channels of the input follow from the tensor"),
    ("argument", "betas", "they are beta1= and beta2= here"),
    ("argument", "map_location device_map compute_units device", _DEVICE),
    ("argument", "providers", "it is device= here; mpscnn.InferenceSession takes providers="),
    ("argument", "conf score_threshold iou_threshold max_detections top", _LIMITS),
    ("argument", "task", "the file says the task, and Model.task has it"),
    ("argument", "stream workers num_workers", _RUNS),
    ("argument", "sample_weight", "Trainer(weighted=True) takes (inputs, labels, weights) as data"),
    (
        "argument",
        "shuffle",
        "arrays are shuffled by the seed, Trainer(seed=...), and other iterables keep their order",
    ),
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
        "dim axis",
        "images are (n, height, width, channels): it is axis= here, and -1 are the channels",
    ),
    ("argument", "save show", "the result has draw() for the picture, show(), to_json() and to_csv()"),
    ("argument", "format opset opset_version", _SAVES),
    (
        "argument",
        "num_classes",
        "classes= of the functions of mpscnn.models says it; `mpscnn train` makes other classifiers",
    ),
    (
        "argument",
        "seed kernel_initializer bias_initializer",
        "Network.initialize_weights(seed) makes the first weights, and Trainer takes seed=",
    ),
    ("argument", "quantized int8", _QUANTIZE),
    ("argument", "padding_mode", "a convolution pads with zeros; net.pad has other edges"),
    ("argument", "align_corners", "it is alignment='corners' here, otherwise 'half_pixel'"),
    ("argument", "threads num_threads", _THREADS),
    ("argument", "dtype", _PRECISION),
    (
        "option",
        "--image --images --input --source -i --data",
        "files and folders are given without an option",
    ),
    ("option", "--camera --webcam", "a camera is given without an option, as camera:0"),
    ("option", "--conf --max-det --topk -k -n", _LIMITS),
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
    ("option", "--lr --early-stopping --class-weight --batch-size", _TRAINS),
    ("option", "--calibration", "it is --images FOLDER of `mpscnn quantize`"),
    ("command", "predict run infer label", "mpscnn classify, detect or segment"),
    ("command", "export save", "mpscnn convert MODEL FILE.onnx"),
    ("command", "list ls search zoo", "mpscnn models"),
    ("command", "show summary inspect describe download pull install get", "mpscnn info MODEL"),
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
    return {
        (place, word): twin
        for places, words, twin in ROWS
        for place in places.split() or [""]
        for word in words.split()
    }


def twin_of(place: str, word: str) -> str:
    """Return the twin of a word that is typed at a place of ROWS; "" if there is none."""
    return _twins().get((place, word), "")
