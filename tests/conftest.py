"""Tiny tokenizers and encoders of every supported family, built in-process: no test needs a network or a download."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before huggingface_hub is imported
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # one worker per core: more threads would only wait for each other

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    BertConfig,
    BertModel,
    DebertaV2Config,
    DebertaV2Model,
    ModernBertConfig,
    ModernBertModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from conflict_ner.corpus import write_documents
from conflict_ner.documents import Document, Span
from conflict_ner.labels import LabelSet
from tests.hub_server import Hub

settings.register_profile("shared machine", deadline=None)  # time limits are for benchmarks
settings.load_profile("shared machine")

ALICE, BOB = "hf_" + "alice" * 7, "hf_" + "bob" * 11  # tokens of the two users of `hub`, shaped like real ones

FAMILIES = ("wordpiece", "bytelevel-bpe", "unigram")
SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}

# Enough text for tokenizers to learn some words and to leave others in pieces.
SAMPLE = [
    "The army moved east. Soldiers of the Nordland army fired rockets at Brenholm on Monday, officials said.",
    "Two T-72B3 tanks and a Su-34 were seen near the river; Kh-101/102 missiles hit Port Azur.",
    "HIMARS, F-16s, Leopard 2A6 and M142 launchers were delivered to the coast guard of Estany.",
    "No one was hurt. The minister spoke to reporters in the capital and left.",
]


def build_tokenizer(family: str, model_max_length: int = 64) -> PreTrainedTokenizerBase:
    """Train a tokenizer of `family` on SAMPLE, with the normalisation, framing and offsets of the real ones."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    if family == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(vocab_size=260, special_tokens=specials, show_progress=False)
    elif family == "bytelevel-bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=specials, initial_alphabet=alphabet, show_progress=False)
    else:
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=200, special_tokens=specials, unk_token="[UNK]", show_progress=False)
    tokenizer.train_from_iterator(SAMPLE, trainer)
    frame = [("[CLS]", tokenizer.token_to_id("[CLS]")), ("[SEP]", tokenizer.token_to_id("[SEP]"))]
    if family == "bytelevel-bpe":  # as RoBERTa: offsets keep the leading space, we trim it
        tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=frame)
    else:
        tokenizer.post_processor = processors.BertProcessing(frame[1], frame[0])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=model_max_length,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "attention_mask"],
    )


@pytest.fixture(scope="session", params=FAMILIES)
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerBase:
    """A tokenizer of each family in turn."""
    return build_tokenizer(request.param)


ENCODERS = {
    "bert": ("wordpiece", lambda v: BertModel(BertConfig(vocab_size=v, max_position_embeddings=64, **SMALL))),
    "roberta": ("bytelevel-bpe", lambda v: RobertaModel(RobertaConfig(vocab_size=v, max_position_embeddings=66, pad_token_id=0, **SMALL))),
    "modernbert": (
        "bytelevel-bpe",
        lambda v: ModernBertModel(
            ModernBertConfig(vocab_size=v, max_position_embeddings=64, pad_token_id=0, cls_token_id=2, sep_token_id=3, **SMALL)
        ),
    ),
    "deberta-v3": (
        "unigram",
        lambda v: DebertaV2Model(
            DebertaV2Config(vocab_size=v, max_position_embeddings=64, relative_attention=True, pos_att_type=["p2c", "c2p"], **SMALL)
        ),
    ),
    "xlm-roberta": (
        "unigram",
        lambda v: XLMRobertaModel(XLMRobertaConfig(vocab_size=v, max_position_embeddings=66, pad_token_id=0, **SMALL)),
    ),
}


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function from an architecture in ENCODERS to a saved encoder folder."""
    folders: dict[str, Path] = {}

    def build(architecture: str = "bert") -> Path:
        if architecture not in folders:
            family, make = ENCODERS[architecture]
            tokenizer = build_tokenizer(family)
            torch.manual_seed(0)
            folder = tmp_path_factory.mktemp(architecture)
            make(len(tokenizer)).save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            folders[architecture] = folder
        return folders[architecture]

    return build


@pytest.fixture(scope="session")
def wild_model(tiny_encoder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function from an architecture to a model folder whose random weights are spread widely, so that it predicts many spans."""
    labels = LabelSet(("ACTOR", "LOCATION", "WEAPON"))
    folders: dict[str, Path] = {}

    def build(architecture: str = "bert") -> Path:
        if architecture not in folders:
            encoder = tiny_encoder(architecture)
            torch.manual_seed(0)
            model = AutoModelForTokenClassification.from_pretrained(
                encoder, id2label=labels.id2label, label2id=labels.label2id, dtype=torch.float32
            )
            model.config.window = {"max_length": 64, "overlap": 16}
            torch.nn.init.normal_(model.classifier.weight, std=2.0)
            folders[architecture] = tmp_path_factory.mktemp(f"wild-{architecture}")
            model.save_pretrained(folders[architecture])
            AutoTokenizer.from_pretrained(encoder).save_pretrained(folders[architecture])
        return folders[architecture]

    return build


