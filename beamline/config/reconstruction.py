"""What the reconstruction worker does."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from beamline.config.checks import json_options
from beamline.config.section import Section


class ReconstructionSection(Section):
    """What the reconstruction worker does with runs that ask for nothing else."""

    methods: list[str] = Field(["tv", "n2g"], min_length=1, description="Methods to run on each run, in this order.")
    options: dict[str, dict[str, Any]] = Field(
        {}, description="Options of each method: [reconstruction.options.METHOD]; the method itself checks them."
    )
    threads: int = Field(1, ge=1, le=1024, description="Threads of each reconstruction.")
    niceness: int = Field(
        0,
        ge=0,
        le=19,
        description="Niceness of the worker's process; each reconstruction adds 5 to it, a slow one 10. "
        "19 yields to everything else; where Linux shares the processor among sessions first (autogroup), "
        "only to the worker's own.",
    )
    longest_s: float = Field(
        21_600.0, gt=0, description="How long one estimate may take, in seconds; a reconstruction that needs longer is ended."
    )

    @field_validator("options")
    @classmethod
    def _are_json(cls, options: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return json_options(options)

    @property
    def recipes(self) -> list[dict[str, Any]]:
        """The recipes as they stand in a start document."""
        return [{"method": method, "options": dict(self.options.get(method, {}))} for method in self.methods]
