"""Real Redis servers for tests: one alone, one with TLS, sentinels with a master and a replica, a cluster."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import redis
import trustme

from tests.fakes.ports import free_port

HOST = "127.0.0.1"
_DEADLINE = 15.0
"""Seconds for a server to get ready."""


class RedisServer:
    """A ``redis-server`` on a port of its own, with nothing kept on disk."""

    def __init__(
        self, *options: str, tls: Path | None = None, sentinel: str = "", cluster: bool = False
    ) -> None:
        self.port = free_port()
        self.bus = free_port() if cluster else 0
        """Where the nodes of a cluster talk to each other."""
        self.directory = Path(tempfile.mkdtemp(prefix="redis-"))
        self._options = options
        self._tls = tls
        self._sentinel = sentinel
        """The configuration of a sentinel."""
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()
        shutil.rmtree(self.directory)

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers. Data of an earlier life are gone."""
        self._process = subprocess.Popen(
            ["redis-server", *self._arguments()],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.directory,
        )
        assert self._process.stdout is not None
        said = []
        for line in self._process.stdout:
            said.append(line)
            if "Ready to accept connections" in line or ("# Sentinel ID" in line):
                return
        raise RuntimeError("redis-server does not start: " + "".join(said[-5:]))

    def kill(self) -> None:
        """End it at once."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def pause(self) -> None:
        """Let it stand still: connections stay, nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def command(self, *words: str | bytes | int) -> Any:
        """What the server answers to a command."""
        with self.session() as session:
            return session(*words)

    @contextmanager
    def session(self) -> Iterator[Callable[..., Any]]:
        """Several commands over one connection."""
        client: Any = redis.Redis(HOST, self.port, socket_timeout=5.0, single_connection_client=True)
        with client:
            yield client.execute_command

    def follows(self) -> bool:
        """Whether it is a replica that has all its master has."""
        role = self.command("ROLE")
        return bool(role[0] == b"slave" and role[3] == b"connected")

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _arguments(self) -> list[str]:
        if self._sentinel:
            (self.directory / "sentinel.conf").write_text(f"port {self.port}\nbind {HOST}\n{self._sentinel}")
            return ["sentinel.conf", "--sentinel"]
        common = ["--bind", HOST, "--save", "", "--appendonly", "no", "--enable-debug-command", "yes"]
        port = ["--port", str(self.port)]
        if self._tls is not None:
            port = ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"]
            for option, name in (("cert", "cert.pem"), ("key", "key.pem"), ("ca-cert", "ca.pem")):
                port += [f"--tls-{option}-file", str(self._tls / name)]
        if self.bus:
            port += ["--cluster-enabled", "yes", "--cluster-port", str(self.bus)]
            port += ["--cluster-node-timeout", "600", "--cluster-replica-validity-factor", "0"]
        return [*common, *port, *self._options]


