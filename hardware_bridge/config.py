"""Configuration of the bridge. A YAML file under `configs/bridge/` holds only what differs from the defaults here."""

from __future__ import annotations

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, field_validator

from hardware_bridge.topics import NAME
from totalflex_env.settings import Settings

LOOPBACK = "127.0.0.1"


class BrokerConfig(Settings):
    """The embedded MQTT broker."""

    host: str = Field(LOOPBACK, description="address that it serves; this machine only")
    port: int = Field(0, ge=0, le=65535, description="TCP port, 0 takes a free one")

    @field_validator("host")
    @classmethod
    def _serves_this_machine_only(cls, host: str) -> str:
        if host != LOOPBACK:
            raise ValueError(f"{LOOPBACK}, as the embedded broker asks nobody for a password")
        return host


class LinkConfig(Settings):
    """Patience of the bridge with its devices."""

    resend_s: PositiveFloat = Field(1.0, description="seconds after which an unanswered message is sent again")
    timeout_s: PositiveFloat = Field(10.0, description="seconds after which an unanswered message ends the run")


class FaultConfig(Settings):
    """A device that acknowledges a command and does something else, to see it come out."""

    device: str = Field(pattern=f"^{NAME}$")
    slot: NonNegativeInt
    scale: float = Field(0.5, description="share of the set-point that it takes")


class BridgeConfig(Settings):
    """One run of the bridge."""

    env: str = Field("house", description="registered name or path of the environment")
    policy: str = Field("scripted", description="'scripted', the name of a baseline, or the folder of a trained policy")
    seed: NonNegativeInt = Field(1, description="of the day")
    site: str = Field("demo", pattern=f"^{NAME}$", description="name of the house in every topic")
    epoch: PositiveInt = Field(1, description="number of this start; devices refuse commands of lower ones")
    tolerance: NonNegativeFloat = Field(1e-6, description="largest difference to the simulator that is allowed")
    broker: BrokerConfig = Field(BrokerConfig(), description="host and port of the embedded MQTT broker")
    link: LinkConfig = Field(LinkConfig(), description="resend_s and timeout_s of unanswered messages")
    fault: FaultConfig | None = Field(None, description="device, slot and scale of a command that is not obeyed")
