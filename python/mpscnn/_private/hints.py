"""List hints for arguments, options and commands of other frameworks that mpscnn does not have."""

from __future__ import annotations

__all__ = ["NO_ARGUMENTS", "NO_COMMANDS", "NO_OPTIONS"]

_THREADS = "threads= of mpscnn.load, Program.session and Trainer says it"

#: Hints for arguments of other frameworks that have no counterpart here.
NO_ARGUMENTS = {
    "in_channels": "the channels of the input follow from the tensor",
    "in_features": "the features of the input follow from the tensor",
    "betas": "they are beta1= and beta2= here",
    "dtype": "precision= of mpscnn.load, Network.compile and Trainer says it",
    "num_classes": "classes= of the functions of mpscnn.models says it; `mpscnn train` makes other classifiers",
    "pretrained": "mpscnn.load(name) loads trained weights, and weights= of the functions of mpscnn.models takes them",
    "threads": _THREADS,
    "lr": "learning_rate= of Trainer and of optimizers says it, and Trainer.learning_rate can be assigned",
    "accumulate": "it is accumulate_dtype= here, 'float16' or 'float32'",
    "half": "it is precision='float16' here",
    "verbose": "Trainer.fit has progress=True or False",
    "shuffle": "arrays are shuffled by the seed, Trainer(seed=...), and other iterables keep their order",
    "validation_split": "validation_data= takes the data to validate on",
    "metrics": "the epochs of History have the loss, and the accuracy of a classifier",
    "criterion": "loss= takes the name of a loss, such as 'cross_entropy' or 'mse'",
    "weight_decay": "the optimizer has it: optimizer=mpscnn.Adam(weight_decay=0.01)",
    "steps_per_epoch": "an epoch reads all data: pass an iterable with as many batches",
    "initial_epoch": "Trainer.resume(path) continues a checkpoint, and fit trains further epochs",
    "sample_weight": "Trainer(weighted=True) takes (inputs, labels, weights) as data",
    "class_weight": "Trainer(weighted=True) takes (inputs, labels, weights) as data",
    "batch_size": "batch_size= of Trainer.fit says it, and a network takes batches of any size",
    "epochs": "epochs= of Trainer.fit says it",
    "callbacks": "callbacks= of Trainer.fit takes them",
    "data": "Trainer.fit takes the data",
    "validation_data": "Trainer.fit takes it",
    "patience": "early_stopping= takes an mpscnn.EarlyStopping, or its patience",
    "momentum": "the optimizer has it: optimizer=mpscnn.Sgd(momentum=0.9)",
    **dict.fromkeys(
        ("scheduler", "lr_scheduler"), "learning_rate= takes a function of mpscnn.training.schedules"
    ),
    **dict.fromkeys(("optimizer", "loss"), "mpscnn.Trainer takes it"),
    "device": "mpscnn.load, Network.compile and Trainer take it",
    "seed": "Network.initialize_weights and Trainer take it",
    **dict.fromkeys(
        ("workers", "num_workers", "max_workers", "use_multiprocessing"),
        "threads= of Trainer and Runner says it, and inflight= of Runner how many frames are in progress",
    ),
    **dict.fromkeys(
        ("queue_size", "maxsize", "sessions", "num_sessions"),
        "inflight= of Runner says how many frames are in progress",
    ),
    **dict.fromkeys(
        ("callback", "on_result", "done_callback"),
        "Runner.submit gives a future, whose add_done_callback takes functions",
    ),
    "validation_freq": "data is validated after each epoch",
    "dim": "it is axis= here; images are (n, height, width, channels), so -1 are the channels",
    "axis": "it works on the channels, the last axis; net.transpose moves another axis there",
    "padding_mode": "a convolution pads with zeros; net.pad has other edges",
    "align_corners": "it is alignment='corners' here, otherwise 'half_pixel'",
    **dict.fromkeys(
        ("kernel_initializer", "bias_initializer", "weight_initializer"),
        "Network.initialize_weights makes the first weights, and Network.load_weights takes others",
    ),
    "kernel_regularizer": "the optimizer has it: mpscnn.Sgd(regularization='l2', regularization_scale=0.01)",
    "input_shape": "mpscnn.Network(input) takes the shape of the input, and from_torch example inputs",
    "dynamic_axes": "dynamic_shapes= says it, as for torch.export.export",
    **dict.fromkeys(("fp16", "float16"), "it is precision='float16' here"),
    **dict.fromkeys(("quantized", "quantize", "int8"), "mpscnn.quantize makes a network of integers"),
    **dict.fromkeys(("map_location", "providers", "compute_units", "device_map"), "it is device= here"),
    **dict.fromkeys(
        ("imgsz", "image_size", "img_size"), "photos are resized to the network's input: Model.input_shape"
    ),
    "cache_dir": "the environment variable MPSCNN_CACHE says it",
    "trust_remote_code": "a model file contains no code",
    "top": "a list of objects is shortened by max_detections=",
    **dict.fromkeys(
        ("score_threshold", "iou_threshold", "max_detections"),
        "only Model.detect has a lowest score and a limit",
    ),
    "hidden_layer_sizes": "network= takes a function that builds the network from an image's shape and the classes",
    "save": "the result has draw() for the picture, and to_json() and to_csv() for the numbers",
    "show": "the result has show()",
    "stream": "mpscnn.Runner(model).map(photos) takes streams",
    **dict.fromkeys(
        ("format", "opset", "opset_version"),
        "the suffix of the path says the format, and mpscnn.converters.export_onnx has more options",
    ),
}

