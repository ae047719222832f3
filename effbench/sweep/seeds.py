"""Seeds as a user writes them: whole numbers and ranges."""

from __future__ import annotations

from effbench.errors import UsageError

# Nobody means to wait for more runs of one variant than this: it is a slip of the keyboard.
MOST = 1_000


def parse_seeds(text: str) -> tuple[int, ...]:
    """The seeds of a comma-separated list, e.g. "0-4" or "0,2-5", in its order.

    Raises:
        UsageError: it is no such list, a seed is there twice, or there are more than `MOST`.
    """
    try:
        ranges = [_range(part) for part in text.split(",")]
    except ValueError as error:
        raise _refused(text) from error
    if sum(map(len, ranges)) > MOST:
        raise UsageError(f"a sweep takes at most {MOST:,} seeds", text, "write a shorter range")
    seeds = tuple(seed for part in ranges for seed in part)
    if len(set(seeds)) < len(seeds):
        raise _refused(text)
    return seeds


def _range(part: str) -> range:
    """The seeds of one number, or of a range from a first to a last one.

    Raises:
        ValueError: it is neither.
    """
    first, dash, last = part.partition("-")
    seeds = range(int(first), int(last if dash else first) + 1)
    if not seeds or seeds[0] < 0 or seeds[-1] >= 2**31:
        raise ValueError(part)
    return seeds


def _refused(text: str) -> UsageError:
    return UsageError(
        "seeds are different whole numbers from 0 on", text, "write e.g. 0,1,2 or 0-4"
    )
