"""Tests of faults around a trainer: of data, disks, processes and threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import mpscnn
from mpscnn import Adam, Sgd
from mpscnn._private.fork_safe_lock import ForkSafeLock

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(48, 6, 6, 2)).astype(np.float32)
Y = RANDOM.integers(0, 3, 48)


def network(*, size: int | None = 6) -> mpscnn.Network:
    net = mpscnn.Network(input=(size, size, 2), name="net")
    x = net.conv2d(net.input, 5, 3, padding="same", activation="relu", name="conv")
    x = net.global_average_pool2d(x)
    net.output(net.softmax(net.dense(x, 3, name="dense")))
    net.initialize_weights(seed=1)
    return net


def weights(trainer: mpscnn.Trainer) -> dict[str, Any]:
    return {name: np.array(value) for name, value in trainer.network.weights.items()}


def assert_same(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert a.keys() == b.keys()
    for name, value in a.items():
        np.testing.assert_array_equal(value, b[name], err_msg=name)


def trained(steps: int = 4, threads: int = 1) -> mpscnn.Trainer:
    trainer = mpscnn.Trainer(network(), optimizer=Adam(1e-2), threads=threads, seed=2)
    for step in range(steps):
        part = slice(step % 3 * 16, step % 3 * 16 + 16)
        trainer.step(X[part], Y[part])
    return trainer


def test_batches_of_other_sizes() -> None:
    trainer = mpscnn.Trainer(network(size=None), optimizer=Sgd(0.1))
    for count, size in ((7, 6), (1, 6), (12, 9), (3, 5)):
        images = RANDOM.normal(size=(count, size, size, 2)).astype(np.float32)
        assert np.isfinite(trainer.step(images, RANDOM.integers(0, 3, count)))
    assert trainer.steps == 4


def test_a_batch_that_does_not_fit_changes_nothing() -> None:
    trainer = trained()
    before = weights(trainer)
    batches = [(X[:8], Y[:8]), (X[:8, :5], Y[:8])]
    with pytest.raises(mpscnn.ShapeError, match=r"\(8, 5, 6, 2\)"):
        trainer.step(*batches[1])
    assert_same(before, weights(trainer))
    with pytest.raises(mpscnn.ShapeError, match=r"labels must be whole numbers of the shape \(8,\)"):
        trainer.step(X[:8], Y[:7])
    with pytest.raises(mpscnn.ShapeError, match=r"\(8, 5, 6, 2\)"):
        list(trainer.iter_epochs(batches, epochs=1))
    assert trainer.steps == 5  # the first batch made a step


@pytest.mark.parametrize("data", [(X[:0], Y[:0]), []])
def test_no_data(data: Any) -> None:
    with pytest.raises(mpscnn.ParameterError, match=r"the data has no elements|the data has no batch"):
        list(mpscnn.Trainer(network()).iter_epochs(data, epochs=1))
    with pytest.raises(mpscnn.ParameterError, match=r"the data has no elements|the data has no batch"):
        mpscnn.Trainer(network()).evaluate(data)


def test_a_batch_of_no_images() -> None:
    trainer = trained()
    before = weights(trainer)
    with pytest.raises(
        mpscnn.ParameterError, match=r"at least one image, got inputs of the shape \(0, 6, 6, 2\)"
    ):
        trainer.step(X[:0], Y[:0])
    with pytest.raises(mpscnn.ParameterError, match="at least one image"):
        list(trainer.iter_epochs([(X[:0], Y[:0])], epochs=1))
    assert trainer.steps == 4
    assert_same(before, weights(trainer))


@pytest.mark.parametrize("data", [None, 3])
def test_what_is_no_data(data: Any) -> None:
    with pytest.raises(mpscnn.ParameterError, match=r"data must be a tuple of arrays .*, got (NoneType|int)"):
        list(mpscnn.Trainer(network()).iter_epochs(data, epochs=1))


def test_an_iterator_that_is_used_up() -> None:
    epochs = trained().iter_epochs(iter([(X, Y)]), epochs=2)
    next(epochs)
    with pytest.raises(mpscnn.ParameterError, match="the data has no batch"):
        next(epochs)


class _Failing:
    """Batches of 16 images. After the first `last` batches, an error is raised once."""

    def __init__(self, last: int) -> None:
        self.last, self.failed = last, False

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for number in range(3):
            self._fail(number)
            yield X[number * 16 : number * 16 + 16], Y[number * 16 : number * 16 + 16]
        self._fail(3)

    def _fail(self, number: int) -> None:
        if number == self.last and not self.failed:
            self.failed = True
            raise OSError("the camera is gone")


@pytest.mark.parametrize("last", [0, 1, 3])
@pytest.mark.parametrize("saved", [False, True])
def test_it_goes_on_after_data_that_raised(last: int, saved: bool, tmp_path: Path) -> None:
    """Weights and the epoch's loss are those of a run without the error, which may also come after the last batch."""
    undisturbed, trainer = trained(), trained()
    expected = list(undisturbed.iter_epochs(_Failing(9), epochs=2))
    data = _Failing(last)
    with pytest.raises(OSError, match="the camera is gone"):
        list(trainer.iter_epochs(data, epochs=2))
    if saved:
        trainer.save(tmp_path / "run.checkpoint")
        trainer = mpscnn.Trainer.resume(tmp_path / "run.checkpoint", optimizer=Adam(1e-2))
    found = list(trainer.iter_epochs(data, epochs=2))
    assert [(e.index, e.loss, e.accuracy) for e in found] == [(e.index, e.loss, e.accuracy) for e in expected]
    assert_same(weights(trainer), weights(undisturbed))
    assert trainer.steps == undisturbed.steps


