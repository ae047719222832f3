"""Seeds as a user writes them: whole numbers and ranges."""

from __future__ import annotations

import re
from collections import Counter

from effbench.errors import UsageError

# Nobody means to wait for more runs of one variant than this: it is a slip of the keyboard.
MOST = 1_000
# Seeds are kept as signed numbers of 32 bits.
LARGEST = 2**31 - 1
# What stands for them where nothing is random.
UNSEEDED = (0,)


def parse_seeds(text: str) -> tuple[int, ...]:
    """The seeds of a comma-separated list, e.g. "0-4" or "0,2-5", in its order.

    Raises:
        UsageError: it is no such list, a seed is there twice, or there are more than `MOST`.
    """
    ranges = [_range(part) for part in text.split(",")]
    if sum(map(len, ranges)) > MOST:
        raise UsageError(f"a sweep takes at most {MOST:,} seeds", text, "write a shorter range")
    counts = Counter(seed for part in ranges for seed in part)
    if twice := [str(seed) for seed, count in counts.items() if count > 1]:
        received = f"{', '.join(twice)} in {text}"
        raise UsageError("a seed is there twice", received, "name each seed once")
    return tuple(counts)


def _range(part: str) -> range:
    """The seeds of one number, or of a range from a first to a last one.

    Raises:
        UsageError: it is neither.
    """
    numbers = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part, re.ASCII)
    if not numbers:
        rule = "seeds are whole numbers from 0 on"
        raise UsageError(rule, repr(part), "write e.g. 0,1,2 or 0-4")
    first, last = (int(number) for number in numbers.groups(default=numbers[1]))
    seeds = range(first, last + 1)
    if not seeds:
        raise UsageError("a range of seeds goes up", part, f"write {last}-{first}")
    if seeds[-1] > LARGEST:
        raise UsageError(f"the largest seed is {LARGEST}", part, "write a smaller one")
    return seeds
