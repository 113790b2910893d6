"""`builder --help` answers at once because it imports next to nothing."""

import subprocess
import sys

HEAVY = ("jinja2", "openstack", "pydantic", "python_on_whales", "requests", "ruamel", "tabulate")


def test_the_command_line_imports_nothing_heavy() -> None:
    program = "import sys, builder.cli; print(*sorted({n.split('.')[0] for n in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = done.stdout.split()
    assert "click" in loaded
    assert [name for name in HEAVY if name in loaded] == []
