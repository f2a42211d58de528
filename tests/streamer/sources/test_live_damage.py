"""Damage that nobody reports: what is marked, from where, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from types import SimpleNamespace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from streamer.live.camera_source import Cause
from streamer.sources.decoding import Decoded
from streamer.sources.live_damage import BLOCKINESS_STEP, blockiness, with_losses_marked
from streamer.sources.reconnecting import ConnectionLostError

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Shown:
    """A stream written as text: ``K`` key picture, ``p`` other, ``k``/``c`` the same marked by the decoder, ``-`` a
    picture that never came, ``d`` one after a decode error."""

    text: str

    def pictures(self) -> Iterator[Decoded]:
        for number, letter in enumerate(self.text):
            if letter != "-":
                yield Decoded(
                    SimpleNamespace(key_frame=letter in "Kk"),  # type: ignore[arg-type]
                    Fraction(number, 10),
                    corrupt=letter in "kc",
                    broken=letter == "d",
                    lost=None,
                    turns=0,
                )


def marks(text: str, *, intra_only: bool = False) -> str:
    """The stream with ``x`` for pictures marked as corrupt."""
    judged = {
        int(p.pts * 10): p
        for p in with_losses_marked(Shown(text).pictures(), intra_only=intra_only)
        if p.pts is not None
    }
    return "".join("-" if k not in judged else "x" if judged[k].corrupt else letter for k, letter in enumerate(text))


@pytest.mark.parametrize(
    ("stream", "marked"),
    [
        ("KpppKppp", "KpppKppp"),
        ("KppppcppKpp", "KppppxxxKpp"),
        ("Kpppp-ppKpp", "Kpppx-xxKpp"),
        ("KppppdppKpp", "KppppxxxKpp"),
        ("KppppkpppKp", "KppppxxxxKp"),
        ("Kpppp-Kpp", "Kpppx-Kpp"),
        ("KppppK-ppKp", "Kppppx-xxKp"),
    ],
)
def test_damage_lasts_from_the_picture_before_a_hole_to_the_next_sound_key_picture(stream: str, marked: str) -> None:
    assert marks(stream) == marked


def test_pictures_that_stand_for_themselves_spread_nothing() -> None:
    assert marks("KKKKkKK-KK", intra_only=True) == "KKKKxKx-KK"


def test_a_key_picture_after_a_hole_breaks_the_run() -> None:
    judged = list(with_losses_marked(Shown("Kpppp-Kpp").pictures(), intra_only=False))
    assert [picture.broken for picture in judged] == [False] * 5 + [True, False, False]


def test_a_stream_without_key_pictures_is_trusted_again_after_half_a_minute() -> None:
    marked = marks("Kpppp-" + 400 * "p")
    assert 290 <= marked.count("x") <= 310
    assert marked.endswith("p")


def test_the_last_picture_of_a_connection_that_fails_is_not_lost() -> None:
    def failing() -> Iterator[Decoded]:
        yield from Shown("Kpp").pictures()
        raise ConnectionLostError(Cause.ENDED, "gone")

    judged = with_losses_marked(failing(), intra_only=False)
    assert [next(judged).pts for _ in range(3)] == [0, Fraction(1, 10), Fraction(1, 5)]
    with pytest.raises(ConnectionLostError):
        next(judged)


def ground() -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 255, (240, 320), dtype=np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 30, 220, cv2.NORM_MINMAX)


def test_displaced_squares_on_the_grid_are_blocky_and_moving_things_are_not() -> None:
    sound = ground()
    level = blockiness(sound)
    assert abs(level) < 0.5
    moved = sound.copy()
    moved[61:140, 83:177] = sound[70:149, 10:104]
    assert blockiness(moved) - level < BLOCKINESS_STEP / 2
    smeared = sound.copy()
    random = np.random.default_rng(1)
    for top in range(64, 240, 16):
        for left in range(0, 320, 16):
            y, x = random.integers(0, 220), random.integers(0, 300)
            smeared[top : top + 16, left : left + 16] = sound[y : y + 16, x : x + 16]
    assert blockiness(smeared) - level > 2 * BLOCKINESS_STEP


def test_a_picture_smaller_than_the_grid_is_not_blocky() -> None:
    assert blockiness(np.zeros((12, 12), np.uint8)) == 0
