from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from totalflex_env import config_files
from totalflex_env.errors import ConfigError


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Timer(Strict):
    kind: Literal["timer"] = "timer"
    hour: int = 22


class Rule(Strict):
    kind: Literal["rule"] = "rule"
    shares: list[float] = [0.5, 0.5]


class Fleet(Strict):
    share: float = Field(1.0, ge=0, le=1)
    power: float = 11.0
    arrival: str = "17:00"


class World(Strict):
    slots: int = Field(96, gt=0)
    ev: Fleet = Fleet()
    fleets: list[Fleet] = []
    by_name: dict[str, Fleet] = {}
    spare: Fleet | None = None
    policy: Annotated[Timer | Rule, Field(discriminator="kind")] = Timer()
    seeds: str = "0:4"

    @model_validator(mode="after")
    def _whole_hours(self) -> World:
        if self.slots % 4:
            raise ValueError("whole hours, so a multiple of 4 slots")
        return self


@pytest.fixture
def configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "configs" / "env"
    folder.mkdir(parents=True)
    (folder / "street.yaml").write_text("slots: 48\nev:\n  share: 0.5\nfleets:\n  - power: 3.7\n  - power: 22\n")
    (folder / "tiny.yaml").write_text("# nothing differs from the defaults\n")
    monkeypatch.setattr(config_files, "_configs", lambda: tmp_path / "configs")
    return folder


def message(path: Path, text: str, *overrides: str) -> str:
    file = path / "case.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        config_files.load(World, str(file), "env", overrides)
    return str(caught.value).replace(str(file), "case.yaml")


def test_by_name_by_path_and_empty(configs: Path) -> None:
    street = config_files.load(World, "street", "env")
    assert (street.slots, street.ev.share, street.ev.power) == (48, 0.5, 11.0)
    assert config_files.load(World, str(configs / "street.yaml"), "env") == street
    assert config_files.load(World, "tiny", "env") == World()
    assert config_files.names("env") == ["street", "tiny"]


def test_overrides_in_both_spellings_reach_fields_and_list_items(configs: Path) -> None:
    arguments = [
        "--slots=8",
        "--ev.power",
        "-3.5",
        "--fleets.1.share=0.25",
        "--by_name.north.share=0",
        "--seeds",
        "9:59",
    ]
    world = config_files.load(World, "street", "env", arguments)
    assert (world.slots, world.ev.power, world.ev.share) == (8, -3.5, 0.5)
    assert [fleet.share for fleet in world.fleets] == [1.0, 0.25]
    assert world.by_name["north"].share == 0.0
    assert world.seeds == "9:59"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12:00", "12:00"),
        ("7", 7),
        ("-7", -7),
        ("1e3", 1000.0),
        ("-.5", -0.5),
        ("2.", 2.0),
        (".inf", float("inf")),
        ("true", True),
        ("[1, 2.5]", [1, 2.5]),
        ("null", None),
        ("1_000", "1_000"),
        ("'7'", "7"),
    ],
)
def test_scalars_are_read_as_a_reader_expects(tmp_path: Path, text: str, value: object) -> None:
    class Anything(Strict):
        x: Any

    file = tmp_path / "x.yaml"
    file.write_text(f"x: {text}\n")
    assert config_files.load(Anything, str(file), "env").x == value


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("slots: -4", "case.yaml: slots = -4: expected greater than 0"),
        ("ev: {share: high}", "case.yaml: ev.share = high: expected a valid number"),
        ("slotz: 4", "case.yaml: slotz = 4: expected a known key, the nearest is 'slots'"),
        ("ev: {shares: 0.5}", "case.yaml: ev.shares = 0.5: expected a known key, the nearest is 'share'"),
        ("fleets: [{}, {pover: 1}]", "case.yaml: fleets.1.pover = 1: expected a known key, the nearest is 'power'"),
        ("by_name: {a: {pover: 1}}", "case.yaml: by_name.a.pover = 1: expected a known key, the nearest is 'power'"),
        ("spare: {pover: 1}", "case.yaml: spare.pover = 1: expected a known key, the nearest is 'power'"),
        (
            "policy: {kind: rule, share: 1}",
            "case.yaml: policy.share = 1: expected a known key, the nearest is 'shares'",
        ),
        ("policy: {kind: magic}", "case.yaml: policy.kind = magic: expected one of 'timer', 'rule'"),
        ("policy: {kind: rule, shares: [x]}", "case.yaml: policy.shares.0 = x: expected a valid number"),
        ("slots: 5", "case.yaml: file = {'slots': 5}: expected whole hours, so a multiple of 4 slots"),
        ("- 1", "case.yaml: file = [1]: expected a mapping of fields to values"),
        ("slots: 4\nslots: 8", "case.yaml: line 2 = key 'slots' twice: expected valid YAML, every key once"),
        ("? [a, b]\n: 1", "case.yaml: line 1 = found unhashable key: expected valid YAML, every key once"),
        ("ev:\n  power: 1\n  power: 2", "case.yaml: line 3 = key 'power' twice: expected valid YAML, every key once"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, text: str, line: str) -> None:
    written = message(tmp_path, text)
    assert written.startswith(line)
    assert "\n" not in written


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    class Needy(Strict):
        grid: str

    file = tmp_path / "x.yaml"
    file.write_text("")
    with pytest.raises(ConfigError, match=r"x\.yaml: grid = \(nothing\): expected a value"):
        config_files.load(Needy, str(file), "env")


