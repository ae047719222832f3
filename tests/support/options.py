"""Options of a sweep by the names of their flags, for tests."""

from dataclasses import fields, replace

from effbench.config.sweep_options import SweepOptions


def sweep_options(**flags: object) -> SweepOptions:
    """What `flags` say; the recipe is the case study's unless they name another, or None."""
    options, flags = SweepOptions(), {"recipe": "case-study"} | flags
    for field in fields(options):
        topic = getattr(options, field.name)
        said = {name.name: flags.pop(name.name) for name in fields(topic) if name.name in flags}
        options = replace(options, **{field.name: replace(topic, **said)})
    assert not flags, f"no such flags: {flags}"
    return options
