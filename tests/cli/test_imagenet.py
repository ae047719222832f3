"""What the help of `effbench imagenet` says that a user cannot guess."""

import json


def test_the_help_says_what_random_weights_and_answers_take(run, terminal):
    terminal(200)
    shown = " ".join(run("imagenet", "--help").out.replace("│", " ").split())
    assert "none (random; name a --protocol)" in shown
    assert "a file of any name" in shown


def test_every_release_has_its_published_figure_in_the_list(run, terminal):
    terminal(200)
    shown = {line.split()[0]: line.split() for line in run("variants").out.splitlines() if line}
    assert "78.7" in shown["B0"]
    assert "77.6" in shown["V1-B0"]
    releases = {row["name"]: row["releases"] for row in json.loads(run("variants", "--json").out)}
    figures = {release["name"]: release["published_top1"] for release in releases["S"]}
    assert (figures["imagenet"], figures["imagenet21k"]) == (83.9, None)
