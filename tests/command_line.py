"""What the command line has to offer, taken from its parser."""

from __future__ import annotations

from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Iterator

from gateway import cli


def commands(
    parser: ArgumentParser | None = None, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], ArgumentParser]]:
    """Every command by the words that call it, the bare ``coo-llm`` (no words) first."""
    parser = parser or cli.parser()
    yield path, parser
    for word, below in subcommands(parser).items():
        yield from commands(below, (*path, word))


def subcommands(parser: ArgumentParser) -> dict[str, ArgumentParser]:
    """The commands that a parser knows, by name."""
    return {
        name: below
        for action in parser._actions
        if isinstance(action, _SubParsersAction)
        for name, below in action.choices.items()
    }


def options(parser: ArgumentParser) -> set[str]:
    """The options that a parser itself knows."""
    return {option for action in parser._actions for option in action.option_strings}


def explanations(parser: ArgumentParser) -> Iterator[str]:
    """What a parser says of its options and commands."""
    for action in parser._actions:
        if isinstance(action, _SubParsersAction):
            yield from (command.help or "" for command in action._choices_actions)
        elif action.option_strings:
            yield action.help or ""
