"""The grammar of the format, in construct, built from the schema.

`layout` turns a layout of the schema into a construct description, `grammar` names them all.
"""

from cmeta.grammar.grammar import Grammar, grammar_of
from cmeta.grammar.layout import Layout

__all__ = ["Grammar", "Layout", "grammar_of"]
