"""The page on metrics, alarms and rules, held to the templates."""

from docs.generate import ALARMS
from docs.generators.alarms import alarms_page
from tests.infra.conftest import Synthesis


def test_the_page_on_alarms_is_what_the_template_says(local: Synthesis) -> None:
    assert ALARMS.read_text(encoding="utf-8") == alarms_page(local.model()), "run `make docs`"
