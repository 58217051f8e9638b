"""Configuration files: find, read, override, check. Whatever is wrong comes out as one line per error."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from totalflex_env.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)

COMMAND_LINE = "command line"


def load(model: type[Model], name_or_path: str, folder: str, overrides: Sequence[str] = ()) -> Model:
    """Read and check a configuration, given by registered name ('street' of folder 'env') or by path.

    Overrides are command-line arguments, `--a.b=value` or `--a.b value`; a number in the path indexes a list.
    """
    path = _find(name_or_path, folder)
    data = _read(path)
    overridden = [_override(data, key, value) for key, value in _arguments(overrides)]
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = [_problem(model, data, details, str(path), overridden) for details in error.errors()]
    file, field, value, expected, _ = problems[0].args
    raise ConfigError(file, field, value, expected, also=problems[1:])


def value(name_or_path: str, folder: str, key: str) -> object:
    """Return what a configuration file says of a top-level key, None if nothing: which model it is meant for."""
    return _read(_find(name_or_path, folder)).get(key)


def names(folder: str) -> list[str]:
    """The registered names of a folder of configs/, sorted."""
    return sorted(path.stem for path in (_configs() / folder).glob("*.yaml"))


def dump(model: BaseModel) -> str:
    """The resolved configuration as YAML, defaults included; `load` reads it back to an equal model."""
    return yaml.safe_dump(model.model_dump(mode="json"), sort_keys=False)


def digest(model: BaseModel) -> str:
    """Sha256 of the resolved configuration: equal for equal models, however their files were written."""
    canonical = json.dumps(model.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _configs() -> Path:
    """The installed package carries its configs; a checkout has them beside the package."""
    package = Path(__file__).resolve().parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def _find(name_or_path: str, folder: str) -> Path:
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"} or len(path.parts) > 1:
        return path
    if name_or_path not in names(folder):
        raise ConfigError(f"configs/{folder}", "name", name_or_path, f"a path or one of {', '.join(names(folder))}")
    return _configs() / folder / f"{name_or_path}.yaml"


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice, and reads 12:00 as text where YAML 1.1 reads 720."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(problem=f"key '{key.value}' twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":int", ":float"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?\d+$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?((\d+\.\d*|\.\d+)([eE][-+]?\d+)?|\d+[eE][-+]?\d+|\.inf)$|\.nan$"),
    list("-+.0123456789"),
)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), "file", str(error), "a readable YAML file") from error
    data = _parse(text, str(path))
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(str(path), "file", data, "a mapping of fields to values")
    return data


def _parse(text: str, file: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(file, f"line {line}", error.problem, "valid YAML, every key once") from error
    except yaml.YAMLError as error:
        raise ConfigError(file, "text", str(error), "valid YAML") from error


def _arguments(overrides: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Pairs of dotted key and value, from `--a.b=value` and `--a.b value` alike."""
    rest = iter(overrides)
    for argument in rest:
        key, equals, text = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or not key:
            raise ConfigError(COMMAND_LINE, "argument", argument, "--field=value")
        value = text if equals else next(rest, None)
        if value is None or (not equals and value.startswith("--")):
            raise ConfigError(COMMAND_LINE, key, "(nothing)", f"a value: --{key}=value")
        yield key, _parse(value, COMMAND_LINE)


def _override(data: dict[str, Any], key: str, value: Any) -> str:
    """Set one field in place, creating the mappings on the way to it; returns the dotted key."""
    *parents, last = key.split(".")
    place: Any = data
    for step in parents:
        if isinstance(place, dict):
            if place.get(step) is None:
                place[step] = {}
            place = place[step]
        else:
            place = place[_index(place, step, key)]
    if isinstance(place, dict):
        place[last] = value
    else:
        place[_index(place, last, key)] = value
    return key


def _index(place: Any, step: str, key: str) -> int:
    if not isinstance(place, list):
        raise ConfigError(COMMAND_LINE, key, step, f"a field of a mapping, not of {place!r}")
    if not step.isdigit() or int(step) >= len(place):
        raise ConfigError(COMMAND_LINE, key, step, f"an index from 0 to {len(place) - 1}")
    return int(step)


def _problem(
    model: type[BaseModel], data: Any, details: ErrorDetails, file: str, overridden: Sequence[str]
) -> ConfigError:
    """One pydantic error as our one line; blames the command line where the value came from there."""
    field = _dotted(data, details["loc"])
    value: Any = details["input"]
    expected = details["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    match details["type"]:
        case "missing":
            value, expected = "(nothing)", "a value"
        case "extra_forbidden":
            nearest = difflib.get_close_matches(str(details["loc"][-1]), _known(model, details["loc"][:-1]), 1, 0.0)
            expected = f"a known key, the nearest is {nearest[0]!r}" if nearest else "no such key"
        case "union_tag_invalid":
            tag = details["ctx"]["discriminator"].strip("'")
            field, value = f"{field}.{tag}", details["ctx"]["tag"]
            expected = f"one of {details['ctx']['expected_tags']}"
    blamed = any(field == key or field.startswith(f"{key}.") for key in overridden)
    return ConfigError(COMMAND_LINE if blamed else file, field or "file", value, expected)


def _dotted(data: Any, location: Sequence[int | str]) -> str:
    """The path of an error as the user wrote it: pydantic adds the tags of unions, which the file does not hold."""
    steps: list[str] = []
    for position, step in enumerate(location):
        present = (isinstance(data, dict) and step in data) or (isinstance(data, list) and isinstance(step, int))
        if present:
            data = data[step]
        if present or position == len(location) - 1:
            steps.append(str(step))
    return ".".join(steps)


def _known(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """The field names allowed at a location; list indices, mapping keys and union tags lead to no new model."""
    models = [model]
    for step in location:
        fields = [field for each in models if (field := each.model_fields.get(str(step)))]
        if fields:
            models = [inner for field in fields for inner in _models(field.annotation)]
    return [name for each in models for name in each.model_fields]


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The pydantic models named anywhere in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [inner for argument in get_args(annotation) for inner in _models(argument)]
