"""What `render` shows: the last slot as a line of text, as a picture, or in a window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from totalflex_env.engine.simulator import Simulator
from totalflex_env.envs.batched import Slot
from totalflex_env.envs.infos import slot_infos
from totalflex_env.errors import ConfigError, MissingExtraError
from totalflex_env.types import Params

try:  # pandapower has imported matplotlib already where it is installed
    from matplotlib import pyplot

    from totalflex_env.envs.picture import DOTS, INCHES, Picture

    DRAWS = True
except ModuleNotFoundError:
    DRAWS = False

MODES = ("ansi", "rgb_array", "human")
FRAMES_PER_SECOND = 8


class Screen:
    """Remembers the last slot of the first row, and shows it when asked; in mode 'human' in every slot."""

    def __init__(self, name: str, params: Params, mode: str | None) -> None:
        if mode not in (None, *MODES):
            raise ConfigError(name, "render_mode", mode, f"None or one of {', '.join(MODES)}")
        if mode in ("rgb_array", "human") and not DRAWS:
            raise MissingExtraError("matplotlib", "train")
        self.name, self.params, self.mode = name, params, mode
        self._text = ""
        self._picture = Picture(name, params) if mode in ("rgb_array", "human") else None
        self._open = False

    def begin(self, seed: int) -> None:
        """Show that the episode of a seed begins."""
        self._text = f"episode {seed} begins"
        if self._picture is not None:
            self._picture.begin()

    def show(self, simulator: Simulator, slot: Slot) -> None:
        """Take in a slot that has just ended."""
        if self.mode == "ansi":
            info = slot_infos(self.params.grid, slot.decision, slot.outcome)[0]
            numbers = ", ".join(f"{name} {value:.6g}" for name, value in info.items())
            self._text = f"slot {simulator.state.slot - 1}: {numbers}"
        if self._picture is not None:
            self._picture.take(simulator, slot.decision, slot.outcome)
        if self.mode == "human":
            self._present()

    def render(self) -> str | NDArray[np.uint8] | None:
        """Return the last slot as text or as a picture [height, width, 3] uint8; None without a mode or in a window."""
        if self._picture is not None and self.mode == "rgb_array":
            return self._picture.frame()
        return self._text if self.mode == "ansi" else None

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._open:
            pyplot.close(self.name)
            self._open = False

    def _present(self) -> None:
        """Show the picture in a window, which a backend without a screen keeps to itself."""
        if self._picture is None:
            return
        pyplot.ion()
        window = pyplot.figure(self.name, figsize=INCHES, dpi=DOTS)
        self._open = True
        window.images.clear()
        window.figimage(self._picture.frame())
        window.canvas.draw_idle()
        window.canvas.flush_events()