#: For options that users guess and commands do not have: the option to write instead.
NO_OPTIONS = {
    "--save": "-o FOLDER (or --output) writes the results",
    "--source": "photos and videos are given without an option",
    "--conf": "only objects have a lowest score: `mpscnn detect`",
    "--half": "it is --precision float16 here",
    "--gpu": "it is --device metal here",
    "--pretrained": "--model NAME loads trained weights",
    **dict.fromkeys(
        ("--image", "--images", "--input", "-i"), "photos and models are given without an option"
    ),
    "-m": "it is --model NAME here",
    **dict.fromkeys(("--topk", "--top-k", "-k", "-n"), "it is --top here, for `mpscnn classify`"),
    "--max-det": "it is --max-detections here, for `mpscnn detect`",
    **dict.fromkeys(("--iou", "--iou-threshold", "--nms"), "it is --iou here, for `mpscnn detect`"),
    **dict.fromkeys(
        ("-q", "--quiet", "-v", "--verbose"), "results are on stdout, and everything else on stderr"
    ),
    "--format": "--json and --csv choose the format of results, and the suffix of -o that of files",
    "--to": "the suffix of the file to write says its format",
    "--cpu": "it is --device cpu here",
    "--cuda": "there is --device cpu and --device metal",
    "--mps": "it is --device metal here",
    "--fp16": "it is --precision float16 here",
    **dict.fromkeys(("--imgsz", "--img-size", "--size"), "photos are resized to the network's input"),
    "--batch-size": "`mpscnn train` has --batch-size, benchmark and serve have --max-batch; other commands choose it",
    "--data": "the folder is given without an option",
    "--lr": "`mpscnn train` chooses the learning rates, and mpscnn.Trainer takes them",
}

#: For commands that users guess and mpscnn does not have: the command to write instead.
NO_COMMANDS = {
    **dict.fromkeys(("predict", "run", "infer"), "mpscnn classify, detect or segment"),
    **dict.fromkeys(("export", "save"), "mpscnn convert MODEL FILE.onnx"),
    **dict.fromkeys(("list", "ls", "search", "zoo"), "mpscnn models"),
    **dict.fromkeys(("download", "pull", "install", "get"), "mpscnn info NAME"),
    **dict.fromkeys(("show", "summary", "inspect", "describe", "view"), "mpscnn info MODEL"),
    **dict.fromkeys(("bench", "speed", "time"), "mpscnn benchmark MODEL"),
    **dict.fromkeys(("eval", "val", "validate"), "mpscnn evaluate"),
    **dict.fromkeys(("test", "selftest", "self-check"), "mpscnn verify"),
    **dict.fromkeys(("env", "config", "report", "bug"), "mpscnn doctor"),
    **dict.fromkeys(("webcam", "camera", "video", "stream"), "mpscnn classify, detect or segment VIDEO"),
    **dict.fromkeys(("embed", "embeddings", "extract"), "mpscnn features"),
    **dict.fromkeys(("gui", "ui", "web", "demo", "app", "start"), "mpscnn serve"),
    **dict.fromkeys(("fit", "finetune", "fine-tune"), "mpscnn train FOLDER"),
    "completion": "mpscnn --install-completion",
}
