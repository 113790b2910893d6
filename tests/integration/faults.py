"""Breaks the publishing of sets in seeded ways while a reader resolves every tag all the time.

Run by bench/faults, and in a short form by the tests. Everything is real - the registry, the
publishers' processes, the signals, the full disk - and on loopback.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from builder.errors import PublishError
from builder.manifest import REFERRERS, SIGNATURE
from builder.options import Signing
from builder.publish.publish import publish
from builder.publish.tags import Names
from builder.registry import http
from builder.registry.referrers import tag_of
from builder.registry.repository import Repository, digest_of
from builder.trust.attestations import Document, Predicate
from builder.trust.inventory import lost_attachments
from builder.trust.sign import signer
from tests.integration.quirks import fronting
from tests.integration.reader import Reader, read_all_the_time
from tests.integration.registries import (
    FAULTS,
    VERSIONS,
    LayoutSource,
    Proxy,
    Server,
    make_images,
    make_set,
    proxying,
    serving,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.context import ForkServerContext, ForkServerProcess

RELEASES = {
    "zed": (Names("zed", "2022.2"), VERSIONS),
    "2023.1": (
        Names("2023.1", "2023.1"),
        {**VERSIONS, "keystone": "23.0.2", "nova-compute": "27.5.1"},
    ),
}
KINDS = (
    *("kill before a request", "kill after a request", "kill at the journal", "interrupt"),
    *(f"registry: {fault}" for fault in FAULTS),
    *("registry: all of that, often", "registry killed", "registry stopped", "full disk"),
    *("two publishers", "two releases", "untested set"),
    *("other: mount", "other: HEAD", "other: HEAD without a length", "other: tag 409"),
    *("other: kept offset", "other: referrers", "other: referrers refused"),
    *("refuses: must exist", "refuses: immutable 400", "refuses: no artifacts"),
    *("a cleaner took tags", "a cleaner took what has no tag", "damaged signature"),
)
_SBOM = Document(Predicate.SPDX, b'{"spdxVersion": "SPDX-2.3", "packages": []}')
# A front may refuse in many ways.
_STATUSES = {"mount": (400, 404, 405, 500), "HEAD": (403, 404, 405)}
# Requests that a publication of the small set makes, about.
_REQUESTS = 200
_AT_JOURNAL = 60
# A request is tried six times, with pauses as long as the registry asks for.
_LIMIT = 180.0


@dataclass(frozen=True)
class Task:
    """What a publisher's process does, and the request at which it gets ``signal``."""

    address: str
    layout: str
    digests: dict[str, str]
    release: str
    passed: bool = True
    sign_key: str = ""
    signal: int = 0
    at: int = 0
    answered: bool = False
    after_journal: bool = False


def publisher(task: Task, log: str) -> None:
    """A process that publishes one set; 0 when it did, 1 when it said why not."""
    with Path(log).open("a", encoding="utf-8") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, force=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    http.TIMEOUT = (2.0, 3.0)
    http.RETRIES = http.RETRIES.new(total=5, backoff_factor=0.05, backoff_max=1)
    http.CONNECTIONS = 4
    if task.signal:
        _signal_at(task)
    names, versions = RELEASES[task.release]
    tested = make_set(task.address, task.digests, release=task.release, versions=versions)
    tested = tested.model_copy(update={"checks_passed": int(task.passed)})
    attacher = signer(Signing(sign_key=task.sign_key), task.address) if task.sign_key else None
    documents = dict.fromkeys(task.digests, (_SBOM,)) if attacher else {}
    source = LayoutSource(Path(task.layout))
    try:
        publish(tested, names, source, attacher=attacher, documents=documents)
    except PublishError as error:
        logging.error("%s", error)
        os._exit(1)
    except KeyboardInterrupt as error:
        logging.error("interrupted: %s", error)
        os._exit(130)
    os._exit(0)


