"""The budgets of the house. Every rule is also shown a planted offence, so that none can pass by seeing nothing."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ["totalflex_env", "policies", "baselines", "hardware_bridge", "vpp", "benchmarks"]
PROGRAMS = ["train.py", "evaluate.py"]
LATE_IMPORTS = ("totalflex_env/__init__.py", "totalflex_env/scenario/sources.py", "benchmarks/__main__.py")
TORCH = "totalflex_env/tape/operations.py"  # takes the arguments of any operation as torch hands them over
DYNAMIC = ("totalflex_env/envs/", "policies/sb3.py", "policies/rllib.py", TORCH, *LATE_IMPORTS)

# Bases that give a class its form, not its behaviour: what is derived from them starts a line of inheritance.
PLAIN_BASES = {name for name in dir(builtins)} | {"BaseModel", "Protocol", "Generic", "NamedTuple", "ABC"}
PLAIN_BASES |= {"Enum", "IntEnum", "StrEnum"}

SEEDED = {"default_rng", "Generator", "SeedSequence", "PCG64", "Philox", "Random"}
TORCH_DRAWS = {"rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial", "rand_like", "randn_like"}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Rule = Callable[[str, ast.Module], Iterator[str]]


def sources() -> dict[str, ast.Module]:
    files = [ROOT / name for name in PROGRAMS] + [path for name in PACKAGES for path in (ROOT / name).rglob("*.py")]
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(files)}


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call with the dotted name of what is called."""
    return ((ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call))


def length(function: Function) -> int:
    """Lines of a function, its docstring not counted."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        lines -= (docstring.end_lineno or 0) - docstring.lineno + 1
    return lines


def bases(node: ast.ClassDef) -> list[str]:
    """Names of the bases, without module and type parameters."""
    plain = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
    return [ast.unparse(base).split(".")[-1] for base in plain]


def long_functions(path: str, tree: ast.Module) -> Iterator[str]:
    return (f"{path}: {f.name} has {length(f)} lines" for f in functions(tree) if length(f) > 60)


def many_arguments(path: str, tree: ast.Module) -> Iterator[str]:
    """More than 6, where the signature is ours to choose: not in a class derived from a framework's."""
    framework = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and set(bases(node)) - PLAIN_BASES]
    theirs = {id(method) for node in framework for method in functions(node)}
    for function in functions(tree):
        every = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
        own = [argument.arg for argument in every if argument.arg not in ("self", "cls")]
        if len(own) > 6 and id(function) not in theirs:
            yield f"{path}: {function.name} has {len(own)} arguments"


def keyword_dictionaries(path: str, tree: ast.Module) -> Iterator[str]:
    if not path.startswith(DYNAMIC):
        yield from (f"{path}: {f.name} takes **{f.args.kwarg.arg}" for f in functions(tree) if f.args.kwarg)


def attributes_by_string(path: str, tree: ast.Module) -> Iterator[str]:
    if not path.startswith(DYNAMIC):
        yield from (f"{path}:{node.lineno}: {name}" for name, node in calls(tree) if name in ("getattr", "setattr"))


def inner_imports(path: str, tree: ast.Module) -> Iterator[str]:
    for function in functions(tree):
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield f"{path}:{node.lineno}: import inside {function.name}"
    if path not in LATE_IMPORTS:
        late = ("import_module", "importlib.import_module", "__import__")
        yield from (f"{path}:{node.lineno}: {name}" for name, node in calls(tree) if name in late)


def imports_of_programs(path: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            top = name.split(".")[0]
            if top in ("train", "evaluate", "benchmarks") and not path.startswith(f"{top}/"):
                yield f"{path}:{node.lineno}: imports {name}"


def global_randomness(path: str, tree: ast.Module) -> Iterator[str]:
    for name, node in calls(tree):
        *module, function = name.split(".")
        numpy = module[-1:] == ["random"] and function not in SEEDED
        reseeded = module == ["torch"] and function in ("manual_seed", "seed")
        drawn = module == ["torch"] and function in TORCH_DRAWS
        if numpy or reseeded or (drawn and not any(keyword.arg == "generator" for keyword in node.keywords)):
            yield f"{path}:{node.lineno}: {name} uses the global random state"


def swept_errors(path: str, tree: ast.Module) -> Iterator[str]:
    for name, call in calls(tree):
        if name.split(".")[-1] in ("nan_to_num", "nan_to_num_"):
            yield f"{path}:{call.lineno}: {name}"
    for handler in (node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)):
        caught = {ast.unparse(node) for node in ast.walk(handler.type or ast.Name("Exception"))}
        raised_again = isinstance(handler.body[-1], ast.Raise)
        if caught & {"Exception", "BaseException"} and not raised_again:
            yield f"{path}:{handler.lineno}: catches everything"


