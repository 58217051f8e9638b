"""The study of mechanisms from one command, on a single day of each part."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluate import main

ONE_DAY = ["--seeds=9000:9001", "--gaming_seeds=9000:9001", "--auction_seeds=9000:9001", "--incentive_seeds=9000:9001"]


@pytest.mark.slow
def test_one_command_writes_table_figures_and_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["mechanisms", *ONE_DAY, "--owners=1", "--scarce_slots=1", f"--out={tmp_path}"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "price only" in printed and "flexibility market" in printed
    found = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    parts = {"regimes", "price_rules", "misreports", "inc_dec", "baseline_bias", "baseline_gaming", "delivery_rules"}
    assert parts | {"incentives", "households", "position_adjustments"} <= set(found)
    earned = found["incentives"][0]["income_eur"]
    assert earned["lower"] <= earned["value"] <= earned["upper"]
    assert found["regimes"]["price only"]["highest_transformer_loading"] > 1.2
    assert found["regimes"]["flexibility market"]["highest_transformer_loading"] < 1.01
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 7 and 'src="' not in page
    drawn = [(tmp_path / name).read_text(encoding="utf-8") for name in ("market.svg", "money.svg")]
    assert all(picture[picture.index("<svg") :] in page for picture in drawn)
    assert "study: mechanisms" in (tmp_path / "config.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("--seeds=9", "seeds = 9: expected A:B with whole numbers 0 <= A < B"),
        ("--policies=[timer]", "policies"),
        ("--call_slots=0", "call_slots = 0"),
    ],
)
def test_what_is_wrong_with_the_configuration_is_one_line(
    argument: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mechanisms", argument]) == 2
    error = capsys.readouterr().err
    assert text in error and len(error.splitlines()) == 1
