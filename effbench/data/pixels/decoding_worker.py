"""A process that does tasks with images: a line of JSON for each, and a line of JSON back.

Its parent is `effbench.data.pixels.decoding_pool`.
"""

from __future__ import annotations

from pydantic import TypeAdapter

from effbench import child_process
from effbench.data.pixels.decoding_tasks import TASK, Look, WrittenRow

ANSWER: TypeAdapter[tuple[Look | WrittenRow | str, ...]] = TypeAdapter(
    tuple[Look | WrittenRow | str, ...]
)


def main() -> None:
    """Answers until there are no more questions; then this process ends."""
    channel = child_process.channel()
    for line in child_process.asked():
        channel.write(ANSWER.dump_json(TASK.validate_json(line).do()) + b"\n")


if __name__ == "__main__":
    main()
