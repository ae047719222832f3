import io
from types import SimpleNamespace

import pytest
from rich.console import Console
from support.records import spec

from effbench.cli import console
from effbench.cli.console import Display, name
from effbench.progress import Step
from effbench.sweep.events import Event
from effbench.tables import Column, Table

SPECS = (spec(), spec(seed=1))
LABEL = "B0 imagenet 224 case-study seeds 0,1"
LONG = "the weights do not fit: [red]a[/] very long line " + "with more words " * 12 + "and an end"


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=found.monotonic))
    return found


def lines(events, *, quiet=False, verbose=False, clock=None, terminal=False) -> list[str]:
    """What a display shows of (seconds, event) pairs."""
    text = io.StringIO()
    target = Console(file=text, force_terminal=terminal, width=80, highlight=False)
    with Display(target, 4, quiet=quiet, verbose=verbose) as display:
        for seconds, event in events:
            if clock is not None:
                clock.now = 100.0 + seconds
            display(event)
    return text.getvalue().splitlines()


def features(done: int) -> Event:
    return Event(SPECS, "working", Step("features", done, 1000, "images"))


def sweep() -> list[tuple[float, Event]]:
    return [
        (0, Event(SPECS, "started")),
        (0, Event(SPECS, "working", Step("build"))),
        *((seconds, features(50 * seconds)) for seconds in range(21)),
        (21, Event(SPECS, "working", Step("train", 1, 50, "epochs", "seed 0 epoch 1: loss 0.5"))),
        (22, Event(SPECS[:1], "saved")),
        (23, Event(SPECS[1:], "failed", text=LONG)),
        (24, Event(SPECS, "finished")),
        (25, Event(SPECS, "waiting")),
    ]


def test_news_stays_on_a_terminal():
    news = Step("go on from the checkpoint at step 7", lasting=True)
    for step in (news, Step("build")):
        shown = "\n".join(lines([(0, Event(SPECS, "working", step))], terminal=True))
        assert (f"  {LABEL} {step.phase}\n" in shown) == step.lasting


def test_a_phase_without_a_count_shows_none():
    for step, count in ((Step("build"), False), (Step("features", 3, 10, "images"), True)):
        shown = "\n".join(lines([(0, Event(SPECS, "working", step))], terminal=True))
        assert "0/?" not in shown
        assert ("3/10" in shown) == count


def test_names_say_what_differs_between_runs():
    assert name(SPECS) == LABEL
    assert name(SPECS[:1]) == "B0 imagenet 224 case-study seed 0"


def test_piped_it_is_plain_lines(clock):
    shown = lines(sweep(), clock=clock)
    assert shown == [
        f"> {LABEL} started",
        f"  {LABEL} build",
        f"  {LABEL} features 0/1,000 images",
        f"  {LABEL} features 800/1,000 images, 50.0 images/s, 4 s left",
        f"  {LABEL} features 1,000/1,000 images, 50.0 images/s, 0 s left",
        f"  {LABEL} train 1/50 epochs, seed 0 epoch 1: loss 0.5",
        "✓ B0 imagenet 224 case-study seed 0 saved",
        f"✗ B0 imagenet 224 case-study seed 1 failed: {LONG}",
        f"· {LABEL} finished",
        f"> {LABEL} waiting",
    ]


def test_what_was_there_before_does_not_count_as_speed(clock):
    shown = lines([(0, features(500)), (20, features(700))], clock=clock)
    assert shown[-1] == f"  {LABEL} features 700/1,000 images, 10.0 images/s, 30 s left"


def test_quiet_says_only_what_failed(clock):
    assert lines(sweep(), clock=clock, quiet=True) == [
        f"✗ B0 imagenet 224 case-study seed 1 failed: {LONG}"
    ]


def test_verbose_says_every_step(clock):
    shown = lines(sweep(), clock=clock, verbose=True)
    assert sum(" features " in line for line in shown) == 21
    assert len(shown) == len(sweep())


def test_a_download_before_the_sweep_is_shown():
    text = io.StringIO()
    with Display(Console(file=text, width=80), 0, quiet=False, verbose=False) as display:
        display.step("cifar10", Step("download", 5, 10, "bytes", "cifar-10-python.tar.gz"))
    assert text.getvalue() == "  cifar10 download 5/10 bytes, cifar-10-python.tar.gz\n"