def _signal_at(task: Task) -> None:
    send = http.Connection.request
    lock = threading.Lock()
    state = {"left": task.at, "counting": not task.after_journal}

    def request(self: Any, method: str, url: str, **given: Any) -> requests.Response:
        with lock:
            state["counting"] |= method == "PUT" and url.endswith("/_journal")
            state["left"] -= state["counting"]
            due = state["counting"] and state["left"] == 0
        if due and not task.answered:
            os.kill(os.getpid(), task.signal)
        answer = send(self, method, url, **given)
        if due and task.answered:
            os.kill(os.getpid(), task.signal)
        return answer

    http.Connection.request = request  # type: ignore[method-assign]


@dataclass
class Bench:
    """A registry, a reader, and publishers that something happens to."""

    directory: Path
    server: Server
    random: random.Random
    context: ForkServerContext
    full: bool
    counts: Counter[str] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    number: int = 0
    done: int = 0

    @property
    def log(self) -> str:
        return str(self.directory / "publishers.log")

    @cached_property
    def key(self) -> str:
        """A private key, made once."""
        argv = ["cosign", "generate-key-pair", "--output-key-prefix", str(self.directory / "k")]
        env = {**os.environ, "COSIGN_PASSWORD": ""}
        subprocess.run(argv, env=env, check=True, capture_output=True, timeout=60)
        return str(self.directory / "k.key")

    def task(self, release: str = "zed", *, size: int = 20_000, **given: Any) -> Task:
        """A new set, which has passed unless ``given`` says otherwise."""
        self.number += 1
        layout = self.directory / f"set-{self.number}"
        digests = make_images(layout, self.random.randrange(2**32), size=size)
        if given.get("passed", True):
            with (self.directory / "allowed").open("a") as stream:
                stream.writelines(f"{digest}\n" for digest in digests.values())
        return Task(self.server.address, str(layout), digests, release, **given)

    def start(self, task: Task) -> ForkServerProcess:
        process = self.context.Process(target=publisher, args=(task, self.log))
        process.start()
        return process

    def end(self, *processes: ForkServerProcess) -> list[int | None]:
        for process in processes:
            process.join(_LIMIT)
            if process.is_alive():
                self.failures.append(f"a publisher did not end within {_LIMIT:.0f} s")
                process.kill()
                process.join()
        return [process.exitcode for process in processes]

    def run(self, task: Task) -> int | None:
        return self.end(self.start(task))[0]

    def faults(self, count: int, kinds: Sequence[str]) -> None:
        """Let ``count`` faults happen, each followed by a publication that must end well."""
        for number in range(count):
            kind = kinds[number % len(kinds)]
            before = len(self.failures)
            task = self.happen(kind)
            task = replace(task, signal=0)
            code = self.run(task)
            if code == 1 and self._is_lost(task):
                self.counts["manifest lost for ever, another set published"] += 1
                task = self.task()
                code = self.run(task)
            if code != 0:
                self.failures.append(f"after {kind}: the next publish ends with {code}")
            self.check(task)
            self.done += 1
            for failure in self.failures[before:]:
                print(f"fault {number}, {kind}: {failure}", file=sys.stderr)

    def _is_lost(self, task: Task) -> bool:
        """Whether a full disk left a manifest of the set empty or cut: it is never written again.

        Nobody can publish such a set to this registry, and `builder publish` says so; see
        docs/explanation/publishing.md.
        """
        files = {digest: self.server.blob(digest) for digest in task.digests.values()}
        return any(
            path.exists() and digest_of(path.read_bytes()) != digest
            for digest, path in files.items()
        )

    def happen(self, kind: str) -> Task:
        """Let one fault happen; returns the set that is to be published afterwards."""
        if kind.startswith("kill") or kind == "interrupt":
            return self._signalled(kind)
        if kind.startswith("registry: "):
            return self._through_proxy(kind.removeprefix("registry: "))
        if kind.startswith("other: "):
            return self._otherwise(kind.removeprefix("other: "))
        if kind.startswith("refuses: "):
            return self._refused(kind.removeprefix("refuses: "))
        if kind in ("registry killed", "registry stopped"):
            return self._restarted(signal.SIGKILL if "killed" in kind else signal.SIGTERM)
        return {
            "full disk": self._full_disk,
            "two publishers": self._two_publishers,
            "two releases": self._two_releases,
            "untested set": self._untested,
            "a cleaner took tags": lambda: self._cleaned(tagged=True),
            "a cleaner took what has no tag": lambda: self._cleaned(tagged=False),
            "damaged signature": self._damaged_signature,
        }[kind]()

    def _signalled(self, kind: str) -> Task:
        journal = kind == "kill at the journal" or (
            kind == "interrupt" and self.random.random() < 0.5
        )
        task = self.task(
            signal=signal.SIGINT if kind == "interrupt" else signal.SIGKILL,
            at=self.random.randrange(1, _AT_JOURNAL if journal else _REQUESTS),
            answered="after" in kind or self.random.random() < 0.5,
            after_journal=journal,
        )
        self.counts[f"{kind}: exit {self.run(task)}"] += 1
        return task

    def _through_proxy(self, fault: str) -> Task:
        often = fault not in FAULTS
        rate = self.random.choice((0.3, 0.6)) if often else self.random.choice((0.02, 0.1))
        faults = FAULTS if often else (fault,)
        seed = self.random.randrange(2**32)
        with proxying(self.server.port, seed=seed, rate=rate, faults=faults) as proxy:
            task = self.task()
            code = self.run(_through(task, proxy))
        self.injected.update(proxy.counts)
        self.counts[f"{fault}: exit {code}"] += 1
        return task

    def _otherwise(self, kind: str) -> Task:
        """A registry that behaves as another kind does takes the set all the same."""
        statuses = _STATUSES.get(kind)
        quirk = f"{kind} {self.random.choice(statuses)}" if statuses else kind
        with fronting(self.server.port, quirk) as front:
            size = 200_000 if kind == "kept offset" else 20_000
            signed = {"sign_key": self.key} if "referrers" in kind else {}
            task = self.task(size=size, **signed)
            code = self.run(replace(task, address=f"127.0.0.1:{front.port}"))
        if code != 0:
            self.failures.append(f"a registry with {quirk}: exit {code}")
        self.injected[f"other: {kind}"] += sum(front.counts.values())
        self.counts[f"other: {quirk}"] += 1
        return task

    def _refused(self, quirk: str) -> Task:
        """What a registry refuses always leaves all tags as they were, or a journal."""
        with fronting(self.server.port, quirk) as front:
            task = self.task()
            code = self.run(replace(task, address=f"127.0.0.1:{front.port}"))
        if code != 1:
            self.failures.append(f"a registry that refuses: {quirk}: exit {code}")
        self.injected[f"refuses: {quirk}"] += front.counts.get("refused", 0)
        self.counts[f"refuses: {quirk}"] += 1
        return task

    def _signed(self) -> tuple[Task, list[tuple[Repository, str]]]:
        """A set that is published with signatures, and where its images are."""
        task = self.task(sign_key=self.key)
        if (code := self.run(task)) != 0:
            self.failures.append(f"a signed set: exit {code}")
        images = [
            (Repository(f"{task.address}/openstack/openstack-{target}"), digest)
            for target, digest in task.digests.items()
        ]
        return task, images

    def _cleaned(self, *, tagged: bool) -> Task:
        """A cleaner took the tags of signatures, or manifests that only an index names."""
        task, images = self._signed()
        for repository, digest in images:
            index = repository.manifest(tag_of(digest))
            assert index
            gone = [str(each["digest"]) for each in index.content["manifests"]]
            if tagged:
                tags = (f"{tag_of(digest)}{end}" for end in ("", ".sig", ".att"))
                gone = [there for tag in tags if (there := repository.resolve(tag))]
            for each in gone:
                repository.delete(each)
        self.counts[f"cleaned: {'tags' if tagged else 'no tags'}"] += 1
        return task

    def _damaged_signature(self) -> Task:
        task, images = self._signed()
        for repository, digest in images:
            signature = repository.manifest(f"{tag_of(digest)}.sig")
            assert signature
            lost = self.random.choice((signature.digest, signature.content["layers"][0]["digest"]))
            if lost == signature.digest:
                self.server.blob(lost).write_bytes(b"garbage")
            else:
                self.server.blob(lost).unlink()
        self.server.stop()  # it keeps descriptors in memory
        self.server.start()
        self.counts["damaged signatures"] += 1
        return task

    def _restarted(self, number: int) -> Task:
        task = self.task()
        process = self.start(task)
        time.sleep(self.random.random() * 0.8)
        self.server.stop(number)
        time.sleep(self.random.random() * 0.5)
        self.server.start()
        self.counts[f"restart: exit {self.end(process)[0]}"] += 1
        return task

    def _full_disk(self) -> Task:
        if not self.full:
            return self._restarted(signal.SIGKILL)
        filler = self.server.directory / "filler"
        task = self.task()
        process = self.start(task)
        time.sleep(self.random.random() * 0.8)
        with suppress(OSError), filler.open("wb") as stream:
            while True:
                stream.write(bytes(1 << 16))
                stream.flush()
        code = self.end(process)[0]
        filler.unlink()
        self.counts[f"full disk: exit {code}"] += 1
        return task

    def _two_publishers(self) -> Task:
        first, second = self.task(), self.task()
        codes = self.end(self.start(first), self.start(second))
        if 0 not in codes:
            self.failures.append(f"of two publishers none published: {codes}")
        self.counts[f"two publishers: exits {sorted(map(str, codes))}"] += 1
        reader = Reader(self.server.address, self.directory / "allowed")
        answer = reader.get("GET", "openstack-keystone/manifests/zed")
        assert answer is not None
        there = answer.headers["Docker-Content-Digest"]
        return first if first.digests["keystone"] == there else second

    def _two_releases(self) -> Task:
        first, second = self.task(), self.task("2023.1")
        codes = self.end(self.start(first), self.start(second))
        if codes != [0, 0]:
            self.failures.append(f"two releases at once: exits {codes}")
        self.check(second)
        self.counts["two releases"] += 1
        return first

    def _untested(self) -> Task:
        refused = self.run(self.task(passed=False))
        if refused != 1:
            self.failures.append(f"an untested set: exit {refused}")
        self.counts["untested set"] += 1
        return self.task()

    def check(self, task: Task) -> None:
        """Every tag of the release names the set that was published last."""
        reader = Reader(self.server.address, self.directory / "allowed")
        names, versions = RELEASES[task.release]
        for target, digest in task.digests.items():
            own = () if target == "mariadb" else (versions[target], versions[target].split(".")[0])
            for tag in (*names.tags, *own):
                answer = reader.get("GET", f"openstack-{target}/manifests/{tag}")
                there = answer.headers.get("Docker-Content-Digest") if answer else None
                if there != digest:
                    self.failures.append(f"{target}:{tag} names {there}, not {digest}")
            if task.sign_key:
                self._check_attached(target, digest)
        left = reader.get("GET", "openstack-set/tags/list")
        assert left is not None
        if "_journal" in left.json()["tags"]:
            self.failures.append("the journal is left")

    def _check_attached(self, target: str, digest: str) -> None:
        repository = Repository(f"{self.server.address}/openstack/openstack-{target}")
        kinds = (SIGNATURE, _SBOM.predicate.name, REFERRERS)
        self.failures += [
            f"{target} lacks {each}" for each in lost_attachments(repository, digest, kinds)
        ]


