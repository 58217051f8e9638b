from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from totalflex_env.config import EnvConfig, MarketConfig
from totalflex_env.grid_model import GridModel
from totalflex_env.types import Params


@pytest.fixture(scope="session")
def params() -> Params:
    """Three houses with five devices; house 2 alone is behind element 2 (40 kVA), all behind element 0 (100 kVA)."""
    nothing = torch.zeros(0, dtype=torch.float64)
    rating = torch.tensor([100.0, 999.0, 40.0], dtype=torch.float64)
    grid = {field.name: nothing for field in fields(GridModel)} | {"rating_kva": rating}
    grid["downstream"] = torch.ones(3, 3, dtype=torch.float64)
    return Params(
        config=EnvConfig(
            name="market", market=MarketConfig(aggregator_share=0.2, non_delivery_price=0.3, price_cap=4.0)
        ),
        families=(),
        kinds=(),
        house=torch.tensor([0, 1, 2, 0, 1]),
        node=torch.tensor([0, 1, 2]),
        grid=GridModel(**grid),  # type: ignore[arg-type]
        limited=torch.tensor([2, 0]),
        members=torch.tensor([[False, False, True], [True, True, True]]),
        slot_hours=0.25,
        aggregator=torch.zeros(3, dtype=torch.int64),
    )
