"""The ``coo-llm`` command."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence

from gateway import __version__
from gateway.config.problems import ConfigError
from gateway.logs import complain

OK, INVALID, USAGE = 0, 1, 2
_PORT = 2906
_AUDIT_LOG = "./logs/audit.log"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. Raises SystemExit where argparse does."""
    try:
        try:
            return _run(argv)
        finally:  # also of what argparse prints
            if sys.stdout is not None:  # it was closed
                sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has seen enough
        _let_go_of_output()
        return OK
    except OSError as error:
        if error.filename is not None:  # a bug: of their files commands tell themselves
            raise
        _let_go_of_output()
        complain(f"cannot write to standard output: {error.strerror or error}")
        return INVALID
    except KeyboardInterrupt:
        return 130


def _run(argv: Sequence[str] | None) -> int:
    top = parser()
    options = top.parse_args(argv)
    if options.name and (options.config or options.validate):
        top.error(f"-c and --validate do not go with {options.name}, which is a command of its own")
    command: Callable[[argparse.Namespace], int] = options.command
    return command(options)


def _let_go_of_output() -> None:
    """So that nothing tries to write the rest once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parser() -> argparse.ArgumentParser:
    """Every command and option there is."""
    top = argparse.ArgumentParser(
        prog="coo-llm", description="One OpenAI-compatible address in front of many LLM providers and keys."
    )
    top.add_argument(
        "-c", "--config", "-config", type=_path, metavar="PATH", help="serve with this configuration"
    )
    top.add_argument("--validate", action="store_true", help="only check the configuration")
    top.add_argument("--version", action="version", version=f"coo-llm {__version__}")
    top.set_defaults(command=lambda options: _serve(top, options))
    commands = top.add_subparsers(title="commands", metavar="COMMAND", dest="name")

    check = commands.add_parser("check", help="check a configuration and print every error")
    check.add_argument("path", type=_path, metavar="PATH")
    check.set_defaults(command=lambda options: _check(options.path))

    demo = commands.add_parser("demo", help="serve without any configuration, key or network")
    demo.add_argument("--port", type=_port, default=_PORT, help=f"default: {_PORT}")
    demo.set_defaults(command=_demo)

    init = commands.add_parser("init", help="write a configuration to start from")
    init.add_argument(
        "path", type=_path, metavar="PATH", nargs="?", default="config.yaml", help="default: config.yaml"
    )
    init.set_defaults(command=_init)

    hashing = commands.add_parser("hash-password", help="print the hash for webui.admin_password")
    hashing.set_defaults(command=_hash_password)

    plugins = commands.add_parser("plugins", help="list the plugins found")
    plugins.set_defaults(command=_plugins)

    taking_back = commands.add_parser(
        "revert", help="take back what was set through the admin API, where that cannot be reached"
    )
    taking_back.add_argument("path", type=_path, metavar="PATH", help="the configuration file")
    taking_back.add_argument(
        "setting", metavar="SETTING", nargs="?", help="server.listen, say; left out: list what is set"
    )
    taking_back.set_defaults(command=lambda options: _revert(options.path, options.setting))

    audit = commands.add_parser("audit", help="work with the audit log")
    verify = audit.add_subparsers(metavar="COMMAND", required=True).add_parser(
        "verify", help="check its chain"
    )
    verify.add_argument(
        "path", type=_path, metavar="PATH", nargs="?", default=_AUDIT_LOG, help=f"default: {_AUDIT_LOG}"
    )
    verify.set_defaults(command=_audit_verify)
    return top


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("must be 0 to 65535")
    return int(text)


def _path(text: str) -> str:
    if not text:  # a variable of a script that is not set, mostly
        raise argparse.ArgumentTypeError("is empty")
    return text


def _serve(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if options.config is None:
        parser.error("nothing to do: give -c PATH or a command; --help explains both")
    if options.validate:
        return _check(options.config)
    _heed_signals()
    from gateway.daemon import run

    return run(options.config)


def _heed_signals() -> None:
    """Until the daemon does, whose modules take a while to load: there is nothing to drain or reload yet."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(OK))


