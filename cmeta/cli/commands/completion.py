"""`cmeta completion`: the script that lets a shell complete commands, options, files and fields."""

from __future__ import annotations

import click

from cmeta.cli.console import print_data

_SHELLS = ("bash", "zsh", "fish")


@click.command(
    epilog="""\b
Examples:
  cmeta completion bash >> ~/.bashrc
  cmeta completion zsh >> ~/.zshrc                 after `compinit`
  cmeta completion fish > ~/.config/fish/completions/cmeta.fish

Then start a new shell. It completes commands, options, files and, after the file, the names for
--fields.

\b
Exit codes:
  0 success    2 usage"""
)
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print the completion script for a shell."""
    from click.shell_completion import get_completion_class

    completion_class = get_completion_class(shell)
    if completion_class is None:
        raise AssertionError(f"click knows {shell}")
    names = {"complete_func": "_cmeta_completion", "complete_var": "_CMETA_COMPLETE"}
    # Not `source()`, which would start the shell to ask for its version.
    print_data(f"{completion_class.source_template % {**names, 'prog_name': 'cmeta'}}\n")
