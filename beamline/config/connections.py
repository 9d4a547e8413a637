"""How EPICS and Tiled are reached."""

from __future__ import annotations

from pydantic import Field, field_validator

from beamline.config.checks import http_uri
from beamline.config.section import Section


class EpicsSection(Section):
    """How Channel Access is reached."""

    prefix: str = Field("GB:", description="Text before every PV name below; empty where those are full names.")
    addresses: list[str] = Field(
        [], description="Hosts or host:port to search for PVs (EPICS_CA_ADDR_LIST). Not used when simulated."
    )
    auto_addresses: bool = Field(
        True, description="Whether to search the local networks too (EPICS_CA_AUTO_ADDR_LIST). Not used when simulated."
    )
    max_array_bytes: int = Field(
        16_777_216, ge=16_384, description="Largest array that Channel Access carries, in bytes (EPICS_CA_MAX_ARRAY_BYTES)."
    )
    connection_timeout_s: float = Field(5.0, gt=0, le=600, description="How long to wait for PVs to answer, in s.")
    read_timeout_s: float = Field(2.0, gt=0, le=600, description="How long to wait for a value, in s.")
    write_timeout_s: float = Field(10.0, gt=0, le=600, description="How long to wait until a write has been done, in s.")


class TiledSection(Section):
    """The Tiled server. Its API key is never in this file: it comes from GHOSTBEAM_TILED_API_KEY or is made on first use."""

    host: str = Field("127.0.0.1", min_length=1, description="Address to which the server that the session starts is bound.")
    port: int = Field(8020, ge=1, le=65_535, description="Port of the server that the session starts.")
    uri: str | None = Field(None, description="A server that runs already, http(s)://...; then none is started.")
    database_uri: str | None = Field(None, description="Catalogue database, such as postgresql://...; default: SQLite.")
    table_uri: str | None = Field(None, description="Database of the tables, such as postgresql://...; default: SQLite.")
    redis_uri: str | None = Field(None, description="Streaming cache, redis://...; default: the server's memory.")

    @field_validator("uri")
    @classmethod
    def _is_http(cls, uri: str | None) -> str | None:
        return None if uri is None else http_uri(uri)

    @field_validator("table_uri")
    @classmethod
    def _loses_no_rows(cls, uri: str | None) -> str | None:
        # Tiled with DuckDB tables drops rows while another client reads them.
        if uri is not None and uri.startswith("duckdb"):
            raise ValueError("DuckDB tables lose rows under concurrent readers: use sqlite:/// or postgresql://")
        return uri