def _check(path: str) -> int:
    from gateway.config.read import read
    from gateway.instances import build_plugins, installed
    from gateway.registry import Registry

    registry = Registry.discover()
    try:
        loaded = read(path, known=installed(registry))
        build_plugins(loaded.config, registry)  # which check their own settings
        if (tls := loaded.config.server.tls) is not None:
            from gateway.listeners import context_of

            context_of(tls)
    except ConfigError as error:
        complain(error)
        return INVALID
    for warning in loaded.warnings:
        complain(f"warning: {warning}", logging.WARNING)
    print(f"{path}: valid (configuration {loaded.version})")
    return OK


def _demo(options: argparse.Namespace) -> int:
    from gateway.demo import demo

    return demo(options.port)


def _init(options: argparse.Namespace) -> int:
    from gateway.config.starter import starter

    path: str = options.path
    try:
        # O_EXCL follows no symlink, not even one that leads nowhere
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(starter())
    except FileExistsError:
        complain(f"{path} exists already and is left as it is: name another path")
        return INVALID
    except (OSError, ValueError) as error:
        complain(f"cannot write {path}: {getattr(error, 'strerror', None) or error}")
        return INVALID
    print(
        f"Wrote {path}, readable by you alone. In it, newly made:\n"
        f"  the admin key   server.admin_api_key\n"
        f"  a client key    api_keys[0].key\n"
        f"Next: coo-llm -c {path}\n"
        f"then, with the client key: curl http://127.0.0.1:2906/v1/models -H 'Authorization: Bearer KEY'\n"
        f"and, as admin with the admin key: http://127.0.0.1:2906/ui/"
    )
    return OK


def _hash_password(_: argparse.Namespace) -> int:
    from gateway.config.password import ask
    from gateway.passwords import hashed

    try:
        password = ask()
    except ValueError as error:
        complain(error)
        return INVALID
    print(hashed(password))
    return OK


def _plugins(_: argparse.Namespace) -> int:
    from gateway.registry import Registry

    for plugin in Registry.discover().listing():
        line = f"{plugin.group:<22} {plugin.name:<16} {plugin.distribution} {plugin.version}"
        if plugin.ignored:
            line += f"  IGNORED: {plugin.ignored}"
        print(f"{line}  FAILED: {plugin.error}" if plugin.error else line)
    return OK


def _revert(path: str, setting: str | None) -> int:
    import asyncio

    from gateway import revert
    from gateway.registry import Registry

    registry = Registry.discover()
    try:
        if setting is None:
            found = asyncio.run(revert.settings(path, registry))
            for one in found:
                print(one)
            if not found:
                complain(f"nothing is set on top of {path}", logging.INFO)
            return OK
        left = asyncio.run(revert.revert(path, setting, registry))
    except KeyError:
        complain(f"nothing is set at {setting}: coo-llm revert {path} lists what is")
        return INVALID
    except (ConfigError, OSError) as error:
        complain(error)
        return INVALID
    if left:
        print(f"{setting} is taken back.")
        complain("\n".join(["The rest is not in effect:", *map(str, left)]))
    else:
        print(f"{setting} is taken back. A gateway that runs does so within a second, or at its next start.")
    return OK


def _audit_verify(options: argparse.Namespace) -> int:
    from gateway.audit import verify

    path: str = options.path
    try:
        found = verify(path)
    except OSError as error:
        complain(f"cannot read {path}: {error.strerror or error}")
        return INVALID
    if found.fault is not None:
        complain(f"{path}: line {found.lines + 1} {found.fault}")
        return INVALID
    print(f"{path}: {found.lines} lines, the chain is whole; the last one's hash is {found.last}")
    return OK
