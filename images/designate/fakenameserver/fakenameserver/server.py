"""Answers queries by UDP with what designate's database says.

A real name server gets its zones from designate by a transfer or by an API. This one keeps nothing,
so what the database has is served at once, and what designate deletes is gone.
"""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Protocol

# What is being deleted is not served any more: designate waits for that.
ZONE = """
SELECT id, name, ttl FROM zones
WHERE name IN ({names}) AND deleted = '0' AND action != 'DELETE' ORDER BY LENGTH(name) DESC
"""
RECORDS = """
SELECT s.type, s.ttl, r.data FROM recordsets s JOIN records r ON r.recordset_id = s.id
WHERE s.zone_id = :zone AND s.name = :name AND r.action != 'DELETE'
"""
SIZE = 65535
Row = tuple[Any, ...]


class Database(Protocol):
    def zones(self, names: Collection[str]) -> list[Row]:
        """The id, name and TTL of each zone of these names, the longest name first."""

    def records(self, zone: str, name: str) -> list[Row]:
        """The type, TTL and data of each record of a name."""


def parents(name: str) -> Iterator[str]:
    """The name and all that it is below, such as a.example.org., example.org., org."""
    labels = name.rstrip(".").split(".")
    for index in range(len(labels)):
        yield f"{'.'.join(labels[index:])}."


def answer(wire: bytes, database: Database, refused: Collection[str] = ()) -> bytes | None:
    """The reply to a message; None to what is no message."""
    from dns import exception, flags, message, opcode, rcode

    try:
        request = message.from_wire(wire)
        reply = message.make_response(request)
    except exception.DNSException:
        return None
    reply.flags |= flags.AA
    if request.opcode() == opcode.NOTIFY:
        return bytes(reply.to_wire())
    if request.opcode() != opcode.QUERY or len(request.question) != 1:
        reply.set_rcode(rcode.NOTIMP)
        return bytes(reply.to_wire())
    _fill(reply, request.question[0], database, refused)
    return bytes(reply.to_wire(max_size=SIZE))


def _fill(reply: Any, question: Any, database: Database, refused: Collection[str]) -> None:
    from dns import flags, rcode, rdatatype, rrset

    name = question.name.to_text().lower()
    found = database.zones(list(parents(name)))
    if not found or found[0][1] in refused:
        reply.flags &= ~flags.AA
        reply.set_rcode(rcode.REFUSED)
        return
    zone, _, zone_ttl = found[0]
    rows = database.records(zone, name)
    if not rows:
        reply.set_rcode(rcode.NXDOMAIN)
    for kind in (rdatatype.to_text(question.rdtype), "CNAME"):
        if chosen := [row for row in rows if row[0] == kind]:
            ttl = chosen[0][1] or zone_ttl
            data = [row[2] for row in chosen]
            reply.answer = [rrset.from_text_list(question.name, ttl, "IN", kind, data)]
            return


class _Sql:
    def __init__(self, address: str) -> None:
        from sqlalchemy import create_engine

        self._engine = create_engine(address, pool_pre_ping=True, pool_recycle=600)

    def zones(self, names: Collection[str]) -> list[Row]:
        marks = {f"name{number}": name for number, name in enumerate(names)}
        return self._rows(ZONE.format(names=", ".join(f":{mark}" for mark in marks)), marks)

    def records(self, zone: str, name: str) -> list[Row]:
        return self._rows(RECORDS, {"zone": zone, "name": name})

    def _rows(self, query: str, given: Mapping[str, str]) -> list[Row]:
        from sqlalchemy import text

        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query), given)]


def main() -> None:
    from oslo_config import cfg

    from fakenameserver import options

    conf = cfg.ConfigOpts()
    conf.register_opts([cfg.StrOpt("connection", secret=True)], group="storage:sqlalchemy")
    settings = options.register(conf)
    conf([], project="designate")
    serve(
        (settings.listen, settings.port),
        _Sql(conf["storage:sqlalchemy"].connection),
        settings.refused,
    )


def serve(address: tuple[str, int], database: Database, refused: Collection[str]) -> None:
    """Until SIGTERM; each message in a thread of its own."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as found:
        found.bind(address)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        while True:
            wire, client = found.recvfrom(SIZE)
            work = (found, client, wire, database, refused)
            threading.Thread(target=_reply, args=work, daemon=True).start()


def _reply(
    found: socket.socket,
    client: Any,
    wire: bytes,
    database: Database,
    refused: Collection[str],
) -> None:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        reply = answer(wire, database, refused)
    except (SQLAlchemyError, OSError) as error:
        print(f"no answer for {client[0]}: {error}", file=sys.stderr, flush=True)
        return
    if reply:
        found.sendto(reply, client)
