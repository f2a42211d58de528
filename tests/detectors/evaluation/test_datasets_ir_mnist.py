"""IR-MNIST: grids from a toy MNIST whose digits tell their label, and from the real one."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detectors.evaluation.datasets.ir_mnist import CELL, GRID, HELD_OUT, build_ir_mnist
from preprocess.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


def write_idx(path: Path, values: np.ndarray) -> None:
    head = bytes((0, 0, 8, values.ndim)) + np.array(values.shape, ">u4").tobytes()
    data = head + values.astype(np.uint8).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """Every digit is a plain square: 10 x label, + 1 in the training part; its top left pixel is black."""
    for part, shift in (("train", 1), ("t10k", 0)):
        labels = np.tile(np.arange(10), 8)
        digits = np.repeat(10 * labels + shift, CELL * CELL).reshape(-1, CELL, CELL)
        digits[:, 0, 0] = 0
        write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", digits)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", labels)
    return tmp_path


def cells_of(pictures: np.ndarray) -> np.ndarray:
    return pictures.reshape(-1, GRID, CELL, GRID, CELL).transpose(0, 1, 3, 2, 4)


def test_grids_have_their_shapes(toy: Path) -> None:
    built = build_ir_mnist(toy, seed=0, count_train=4, count_test=3)
    assert built.train.shape == (4, 308, 308)
    assert built.test.shape == (3, 308, 308)
    assert built.irregular.shape == (3, 11, 11)
    assert built.train.dtype == built.test.dtype == np.uint8
    assert built.irregular.dtype == np.bool_


def test_training_shows_every_digit_but_the_one_held_out(toy: Path) -> None:
    shown = np.unique(cells_of(build_ir_mnist(toy, seed=0, count_train=10, count_test=1).train)[..., 14, 14])
    assert shown.tolist() == [10 * digit + 1 for digit in range(10) if digit != HELD_OUT]


def test_test_cells_are_marked_where_the_held_out_digit_stands(toy: Path) -> None:
    built = build_ir_mnist(toy, seed=0, count_train=1, count_test=20)
    cells = cells_of(built.test)
    assert (cells[..., 0, 0] == 0).all()
    np.testing.assert_array_equal(cells[..., 14, 14] == 10 * HELD_OUT, built.irregular)
    assert built.irregular.mean() == pytest.approx(0.1, abs=0.02)
    assert (cells[..., 14, 14] % 10 == 0).all(), "no test digit comes from the training part"


def test_the_same_seed_gives_the_same_grids(toy: Path) -> None:
    one, same, other = (build_ir_mnist(toy, seed=seed, count_train=3, count_test=3) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.train, same.train)
    np.testing.assert_array_equal(one.test, same.test)
    assert (one.test != other.test).any()


def test_plain_files_in_the_usual_folder_are_found(toy: Path) -> None:
    raw = toy / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for packed in toy.glob("*.gz"):
        (raw / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()
    assert len(build_ir_mnist(toy, seed=0, count_train=2, count_test=1).train) == 2


def test_missing_and_damaged_files_are_named(toy: Path) -> None:
    images, labels = toy / "train-images-idx3-ubyte.gz", toy / "train-labels-idx1-ubyte.gz"
    whole = images.read_bytes()
    for content, said in (
        (whole[: 3 * len(whole) // 4], "cut short"),
        (b"\x1f\x8b" + b"\0" * 30, "cannot be read"),
        (gzip.compress(b"PK not idx"), "not an idx file of 3 dimensions"),
        (labels.read_bytes(), "not an idx file of 3 dimensions"),
    ):
        images.write_bytes(content)
        with pytest.raises(InputError, match=said):
            build_ir_mnist(toy, seed=0, count_train=1, count_test=1)
    write_idx(images, np.zeros((79, CELL, CELL)))
    with pytest.raises(InputError, match="does not fit 80 labels"):
        build_ir_mnist(toy, seed=0, count_train=1, count_test=1)
    write_idx(images, np.zeros((80, CELL, CELL)))
    write_idx(labels, np.zeros(80))
    with pytest.raises(InputError, match="has not both a 3 and other digits"):
        build_ir_mnist(toy, seed=0, count_train=1, count_test=1)
    images.unlink()
    with pytest.raises(InputError, match=r"no train-images-idx3-ubyte or \.gz in it"):
        build_ir_mnist(toy, seed=0, count_train=1, count_test=1)


@pytest.mark.shared
def test_the_real_mnist_builds(shared_data: Path) -> None:
    if not (shared_data / "mnist").is_dir():
        pytest.skip(f"MNIST is not in {shared_data}")
    built = build_ir_mnist(shared_data / "mnist", seed=0, count_train=20, count_test=100)
    assert 25 < built.train.mean() < 45
    assert built.irregular.mean() == pytest.approx(0.101, abs=0.01)  # 1,010 of MNIST's 10,000 test digits are a 3
