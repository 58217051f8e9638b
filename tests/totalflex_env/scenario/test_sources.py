"""A configuration names its source of episodes."""

from __future__ import annotations

import pytest

from totalflex_env import config_files
from totalflex_env.config import EnvConfig, ScenarioConfig
from totalflex_env.errors import ConfigError
from totalflex_env.scenario.sources import MODULES, make_source
from totalflex_env.scenario.tiny import TinyDays


def test_unknown_name_is_one_line_that_names_field_and_choices() -> None:
    config = EnvConfig(name="mine", scenario=ScenarioConfig(source="crystal ball"))
    with pytest.raises(ConfigError) as caught:
        make_source(config)
    expected = "expected one of simbench, synthetic, recorded, tiny"
    assert str(caught.value) == f"mine: scenario.source = crystal ball: {expected}"


def test_names_lead_to_their_modules() -> None:
    assert isinstance(make_source(config_files.load(EnvConfig, "tiny", "env")), TinyDays)
    assert set(MODULES) == {"simbench", "synthetic", "recorded", "tiny"}


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("--grid.source=two_house", "grid.source"),
        ("--scenario.source=tiny", "grid.source"),
        ("--devices.ev.departure_last_hour=29.0", "devices.ev.departure_last_hour"),
        ("--devices.ev.power_kw=0.5", "devices.ev.need_median_kwh"),
        ("--devices.dishwasher.latest_end_hour=22.0", "devices.dishwasher.latest_end_hour"),
        ("--slots=40", "devices.dishwasher.latest_end_hour"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_the_name_of_its_field(text: str, field: str) -> None:
    overrides = [text, "--devices.ev.arrival_hour=21.0"] if text == "--slots=40" else [text]
    config = config_files.load(EnvConfig, "street", "env", overrides)
    with pytest.raises(ConfigError, match=f"street: {field} = "):
        make_source(config)
