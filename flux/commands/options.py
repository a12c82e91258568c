"""The options that every command has, and what they become: a Style, and the project the command is about."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from flux.config import Project
from flux.presenters.style import Style

Result = TypeVar("Result")


def style_options(command: Callable[..., Result]) -> Callable[..., Result]:
    """--json and --no-color, given to the command as `style`."""

    @click.option("--json", "as_json", is_flag=True, help="Answer as JSON with stable keys.")
    @click.option("--no-color", is_flag=True, help="No colours, as with NO_COLOR in the environment.")
    @functools.wraps(command)
    def styled(*arguments: Any, as_json: bool, no_color: bool, **options: Any) -> Result:
        context = click.get_current_context()
        if no_color:
            context.color = context.find_root().color = False
        style = Style.of_stdout(json=as_json, color=context.color)
        return command(*arguments, style=style, **options)

    return styled


def in_project(command: Callable[..., Result]) -> Callable[..., Result]:
    """Makes the project of this folder the context's object, which click.pass_obj gives to the command.

    It is looked for when the command runs, so that its help can be read anywhere. Raises NotAProject, ConfigError.
    """

    @functools.wraps(command)
    def found(*arguments: Any, **options: Any) -> Result:
        click.get_current_context().obj = Project.find()
        return command(*arguments, **options)

    return found


def answer_options(command: Callable[..., Result]) -> Callable[..., Result]:
    """What style_options and in_project do: for every command that answers about a project."""
    return style_options(in_project(command))
