"""What is generated from the schema is in step with it, and the generator says if it is not."""

import re
import shutil
import subprocess
import sys

import pytest

from cmeta.schema.language import Format
from tools.specgen.__main__ import main, outputs
from tools.specgen.facts import comments_of, load_facts
from tools.specgen.sections import fill, sections


@pytest.fixture
def copy(root, tmp_path):
    """Return a copy of all that is generated, and of the schema."""
    (tmp_path / "schema").mkdir()
    for name in ("SPEC.md", "schema/cmeta_schema.toml", "schema/cmeta_schema.schema.json"):
        shutil.copy(root / name, tmp_path / name)
    return tmp_path


def test_everything_is_in_step(root):
    command = [sys.executable, "-m", "tools.specgen", "--check"]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_a_copy_is_in_step(copy):
    assert main(["--check"], copy) == 0


@pytest.mark.parametrize("name", ["SPEC.md", "schema/cmeta_schema.schema.json"])
def test_a_change_by_hand_is_found_and_undone(copy, name, capsys):
    path = copy / name
    before = path.read_text("utf-8")
    changed = before.replace("| 65,536 |", "| 65,537 |").replace(": 65536", ": 65537")
    assert changed != before
    path.write_text(changed, "utf-8")
    assert main(["--check"], copy) == 1
    assert path.name in capsys.readouterr().err
    assert path.read_text("utf-8") == changed
    assert main([], copy) == 0
    assert path.read_text("utf-8") == before
    assert main(["--check"], copy) == 0


def test_a_missing_file_is_out_of_step(copy):
    (copy / "schema" / "cmeta_schema.schema.json").unlink()
    assert main(["--check"], copy) == 1


def test_without_a_checkout_it_says_so(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([], tmp_path)
    assert exit_.value.code == 2
    assert "checkout" in capsys.readouterr().err


def test_every_layout_of_the_schema_has_its_table(root, text):
    format_ = load_facts().format
    names = set(sections(load_facts()))
    assert {f"block-{kind}" for kind in format_.blocks.kinds} <= names
    assert {f"struct-{name}" for name in format_.structs} <= names
    assert {f"journal-{kind}" for kind in format_.journal.kinds} <= names
    assert set(re.findall(r"<!-- generated: ([\w-]+) -->", text)) == names
    assert set(Format.__struct_fields__) == {
        "format", "checksum", "header", "trailer", "blocks", "structs", "codecs", "journal", "seeds",
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("<!-- generated: limits -->", "<!-- generated: limit -->"),
        lambda text: text.replace("<!-- end: limits -->", ""),
        lambda text: text + "\n<!-- generated: limits -->\n<!-- end: limits -->\n",
        lambda text: text + "\n<!-- generated: more -->\n<!-- end: more -->\n",
    ],
)
def test_a_section_that_is_missing_unknown_or_repeated_is_an_error(text, change):
    with pytest.raises(ValueError, match="sections missing, unknown or repeated"):
        fill(change(text), load_facts())


def test_filling_twice_changes_nothing(text):
    facts = load_facts()
    assert fill(fill(text, facts), facts) == text


def test_nothing_but_the_generated_parts_is_written(root):
    assert {path.name for path in outputs(load_facts(), root)} == {
        "SPEC.md",
        "cmeta_schema.schema.json",
    }


def test_offsets_add_up(written):
    """The offset of each field is where the field before it ends."""
    tables = [table for table in written.values() if table.startswith("| Offset | Bytes |")]
    assert len(tables) > 15
    for table in tables:
        rows = [line.split(" | ") for line in table.splitlines()[2:]]
        place = ""
        for offset, size, *_ in rows:
            offset = offset.removeprefix("| ")
            if place:
                assert terms_of(offset) == terms_of(place)
            place = f"{offset} + {size}"


def terms_of(expression):
    """Return the constant and the other terms of a sum."""
    terms = expression.split(" + ")
    numbers = [int(term) for term in terms if term.isdigit()]
    return sum(numbers), sorted(term for term in terms if not term.isdigit())


def test_every_limit_is_explained(written):
    for name in ("limits", "codec-constants"):
        for line in written[name].splitlines()[2:]:
            assert not line.endswith("|  |") or "sparse_residuals" in line


def test_comments_are_taken_from_the_line_of_their_key():
    toml = (
        '[a]\nb = 1 # first\nc = "x # y" # second\n# d = 2 # not a key\n[a.e]\nb = [1, 2] # third\n'
    )
    assert comments_of(toml) == {"a.b": "first", "a.c": "second", "a.e.b": "third"}


def test_links_lead_to_headings(text):
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}
    links = set(re.findall(r"\]\(#([^)]+)\)", text))
    assert links
    assert links <= anchors
