import pytest
from pydantic import TypeAdapter, ValidationError

from effbench.config.geometry import FILTERS, FITS, Geometry
from effbench.data.pixels.fitting import FIT_FUNCTIONS, RESAMPLINGS

GEOMETRY = TypeAdapter(Geometry)


def test_what_is_not_said_is_todays_way():
    assert Geometry() == Geometry("squash", "bilinear")


def test_every_row_can_be_done():
    assert set(FITS) == set(FIT_FUNCTIONS)
    assert set(FILTERS) == set(RESAMPLINGS)


@pytest.mark.parametrize("fields", [{"fit": "stretch"}, {"filter": "nearest"}])
def test_others_are_refused_where_json_comes_in(fields):
    with pytest.raises(ValidationError):
        GEOMETRY.validate_python(fields)
    assert GEOMETRY.validate_python({"fit": "pad", "filter": "bicubic"}) == Geometry(
        "pad", "bicubic"
    )
