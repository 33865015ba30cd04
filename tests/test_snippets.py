"""Every piece of code that README and card show is run here, on a tiny model, and what a page says that it prints is what it prints."""

import re
import sys
from pathlib import Path

import pytest

from conflict_ner.errors import InputError
from conflict_ner.evidence import gather
from conflict_ner.model_card import write_card
from conflict_ner.runs import EVIDENCE, write_json
from conflict_ner.snippets import Block, blocks_of, run_block, run_commands, run_session, with_outputs

PAGE = """\
# Page

```python
x = 1
print(x)
```

```text
1
```

Then:

```python
print(x + 1)
```

```bash
ls
python -c "print('here')"
```

```text
elsewhere
```

```
no language
```
"""


def test_a_page_is_read_block_by_block():
    assert blocks_of(PAGE) == [
        Block("python", "x = 1\nprint(x)\n", "1\n"),
        Block("python", "print(x + 1)\n", None),
        Block("bash", "ls\npython -c \"print('here')\"\n", "elsewhere\n"),
    ]


def test_outputs_go_behind_their_code_and_nowhere_else():
    code = "print(x + 1)\n"
    shown = with_outputs(PAGE, {code: "2\n", "print(0)\n": "0\n"})
    assert [block.shown for block in blocks_of(shown)] == ["1\n", "2\n", "elsewhere\n"]
    assert shown.replace("\n```text\n2\n```\n", "", 1) == PAGE
    assert with_outputs(shown, {code: "3\n"}) == shown.replace("\n2\n", "\n3\n")


def test_a_session_keeps_its_names_and_each_output_by_itself(tmp_path):
    first, second, _ = blocks_of(PAGE)
    assert run_session([first.code, second.code]) == ["1\n", "2\n"]
    assert Path(run_session(["from pathlib import Path\nprint(Path.cwd())"], tmp_path)[0].strip()) == tmp_path
    assert run_block(first) == first.shown
    with pytest.raises(InputError, match=r"a snippet does not run \(NameError: name 'x' is not defined\)"):
        run_block(second)


def test_of_a_shell_block_only_python_is_run_and_by_this_python():
    assert run_commands("rm -rf nothing-here\npython -c 'import sys; print(sys.executable)'  # which one\n") == sys.executable + "\n"
    assert run_commands("python -c \\\n  'print(1)'\n") == "1\n"


@pytest.mark.slow
def test_the_readmes_snippets_run_in_order(finished):
    codes = [block.code for block in blocks_of(Path("README.md").read_text()) if block.language == "python"]
    assert codes
    run_session([code.replace("models/conflict-minilm", str(finished)) for code in codes])  # raises InputError when one does not run


@pytest.mark.slow
def test_every_snippet_of_a_card_runs_by_itself_and_prints_what_the_card_says(finished):
    sentences = [
        "Soldiers of the Nordland army fired rockets at Brenholm.",
        "No one was hurt.",
        "Two T-72B3 tanks were seen near Port Azur.",
    ]
    evidence = gather(finished, sentences)
    write_json(finished / EVIDENCE, evidence)
    card = write_card(finished).read_text()
    blocks = blocks_of(card)
    (finished / EVIDENCE).unlink()
    assert [block.language for block in blocks] == ["python"] * 4 + ["bash"]
    for block in blocks:
        assert str(finished) in block.code, "the model is named as the reader has it"
    outputs = [run_block(block) for block in blocks]
    *shown, command = [block.shown for block in blocks]
    assert shown == outputs[:-1]
    assert command is None
    assert outputs[-1].startswith(f"## tests/data/article.txt\nmodel={finished} | ")
    pipeline, tagger, long, onnx = shown
    assert pipeline.splitlines()[0].startswith("ACTOR Nordland army ")
    assert tagger.splitlines()[0].startswith("ACTOR Nordland army ")
    assert re.match(rf"{57 * 200} characters, \d+ mentions\n", long)
    assert onnx.startswith("onnx-int8 finds ")
    assert onnx.endswith("torch is imported: False\n")
    assert [example["text"] for example in evidence["examples"]] == sentences[::2], "a widget shows what finds something"
