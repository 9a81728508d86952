"""The command line: `cmeta info`, `cmeta validate`, `cmeta cat` and all the others.

These rules hold for every command:

- Data go to stdout; errors, notes and progress go to stderr. Progress and colour appear only on a
  terminal, and colour respects ``NO_COLOR``.
- Exit codes are those of `errors.Exit`. A command that could not deliver everything that was asked
  for never exits with 0.
- ``--json`` prints one JSON object per line. An integer beyond 2^53 - 1 is a hex string; NaN and
  the infinities are strings, as in the file's own JSON (`values.json_safe`).
- Text from a file (names, labels, configurations) and names of files reach a terminal without
  control characters (`cmeta.safe_text`), so that a hostile file cannot move the cursor.

`app` is the entry point and `commands/` holds one file per command. They share `options` and
`run_set` (what was asked for), `files` (input and output), `rows` (the selected records),
`values`, `formats`, `table` and `chart` (how they are printed), `console` (stdout and stderr),
`errors` (messages and exit codes) and `user_code` (functions named on the command line).
"""

from cmeta.cli.app import cli, main

__all__ = ["cli", "main"]
