"""Recovery: whatever is intact of a damaged, open or truncated chronicle, as a new closed one.

`inputs` opens file and journal, `scan` finds the intact blocks wherever they stand, `by_index` says
which is which, `tables` and `decode` give their records, `salvage` goes through them in order;
`entries` and `rows` do the same for a journal, and `beyond` says where the two meet;
`output` writes and verifies, `report` says what was kept and what was lost. Nothing is made up:
what is not certain is left out, and said.
"""

from cmeta.salvager.recover import recover
from cmeta.salvager.report import Lost, RecoveryReport

__all__ = ["Lost", "RecoveryReport", "recover"]