@pytest.mark.parametrize("left", [[], [(X[:16], Y[:16])], (X[:2], Y[:2])])
def test_it_does_not_go_on_with_less_data(left: Any) -> None:
    trainer = trained()
    with pytest.raises(OSError, match="the camera is gone"):
        list(trainer.iter_epochs(_Failing(2), epochs=1))
    with pytest.raises(
        mpscnn.ParameterError, match=r"2 batches of this epoch were made, the data has (1|no batch)"
    ):
        list(trainer.iter_epochs(left, epochs=1, batch_size=2))


ONE = np.broadcast_to(np.float32(0.5), (8, 6, 6, 2))


def unaligned() -> Any:
    memory = np.zeros(8 * 72 * 4 + 1, np.uint8)
    array = memory[1:].view(np.float32).reshape(8, 6, 6, 2)
    array[...] = X[:8]
    return array


@pytest.mark.parametrize(
    "x",
    [ONE, X[14::-2], X[:8].astype(">f4"), unaligned(), np.asfortranarray(X[:8]), X[:8].astype(np.float16)],
    ids=["one number", "backwards", "other byte order", "unaligned", "other order", "halves"],
)
def test_arrays_are_read_wherever_they_lie(x: Any) -> None:
    plain = np.ascontiguousarray(np.array(x, np.float16 if x.dtype == np.float16 else np.float32))
    one, other = (mpscnn.Trainer(network(), optimizer=Sgd(0.1)) for _ in range(2))
    assert one.step(x, Y[:8]) == other.step(plain, Y[:8])
    assert_same(weights(one), weights(other))
    assert one.evaluate((x, Y[:8])) == other.evaluate((plain, Y[:8]))
    if x.dtype != np.float16:
        assert network().gradients(x, Y[:8])[0] == network().gradients(plain, Y[:8])[0]


def test_what_cannot_be_read_as_arrays() -> None:
    trainer = mpscnn.Trainer(network())
    for labels in ([[0], [0, 1]], ["a", "b"], None):
        with pytest.raises((mpscnn.ShapeError, mpscnn.ParameterError), match="labels"):
            trainer.step(X[:2], labels)
    for inputs in (None, [X[:2], X[:2]], [["a"], ["b", "c"]]):
        with pytest.raises((mpscnn.ShapeError, mpscnn.ParameterError), match="input"):
            trainer.step(inputs, Y[:2])


def test_what_is_no_batch() -> None:
    with pytest.raises(mpscnn.ParameterError, match=r"batch 1 must be \(inputs, labels\) or .*, got 1 parts"):
        list(mpscnn.Trainer(network()).iter_epochs([(X, Y), (X,)], epochs=1))
    with pytest.raises(mpscnn.ShapeError, match="there are 48 inputs and 47 labels"):
        list(mpscnn.Trainer(network()).iter_epochs((X, Y[:47]), epochs=1))


