"""The contract's own log lines, as text or (LOG_FORMAT=json) one JSON object a line."""

from __future__ import annotations

import json
import os
import sys
import time


def log_format() -> str:
    return os.environ.get("LOG_FORMAT", "text")


def as_json(level: str, source: str, message: str, now: float | None = None) -> str:
    moment = time.gmtime(now if now is not None else time.time())
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", moment)
    return json.dumps(
        {"timestamp": stamp, "level": level, "logger": source, "message": message},
        ensure_ascii=False,
    )


def line(level: str, message: str) -> str:
    if log_format() == "json":
        return as_json(level, "contract", message)
    return f"contract: {'' if level == 'INFO' else level.lower() + ': '}{message}"


def say(message: str) -> None:
    _write(line("INFO", message))


def warn(message: str) -> None:
    _write(line("WARNING", message))


def fail(message: str, hint: str = "") -> None:
    _write(line("ERROR", message))
    if hint:
        _write(line("ERROR", f"hint: {hint}"))


def _write(text: str) -> None:
    # stderr: a command's own output (`docker run IMAGE openstack token issue`) stays clean.
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def is_json_object(text: str) -> bool:
    if not (text.startswith("{") and text.endswith("}")):
        return False
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def to_json_line(source: str, text: str) -> str:
    """A line of a service as JSON: its own JSON as it is, anything else wrapped."""
    return text if is_json_object(text) else as_json("INFO", source, text)
