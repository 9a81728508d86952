"""The command line: `cmeta info`, `cmeta validate`, `cmeta cat`, and all the others.

Rules that hold for every command:

- Data go to stdout; errors, notes and progress to stderr. Progress and colour appear on a terminal
  only, and colour respects ``NO_COLOR``.
- The exit codes are those of `errors.Exit`. A command that could not give all that was asked for
  never exits with 0.
- ``--json`` prints one JSON object a line. An integer beyond 2^53 - 1 is a hex string, NaN and the
  infinities are strings, as in the file's own JSON (`values.plain`).
- What a file says (names, labels, configurations) reaches a terminal without control characters
  (`console.printable`): a hostile file must not move the cursor.

`app` is the entry point; `commands/` holds one file a command; `options` the options that they
share; `rows` what is selected, `values` a value as text, `formats/` rows as lines; `errors` turns
exceptions into messages and exit codes; `console` knows what the terminal is.
"""

from cmeta.cli.app import cli, main

__all__ = ["cli", "main"]
