"""Learning by evolution strategies (Salimans et al. 2017, arXiv 1703.03864), starting from the scripted rule.

A generation is made of pairs of actors, perturbed in opposite directions. Both of a pair live through the same day, each
with its own nomination, so that weather and prices cancel out of the difference of their costs; the differences say in
which direction costs fall. What is minimised is exactly what evaluation measures.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.func import functional_call

from policies.config import TrainConfig, environment
from policies.measure import Measured, first_seed, measure
from policies.network import Actor, make_actor
from policies.run_folder import RunFolder
from policies.session import Session, State, Trained
from policies.validation import Validator
from policies.workers import Workers, workers
from totalflex_env.config import EnvConfig
from totalflex_env.engine.build import World, build, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.observe import observe
from totalflex_env.engine.roles import AGGREGATOR_CONTROLS, action, neutral
from totalflex_env.engine.rollout import rollout
from totalflex_env.types import Action, Situation

ODD_DAY = 3.0
"""Differences of costs are cut at this many standard deviations, so that one odd day cannot steer."""