def test_several_errors_are_one_line_each(tmp_path: Path) -> None:
    lines = message(tmp_path, "slots: 0\nev: {share: 2}\ncolour: red").splitlines()
    assert [line.split(" = ")[0] for line in lines] == ["case.yaml: slots", "case.yaml: ev.share", "case.yaml: colour"]


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["--ev.share=2"], "command line: ev.share = 2: expected less than or equal to 1"),
        (["--ev.shares=1"], "command line: ev.shares = 1: expected a known key, the nearest is 'share'"),
        (["slots=4"], "command line: argument = slots=4: expected --field=value"),
        (["--slots"], "command line: slots = (nothing): expected a value: --slots=value"),
        (["--slots", "--ev.share=1"], "command line: slots = (nothing): expected a value: --slots=value"),
        (["--fleets.5.share=1"], "command line: fleets.5.share = 5: expected an index from 0 to 0"),
        (["--slots.first=1"], "command line: slots.first = first: expected a field of a mapping, not of 8"),
        (["--ev={a"], "command line: line 1 = "),
    ],
)
def test_a_wrong_override_blames_the_command_line(tmp_path: Path, overrides: list[str], line: str) -> None:
    written = message(tmp_path, "slots: 8\nfleets: [{}]", *overrides)
    assert written.startswith(line)
    assert "\n" not in written


def test_a_file_that_is_not_there(configs: Path) -> None:
    with pytest.raises(ConfigError, match="name = strete: expected a path or one of street, tiny"):
        config_files.load(World, "strete", "env")
    with pytest.raises(ConfigError, match="expected a readable YAML file"):
        config_files.load(World, str(configs / "nowhere.yaml"), "env")
    (configs / "latin.yaml").write_bytes(b"slots: \xff")
    with pytest.raises(ConfigError, match="expected a readable YAML file"):
        config_files.load(World, "latin", "env")


def test_the_resolved_form_reads_back_equal_and_the_digest_sees_values_only(configs: Path, tmp_path: Path) -> None:
    world = config_files.load(World, "street", "env", ["--ev.power=0.00001"])
    file = tmp_path / "resolved.yaml"
    file.write_text(config_files.dump(world))
    assert config_files.load(World, str(file), "env") == world
    assert config_files.digest(config_files.load(World, str(file), "env")) == config_files.digest(world)
    assert config_files.digest(World(ev=Fleet(power=11))) == config_files.digest(World())
    assert config_files.digest(World(slots=8)) != config_files.digest(World())


def test_loaded_models_are_frozen(configs: Path) -> None:
    with pytest.raises(ValidationError):
        config_files.load(World, "street", "env").slots = 4  # type: ignore[misc]
