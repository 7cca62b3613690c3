"""Define the parts of Core ML's protocol buffer messages that are read, with the published field numbers.

Entries of maps are messages with the fields `key` and `value`. Values of enumerations are integers.
"""

from __future__ import annotations

from mpscnn.converters.opening.wire.kinds import read_table

_EMPTY = "nothing:bool:900000"  # a dummy field for a message of which no field is read

_MODEL = {
    "Strings": "vector:string*:1",
    "Integers": "vector:int64*:1",
    "SizeRange": "lowerBound:uint64:1 upperBound:int64:2",
    "ImageSize": "width:uint64:1 height:uint64:2",
    "ImageSizes": "sizes:ImageSize*:1",
    "ImageSizeRange": "widthRange:SizeRange:1 heightRange:SizeRange:2",
    "ImageType": "width:int64:1 height:int64:2 enumeratedSizes:ImageSizes:21 imageSizeRange:ImageSizeRange:31 "
    "colorSpace:int32:3",
    "Shape": "shape:int64*:1",
    "Shapes": "shapes:Shape*:1",
    "ShapeRange": "sizeRanges:SizeRange*:1",
    "ArrayType": "shape:int64*:1 dataType:int32:2 enumeratedShapes:Shapes:21 shapeRange:ShapeRange:31",
    "Empty": _EMPTY,
    "Keys": "int64KeyType:Empty:1 stringKeyType:Empty:2",
    "FeatureType": "int64Type:Empty:1 doubleType:Empty:2 stringType:Empty:3 imageType:ImageType:4 "
    "multiArrayType:ArrayType:5 dictionaryType:Keys:6 sequenceType:Empty:7 stateType:Empty:8 isOptional:bool:1000",
    "Feature": "name:string:1 type:FeatureType:3",
    "Entry": "key:string:1 value:string:2",
    "Metadata": "shortDescription:string:1 versionString:string:2 author:string:3 license:string:4 "
    "userDefined:Entry*:100",
    "FunctionDescription": "name:string:1 input:Feature*:2 output:Feature*:3 state:Feature*:6 "
    "predictedFeatureName:string:4 predictedProbabilitiesName:string:5",
    "Description": "functions:FunctionDescription*:20 defaultFunctionName:string:21 metadata:Metadata:100 "
    "input:Feature*:1 output:Feature*:10 state:Feature*:13 predictedFeatureName:string:11 "
    "predictedProbabilitiesName:string:12",
    "Pipeline": "models:Model*:1 names:string*:2",
    "PipelineOf": "pipeline:Pipeline:1",
    "PickTop": "perClass:bool:1",
    "Suppression": "pickTop:PickTop:1 stringClassLabels:Strings:100 int64ClassLabels:Integers:101 "
    "iouThreshold:double:110 confidenceThreshold:double:111 confidenceInputFeatureName:string:200 "
    "coordinatesInputFeatureName:string:201 iouThresholdInputFeatureName:string:202 "
    "confidenceThresholdInputFeatureName:string:203 confidenceOutputFeatureName:string:210 "
    "coordinatesOutputFeatureName:string:211",
    "Column": "inputColumn:string:1 inputDimensions:uint64:2",
    "Vectorizer": "inputList:Column*:1",
    "Model": "specificationVersion:int32:1 description:Description:2 pipelineClassifier:PipelineOf:200 "
    "pipelineRegressor:PipelineOf:201 pipeline:Pipeline:202 neuralNetworkRegressor:NeuralNetwork:303 "
    "neuralNetworkClassifier:NeuralNetwork:403 neuralNetwork:NeuralNetwork:500 mlProgram:Program:502 "
    "featureVectorizer:Vectorizer:602 nonMaximumSuppression:Suppression:610 "
    + " ".join(
        f"{name}:Empty:{number}"
        for name, number in {
            "glmRegressor": 300,
            "supportVectorRegressor": 301,
            "treeEnsembleRegressor": 302,
            "bayesianProbitRegressor": 304,
            "glmClassifier": 400,
            "supportVectorClassifier": 401,
            "treeEnsembleClassifier": 402,
            "kNearestNeighborsClassifier": 404,
            "itemSimilarityRecommender": 501,
            "customModel": 555,
            "linkedModel": 556,
            "classConfidenceThresholding": 560,
            "oneHotEncoder": 600,
            "imputer": 601,
            "dictVectorizer": 603,
            "scaler": 604,
            "categoricalMapping": 606,
            "normalizer": 607,
            "arrayFeatureExtractor": 609,
            "identity": 900,
            "textClassifier": 2000,
            "wordTagger": 2001,
            "visionFeaturePrint": 2002,
            "soundAnalysisPreprocessing": 2003,
            "gazetteer": 2004,
            "wordEmbedding": 2005,
            "audioFeaturePrint": 2006,
            "serializedModel": 3000,
        }.items()
    ),
}

