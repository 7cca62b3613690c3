"""Programs that use mpscnn, for type checkers. `nox -s lint` checks this file, but does not run it.

Wrong lines ignore an expected error. The checker also reports ignored errors that do not occur, so both right and wrong
uses are tested.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import mpscnn
from mpscnn import kernels, nodes


def names(network: mpscnn.Network) -> None:
    """Wrong names of methods, options and arguments are errors."""
    x = network.conv2d(network.input, 8, 3, padding="same", activation="relu")
    network.conv2d(x, 8, 3, padding="sam")  # type: ignore[arg-type]
    network.conv2d(x, 8, 3, activation="rleu")  # type: ignore[arg-type]
    network.activation(x, {"kind": "clamp", "a": 0.0, "b": 1.0})
    network.max_pool2d(x, 2, edge="clmap")  # type: ignore[arg-type]
    network.resize(x, 2, method="nearst")  # type: ignore[arg-type]
    network.compile(precision="float16")
    network.compile(precision="float17")  # type: ignore[arg-type]
    network.compile(accumulate_dtype="float16", winograd=False, metal_kernels="own", max_memory=None)
    network.compile(accumulate_dtype="half")  # type: ignore[arg-type]
    network.compile(accumulate="float16")  # type: ignore[call-arg]
    network.compile(device="cpu").session(threads="all")  # type: ignore[arg-type]
    mpscnn.CompileOptions(weights="int8").weights.upper()
    mpscnn.CompileOptions(threads=1)  # type: ignore[call-arg]
    mpscnn.Model(network, check_finite="yes")  # type: ignore[arg-type]
    network.save("x.safetensors", dtype="int8")  # type: ignore[arg-type]
    mpscnn.open_photo(np.zeros((2, 2, 3), np.uint8), channel_order="brg")  # type: ignore[arg-type]
    mpscnn.Image(2, 2, 3, format="float64")  # type: ignore[call-overload]


def results(model: mpscnn.Model, program: mpscnn.Program, image: NDArray[np.float32]) -> None:
    """The type of a result follows from the method, or from the name of the model."""
    model.classify("cat.jpg", top=3).top(2)
    model.detect("cat.jpg", score_threshold=0.5).boxes.sum()
    model.segment("cat.jpg", scores=True).mask("cat")
    model.classify("cat.jpg", top=3).boxes.sum()  # type: ignore[attr-defined]
    several: list[mpscnn.Classification] = model.predict(["a.jpg", "b.jpg"])
    several[0].top(1)
    mpscnn.load().predict(["a.jpg", "b.jpg"], top=3)[0].top(1)
    mpscnn.load().predict(["a.jpg"], top=3)[0].boxes.sum()  # type: ignore[attr-defined]
    mpscnn.load().predict("cat.jpg").top(3)
    mpscnn.load().predict("cat.jpg").boxes.sum()  # type: ignore[attr-defined]
    mpscnn.load("ssd_mobilenet_v1_coco", threads=2).predict("cat.jpg").boxes.sum()
    mpscnn.load("deeplab_v3").predict("cat.jpg", channel_order="bgr").mask("cat")
    mpscnn.load("mobilenet_v2").predict(["a.jpg"])[0].mask("cat")  # type: ignore[attr-defined]
    mpscnn.load("own.safetensors").predict("cat.jpg").whatever()
    mpscnn.load(thread=2)  # type: ignore[call-overload]
    session = program.session()
    array: NDArray[np.float32] = session.run(image)
    array.mean()
    given = session.run(image, out=image)
    given.sum()
    given.top(1)  # type: ignore[attr-defined]


def training(network: mpscnn.Network, image: NDArray[np.float32]) -> None:
    """`fit` returns a history and no generator; the training loop is a generator."""
    trainer = mpscnn.Trainer(network)
    history = trainer.fit((image, image), epochs=2, validation_data=(image, image), early_stopping=3)
    history.losses.index(0.0)
    history[-1].loss.is_integer()
    next(trainer.fit((image, image)))  # type: ignore[call-overload]
    next(trainer.iter_epochs((image, image), epochs=2)).loss.is_integer()
    trainer.fit((image, image), epoch=2)  # type: ignore[call-arg]
    trainer.fit((image, image), early_stopping=mpscnn.EarlyStopping(monitor="val_loss"))  # type: ignore[arg-type]


async def awaited(program: mpscnn.Program, image: NDArray[np.float32]) -> None:
    """Results of a runner and of a session are awaited."""
    async with mpscnn.Runner(mpscnn.load()) as runner:
        seen = await runner.submit("a.jpg")
        seen.top(1)
        seen.boxes.sum()  # type: ignore[attr-defined]
    print(await program.session().submit(image))


def streams(model: mpscnn.Model, program: mpscnn.Program, image: NDArray[np.float32]) -> None:
    """The type of a runner's results follows from the model or program that it runs."""
    with mpscnn.Runner(model.features("pool"), max_batch=2) as extracting:
        for features in extracting.map(["a.jpg"]):
            features["pool"].mean()
            features.top(1)  # type: ignore[attr-defined]
        extracting.submit("a.jpg").result()["pool"].sum()
    with mpscnn.Runner(program, 2) as running:
        for array in running.map([image]):
            array.mean()
    runner: mpscnn.Runner[mpscnn.Classification] = mpscnn.Runner(model)
    for result in runner.map(["a.jpg"], top=1):
        result.top(1)
        result.boxes.sum()  # type: ignore[attr-defined]
    with mpscnn.Runner(mpscnn.load()) as classifying:
        for found in classifying.map(["a.jpg"]):
            found.top(1)
            found.boxes.sum()  # type: ignore[attr-defined]
    for frame, seen in mpscnn.video("clip.mp4", mpscnn.load()):
        seen.top(1)
        seen.boxes.sum()  # type: ignore[attr-defined]
        print(frame.tiem)  # type: ignore[attr-defined]
    for _, pooled in mpscnn.video("clip.mp4", model.features("pool")):
        pooled["pool"].mean()
    mpscnn.Runner(program, max_batsh=2)  # type: ignore[call-overload]