class RedisCluster:
    """Three masters that share the slots, and a replica of the first."""

    def __init__(self) -> None:
        self.nodes = [RedisServer("--repl-diskless-sync-delay", "0", cluster=True) for _ in range(4)]

    def __enter__(self) -> Self:
        for node in self.nodes:
            node.start()
        self._join()
        return self

    def __exit__(self, *exc: object) -> None:
        for node in self.nodes:
            node.__exit__()

    @property
    def address(self) -> str:
        return "redis+cluster://" + ",".join(node.address for node in self.nodes)

    @property
    def replica(self) -> RedisServer:
        """The node that is one just now."""
        return next(node for node in self.nodes if node.command("ROLE")[0] == b"slave")

    def settle(self) -> None:
        """Wait until one follows, and all know whom: a master hands over to no other."""
        eventually(lambda: any(node.follows() for node in self.nodes))
        eventually(lambda: len({_roles(node) for node in self.nodes}) == 1)
        eventually(self._serves)
        for node in self.nodes:  # from now on, not to take for dead whom a busy machine lets wait
            node.command("CONFIG", "SET", "cluster-node-timeout", 5000)

    def _serves(self) -> bool:
        return all(b"cluster_state:ok" in node.command("CLUSTER", "INFO") for node in self.nodes)

    @contextmanager
    def moving(self, slot: int) -> Iterator[Callable[[], None]]:
        """A hash slot is on its way to another master. What is given moves the keys that are there."""
        masters = [node for node in self.nodes if node.command("ROLE")[0] == b"master"]
        places = masters[0].command("CLUSTER", "SLOTS")
        port = next(master[1] for low, high, master, *_ in places if low <= slot <= high)
        owner = next(node for node in masters if node.port == port)
        other = next(node for node in masters if node is not owner)
        owner_id, other_id = (node.command("CLUSTER", "MYID") for node in (owner, other))

        def move() -> None:
            keys = owner.command("CLUSTER", "GETKEYSINSLOT", slot, 1000)
            assert owner.command("MIGRATE", HOST, other.port, "", 0, 5000, "KEYS", *keys)

        other.command("CLUSTER", "SETSLOT", slot, "IMPORTING", owner_id)
        owner.command("CLUSTER", "SETSLOT", slot, "MIGRATING", other_id)
        try:
            yield move
        finally:
            for node in (other, owner):
                node.command("CLUSTER", "SETSLOT", slot, "NODE", other_id)

    def flush(self) -> None:
        """Forget everything."""
        for node in self.nodes:
            if node.command("ROLE")[0] == b"master":
                node.command("FLUSHALL")

    def _join(self) -> None:
        first, *others = self.nodes
        for index, (low, high) in enumerate([(0, 5460), (5461, 10922), (10923, 16383)]):
            self.nodes[index].command("CLUSTER", "ADDSLOTSRANGE", low, high)
            self.nodes[index].command("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
        for node in others:
            first.command("CLUSTER", "MEET", HOST, node.port, node.bus)
        eventually(lambda: all(len(node.command("CLUSTER NODES")) == 4 for node in self.nodes))
        eventually(self._serves)
        id = first.command("CLUSTER", "MYID")
        eventually(lambda: others[-1].command("CLUSTER", "REPLICATE", id))
        self.settle()


def _roles(node: RedisServer) -> frozenset[tuple[bytes, ...]]:
    """Each node, what it is and whose replica, as this one knows it."""
    lines = [line.split() for line in node.command("CLUSTER", "NODES").splitlines()]
    return frozenset((id, flags.removeprefix(b"myself,"), master) for id, _, flags, master, *_ in lines)


class RedisSentinels:
    """A master, its replica, and a sentinel that calls the master ``main``."""

    def __init__(self) -> None:
        self.master = RedisServer("--repl-diskless-sync-delay", "0")
        self.replica = RedisServer("--replicaof", HOST, str(self.master.port))
        settings = (
            f"sentinel monitor main {HOST} {self.master.port} 1",
            "sentinel down-after-milliseconds main 300",
            "sentinel failover-timeout main 2000",
        )
        self.sentinel = RedisServer(sentinel="\n".join(settings))

    def __enter__(self) -> Self:
        self.master.start()
        self.replica.start()
        eventually(self.replica.follows)
        self.sentinel.start()
        eventually(lambda: len(self.sentinel.command("SENTINEL", "REPLICAS", "main")) == 1)
        return self

    def __exit__(self, *exc: object) -> None:
        for server in (self.sentinel, self.replica, self.master):
            server.__exit__()

    @property
    def address(self) -> str:
        return f"redis+sentinel://{self.sentinel.address}/main"


def eventually(true: Callable[[], object]) -> None:
    """Wait for what a server does in its own time."""
    deadline = time.monotonic() + _DEADLINE
    while True:
        try:
            if true():
                return
        except redis.RedisError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError("it does not come about")
        time.sleep(0.02)


def certificates(directory: Path) -> Path:
    """A CA and a server's certificate by it, as files."""
    authority = trustme.CA()
    leaf = authority.issue_cert(HOST)
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    leaf.private_key_pem.write_to_path(str(directory / "key.pem"))
    for blob in leaf.cert_chain_pems:
        blob.write_to_path(str(directory / "cert.pem"), append=True)
    return directory
