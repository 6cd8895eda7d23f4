"""The compose file says what the code says: modules that exist, settings that exist, no secrets of its own."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.settings import Settings
from schemas.registry import Consumer

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
OURS = {name: s for name, s in COMPOSE["services"].items() if s.get("image", "").startswith("reelmill")}


def test_every_consumer_is_a_service() -> None:
    assert {consumer.value for consumer in Consumer} <= set(OURS)


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_service_runs_what_exists(name: str) -> None:
    command = OURS[name]["command"]
    if command[0] == "python":
        assert importlib.util.find_spec(command[2]) is not None
    else:
        assert command == ["reelmill", "migrate"]


@pytest.mark.row("X-21")
@pytest.mark.parametrize("name", sorted(OURS))
def test_a_service_sets_only_settings_that_exist(name: str) -> None:
    known = {f"REELMILL_{field.upper()}" for field in Settings.model_fields}
    assert set(OURS[name]["environment"]) <= known


def test_no_secret_has_a_default() -> None:
    text = (ROOT / "docker-compose.yaml").read_text()
    for line in text.splitlines():
        if re.search(r"(PASS|SECRET|PASSWORD)\w*: ", line):
            assert ":?set " in line, line