def without_docstring(path: str, tree: ast.Module) -> Iterator[str]:
    public = [node for node in tree.body if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")]
    return (f"{path}:{node.lineno}: {node.name}" for node in public if ast.get_docstring(node) is None)


RULES: list[Rule] = [
    long_functions,
    many_arguments,
    keyword_dictionaries,
    attributes_by_string,
    inner_imports,
    imports_of_programs,
    global_randomness,
    swept_errors,
    without_docstring,
]

PLANTED: list[tuple[Rule, str]] = [
    (long_functions, "def f():\n" + "    x = 1\n" * 60),
    (many_arguments, "def f(a, b, c, /, d, e, *, g, h): ..."),
    (many_arguments, "class A(BaseModel):\n def f(self, a, b, c, d, e, g, h): ..."),
    (keyword_dictionaries, "def f(**kwargs): ..."),
    (attributes_by_string, "getattr(device, kind)"),
    (attributes_by_string, "setattr(device, kind, 1)"),
    (inner_imports, "def f():\n    import torch"),
    (inner_imports, "class A:\n    def f(self):\n        from torch import nn"),
    (inner_imports, "importlib.import_module('torch')"),
    (imports_of_programs, "import train"),
    (imports_of_programs, "from benchmarks.clearing import main"),
    (global_randomness, "np.random.rand(3)"),
    (global_randomness, "random.random()"),
    (global_randomness, "torch.manual_seed(0)"),
    (global_randomness, "torch.randn(3)"),
    (swept_errors, "torch.nan_to_num(reward)"),
    (swept_errors, "try:\n    f()\nexcept Exception:\n    pass"),
    (swept_errors, "try:\n    f()\nexcept (OSError, BaseException):\n    pass"),
    (swept_errors, "try:\n    f()\nexcept:\n    pass"),
    (without_docstring, "def f(): ..."),
]

INNOCENT = (
    '''
import torch

class View(gym.Env):
    """A method whose signature is the framework's."""

    def f(self, a, b, c, d, e, g, h): ...

class _Private: ...

def f(a, b, c, d, e, g):
    """At the limit of arguments and of lines, and the docstring is not counted."""
    torch.randn(3, generator=a)
    np.random.default_rng(b).normal()
    try:
        g()
    except BaseException:
        clean_up()
        raise
'''
    + "    x = 1\n" * 52
)


@pytest.mark.parametrize("rule", RULES)
def test_the_code_keeps(rule: Rule) -> None:
    assert [offence for path, tree in sources().items() for offence in rule(path, tree)] == []


@pytest.mark.parametrize(("rule", "code"), PLANTED)
def test_the_rule_sees_a_planted_offence(rule: Rule, code: str) -> None:
    assert list(rule("totalflex_env/engine/step.py", ast.parse(code)))


@pytest.mark.parametrize("rule", RULES)
def test_the_rule_lets_innocent_code_pass(rule: Rule) -> None:
    assert list(rule("totalflex_env/engine/step.py", ast.parse(INNOCENT))) == []


def test_no_file_is_longer_than_300_lines() -> None:
    files = [*sources(), *(str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("*.py"))]
    lengths = {path: len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in files}
    assert {path: lines for path, lines in lengths.items() if lines > 300} == {}


def test_at_most_one_function_in_twenty_is_longer_than_40_lines() -> None:
    every = [(path, function) for path, tree in sources().items() for function in functions(tree)]
    long = [f"{path}: {function.name}: {length(function)}" for path, function in every if length(function) > 40]
    assert len(long) <= len(every) / 20, long


def depth(name: str, parents: dict[str, list[str]]) -> int:
    """Levels of inheritance of one of our classes: a framework's class counts as one, a plain base as none."""
    levels = [depth(base, parents) + 1 if base in parents else int(base not in PLAIN_BASES) for base in parents[name]]
    return max(levels, default=0)


def classes(tree: ast.AST) -> dict[str, list[str]]:
    return {node.name: bases(node) for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def test_inheritance_is_one_level_deep() -> None:
    ours = {name: parents for tree in sources().values() for name, parents in classes(tree).items()}
    assert {name for name in ours if depth(name, ours) > 1} == set()


def test_inheritance_is_measured() -> None:
    code = (
        "class A(Error): ...\nclass B(A): ...\nclass C(Exception): ...\nclass D(C): ...\nclass E(D): ...\nclass F: ..."
    )
    ours = classes(ast.parse(code))
    assert {name: depth(name, ours) for name in ours} == {"A": 1, "B": 2, "C": 0, "D": 1, "E": 2, "F": 0}


def test_inner_init_files_are_empty() -> None:
    inner = [path for name in PACKAGES for path in (ROOT / name).rglob("__init__.py")]
    full = [str(path.relative_to(ROOT)) for path in inner if path.read_text(encoding="utf-8")]
    assert full == ["totalflex_env/__init__.py"]


def test_every_package_has_an_init_file_and_no_test_folder_has_one() -> None:
    folders = {path.parent for name in PACKAGES for path in (ROOT / name).rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []
    assert list((ROOT / "tests").rglob("__init__.py")) == []