class Workers:
    """Batches that threads make. One of them fails in the second epoch."""

    def __init__(self) -> None:
        self.epochs = 0

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        self.epochs += 1
        epoch = self.epochs

        def batch(index: int) -> tuple[Any, Any]:
            if epoch == 2 and index == 1:
                raise OSError("photo 17 is damaged")
            return X[index * 16 : index * 16 + 16], Y[index * 16 : index * 16 + 16]

        with ThreadPoolExecutor(2) as pool:
            yield from pool.map(batch, range(3))


def test_a_source_that_fails_in_a_worker() -> None:
    trainer = mpscnn.Trainer(network(), optimizer=Adam(1e-2), seed=2)
    epochs = trainer.iter_epochs(Workers(), epochs=3)
    assert next(epochs).index == 1
    with pytest.raises(OSError, match="photo 17 is damaged"):
        next(epochs)
    assert trainer.steps == 4  # three steps of the first epoch, and one of the second
    assert_same(weights(trainer), weights(trained(4)))
    trainer.step(X[16:32], Y[16:32])
    assert_same(weights(trainer), weights(trained(5)))


class Photos:
    """A data set for torch's loader. One element may be damaged."""

    def __init__(self, damaged: int = -1) -> None:
        self.damaged = damaged

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if index == self.damaged:
            raise OSError(f"photo {index} is damaged")
        return X[index], Y[index]


@pytest.mark.parametrize("workers", [0, 2])
def test_loaders_of_pytorch(workers: int) -> None:
    """Loaders may have worker processes. Errors of workers reach the caller of the trainer."""
    data = pytest.importorskip("torch.utils.data", reason="torch is not installed")
    trainer = mpscnn.Trainer(network(), optimizer=Adam(1e-2), threads=1, seed=2)
    list(trainer.iter_epochs(data.DataLoader(Photos(), batch_size=16, num_workers=workers), epochs=1))
    assert_same(weights(trainer), weights(trained(3)))
    with pytest.raises(OSError, match="photo 20 is damaged"):
        list(trainer.iter_epochs(data.DataLoader(Photos(20), batch_size=16, num_workers=workers), epochs=2))
    assert trainer.steps == 4
    assert_same(weights(trainer), weights(trained(4)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_training_goes_on_in_a_fork(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from test_faults import trained, weights, X, Y\n"
        "import numpy as np\n"
        "trainer = trained(4, threads=2)\n"
        "child = os.fork()\n"
        "trainer.step(X[16:32], Y[16:32])\n"
        "np.savez(sys.argv[2] + ('/parent' if child else '/child'), **weights(trainer))\n"
        "if child:\n"
        "    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "os._exit(0)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path)], timeout=120, check=True
    )
    expected = weights(trained(5))
    for name in ("parent", "child"):
        with np.load(tmp_path / f"{name}.npz") as file:
            assert_same(expected, dict(file))