# ---- Programs ------------------------------------------------------------------------------------------------------

_PROGRAM = {
    "Program": "version:int64:1 functions:FunctionEntry*:2",
    "FunctionEntry": "key:string:1 value:Function:2",
    "Function": "inputs:NamedType*:1 opset:string:2 block_specializations:BlockEntry*:3",
    "BlockEntry": "key:string:1 value:Block:2",
    "Block": "inputs:NamedType*:1 outputs:string*:2 operations:Operation*:3",
    "Operation": "type:string:1 inputs:ArgumentEntry*:2 outputs:NamedType*:3 blocks:Block*:4 "
    "attributes:ValueEntry*:5",
    "ArgumentEntry": "key:string:1 value:Argument:2",
    "Argument": "arguments:Binding*:1",
    "Binding": "name:string:1 value:Value:2",
    "ValueEntry": "key:string:1 value:Value:2",
    "NamedType": "name:string:1 type:ValueType:2",
    "ValueType": "tensorType:TensorType:1 listType:ListType:2 tupleType:TupleType:3 dictionaryType:DictionaryType:4 "
    "stateType:Empty:5",
    "TensorType": "dataType:int32:1 rank:int64:2 dimensions:Dimension*:3",
    "TupleType": "types:ValueType*:1",
    "DictionaryType": "keyType:ValueType:1 valueType:ValueType:2",
    "ListType": "type:ValueType:1 length:Dimension:2",
    "Dimension": "constant:ConstantDimension:1 unknown:Empty:2",
    "ConstantDimension": "size:uint64:1",
    "Value": "type:ValueType:2 immediateValue:Immediate:3 blobFileValue:BlobFile:5",
    "Immediate": "tensor:TensorValue:1 tuple:Values:2 list:Values:3",
    "Values": "values:Value*:1",
    "BlobFile": "fileName:string:1 offset:uint64:2",
    "TensorValue": "floats:Floats:1 ints:Ints:2 bools:Bools:3 strings:Texts:4 longInts:LongInts:5 doubles:Doubles:6 "
    "bytes:Bytes:7",
    "Floats": "values:float*:1",
    "Doubles": "values:double*:1",
    "Ints": "values:int32*:1",
    "LongInts": "values:int64*:1",
    "Bools": "values:bool*:1",
    "Texts": "values:string*:1",
    "Bytes": "values:bytes:1",
}

# ---- Neural networks -----------------------------------------------------------------------------------------------

_AXES = "axes:int64*:1 keepDims:bool:2 reduceAll:bool:3"

