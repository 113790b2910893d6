"""Prints the tests of the latest run in a workspace of stestr as JSON.

Runs in the environment of a suite, which has stestr, subunit and testtools.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def main() -> None:
    """Each test is a list: its id, its status, its seconds, and why."""
    import subunit
    import testtools
    from stestr.repository import util

    found: list[list[Any]] = []

    def take(test: dict[str, Any]) -> None:
        texts = {
            name: each.as_text()
            for name, each in test["details"].items()
            if "text" in str(each.content_type)
        }
        wanted = [text for name, text in texts.items() if name.startswith("traceback")]
        wanted += [texts["reason"]] if "reason" in texts else []
        begin, end = test["timestamps"]
        seconds = (end - begin).total_seconds() if begin and end else 0.0
        found.append([test["id"], test["status"], seconds, "\n".join(wanted)])

    result = testtools.StreamToDict(take)
    result.startTestRun()
    # Not the file: it is in the first version of the format.
    stream = util.get_repo_open(repo_url=sys.argv[1]).get_latest_run().get_subunit_stream()
    subunit.ByteStreamToStreamResult(stream, "other").run(result)
    result.stopTestRun()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
