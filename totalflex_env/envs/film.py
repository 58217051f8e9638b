"""A day as a film: a picture per slot, as an animated GIF."""

from __future__ import annotations

from pathlib import Path

from totalflex_env.engine.build import World
from totalflex_env.engine.simulator import Simulator
from totalflex_env.errors import ConfigError, MissingExtraError
from totalflex_env.types import Policy

try:
    from PIL import Image

    from totalflex_env.envs.picture import Picture
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "train") from error

FRAME_MS = 125
COLOURS = 64


def film(world: World, policy: Policy, seed: int, path: Path) -> None:
    """Draw what `policy` does on the day of `seed` into the GIF file `path`; another kind of file is a ConfigError."""
    if path.suffix != ".gif":
        raise ConfigError("command line", "render", path, "a file name that ends in .gif")
    simulator, picture = Simulator(world, policy), Picture(world.params.config.name, world.params)
    policy.reset(simulator.reset([seed]))
    frames = []
    while not simulator.done:
        decision, outcome = simulator.step(policy.act(simulator.situation()))
        picture.take(simulator, decision, outcome)
        frames.append(Image.fromarray(picture.frame()).quantize(COLOURS))
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=FRAME_MS, loop=0)