#: For each kind of layer: the number of the field with its parameters, and the fields of this message that are read.
LAYERS: dict[str, tuple[int, str]] = {
    "convolution": (
        100,
        "outputChannels:uint64:1 kernelChannels:uint64:2 nGroups:uint64:10 kernelSize:uint64*:20 stride:uint64*:30 "
        "dilationFactor:uint64*:40 valid:ValidPadding:50 same:SamePadding:51 isDeconvolution:bool:60 hasBias:bool:70 "
        "weights:Weights:90 bias:Weights:91 outputShape:uint64*:100",
    ),
    "pooling": (
        120,
        "type:int32:1 kernelSize:uint64*:10 stride:uint64*:20 valid:ValidPadding:30 same:SamePadding:31 "
        "includeLastPixel:CompletePadding:32 avgPoolExcludePadding:bool:50 globalPooling:bool:60",
    ),
    "activation": (
        130,
        "linear:Curve:5 ReLU:Curve:10 leakyReLU:Curve:15 thresholdedReLU:Curve:20 PReLU:WeightedCurve:25 "
        "tanh:Curve:30 scaledTanh:Curve:31 sigmoid:Curve:40 sigmoidHard:Curve:41 ELU:Curve:50 softsign:Curve:60 "
        "softplus:Curve:70 parametricSoftplus:WeightedCurve:71",
    ),
    "innerProduct": (
        140,
        "inputChannels:uint64:1 outputChannels:uint64:2 hasBias:bool:10 weights:Weights:20 bias:Weights:21 "
        "int8DynamicQuantize:bool:22",
    ),
    "embedding": (
        150,
        "inputDim:uint64:1 outputChannels:uint64:2 hasBias:bool:10 weights:Weights:20 bias:Weights:21",
    ),
    "batchnorm": (
        160,
        "channels:uint64:1 computeMeanVar:bool:5 instanceNormalization:bool:6 epsilon:float:10 gamma:Weights:15 "
        "beta:Weights:16 mean:Weights:17 variance:Weights:18",
    ),
    "mvn": (165, "acrossChannels:bool:1 normalizeVariance:bool:2 epsilon:float:3"),
    "l2normalize": (170, "epsilon:float:1"),
    "softmax": (175, _EMPTY),
    "lrn": (180, "alpha:float:1 beta:float:2 localSize:uint64:3 k:float:4"),
    "crop": (190, "cropAmounts:Borders:1 offset:uint64*:5"),
    "padding": (
        200,
        "constant:PaddingConstant:1 reflection:Empty:2 replication:Empty:3 paddingAmounts:Borders:10",
    ),
    "upsample": (
        210,
        "scalingFactor:uint64*:1 fractionalScalingFactor:float*:7 mode:int32:5 linearUpsampleMode:int32:6",
    ),
    "resizeBilinear": (211, "targetSize:uint64*:1 mode:Sampling:2"),
    "cropResize": (212, _EMPTY),
    "unary": (220, "type:int32:1 alpha:float:2 epsilon:float:3 shift:float:4 scale:float:5"),
    "add": (230, "alpha:float:1"),
    "multiply": (231, "alpha:float:1"),
    "average": (240, _EMPTY),
    "scale": (
        245,
        "shapeScale:uint64*:1 scale:Weights:2 hasBias:bool:3 shapeBias:uint64*:4 bias:Weights:5",
    ),
    "bias": (250, "shape:uint64*:1 bias:Weights:2"),
    "max": (260, _EMPTY),
    "min": (261, _EMPTY),
    "dot": (270, "cosineSimilarity:bool:1"),
    "reduce": (280, "mode:int32:1 epsilon:float:2 axis:int32:3"),
    "loadConstant": (290, "shape:uint64*:1 data:Weights:2"),
    "reshape": (300, "targetShape:int64*:1 mode:int32:2"),
    "flatten": (301, "mode:int32:1"),
    "permute": (310, "axis:uint64*:1"),
    "concat": (320, "sequenceConcat:bool:100"),
    "split": (330, "nOutputs:uint64:1"),
    "sequenceRepeat": (340, "nRepetitions:uint64:1"),
    "reorganizeData": (345, "mode:int32:1 blockSize:uint64:2"),
    "slice": (350, "startIndex:int64:1 endIndex:int64:2 stride:uint64:3 axis:int32:4"),
    "simpleRecurrent": (
        400,
        "inputVectorSize:uint64:1 outputVectorSize:uint64:2 activation:Layer_activation:10 sequenceOutput:bool:15 "
        "hasBiasVector:bool:20 weightMatrix:Weights:30 recursionMatrix:Weights:31 biasVector:Weights:32 "
        "reverseInput:bool:100",
    ),
    "gru": (
        410,
        "inputVectorSize:uint64:1 outputVectorSize:uint64:2 activations:Layer_activation*:10 sequenceOutput:bool:15 "
        "hasBiasVectors:bool:20 updateGateWeightMatrix:Weights:30 resetGateWeightMatrix:Weights:31 "
        "outputGateWeightMatrix:Weights:32 updateGateRecursionMatrix:Weights:50 resetGateRecursionMatrix:Weights:51 "
        "outputGateRecursionMatrix:Weights:52 updateGateBiasVector:Weights:70 resetGateBiasVector:Weights:71 "
        "outputGateBiasVector:Weights:72 reverseInput:bool:100",
    ),
    "uniDirectionalLSTM": (
        420,
        "inputVectorSize:uint64:1 outputVectorSize:uint64:2 activations:Layer_activation*:10 params:LstmParameters:15 "
        "weightParams:LstmWeights:20 reverseInput:bool:100",
    ),
    "biDirectionalLSTM": (
        430,
        "inputVectorSize:uint64:1 outputVectorSize:uint64:2 activationsForwardLSTM:Layer_activation*:10 "
        "activationsBackwardLSTM:Layer_activation*:11 params:LstmParameters:15 weightParams:LstmWeights*:20",
    ),
    "custom": (500, "className:string:10"),
    "copy": (600, _EMPTY),
    "branch": (605, _EMPTY),
    "loop": (615, _EMPTY),
    "loopBreak": (620, _EMPTY),
    "loopContinue": (625, _EMPTY),
    "rangeStatic": (635, _EMPTY),
    "rangeDynamic": (640, _EMPTY),
    "clip": (660, "minVal:float:1 maxVal:float:2"),
    "ceil": (665, _EMPTY),
    "floor": (670, _EMPTY),
    "sign": (680, _EMPTY),
    "round": (685, _EMPTY),
    "exp2": (700, _EMPTY),
    "sin": (710, _EMPTY),
    "cos": (715, _EMPTY),
    "tan": (720, _EMPTY),
    "asin": (730, _EMPTY),
    "acos": (735, _EMPTY),
    "atan": (740, _EMPTY),
    "sinh": (750, _EMPTY),
    "cosh": (755, _EMPTY),
    "tanh": (760, _EMPTY),
    "asinh": (770, _EMPTY),
    "acosh": (775, _EMPTY),
    "atanh": (780, _EMPTY),
    "erf": (790, _EMPTY),
    "gelu": (795, "mode:int32:1"),
    "equal": (815, "alpha:float:1"),
    "notEqual": (820, "alpha:float:1"),
    "lessThan": (825, "alpha:float:2"),
    "lessEqual": (827, "alpha:float:2"),
    "greaterThan": (830, "alpha:float:2"),
    "greaterEqual": (832, "alpha:float:2"),
    "logicalOr": (840, _EMPTY),
    "logicalXor": (845, _EMPTY),
    "logicalNot": (850, _EMPTY),
    "logicalAnd": (855, _EMPTY),
    "modBroadcastable": (865, _EMPTY),
    "minBroadcastable": (870, _EMPTY),
    "maxBroadcastable": (875, _EMPTY),
    "addBroadcastable": (880, _EMPTY),
    "powBroadcastable": (885, _EMPTY),
    "divideBroadcastable": (890, _EMPTY),
    "floorDivBroadcastable": (895, _EMPTY),
    "multiplyBroadcastable": (900, _EMPTY),
    "subtractBroadcastable": (905, _EMPTY),
    "tile": (920, "reps:uint64*:1"),
    "stack": (925, "axis:int64:1"),
    "gather": (930, "axis:int64:1"),
    "scatter": (935, "axis:int64:1 mode:int32:2"),
    "gatherND": (940, _EMPTY),
    "scatterND": (945, "mode:int32:1"),
    "softmaxND": (950, "axis:int64:1"),
    "gatherAlongAxis": (952, "axis:int64:1"),
    "scatterAlongAxis": (954, "axis:int64:1 mode:int32:2"),
    "reverse": (960, "reverseDim:bool*:1"),
    "reverseSeq": (965, _EMPTY),
    "splitND": (975, "axis:int64:1 numSplits:uint64:2 splitSizes:uint64*:3"),
    "concatND": (980, "axis:int64:1 interleave:bool:2"),
    "transpose": (985, "axes:uint64*:1"),
    "sliceStatic": (
        995,
        "beginIds:int64*:1 beginMasks:bool*:2 endIds:int64*:3 endMasks:bool*:4 strides:int64*:5 squeezeMasks:bool*:6",
    ),
    "sliceDynamic": (1000, _EMPTY),
    "slidingWindows": (1005, _EMPTY),
    "topK": (1015, "axis:int64:1 K:uint64:2 useBottomK:bool:3"),
    "argMin": (1020, "axis:int64:1 removeDim:bool:2"),
    "argMax": (1025, "axis:int64:1 removeDim:bool:2"),
    "embeddingND": (
        1040,
        "vocabSize:uint64:1 embeddingSize:uint64:2 hasBias:bool:3 weights:Weights:20 bias:Weights:21",
    ),
    "batchedMatmul": (
        1045,
        "transposeA:bool:1 transposeB:bool:2 weightMatrixFirstDimension:uint64:5 weightMatrixSecondDimension:uint64:6 "
        "hasBias:bool:7 weights:Weights:8 bias:Weights:9 int8DynamicQuantize:bool:10",
    ),
    "getShape": (1065, _EMPTY),
    "loadConstantND": (1070, "shape:uint64*:1 data:Weights:2"),
    "fillLike": (1080, _EMPTY),
    "fillStatic": (1085, "value:float:1 targetShape:uint64*:2"),
    "fillDynamic": (1090, _EMPTY),
    "broadcastToLike": (1100, _EMPTY),
    "broadcastToStatic": (1105, "targetShape:uint64*:1"),
    "broadcastToDynamic": (1110, _EMPTY),
    "squeeze": (1120, "axes:int64*:1 squeezeAll:bool:2"),
    "expandDims": (1125, "axes:int64*:1"),
    "flattenTo2D": (1130, "axis:int64:1"),
    "reshapeLike": (1135, _EMPTY),
    "reshapeStatic": (1140, "targetShape:int64*:1"),
    "reshapeDynamic": (1145, _EMPTY),
    "rankPreservingReshape": (1150, "targetShape:int64*:1"),
    "constantPad": (1155, "value:float:1 padAmounts:uint64*:2 padToGivenOutputSizeMode:bool:3"),
    "randomNormalLike": (1170, _EMPTY),
    "randomNormalStatic": (1175, _EMPTY),
    "randomNormalDynamic": (1180, _EMPTY),
    "randomUniformLike": (1190, _EMPTY),
    "randomUniformStatic": (1195, _EMPTY),
    "randomUniformDynamic": (1200, _EMPTY),
    "randomBernoulliLike": (1210, _EMPTY),
    "randomBernoulliStatic": (1215, _EMPTY),
    "randomBernoulliDynamic": (1220, _EMPTY),
    "categoricalDistribution": (1230, _EMPTY),
    "reduceL1": (1250, _AXES),
    "reduceL2": (1255, _AXES),
    "reduceMax": (1260, _AXES),
    "reduceMin": (1265, _AXES),
    "reduceSum": (1270, _AXES),
    "reduceProd": (1275, _AXES),
    "reduceMean": (1280, _AXES),
    "reduceLogSum": (1285, _AXES),
    "reduceSumSquare": (1290, _AXES),
    "reduceLogSumExp": (1295, _AXES),
    "whereNonZero": (1313, _EMPTY),
    "matrixBandPart": (1315, _EMPTY),
    "lowerTriangular": (1320, _EMPTY),
    "upperTriangular": (1325, _EMPTY),
    "whereBroadcastable": (1330, _EMPTY),
    "layerNormalization": (1350, "normalizedShape:int64*:1 eps:float:2 gamma:Weights:3 beta:Weights:4"),
    "NonMaximumSuppression": (1400, _EMPTY),
    "oneHot": (1450, "oneHotVectorSize:uint64:1 axis:int64:2 onValue:float:3 offValue:float:4"),
    "cumSum": (1455, "axis:int64:1 excludeFinalSum:bool:2 reverse:bool:3"),
    "clampedReLU": (1460, "alpha:float:1 beta:float:2"),
    "argSort": (1461, "axis:int64:1 descending:bool:2"),
    "pooling3d": (1465, _EMPTY),
    "globalPooling3d": (1466, _EMPTY),
    "sliceBySize": (1470, _EMPTY),
    "convolution3d": (1471, _EMPTY),
}

