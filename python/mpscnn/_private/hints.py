"""Lead from the names of other frameworks to mpscnn's: one table for attributes, arguments, options and commands.

Names that are nearly right are found by `difflib`. This table has only the other words that users type.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache

_FIT = (
    "mpscnn.train(folder, model) returns a model that is trained on photos, and "
    "mpscnn.Trainer(network).fit(data) trains on arrays"
)
_DEVICE = (
    "device='cpu', 'metal' or 'coreml' ('coreml:cpuAndNeuralEngine' for the neural engine) of mpscnn.load, "
    "Network.compile and Trainer chooses it, --device in a shell; "
    "mpscnn.devices() lists them, and an app chooses Core ML's units when it loads a file "
    "(MLModelConfiguration.computeUnits)"
)
_PRECISION = (
    "precision='float16' of mpscnn.load and Network.compile chooses it, --precision in a shell; files have "
    "dtype='float16' of save, and --dtype of mpscnn convert"
)
_THREADS = (
    "threads= of mpscnn.load, Program.session and Trainer says it, --threads in a shell; inflight= of mpscnn.evaluate "
    "and Runner is how many photos are read at a time"
)
_LAYERS = "layers are methods of mpscnn.Network: x = net.conv2d(net.input, 8, 3)"
_LOAD = (
    "mpscnn.load(name or path) loads a model, also of ONNX, Core ML, Keras, TensorFlow, Caffe and PyTorch; "
    "mpscnn.train_detector(photos, annotations=...) makes an SSDLite and trains it"
)
_RUNS = "mpscnn.Runner(model) has submit(photo) and map(photos), also for asyncio"
_ARRAYS = (
    "session.run(x) computes arrays and tensors as they are (`with model.session() as session`); "
    "mpscnn.InferenceSession has onnxruntime's run"
)
_MEASURES = (
    "program.session().profile(x) measures the layers, mpscnn.profile(model) those of a model, and "
    "`mpscnn benchmark` the time in a shell"
)
_WEIGHTS = "Network.weights has the arrays by name, and Network.load_weights takes them"
_BATCHES = (
    "data is a pair of arrays, an iterable of batches (PyTorch's DataLoader is one) or an mpscnn.ImageFolder; "
    "validation_split= of Trainer.fit and mpscnn.train keeps a share for validation; mpscnn.train_detector(photos, "
    "annotations=...) reads COCO, YOLO, VOC and Create ML"
)
_QUANTIZE = (
    "mpscnn.quantize(model, photos) makes a network of integers, "
    "`mpscnn quantize MODEL --images FOLDER` in a shell; without photos dtype='uint8' of save, "
    "`mpscnn convert MODEL FILE --dtype uint8`, stores weights in 8 bits"
)
_CALLBACKS = (
    "Trainer.fit(callbacks=...) takes functions of an Epoch, and early_stopping= an mpscnn.EarlyStopping"
)
_LIMITS = (
    "Model.detect has score_threshold= and max_detections=, and Model.classify has top=; in a shell "
    "--score-threshold, --max-detections and --top"
)
_SAVES = (
    "Model.save(path) and Network.save(path) write the format of the suffix: .onnx (which PyTorch's tools "
    "read), .tflite, .mlpackage or .safetensors, and mpscnn.converters.export_onnx, _tflite and _coreml have more "
    "options, such as target='iOS16'; detectors are written with their suppression of boxes; mpscnn.load(path) reads "
    "them; `mpscnn convert` in a shell"
)
_EXPORTS = "convert to_torch"
_ACTIVATION = (
    "net.activation(x, name) applies an activation, and net.custom(function, x) a function of arrays of yours"
)
_SHAPES = "net.reshape(x, shape), net.flatten(x) and net.transpose(x, axes) change the shape"
_LENT = "a with statement lends it: with model.session() as session: session.run(x)"
_TRANSFORMS = (
    "RandomHorizontalFlip RandomCrop ColorJitter RandomRotation Compose Resize ToTensor Normalize mixup cutmix "
    "rotation flip crop brightness contrast saturation hue horizontal_flip fliplr flipud degrees mosaic translate "
    "shear zoom"
)
_VARIANTS = (
    "augment=mpscnn.Augmentation(rotation=10) of ImageFolder and train_classifier has flip=, crop=, mixup=, cutmix=, "
    "brightness= and others, and augment=mpscnn.SceneAugmentation(flip=0.5) of train_detector and train_segmenter has "
    "crop=, shrink=, aspect=, brightness=, contrast= and saturation=; "
    "preprocess= resizes"
)
_LOADERS = (
    "YOLO pipeline from_pretrained create_model from_onnx load_onnx from_tflite from_coreml Interpreter MLModel "
    "CompiledMLModel VNCoreMLModel applications hub read read_model open from_tensorflow from_saved_model Predictor "
    "Engine Classifier ObjectDetector "
    "SSDLite SSD RetinaNet"
)
_PREDICTS = (
    "mpscnn.load(name) has predict(photo, path or array), which returns labels, and classify, detect or segment "
    "for its task; `mpscnn classify`, `detect` "
    "or `segment` in a shell; mpscnn.video(path or 'camera:0', model) gives frames with their results"
)
_SEEDS = (
    "Network.initialize_weights(seed) makes the first weights, and Trainer and ImageFolder take seed=, which shuffles "
    "arrays and photos; other iterables keep their order, and Trainer(weighted=True) takes (inputs, labels, weights)"
)
_PRETRAINED = (
    "mpscnn.load(name) loads trained weights for the task of that model (`mpscnn models` lists them), and classes= and "
    "weights= of the functions of mpscnn.models build others"
)
_SHOWS = (
    "only fit and train show their progress, and progress= chooses it; "
    "the suffix of a file that is written chooses its format (.mlpackage for Core ML); "
    "results have draw(), show(), save(), to_json() and "
    "to_csv(), in a shell -o FILE, --json or --csv, and only results are on stdout"
)
_FILES = (
    "files, folders and cameras (camera:0) are given without an option, and so is the model where a command takes "
    "no photos"
)
_ACCELERATE = (
    "mpscnn.convolve1d and convolve2d convolve arrays, and correlate1d and correlate2d do not reverse the kernel, as "
    "vDSP_conv without a reversed kernel; mode='full', 'same' or 'valid' says how much of the result is wanted"
)
_DATA_SOURCE = (
    "weights are arrays here, in Apple's order: mpscnn.kernels.Convolution(descriptor, weights, bias_terms), and "
    "reload_weights_and_biases(state) replaces them"
)
_MEMORY = (
    "image.numpy() is the image's memory as an array, and image.slices the same memory in slices of four channels; "
    "image.write(array, x=, y=, width=, height=) replaces a region, and image.read(...) copies one"
)
_PREFETCH = (
    "there is nothing to prefetch: TemporaryImage(commands, descriptor) gets its memory when a kernel that writes it "
    "is encoded, and gives it back when read_count is 0"
)
_PHOTOS = (
    "a photo is a path, bytes, a Pillow image or an array of bytes (height, width, 3), for every function that "
    "takes photos; mpscnn.open_photo(photo) turns it as its EXIF data says"
)
_ORIENTATION = (
    "photos are turned as their EXIF data says; mpscnn.open_photo(photo, orientation='right') gives another "
    "orientation, by EXIF's number or Apple's name, and its result is a photo for every function"
)
_FORGE_NETWORKS = (
    "mpscnn.load('mobilenet_v2') loads MobileNet V2 as a classifier, and mpscnn.models.mobilenet_v2(weights, classes=, "
    "depth_multiplier=, input_size=) builds it; mpscnn.models has mobilenet_v1, mobilenet_v1_features, "
    "mobilenet_v2_features, ssd_mobilenet_v1, ssdlite_mobilenet_v2, deeplab_v3 and deeplab_v3_plus, too"
)
_PARAMETERS = (
    "mpscnn.load(path) reads weights with their network from files, mpscnn.models.mobilenet_v2(path) those of a known "
    "network, and net.load_weights({'conv1.weight': array}) takes arrays"
)
_PREPROCESSORS = (
    "preprocess='tensorflow' of mpscnn.Model and Network.save, or another preset or a mapping with mean, scale and "
    "order, says how photos become inputs; mpscnn.preprocess(photo, (224, 224), settings) does "
    "it for one photo"
)
_RECURRENT = (
    "a layer of a Network reads all steps of a sequence: net.lstm(x, units).steps and net.gru(x, units).last, which "
    "also take and return states"
)
_MATRICES = (
    "matrices are arrays, or tensors of a Network: net.matmul(a, b), net.dense(x, units), net.softmax(x), net.top_k(x, "
    "k), net.transpose(x, axes)"
)
_DEVICE_WORDS = (
    "to cuda cpu mps map_location device_map compute_units compute_unit ComputeUnit device backends "
    "set_default_device device_count MLComputeUnits MTLCreateSystemDefaultDevice MTLDevice MPSSupportsMTLDevice "
    "command_queue commandQueue queue --compute-units --compute-unit --gpu --mps --cuda --cpu"
)
#: Rows of: an argument of mpscnn, or ""; words of trainings in other frameworks to which it is nearest; and the text
#: that the error adds, which says where it is. A command that has the argument's option names that instead.
NEAREST: tuple[tuple[str, str, str], ...] = (
    ("batch_size", "batch", "batch_size= of mpscnn.train and Trainer.fit, and max_batch= of mpscnn.Runner"),
    (
        "learning_rate",
        "lr lr0 learning_rate",
        "learning_rate= of mpscnn.Trainer, and of mpscnn.train for detectors and segmenters",
    ),
    (
        "",
        "lrf cos_lr scheduler lr_scheduler warmup_epochs",
        "mpscnn.Trainer(learning_rate=mpscnn.training.schedules.cosine(0.01, steps)) takes a schedule; mpscnn.train "
        "has its own",
    ),
    (
        "",
        "optimizer momentum weight_decay betas kernel_regularizer",
        "mpscnn.Trainer(network, optimizer=mpscnn.Adam(...)) chooses the optimizer; mpscnn.train has its own",
    ),
    (
        "trained_layers",
        "freeze",
        "trained_layers= of mpscnn.train is how many of the last layers learn, and frozen= of mpscnn.Trainer names "
        "layers that do not",
    ),
    ("output", "project save_dir", "output= of mpscnn.train is the file of the model"),
    (
        "epochs",
        "iterations max_iterations steps_per_epoch epochs",
        "epochs= of mpscnn.train and Trainer.fit counts passes over the data",
    ),
    ("early_stopping", "early_stopping", "early_stopping= of mpscnn.train and Trainer.fit"),
    ("callbacks", "callbacks", "callbacks= of mpscnn.train and Trainer.fit"),
    ("class_weight", "class_weight", "class_weight= of mpscnn.train for classifiers, and of Trainer.fit"),
    (
        "validation",
        "validation_data validation_split",
        "validation= of mpscnn.train, and validation_data= of Trainer.fit",
    ),
    (
        "dtype",
        "half fp16",
        "dtype= of mpscnn.Model.save stores float16, and precision= of mpscnn.load (--precision in a shell) computes "
        "in it",
    ),
    (
        "",
        "format coreml spec convert_to",
        "the suffix of the file that is written chooses its format: `mpscnn convert MODEL FILE.mlpackage`",
    ),
    (
        "suppression",
        "nms",
        "suppression= of mpscnn.converters.export_onnx writes it; files of Core ML and TensorFlow Lite have it",
    ),
    (
        "",
        "opset opset_version",
        "ONNX files have opset 17, which every onnxruntime since 1.12 reads; leave it out",
    ),
    (
        "target",
        "minimum_deployment_target",
        "target= of mpscnn.converters.export_coreml is the oldest system, such as 'iOS16'",
    ),
    ("loss", "loss criterion", "loss= of mpscnn.train and mpscnn.Trainer"),
    (
        "",
        "metrics",
        "mpscnn.evaluate(model, data) measures; mpscnn.train and Trainer.fit return their measures",
    ),
    ("annotations", "annotation annotations", "annotations= of mpscnn.train, for a detector"),
    ("masks", "mask masks", "masks= of mpscnn.train, for a segmenter"),
    ("restart", "exist_ok", "restart= of mpscnn.train replaces a stopped training, and save replaces files"),
    (
        "",
        "flags",
        "Apple's flags of a convolution choose nothing, so there is no argument for them: leave them out",
    ),
)

#: Rows of: where the words are typed (classes, modules, "argument", "command", or "*" for any class); the words; and
#: the twin. Words that begin with "-" are options of commands. A twin without spaces is an attribute, to which the word
#: is forwarded, or a function of mpscnn, "mpscnn.name", which gets the object as its first argument. Any other twin is
#: the text that the error adds.
#: Names of attributes that one class has under another name are declared by the class: `Expected._other_names`.
ROWS: tuple[tuple[str, str, str], ...] = (
    ("Model Network mpscnn", "evaluate val score", "mpscnn.evaluate"),
    ("Model Network mpscnn", "profile benchmark", "mpscnn.profile"),
    ("Network mpscnn mpscnn.quantization", "calibrate", "mpscnn.quantize"),
    ("mpscnn mpscnn.models", "list list_models", "mpscnn.registry.names"),
    ("mpscnn", "fine_tune fit", "train"),
    ("mpscnn", "save export onnx coreml tflite to_onnx to_coreml to_tflite", _SAVES),
    ("mpscnn.converters", "convert load", "read_network"),
    (
        "Tensor",
        "numel nelement size dim ndim",
        "shape has the extents, (n, height, width, channels) for images",
    ),
    (
        "mpscnn",
        "summary info inspect",
        "Model.summary() and Network.summary() return the table of the layers; `mpscnn info MODEL` in a shell",
    ),
    (
        "mpscnn",
        "serve doctor download",
        "that is a command of a shell: `mpscnn serve MODEL`, `mpscnn doctor`, `mpscnn models --fetch NAME`",
    ),
    (
        "Model mpscnn",
        "compile jit",
        "mpscnn.load(name, device=...) compiles a Model, Network.compile(device=...) a network, and "
        "torch.compile(module, backend='mpscnn') a PyTorch module; mpscnn.Trainer has optimizer= and loss=",
    ),
    (
        "mpscnn",
        "ImageType TensorType RangeDim EnumeratedShapes ClassifierConfig target",
        "Network.save('x.mlpackage', labels=, preprocess=) writes Core ML files, and the network has the shapes",
    ),
    ("mpscnn", "datasets data callbacks transforms optim lr_scheduler", "training"),
    ("mpscnn", "schedules learning_rate_schedule", "training.schedules"),
    ("mpscnn", "CosineDecay CosineAnnealingLR", "training.schedules.cosine"),
    ("mpscnn.onnx_backend", "InferenceSession", "mpscnn.InferenceSession"),
    (
        "Network mpscnn",
        "relu6 leaky_relu prelu elu gelu silu swish mish hardswish hardsigmoid softplus "
        "sigmoid tanh exp softsign "
        "custom_layer lambda_ Lambda register_layer register_custom_layer add_custom",
        _ACTIVATION,
    ),
    ("*", "state_dict load_state_dict get_weights named_parameters save_weights", _WEIGHTS),
    (
        "* mpscnn",
        "eval no_grad inference_mode set_grad_enabled requires_grad_ zero_grad backward detach trainable "
        "trainable_variables trainable_weights freeze",
        "nothing trains but a Trainer, whose step(inputs, labels) does all, so there is nothing to switch; "
        "Trainer(frozen=...) and Network.learn(layers, learn=False) keep layers as they are",
    ),
    ("*", "train fit train_on_batch", _FIT),
    ("* argument mpscnn", _DEVICE_WORDS, _DEVICE),
    ("* argument", "half float dtype compute_precision --precision", _PRECISION),
    ("*", "profile benchmark warmup end_profiling", _MEASURES),
    ("Model Network mpscnn argument", _EXPORTS, _SAVES),
    ("argument", "input_names output_names", _SAVES),
    (
        "Model Network Program Session",
        "input_names output_names",
        "network.inputs and network.outputs are tensors with names and shapes (a Model has model.network); "
        "mpscnn.InferenceSession has get_inputs()",
    ),
    (
        "Classification",
        "boxes xyxy masks obb",
        "a classifier finds no objects: model.detect(photo) of a detector has boxes (`mpscnn models` lists detectors)",
    ),
    ("Session Program", "predict", _ARRAYS),
    ("* argument", "submit stream predict_async run_async predict_batch", _RUNS),
    (
        "Model",
        "get_spec author license metadata short_description user_defined_metadata",
        "Model.information has the file's license, source and description, and `mpscnn info FILE` shows all",
    ),
    (
        "* argument mpscnn mpscnn.onnxruntime",
        "from_dlpack from_numpy array zeros ones run forward infer get_inputs get_outputs io_binding providers "
        "encodeToCommandBuffer executeAsync",
        _ARRAYS,
    ),
    ("Model", "track", "mpscnn.video(path, model, track=True) follows objects from frame to frame"),
    (
        "Model",
        "predict_proba predict_classes",
        "predict(photo) returns labels with probabilities: result.label, result.top(5) and result.probabilities",
    ),
    (
        "Model Network",
        "layers modules named_modules children get_layer plot to_json get_config",
        "Network.layer_names() has their names, and Network.describe() what they are, also as a picture and JSON",
    ),
    ("Network", "squeeze unsqueeze permute view", _SHAPES),
    ("LentSession", "run profile submit predict", _LENT),
    ("mpscnn", "Dataset DataLoader train_test_split CocoDataset CocoDetection load_coco", _BATCHES),
    ("mpscnn.training argument", _TRANSFORMS, _VARIANTS),
    (
        "mpscnn mpscnn.training",
        "ModelCheckpoint ReduceLROnPlateau LearningRateScheduler TensorBoard",
        _CALLBACKS,
    ),
    (
        "mpscnn",
        "losses metrics optimizers",
        "Trainer(loss='cross_entropy', optimizer='adam') takes names, and mpscnn.Adam(...) has the optimizer's "
        "options; mpscnn.evaluate measures",
    ),
    ("mpscnn", "Sequential Module nn layers Linear functional Functional Graph", _LAYERS),
    ("Network", "append add_module sequential", _LAYERS),
    (
        "Network",
        "mean sum max min prod std var",
        "net.reduce_mean(x, axis), reduce_sum, reduce_max, reduce_min, reduce_product, reduce_deviation and "
        "reduce_variance compute one number of axes",
    ),
    ("mpscnn mpscnn.models Model", _LOADERS, _LOAD),
    ("mpscnn.models", "load_model get_model", "mpscnn.load"),
    ("mpscnn", "get_model", _LOAD),
    (
        "mpscnn",
        "classify detect segment predict imread load_img load_image decode_predictions VNCoreMLRequest MLMultiArray "
        "VideoCapture read_video",
        _PREDICTS,
    ),
    (
        "mpscnn",
        "confusion_matrix accuracy_score classification_report precision_score recall_score f1_score "
        "--confusion-matrix --metrics",
        "mpscnn.evaluate(model, data) has accuracy, confusion, and class_table() with precision, recall and F1, "
        "which `mpscnn evaluate` prints",
    ),
    (
        "mpscnn argument",
        "set_num_threads get_num_threads threads num_threads workers num_workers persistent_workers --workers "
        "--num-workers",
        _THREADS,
    ),
    (
        "mpscnn argument",
        "set_random_seed set_seed manual_seed seed kernel_initializer bias_initializer sample_weight shuffle",
        _SEEDS,
    ),
    (
        "argument",
        "batch_size",
        "mpscnn.Runner(model, max_batch=8) computes photos in batches; mpscnn.train and Trainer.fit have batch_size=",
    ),
    (
        "argument",
        "--batch --batch-size",
        "mpscnn train has --batch-size, and mpscnn benchmark and serve have --max-batch",
    ),
    (
        "argument",
        "conf score_threshold iou_threshold max_detections top --conf --max-det --topk -k -n",
        _LIMITS,
    ),
    (
        "mpscnn",
        "MLObjectDetector MLImageClassifier",
        "mpscnn.train(folder) trains a classifier of photos, and with annotations= a detector; `mpscnn train FOLDER "
        "--task detect --annotations FILE.json` in a shell",
    ),
    ("argument", "pretrained num_classes task --pretrained", _PRETRAINED),
    (
        "argument",
        "imgsz image_size input_size --imgsz --size",
        "photos are resized to the network's input: Model.input_shape",
    ),
    (
        "argument",
        "dim axis",
        "images are (n, height, width, channels): it is axis= here, and -1 are the channels",
    ),
    ("argument", "save show verbose --save --show --to -q --quiet -v --verbose", _SHOWS),
    ("mpscnn", "quantize_dynamic quantize_static", _QUANTIZE),
    (
        "argument mpscnn.onnxruntime Model",
        "quantize quantized quantization bits int8 "
        "--bits --dataset --calibration-data --calibration --quantized --quantize --int8",
        _QUANTIZE,
    ),
    (
        "mpscnn",
        "vDSP_conv vDSP_convD vDSP_desamp vDSP_imgfir vDSP_imgfirD vDSP_f3x3 vDSP_f5x5 vImageConvolve_PlanarF "
        "vImageConvolve_Planar8 vImageConvolve_ARGB8888 BNNSFilterCreateConvolutionLayer Accelerate convolve correlate",
        _ACCELERATE,
    ),
    (
        "mpscnn",
        "vImageConvert_Planar16FtoPlanarF vImageConvert_PlanarFtoPlanar16F vImage_Buffer",
        "images are float32 unless their format is another one, and image.numpy() is an array of the image's type, "
        "which array.astype(numpy.float32) converts",
    ),
    (
        "mpscnn mpscnn.kernels mpscnn.nodes",
        "ConvolutionDataSource MPSCNNConvolutionDataSource MPSCNNConvolutionFlags MPSCNNConvolutionFlagsNone "
        "ConvolutionFlags MPSCNNBatchNormalizationDataSource MPSCNNInstanceNormalizationDataSource",
        _DATA_SOURCE,
    ),
    (
        "mpscnn mpscnn.kernels",
        "ImageEdgeMode MPSImageEdgeMode MPSImageEdgeModeClamp MPSImageEdgeModeZero",
        "an edge mode is a text: edge_mode='clamp' or 'zero'",
    ),
    (
        "mpscnn mpscnn.kernels",
        "Offset MPSOffset MTLOrigin MTLRegion MTLRegionMake2D MTLRegionMake3D MTLSize MPSSize MPSRegion",
        "an offset is a tuple of whole numbers, kernel.offset = (1, 1, 0), and so is clip_rect = (x, y, width, height)",
    ),
    (
        "mpscnn mpscnn.kernels",
        "ImageFeatureChannelFormat MPSImageFeatureChannelFormat MPSImageFeatureChannelFormatFloat16",
        "the format of an image is a text: format='float16', 'float32', 'unorm8' or 'unorm16'",
    ),
    (
        "Image TemporaryImage",
        "texture replaceRegion replace_region getBytes get_bytes readBytes writeBytes",
        _MEMORY,
    ),
    ("mpscnn mpscnn.kernels", "MTLTexture MTLTextureDescriptor MTLBuffer", _MEMORY),
    (
        "mpscnn mpscnn.kernels CommandBuffer",
        "MTLLibrary MTLFunction MTLComputePipelineState MTLComputeCommandEncoder computeCommandEncoder "
        "makeComputeCommandEncoder",
        "mpscnn.kernels.MetalKernel(source, ...) is your own Metal function between the kernels, and "
        "net.custom(function, x) a layer of yours for every machine",
    ),
    (
        "mpscnn",
        "CGImage CVPixelBuffer UIImage NSImage CIImage CMSampleBuffer MTKTextureLoader",
        _PHOTOS,
    ),
    ("Image", "open", _PHOTOS),
    (
        "mpscnn mpscnn.kernels mpscnn.nodes",
        "DepthwiseConvolution DepthWiseConvolution MPSCNNDepthwiseConvolution MPSCNNDepthWiseConvolution "
        "PointwiseConvolution depthwiseConv3x3",
        "net.depthwise_conv2d(x, 3) and net.conv2d(x, channels, 1) are the layers, and the kernel is "
        "mpscnn.kernels.Convolution with a DepthWiseConvolutionDescriptor",
    ),
    (
        "TemporaryImage",
        "prefetchStorageWithCommandBuffer prefetchStorage prefetch_storage prefetch_storage_with_command_buffer",
        _PREFETCH,
    ),
    (
        "TemporaryImage",
        "temporaryImageWithCommandBuffer temporary_image_with_command_buffer",
        "TemporaryImage(commands, descriptor) makes one",
    ),
    (
        "mpscnn mpscnn.kernels",
        "RNNImageInferenceLayer MPSRNNImageInferenceLayer RNNMatrixInferenceLayer MPSRNNMatrixInferenceLayer "
        "RNNMatrixTrainingLayer MPSRNNMatrixTrainingLayer RNNMatrixTrainingState MPSRNNMatrixTrainingState "
        "RNNRecurrentImageState MPSRNNRecurrentImageState RNNRecurrentMatrixState MPSRNNRecurrentMatrixState "
        "RNNDescriptor MPSRNNDescriptor RNNSingleGateDescriptor MPSRNNSingleGateDescriptor LSTMDescriptor "
        "MPSLSTMDescriptor GRUDescriptor MPSGRUDescriptor",
        _RECURRENT,
    ),
    (
        "mpscnn mpscnn.kernels",
        "Matrix MPSMatrix TemporaryMatrix MPSTemporaryMatrix MatrixDescriptor MPSMatrixDescriptor "
        "MatrixMultiplication MPSMatrixMultiplication MatrixVectorMultiplication "
        "MPSMatrixVectorMultiplication MatrixFullyConnected MPSMatrixFullyConnected MatrixNeuron "
        "MPSMatrixNeuron MatrixSoftMax MPSMatrixSoftMax MatrixLogSoftMax MPSMatrixLogSoftMax MatrixFindTopK "
        "MPSMatrixFindTopK MatrixSum MPSMatrixSum MatrixCopy MPSMatrixCopy MatrixBatchNormalization "
        "MPSMatrixBatchNormalization ImageCopyToMatrix MPSImageCopyToMatrix MatrixCopyToImage "
        "MPSMatrixCopyToImage NDArray MPSNDArray NDArrayMatrixMultiplication MPSNDArrayMatrixMultiplication",
        _MATRICES,
    ),
    ("argument", "orientation imageOrientation", _ORIENTATION),
    ("Runner", "predict", _RUNS),
    (
        "mpscnn mpscnn.models",
        "MobileNetV1Classifier MobileNetV2Classifier MobileNetV1FeatureExtractor MobileNetV2FeatureExtractor "
        "MobileNetV1SSD MobileNetV2SSDLite MobileNet MobileNetV1 MobileNetV2 DeepLabv3 DeepLabV3 DeepLabV3Plus",
        _FORGE_NETWORKS,
    ),
    ("mpscnn", "ParameterLoader ParameterLoaderBundle ParameterData loadTensor", _PARAMETERS),
    ("mpscnn", "Preprocessor PreprocessorImageNet PreprocessorTensorFlow", _PREPROCESSORS),
    (
        "argument",
        "handle",
        "an image of a graph has a shape and a name: MPSNNImageNode((8, 8, 3), label='image')",
    ),
    ("argument", "--image --images --input --source -i --data --camera --webcam -m --model", _FILES),
    (
        "command",
        "predict run infer label webcam camera video visualize draw",
        "mpscnn classify`, `mpscnn detect` or `mpscnn segment",
    ),
    (
        "argument",
        "--libs --cflags --ldflags --lib-dir --libdir --prefix",
        "`pkg-config --cflags --libs mpscnn` prints the flags, with PKG_CONFIG_PATH=$(mpscnn --pkg-config-dir)",
    ),
    ("command", "val validate eval score", "mpscnn evaluate PHOTOS"),
    (
        "command",
        "export save compile deploy coreml xcode coremlcompiler",
        "mpscnn convert MODEL FILE.mlpackage` or `mpscnn convert MODEL FILE.onnx",
    ),
    (
        "command",
        "list ls search zoo download pull install get",
        "mpscnn models` or `mpscnn models --fetch NAME",
    ),
    ("command", "show summary inspect describe plot graph", "mpscnn info MODEL"),
    ("command", "test selftest env config bug checks settings", "mpscnn verify or doctor"),
    ("command", "track count", "mpscnn detect VIDEO --track"),
    ("command", "embed embeddings", "mpscnn features PHOTO"),
    ("command", "speed time latency", "mpscnn benchmark MODEL"),
    ("command", "optimize prune", "mpscnn quantize MODEL --images FOLDER"),
    (
        "command",
        "fit tune finetune fine-tune train-classifier train-detector train-segmenter",
        "mpscnn train FOLDER` or `mpscnn train FOLDER --task detect --annotations PLACE",
    ),
)


@cache
def _twins() -> dict[tuple[str, str], str]:
    found = {
        (place_of(place, word), word): twin
        for places, words, twin in ROWS
        for place in places.split()
        for word in words.split()
    }
    for _, words, where in NEAREST:
        for word in words.split():
            found["argument", word] = where
            found.setdefault(("option", option_of(word)), where)
    return found


def option_of(argument: str) -> str:
    """Return the name of the option of commands for an argument of Python."""
    return f"--{argument.replace('_', '-')}"


def nearest_option(option: str, options: Collection[str]) -> str:
    """Return the option of a command that is nearest to another tool's; "" if the command has none."""
    own = next((own for own, words, _ in NEAREST if option in map(option_of, words.split())), "")
    return option_of(own) if own and option_of(own) in options else ""


def place_of(place: str, word: str) -> str:
    """Return "option" for an option of commands, and otherwise the place of a row."""
    return "option" if word.startswith("-") else place


def twin_of(place: str, word: str) -> str:
    """Return the twin of a word that is typed at a place of ROWS; "" if there is none.

    Words in snake_case are also found by their spelling in camelCase.
    """
    snake_case = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word).lower()
    return _twins().get((place, word)) or _twins().get((place, snake_case), "")
