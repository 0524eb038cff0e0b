import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from spatial_agent.services.cli import app
from spatial_agent.services.cli_errors import Exit

COMMAND = (sys.executable, "-c", "from spatial_agent.services.cli import main; main()")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "service.toml"
    path.write_text(f'folder = "{tmp_path}/kept"\nport = 0\n[work]\ndrain_seconds = 20\n')
    return path


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


class TestKeys:
    def test_a_key_is_shown_once(self, config: Path) -> None:
        code, out, err = run(
            "keys", "create", "anna's laptop", "--tenant", "anna", "--scope", "read", "--config", config
        )
        assert code == 0
        assert re.fullmatch(r"sa_[0-9a-z]+_[A-Za-z0-9_-]{43}\n", out)
        assert "tenant anna" in err
        secret = out.strip().split("_", 2)[2]
        code, listed, _ = run("keys", "list", "--json", "--config", config)
        (key,) = json.loads(listed)
        assert (key["name"], key["tenant"], key["scopes"]) == ("anna's laptop", "anna", ["read"])
        assert secret not in listed
        kept = b"".join(path.read_bytes() for path in (config.parent / "kept").rglob("*") if path.is_file())
        assert key["id"].encode() in kept
        assert secret.encode() not in kept

    def test_what_it_may_use_is_said_when_it_is_made(self, config: Path) -> None:
        options = ("--requests-per-minute", "7", "--stored-gb", "0.5", "--priority", "9", "--days", "1")
        run("keys", "create", "small", *options, "--config", config)
        (key,) = json.loads(run("keys", "list", "--json", "--config", config)[1])
        allowance = key["allowance"]
        assert (allowance["requests_per_minute"], allowance["stored_bytes"]) == (7, 2**29)
        assert (allowance["priority"], allowance["questions_per_day"]) == (9, 20_000)
        assert key["expires"] - key["created"] == pytest.approx(86_400, abs=10)
        assert key["scopes"] == ["ask", "read", "tools", "upload"]

    def test_keys_are_rotated_and_revoked(self, config: Path) -> None:
        made = json.loads(run("keys", "create", "x", "--json", "--config", config)[1])
        rotated = json.loads(run("keys", "rotate", made["id"], "--json", "--config", config)[1])
        assert (rotated["id"], rotated["key"] != made["key"]) == (made["id"], True)
        assert "valid" in run("keys", "list", "--config", config)[1]
        assert run("keys", "revoke", made["id"], "--config", config)[:2] == (0, f"revoked {made['id']}\n")
        assert "revoked" in run("keys", "list", "--config", config)[1]
        for command in ("revoke", "rotate"):
            code, _, err = run("keys", command, made["id"], "--config", config)
            assert code != 0
            assert made["id"] in err

    def test_scopes_that_do_not_exist_are_refused(self, config: Path) -> None:
        code, _, err = run("keys", "create", "x", "--scope", "root", "--config", config)
        assert code == Exit.USAGE
        assert "read, ask, upload" in err


class TestRefusing:
    def test_beyond_this_machine_without_any_key(self, config: Path) -> None:
        code, out, err = run("serve", "--host", "0.0.0.0", "--config", config)
        assert (code, out) == (Exit.USAGE, "")
        assert "spatial-agent keys create" in err

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("port = 99999", "port"),
            ("[limits]\npixels = -1", "limits.pixels"),
            ("colour = 1", "colour"),
            ("port = ", "TOML"),
        ],
    )
    def test_configurations_that_cannot_be(self, tmp_path: Path, text: str, told: str) -> None:
        path = tmp_path / "bad.toml"
        path.write_text(text)
        code, _, err = run("serve", "--config", path)
        assert code == Exit.USAGE
        assert told in err

    def test_a_port_that_is_taken(self, config: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            code, _, err = run("serve", "--port", port, "--config", config)
        assert code == Exit.USAGE
        assert "cannot listen" in err


class TestServing:
    def test_it_says_where_it_is_and_ends_well_when_told(self, config: Path) -> None:
        with served(config) as url:
            assert httpx.get(f"{url}/readyz").json()["status"] == "ok"
            missing = httpx.get(f"{url}/v1/nothing", headers={"X-Request-Id": "seen-in-the-log"})
            assert missing.status_code == 404


@contextmanager
def served(config: Path) -> Iterator[str]:
    """Run the command in a process of its own, end it by SIGTERM, and look at what it left."""
    process = subprocess.Popen(
        [*COMMAND, "serve", "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    with process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"serving at (http://127\.0\.0\.1:\d+) \(Ctrl\+C to stop\)\n", line)
        try:
            assert found, line
            yield found[1]
        finally:
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    lines = [json.loads(line) for line in err.splitlines()]
    assert all(line["level"] == "info" for line in lines), err