def raw_kernels() -> None:
    """Properties of raw kernels are keyword arguments."""
    kernels.PoolingMax(2, 2, stride_x=2, edge_mode="clamp", clip_rect=(0, 0, 4, 4), label="pool")
    kernels.PoolingMax(2, 2, strideX=2)  # type: ignore[call-arg]
    kernels.PoolingMax(2, 2, edge_mode="mirror")  # type: ignore[arg-type]
    kernels.PoolingMax(2, 2, zero_pad_size_x=1)  # type: ignore[call-arg]
    kernels.PoolingAverage(2, 2, zero_pad_size_x=1)
    kernels.Add(primary_scale=2.0, secondary_edge_mode="clamp")
    kernels.Add(edge_mode="clamp")  # type: ignore[call-arg]
    kernels.Compare("less", secondary_scale=2.0)
    kernels.Compare("smaller")  # type: ignore[arg-type]
    kernels.ImageLanczosScale(scale_transform=kernels.ScaleTransform(0.5, 0.5), edge_mode="zero")
    kernels.ImageConversion("premultiplied", "straight")  # type: ignore[arg-type]
    kernels.ImageConversion(source_color_space="display_p3")  # type: ignore[arg-type]
    kernels.SoftMax(source_feature_channel_offset=4)
    kernels.Pad((1, 1, 0), (1, 1, 0), edge_mode="mirror_with_edge", fill_value=1.0)
    kernels.NeuronReLU(offset=(1, 1))
    kernels.NeuronReLU(offset="1")  # type: ignore[arg-type]


def wrong_names() -> None:
    """Unknown names in modules are errors, although `__getattr__` of these modules raises errors with hints."""
    print(mpscnn.Convolution)  # type: ignore[attr-defined]
    print(kernels.MPSCNNConvolution)  # type: ignore[attr-defined]
    print(nodes.ConvolutionNode)  # type: ignore[attr-defined]
    image = nodes.MPSNNImageNode((8, 8, 3))
    print(nodes.MPSCNNPoolingMaxNode(image, 2, 2).result_image)
    print(mpscnn.onnx_backend.Onnx)  # type: ignore[attr-defined]
    print(mpscnn.registry.list_models)  # type: ignore[attr-defined]
