import re
from pathlib import Path

import pytest

from conflict_ner import config as config_module
from conflict_ner.config import parse_arguments
from conflict_ner.errors import InputError

CONFIGS = sorted(Path("configs").glob("*.yaml"))


def with_line(config, line):
    config.write_text(config.read_text() + line + "\n")
    return ["--config", str(config)]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_loads_and_is_complete(path):
    (model, data, training), config = parse_arguments(["--config", str(path)])
    assert config == str(path)
    assert training.load_best_model_at_end == (path.stem != "re3d-minilm"), "re3d's figure is on dev, so dev may not choose there"
    assert training.metric_for_best_model == "f1"
    assert data.train_data
    assert model.model_name_or_path
    assert Path(training.output_dir) == Path("models") / path.stem
    assert not re.search(r"^(bf16|fp16|use_cpu)", path.read_text(), re.MULTILINE), "precision belongs to the machine"


FOR_A_SMALL_ENCODER = {"attention_dropout", "tagging_length", "tagging_overlap"}


def test_all_configs_name_the_same_keys():
    keys = {path.stem: {line.split(":")[0] for line in path.read_text().splitlines() if line and line[0] not in "# "} for path in CONFIGS}
    optional = {"text_folders", "label_file", "test_data", "allow_shared_texts", "sentences_too", "joined_lengths", *FOR_A_SMALL_ENCODER}
    assert len({frozenset(found - optional) for found in keys.values()}) == 1, keys


def test_the_command_line_wins(config):
    (_, _, training), _ = parse_arguments(["--config", str(config), "--learning_rate", "1e-4", "--seed", "7"])
    assert (training.learning_rate, training.seed) == (1e-4, 7)


@pytest.mark.parametrize(("amx", "avx512"), [(True, False), (False, True), (False, False)])
def test_precision_is_chosen_by_the_machine_unless_named(monkeypatch, tmp_path, amx, avx512):
    monkeypatch.setattr(config_module.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(config_module.torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(config_module.torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    flags = ["--model_name_or_path", "x", "--train_data", "a", "--dev_data", "b", "--output_dir", str(tmp_path)]
    assert parse_arguments(flags)[0][2].bf16 is (amx or avx512)
    assert parse_arguments([*flags, "--use_cpu", "true"])[0][2].bf16 is False


def test_numbers_keep_their_type(config):
    (_, _, training), _ = parse_arguments(["--config", str(config)])
    assert training.learning_rate == 5e-3
    assert isinstance(training.learning_rate, float)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("lerning_rate: 3e-4", r"config.yaml:21: unknown option --lerning_rate"),
        ("learning: 3e-4", r"config.yaml:21: unknown option --learning\b"),  # no abbreviations
        ("warmup_steps: [a, b]", r"config.yaml:21: .*--warmup_steps"),
        ("max_steps: seven", r"config.yaml:21: argument --max_steps.*seven"),
        ("seed: 4", r"config.yaml:21: key 'seed' is also on line 7"),
        ("data: {a: b}", r"config.yaml:21: key 'data' holds a mapping"),
        ("text_folders: [[a, b]]", r"config.yaml:21: key 'text_folders' holds"),
        ("[a]: b", r"config.yaml:21: only names of options"),
        ("config: x", r"config.yaml:21: only names of options"),
        ("x: [", r"config.yaml:\d+: not valid YAML"),
    ],
)
def test_faults_name_file_and_line(config, line, complaint):
    with pytest.raises(InputError, match=complaint):
        parse_arguments(with_line(config, line))


def test_a_fault_on_the_command_line_does_not_blame_the_file(config):
    with pytest.raises(InputError, match="^argument --seed: invalid int value: 'x'"):
        parse_arguments(["--config", str(config), "--seed", "x"])


def test_missing_pieces_are_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        parse_arguments(["--config", str(tmp_path / "no.yaml")])
    with pytest.raises(InputError, match="required: --model_name_or_path"):
        parse_arguments([])
    with pytest.raises(InputError, match="given twice"):
        parse_arguments(["--config=a", "--config", "b"])
    with pytest.raises(InputError, match="needs the path"):
        parse_arguments(["--config"])
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(InputError, match="expected lines 'key: value'"):
        parse_arguments(["--config", str(tmp_path / "list.yaml")])
