"""The Jinja environment of the report: templates of this package, everything escaped, nothing undefined."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from penstock.report.formatting import Facts, Listing, Table, brief, number, percent, plain

TEMPLATES = Path(__file__).parent / "templates"


def render_template(name: str, **context: Any) -> str:
    """Render a template of `templates/`."""
    return ENVIRONMENT.get_template(name).render(context)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"brief": brief, "number": number, "percent": percent, "plain": plain}
    environment.tests |= {
        "table": lambda value: isinstance(value, Table),
        "facts": lambda value: isinstance(value, Facts),
        "listing": lambda value: isinstance(value, Listing),
    }
    return environment


ENVIRONMENT = _environment()