def _through(task: Task, proxy: Proxy) -> Task:
    """The same set, published through the proxy: to a registry of another name, so to speak."""
    return replace(task, address=f"127.0.0.1:{proxy.port}")


@contextmanager
def _disk(path: Path) -> Iterator[bool]:
    """A small file system at ``path``, where this user may mount one."""
    path.mkdir(parents=True)
    options = ["mount", "-t", "tmpfs", "-o", "size=512m", "builder-faults", str(path)]
    mounted = os.getuid() == 0 and subprocess.run(options, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(path)], check=True)


def run(
    count: int, seed: int, directory: Path, kinds: Sequence[str] = KINDS
) -> tuple[Bench, dict[str, Any]]:
    """Let ``count`` faults happen, or as many as there are before an interrupt."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ExitStack() as stack:
        mounted = stack.enter_context(_disk(directory / "registry"))
        server = Server(directory / "registry")
        server.start()
        stack.callback(server.stop)
        (directory / "allowed").touch()
        bench = Bench(directory, server, random.Random(seed), context, mounted)  # noqa: S311
        stop = context.Event()
        result = directory / "seen.json"
        reader = context.Process(
            target=read_all_the_time,
            args=(server.address, str(directory / "allowed"), str(result), stop),
        )
        reader.start()
        stack.callback(reader.kill)
        with suppress(KeyboardInterrupt):
            bench.run(bench.task())
            bench.faults(count, kinds)
        stop.set()
        reader.join(_LIMIT)
        return bench, json.loads(result.read_text())


def spoiled(directory: Path) -> list[str]:
    """What a reader says of a registry that somebody spoils."""
    with serving(Server(directory / "registry")) as server:
        allowed = directory / "allowed"
        sets = []
        for number in range(2):
            path = directory / f"set-{number}"
            sets.append((make_images(path, number), LayoutSource(path)))
        allowed.write_text("".join(sets[0][0].values()))
        published = publish(make_set(server.address, sets[0][0]), RELEASES["zed"][0], sets[0][1])
        reader = Reader(server.address, allowed)
        reader.look()
        if reader.seen.violations:
            return reader.seen.violations
        build = {image.target: image.build for image in published.record.images}
        publish(make_set(server.address, sets[1][0]), RELEASES["zed"][0], sets[1][1])
        keystone, nova, mariadb = (
            Repository(f"{server.address}/openstack/openstack-{target}")
            for target in ("keystone", "nova-compute", "mariadb")
        )
        new = keystone.manifest("zed")
        layer = nova.manifest("zed")
        old = mariadb.resolve(build["mariadb"])
        assert new
        assert layer
        assert old
        keystone.put_manifest(build["keystone"], new.data)
        mariadb.delete(old)
        lost = f"{reader.base}/openstack-nova-compute/blobs/{layer.content['layers'][1]['digest']}"
        requests.delete(lost, timeout=5).raise_for_status()
        reader.look()
        return reader.seen.violations


def main() -> None:
    """The command line of bench/faults."""
    parser = argparse.ArgumentParser(prog="bench/faults", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="number of faults [200]")
    parser.add_argument("--seed", type=int, default=1, help="decides all of them [1]")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))  # ends with the figure so far
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="builder-faults-") as directory:
        bench, seen = run(given.count, given.seed, Path(directory))
        if bench.failures:
            sys.stderr.write(Path(bench.log).read_text()[-4000:])
    for what, times in sorted(bench.counts.items()):
        print(f"{times:4} {what}")
    if not bench.full:
        print("no full disk: that needs root, to mount a small one")
    for text in (*bench.failures, *seen["violations"]):
        print(f"WRONG: {text}")
    print(
        f"{bench.done} faults, seed {given.seed}, {time.monotonic() - start:.0f} s: "
        f"{seen['reads']} reads of {seen['tags']} tags, {len(seen['violations'])} violations, "
        f"{len(bench.failures)} failures"
    )
    sys.exit(bool(bench.failures or seen["violations"]))
