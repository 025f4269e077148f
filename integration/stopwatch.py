"""Take times: how much is done, and in which order, so that a busy machine slows everything."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

GB = 10**9
Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done: rounds, sizes of roots in bytes, numbers of boot environments."""

    directory: Path
    rounds: int = 9
    small: int = 3 * GB // 10
    large: int = 3 * GB
    counts: tuple[int, ...] = (10, 100, 1000)


def timed(work: Work) -> float:
    """Take the time of one piece of work, in seconds."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def in_turns(rounds: int, *works: Work) -> list[list[float]]:
    """Time several pieces of work, one after the other in each round; the first round warms up."""
    turns = [[timed(work) for work in works] for _ in range(rounds + 1)]
    return [list(samples) for samples in zip(*turns[1:], strict=True)]


def silent(_: str) -> None:
    """Say nothing."""
