"""What the help of `effbench imagenet` says that a user cannot guess."""


def test_the_help_says_what_random_weights_and_answers_take(run, terminal):
    terminal(200)
    shown = " ".join(run("imagenet", "--help").out.replace("│", " ").split())
    assert "none (random; name a --protocol)" in shown
    assert "a file of any name" in shown
