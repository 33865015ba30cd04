"""spaCy's own NER: hash embeddings, CNN and transition parser, from `spacy init config` and `spacy train`, blank English, no vectors."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import spacy
from peer import paragraphs, parse, read, write
from spacy.tokens import DocBin


def save(documents, path):
    """Write a DocBin, a doc per paragraph; mentions that spaCy's tokens cannot express are left out, as its users' are."""
    language, bin_, lost = spacy.blank("en"), DocBin(), 0
    for document in documents:
        for offset, text in paragraphs(document):
            doc = language.make_doc(text)
            inside = [s for s in document["spans"] if offset <= s["start"] and s["end"] <= offset + len(text)]
            spans = [doc.char_span(s["start"] - offset, s["end"] - offset, label=s["label"]) for s in inside]
            lost += spans.count(None)
            doc.ents = [span for span in spans if span is not None]
            bin_.add(doc)
    print(f"{path.name}: {lost} mentions do not fit spaCy's tokens", flush=True)
    bin_.to_disk(path)


def main():
    """Train with spaCy's command line as its documentation says, tag test paragraph by paragraph."""
    arguments = parse()
    with TemporaryDirectory() as name:
        folder = Path(name)
        save(read(arguments.train), folder / "train.spacy")
        save(read(arguments.dev), folder / "dev.spacy")
        run = [sys.executable, "-m", "spacy"]
        subprocess.run([*run, "init", "config", str(folder / "config.cfg"), "--lang", "en", "--pipeline", "ner", "--force"], check=True)
        paths = ["--paths.train", str(folder / "train.spacy"), "--paths.dev", str(folder / "dev.spacy")]
        command = [*run, "train", str(folder / "config.cfg"), "--output", str(folder / "out"), *paths, "--system.seed", str(arguments.seed)]
        subprocess.run(command, check=True)
        model = spacy.load(folder / "out/model-best")
        test = read(arguments.test)
        found = []
        for document in test:
            parts = paragraphs(document)
            docs = model.pipe(text for _, text in parts)
            found.append(
                [
                    (offset + e.start_char, offset + e.end_char, e.label_)
                    for (offset, _), doc in zip(parts, docs, strict=True)
                    for e in doc.ents
                ]
            )
        write(arguments.output, test, found)


if __name__ == "__main__":
    main()
