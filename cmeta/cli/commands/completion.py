"""`cmeta completion`: what a shell needs to complete commands, options, files and fields."""

from __future__ import annotations

import click

from cmeta.cli.console import emit_data

_SHELLS = ("bash", "zsh", "fish")


@click.command(
    epilog="""\b
Examples:
  cmeta completion bash >> ~/.bashrc
  cmeta completion zsh >> ~/.zshrc                 behind `compinit`
  cmeta completion fish > ~/.config/fish/completions/cmeta.fish

Then start a new shell. Commands, options, files and, behind the file, the names of --fields are
completed.

\b
Exit codes:
  0 fine    2 usage"""
)
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print the script with which a shell completes commands."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise AssertionError(f"click knows {shell}")
    names = {"complete_func": "_cmeta_completion", "complete_var": "_CMETA_COMPLETE"}
    # Not `source()`: it starts the shell to ask for its version, on whatever machine this runs.
    emit_data(f"{found.source_template % {**names, 'prog_name': 'cmeta'}}\n")
