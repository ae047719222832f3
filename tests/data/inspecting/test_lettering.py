import numpy as np
import pytest

from effbench.data.inspecting import lettering

# Of a private area, for which no system has a font.
NOWHERE = "\U0010fffd"


def pixels(text: str) -> np.ndarray:
    return np.asarray(lettering.lines([text], 300))


@pytest.mark.parametrize("letter", ["ç", "é", "ü", "ő", "ж", "Ω"])
def test_letters_that_ascii_lacks_are_drawn_on_every_machine(letter):
    drawn = pixels(letter)
    assert (drawn < 128).any()
    assert not np.array_equal(drawn, pixels(letter.encode("unicode_escape").decode()))


def test_what_no_font_has_is_escaped():
    assert np.array_equal(pixels(f"<a&{NOWHERE}>"), pixels(r"<a&\U0010fffd>"))


def test_each_text_has_a_line():
    lines = np.asarray(lettering.lines(["", "é", NOWHERE], 300))
    assert lines.shape == (3 * lettering.LINE, 300, 3)
    assert (lines[: lettering.LINE] == 255).all()
    assert np.array_equal(lines[lettering.LINE : 2 * lettering.LINE], pixels("é"))