@pytest.mark.parametrize("options", [{}, {"verbose": True}, {"quiet": True}])
def test_a_terminal_shows_bars(options):
    shown = " ".join(" ".join(lines(sweep(), terminal=True, **options)).split())
    assert "failed" in shown
    assert "[red]a[/] very long line" in shown
    if not options.get("quiet"):
        assert "━" in shown
        assert "runs" in shown
        assert f"{LABEL} train" in shown


def test_on_80_columns_nothing_is_cut_short(clock):
    note = "epoch 12/36, loss 0.2345, acc 91.23%, val acc 89.12%"
    phase = "train stage 2/4 at 160 px"
    steps = [Event(SPECS, "working", Step(phase, 1000 * n, 90_000, "images", note)) for n in (1, 9)]
    shown = lines([(5 * n, event) for n, event in enumerate(steps)], clock=clock, terminal=True)
    text = " ".join("\n".join(shown).split())
    assert f"{LABEL} {phase} " in text
    for part in note.split(", "):
        assert part in text
    assert "9000/90000" in text
    assert "…" not in text


def test_a_terminal_breaks_text_between_words_and_indents_it(terminal, capsys):
    sentence = "words " * 8 + "[red]0.125[/] end"
    console.say(sentence, "start  ")
    assert capsys.readouterr().out == f"start  {sentence}\n"
    terminal(40)
    console.say(sentence, "start  ")
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith("start  words words")
    assert others
    assert all(len(line) - len(line.lstrip()) == len("start  ") for line in others)
    assert " ".join((first.removeprefix("start"), *others)).split() == sentence.split()


def test_an_error_on_a_narrow_terminal_is_broken_between_words(monkeypatch, capsys):
    line = "no such variant: B9; variants are B0, B1, B2, B3, T, S, M, L, XL"
    console.warn(line)
    assert capsys.readouterr().err == f"effbench: {line}\n"
    monkeypatch.setattr(console.err, "_force_terminal", True)
    monkeypatch.setattr(console.err, "_width", 40)
    console.warn(line)
    shown = capsys.readouterr().err.splitlines()
    assert max(map(len, shown)) <= 40
    assert " ".join(shown).split() == ["effbench:", *line.split()]


def test_a_word_too_long_beside_its_start_stands_below_it(terminal, capsys):
    terminal(40)
    console.say("a " + "x" * 38, "start  ")
    shown = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert shown == ["start", "  a", "  " + "x" * 38]


def test_tables_that_are_read_as_one_have_the_same_columns(terminal, capsys):
    columns = (Column("Model", words=True), Column("bytes", rank=1))
    narrow, wide = (Table("", columns, (("B0", "1" * digits),)) for digits in (5, 40))
    assert console.show(wide) == []
    assert "1" * 40 in capsys.readouterr().out
    terminal(40)
    assert console.show(narrow) == []
    assert "bytes" in capsys.readouterr().out
    assert console.show(narrow, (narrow, wide)) == ["bytes"]
    assert "bytes" not in capsys.readouterr().out
    console.left_out(["bytes", "a long\ntitle", "bytes"])
    line = "A wider terminal also shows bytes, a long title."
    assert " ".join(capsys.readouterr().out.split()) == line


def test_a_table_is_whole_where_there_is_no_terminal(monkeypatch, capsys):
    monkeypatch.setattr(console.out, "_width", 20)
    columns = (Column("Model", words=True), *(Column("milliseconds", rank=1) for _ in range(12)))
    assert console.show(Table("", columns, (("a model",) + ("1,234.5",) * 12,))) == []
    title, row = capsys.readouterr().out.splitlines()
    assert title.split() == ["Model"] + ["milliseconds"] * 12
    assert row.split() == ["a", "model"] + ["1,234.5"] * 12


@pytest.mark.parametrize("width", [None, 40])
def test_a_caption_is_not_broken_to_the_width_of_its_table(width, capsys, terminal):
    if width:
        terminal(width)
    console.show(Table("Images that cannot be read", (Column("File", words=True),), (("x.jpg",),)))
    assert capsys.readouterr().out.splitlines()[0].rstrip() == "Images that cannot be read"