def test_two_trainers_at_once() -> None:
    expected = weights(trained(30))
    results: dict[int, dict[str, Any]] = {}
    start = threading.Barrier(2)

    def run(index: int) -> None:
        start.wait()
        results[index] = weights(trained(30, threads=2))

    threads = [threading.Thread(target=run, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index in range(2):
        assert_same(expected, results[index])


@pytest.mark.parametrize("look", ["steps", "save", "network"])
def test_another_thread_looks_at_a_trainer(tmp_path: Path, look: str) -> None:
    trainer, done = trained(0), threading.Event()

    def watch() -> None:
        while not done.is_set():
            trainer.save(tmp_path / "watched.npz") if look == "save" else getattr(trainer, look)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        list(trainer.iter_epochs((X, Y), epochs=40, batch_size=8))
    finally:
        done.set()
        thread.join()
    alone = trained(0)
    list(alone.iter_epochs((X, Y), epochs=40, batch_size=8))
    assert trainer.steps == alone.steps
    assert_same(weights(trainer), weights(alone))
    trainer.save(tmp_path / "last.npz")
    assert mpscnn.Trainer.resume(tmp_path / "last.npz").step(X, Y) == trainer.step(X, Y)


def test_two_threads_freeze() -> None:
    for _ in range(5):
        trainer = trained(0)
        names = trainer.network.layer_names()[1:3]
        threads = [threading.Thread(target=trainer.freeze, args=(name,)) for name in names]
        threads.append(threading.Thread(target=trainer.step, args=(X, Y)))
        for thread in reversed(threads):
            thread.start()
        for thread in threads:
            thread.join()
        assert set(trainer.frozen) == set(names)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_of_a_process_within_a_step() -> None:
    """The child does not wait for the parent's thread, which it does not have."""
    lock, held, done = ForkSafeLock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        child = os.fork()
        if child == 0:
            signal.alarm(120)
            try:
                with lock:
                    os._exit(1)
            except mpscnn.StateError:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        done.set()
        thread.join()
    with lock, lock:
        pass


def test_steps_of_two_threads_all_count() -> None:
    trainer = trained(0)
    threads = [
        threading.Thread(target=lambda: [trainer.step(X[:8], Y[:8]) for _ in range(60)]) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trainer.steps == 120


def test_a_program_of_before_keeps_its_weights() -> None:
    trainer = trained()
    program = trainer.network.compile(device="cpu", precision="float32")
    before = program.session().run(X)
    for _ in range(5):
        trainer.step(X, Y)
    np.testing.assert_array_equal(program.session().run(X), before)
    after = trainer.network.compile(device="cpu", precision="float32").session().run(X)
    assert not np.array_equal(after, before)


class InterruptedCore:
    """A trainer's core, some of whose calls of `step` raise KeyboardInterrupt at their end, as Ctrl-C may do."""

    def __init__(self, trainer: mpscnn.Trainer, calls: set[int]) -> None:
        self._calls, self._made = calls, 0
        self.stand_in(trainer)

    def stand_in(self, trainer: mpscnn.Trainer) -> None:
        """Take the place of the trainer's core."""
        self._core = trainer._built.core
        trainer._built = replace(trainer._built, core=cast(Any, self))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)

    def step(self, *arguments: Any) -> None:
        self._core.step(*arguments)
        self._made += 1
        if self._made in self._calls:
            raise KeyboardInterrupt


@pytest.mark.parametrize("saved", [False, True])
def test_interrupts_behind_a_step_lose_nothing(saved: bool, tmp_path: Path) -> None:
    def fresh() -> mpscnn.Trainer:
        return mpscnn.Trainer(network(), optimizer=Adam(0.01), seed=4, threads=1)

    right = fresh()
    epochs = list(right.iter_epochs((X, Y), epochs=2, batch_size=8))
    trainer, found = fresh(), []
    core = InterruptedCore(trainer, {2, 3, 6, 7})
    for _ in range(5):
        try:
            found += trainer.iter_epochs((X, Y), epochs=2, batch_size=8)
        except KeyboardInterrupt:
            if saved:
                trainer.save(tmp_path / "run.npz")
                trainer = mpscnn.Trainer.resume(tmp_path / "run.npz", optimizer=Adam(0.01))
                core.stand_in(trainer)
    assert trainer.steps == right.steps == 12
    assert [(epoch.index, epoch.loss, epoch.accuracy) for epoch in found] == [
        (epoch.index, epoch.loss, epoch.accuracy) for epoch in epochs
    ]
    assert_same(weights(trainer), weights(right))


def test_validation_that_raises_does_not_lose_the_epoch() -> None:
    right = list(mpscnn.Trainer(network(), seed=4, threads=1).iter_epochs((X, Y), epochs=2, batch_size=8))
    trainer = mpscnn.Trainer(network(), seed=4, threads=1)
    run = trainer.iter_epochs((X, Y), epochs=2, batch_size=8, validation_data=((x, y) for x, y in [(X, Y)]))
    first = next(run)
    with pytest.raises(mpscnn.ParameterError, match=r"no batch \(an iterator gives its batches only once\)"):
        next(run)
    (second,) = trainer.iter_epochs((X, Y), epochs=2, batch_size=8)
    assert [(first.index, first.loss), (second.index, second.loss)] == [
        (epoch.index, epoch.loss) for epoch in right
    ]


def test_a_checkpoint_goes_on_with_other_threads(tmp_path: Path) -> None:
    trained().save(tmp_path / "run.npz")
    mpscnn.Trainer.resume(tmp_path / "run.npz", optimizer=Adam(), threads=2)
    with pytest.raises(mpscnn.Error, match="nowhere"):
        mpscnn.Trainer.resume(tmp_path / "run.npz", optimizer=Adam(), device="nowhere")


def test_weights_of_losses_are_for_weighted_trainers() -> None:
    with pytest.raises(mpscnn.ParameterError, match="weighted=True"):
        trained().evaluate((X, Y, np.ones(len(Y), np.float32)))