_PARTS_OF_LAYERS = {
    "Edges": "startEdgeSize:uint64:1 endEdgeSize:uint64:2",
    "Borders": "borderAmounts:Edges*:10",
    "ValidPadding": "paddingAmounts:Borders:1",
    "SamePadding": "asymmetryMode:int32:1",
    "CompletePadding": "paddingAmounts:uint64*:10",
    "PaddingConstant": "value:float:1",
    "Sampling": "samplingMethod:int32:1",
    "LstmParameters": "sequenceOutput:bool:10 hasBiasVectors:bool:20 forgetBias:bool:30 hasPeepholeVectors:bool:40 "
    "coupledInputAndForgetGate:bool:50 cellClipThreshold:float:60",
    "LstmWeights": "inputGateWeightMatrix:Weights:1 forgetGateWeightMatrix:Weights:2 blockInputWeightMatrix:Weights:3 "
    "outputGateWeightMatrix:Weights:4 inputGateRecursionMatrix:Weights:20 forgetGateRecursionMatrix:Weights:21 "
    "blockInputRecursionMatrix:Weights:22 outputGateRecursionMatrix:Weights:23 inputGateBiasVector:Weights:40 "
    "forgetGateBiasVector:Weights:41 blockInputBiasVector:Weights:42 outputGateBiasVector:Weights:43 "
    "inputGatePeepholeVector:Weights:60 forgetGatePeepholeVector:Weights:61 outputGatePeepholeVector:Weights:62",
    "Curve": "alpha:float:1 beta:float:2",
    "WeightedCurve": "alpha:Weights:1 beta:Weights:2",
}
"""The messages within the parameters of layers."""

