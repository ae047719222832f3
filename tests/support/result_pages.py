"""What stands in results/ because a command printed or drew it, and the way to write it again."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "results/README.md"
TABLE = ROOT / "results/table.md"
TABLE_COMMAND = "effbench report"
EXPORTS = ROOT / "results/export/table.md"
EXPORTS_COMMAND = "effbench evaluate --list results/export"
PLOT = ROOT / "results/plots/pareto-case-study-on-cifar10-hours.svg"
PLOT_COMMAND = "effbench report --recipe case-study --plots"
# A command in a block of its own, and what it prints, between two marks.
PRINTED = re.compile(
    r"(?P<head>```\n(?P<command>effbench report[^\n]*)\n```\n\n<!-- report -->\n)"
    r"(?P<text>.*?)(?=<!-- end -->)",
    re.DOTALL,
)


def printed(command: str) -> str:
    """What a command prints at the root of the repository, into a pipe."""
    words = [sys.executable, "-m", "effbench.cli.main", *shlex.split(command)[1:]]
    return subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def write() -> None:
    """Writes every table and plot again."""
    page = PRINTED.sub(
        lambda block: block["head"] + printed(block["command"]), PAGE.read_text("utf-8")
    )
    PAGE.write_text(page, "utf-8")
    TABLE.write_text(printed(TABLE_COMMAND), "utf-8")
    EXPORTS.write_text(printed(EXPORTS_COMMAND), "utf-8")
    with TemporaryDirectory() as folder:
        printed(f"{PLOT_COMMAND} {folder}")
        shutil.copyfile(Path(folder) / PLOT.name, PLOT)


if __name__ == "__main__":
    write()
