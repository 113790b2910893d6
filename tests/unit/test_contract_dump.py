"""Definitions and rows of tables in dumps: the same for the same tables."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from contract.dump import identified, normal, render

HEAD = "CREATE TABLE `t` (\n  `id` int(11) NOT NULL AUTO_INCREMENT,\n  PRIMARY KEY (`id`),\n"
TAIL = "\n) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb3"


def test_indexes_come_by_name_and_keep_their_kind() -> None:
    one = "  UNIQUE KEY `z` (`z`),\n  KEY `b` (`b`),\n  KEY `a` (`a`)"
    other = "  UNIQUE KEY `z` (`z`),\n  KEY `a` (`a`),\n  KEY `b` (`b`)"
    assert normal(HEAD + one + TAIL) == normal(HEAD + other + TAIL)
    assert normal(HEAD + one + TAIL) == HEAD + other + TAIL.replace(" AUTO_INCREMENT=7", "")


def test_what_follows_the_indexes_stays_there() -> None:
    foreign = ",\n  CONSTRAINT `c` FOREIGN KEY (`b`) REFERENCES `o` (`id`)"
    one = "  KEY `b` (`b`),\n  KEY `a` (`a`)"
    other = "  KEY `a` (`a`),\n  KEY `b` (`b`)"
    assert normal(HEAD + one + foreign + TAIL) == normal(HEAD + other + foreign + TAIL)
    assert normal(HEAD + one + foreign + TAIL).count(",\n") == (HEAD + one + foreign).count(",\n")
    assert "  KEY `b` (`b`),\n  CONSTRAINT `c`" in normal(HEAD + one + foreign + TAIL)


def test_an_id_follows_from_the_rest_of_its_row() -> None:
    ingress = {"id": "24bcba61", "direction": "ingress", "port": None}
    old, new = identified("rules", ingress)
    assert old == "24bcba61"
    assert identified("rules", {**ingress, "id": "14aeaaf8"}) == ("14aeaaf8", new)
    made = [identified("rules", {**ingress, "created": datetime(2026, 1, d)})[1] for d in (1, 2)]
    assert made[0] == made[1]
    others = (identified("rules", {**ingress, "direction": "egress"}), identified("r", ingress))
    assert len({new, *(other[1] for other in others)}) == 3


class Cursor:
    """Answers as a database does that has these tables, each with its columns and one row."""

    def __init__(self, tables: dict[str, dict[str, Any]]) -> None:
        self.tables, self.connection = tables, self
        self.found: list[tuple[Any, ...]] = []
        self.description: list[tuple[str]] = []

    def cursor(self) -> Cursor:
        return self

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, query: str) -> None:
        table = query.rpartition("`t_")[2].rstrip("`")
        if query == "SHOW TABLES":
            self.found = [(f"t_{name}",) for name in self.tables]
        elif query.startswith("SHOW CREATE"):
            self.found = [(f"t_{table}", f"CREATE TABLE `t_{table}`")]
        else:
            self.description = [(name,) for name in self.tables[table]]
            self.found = [tuple(self.tables[table].values())]

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self.found

    def fetchone(self) -> tuple[Any, ...]:
        return self.found[0]

    def literal(self, value: object) -> str:
        return repr(value)


def test_other_tables_refer_to_the_id_that_a_row_gets() -> None:
    def dumped(chance: str) -> str:
        tables: dict[str, dict[str, Any]] = {
            "kinds": {"id": chance, "name": "k"},
            "specs": {"number": 1, "kind": chance},
        }
        return render(Cursor(tables), ["t_kinds", "t_of_a_later_release"])

    one = dumped("24bcba61")
    assert one == dumped("14aeaaf8")
    (made,) = re.findall(r"\('([0-9a-f-]{36})', 'k'\)", one)
    assert f"VALUES (1, '{made}');" in one