def annotate(document_id: str, marked: str, **meta: str) -> Document:
    """Build a document from text with `{words|LABEL}` marks: what tests read best."""
    text, spans = "", []
    for piece in marked.replace("}", "{").split("{"):
        words, bar, label = piece.partition("|")
        if bar:
            spans.append(Span(len(text), len(text) + len(words), label))
        text += words
    return Document(document_id, text, tuple(spans), meta)


TRAIN = [
    annotate("t1", "Soldiers of the {Nordland army|ACTOR} fired {rockets|WEAPON} at {Brenholm|LOCATION} on Monday, officials said."),
    annotate("t2", "Two {T-72B3 tanks|WEAPON} and a {Su-34|WEAPON} were seen near {Port Azur|LOCATION}."),
    annotate("t3", "{F-16s|WEAPON} were delivered to the {Estany coast guard|ACTOR}. No one was hurt."),
    annotate("t4", "The minister spoke to reporters in the capital and left."),
]
DEV = [annotate("d1", "{Nordland army|ACTOR} {rockets|WEAPON} hit {Port Azur|LOCATION}.")]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder with train.md and dev.md."""
    write_documents(TRAIN, tmp_path / "train.md")
    write_documents(DEV, tmp_path / "dev.md")
    return tmp_path


@pytest.fixture
def config(corpus: Path, tiny_encoder: Callable[[str], Path]) -> Path:
    """A complete config that trains a tiny BERT on the tiny corpus in a second or two."""
    path = corpus / "config.yaml"
    path.write_text(
        f"""\
model_name_or_path: {tiny_encoder("bert")}
max_length: 32
window_overlap: 8
train_data: [{corpus / "train.md"}]
dev_data: [{corpus / "dev.md"}]
output_dir: {corpus / "run"}
seed: 3
learning_rate: 5e-3
num_train_epochs: 4
per_device_train_batch_size: 2
train_sampling_strategy: group_by_length
eval_strategy: epoch
save_strategy: epoch
save_total_limit: 1
load_best_model_at_end: true
metric_for_best_model: f1
logging_strategy: epoch
dataloader_pin_memory: false
disable_tqdm: true
use_cpu: true
"""
    )
    return path


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Callable[[str], Path]) -> Path:
    """A tiny model that knows its training sentences, exported and scored: all that is published."""
    import evaluate
    import train
    from conflict_ner.export import export

    folder = tmp_path_factory.mktemp("publish")
    for name, documents in (("train.md", TRAIN), ("dev.md", DEV), ("test.md", [*DEV, *TRAIN])):
        write_documents(documents, folder / name)
    (folder / "config.yaml").write_text(
        f"model_name_or_path: {tiny_encoder('bert')}\ntrain_data: [{folder}/train.md]\ndev_data: [{folder}/dev.md]\n"
        "max_length: 64\nwindow_overlap: 16\n"
        f"output_dir: {folder}/run\nlicense: apache-2.0\nlearning_rate: 1e-2\nnum_train_epochs: 60\nper_device_train_batch_size: 4\n"
        "save_strategy: 'no'\nuse_cpu: true\ndisable_tqdm: true\n"
    )
    assert train.main(["--config", str(folder / "config.yaml")]) == 0
    export(folder / "run")
    assert evaluate.main(["--model", str(folder / "run"), "--data", str(folder / "test.md")]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    """A Hub on this machine with two users."""
    server = Hub({ALICE: "alice", BOB: "bob"})
    yield server
    server.close()


@pytest.fixture(scope="module")
def hub_environment(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a process needs to take `hub` for the Hugging Face Hub: its client is told by the environment alone, and has no cache."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return kept | {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(tmp_path_factory.mktemp("home")),
        "HF_HUB_DISABLE_XET": "1",
        "HF_TOKEN": ALICE,
        "NO_PROXY": "127.0.0.1,localhost",
    }