_NEURAL = {
    **_PARTS_OF_LAYERS,
    "NeuralNetwork": "layers:Layer*:1 preprocessing:Preprocessing*:2 arrayInputShapeMapping:int32:5 "
    "imageInputShapeMapping:int32:6 stringClassLabels:Strings:100 int64ClassLabels:Integers:101 "
    "labelProbabilityLayerName:string:200 updateParams:Updating:10",
    "Updating": "lossLayers:Loss*:1 optimizer:Optimizer:2",
    "Loss": "name:string:1",
    "Optimizer": "sgdOptimizer:Empty:10 adamOptimizer:Empty:11",
    "Preprocessing": "featureName:string:1 scaler:Scaler:10 meanImage:MeanImage:11",
    "Scaler": "channelScale:float:10 blueBias:float:20 greenBias:float:21 redBias:float:22 grayBias:float:30",
    "MeanImage": "meanImage:float*:1",
    "Weights": "floatValue:float*:1 float16Value:bytes:2 rawValue:bytes:30 int8RawValue:bytes:31 "
    "quantization:Quantization:40",
    "Quantization": "numberOfBits:uint64:1 linearQuantization:Linear:101 lookupTableQuantization:Table:102",
    "Linear": "scale:float*:1 bias:float*:2",
    "Table": "floatValue:float*:1",
    "Layer": "name:string:1 input:string*:2 output:string*:3 "
    + " ".join(f"{name}:Layer_{name}:{number}" for name, (number, _) in LAYERS.items()),
    **{f"Layer_{name}": fields for name, (_, fields) in LAYERS.items()},
}
MESSAGES = {**_MODEL, **_PROGRAM, **_NEURAL}
"""The fields of each kind of message, as for `read_table`."""

_KINDS = read_table(MESSAGES)
for _name in (*_PARTS_OF_LAYERS, *(f"Layer_{name}" for name in LAYERS)):
    _KINDS[_name].keeps_unknown = True  # to be refused by name

MODEL_KIND = _KINDS["Model"]
"""The kind of a model's message."""


#: The kinds of models that are not networks and therefore not supported.
OTHER_MODELS = tuple(
    field.split(":")[0]
    for field in MESSAGES["Model"].split()
    if field.split(":")[1] in ("Empty", "Vectorizer")
)
