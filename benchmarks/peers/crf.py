"""A linear-chain CRF (CRFsuite, L-BFGS) with the usual features: words and shapes in a window of two, affixes, and word pairs."""

import re

import pycrfsuite
from peer import parse, read, spans_of, words, write


def shape(word):
    """Return `T-72B3` as `X-ddXd`: runs of one kind shortened to two."""
    classes = re.sub(r"[^\W\d_]", lambda m: "X" if m[0].isupper() else "x", re.sub(r"\d", "d", word))
    return re.sub(r"(.)\1{2,}", r"\1\1", classes)


def features(tokens, position):
    """Return the features of one word."""
    word = tokens[position]
    found = ["bias", f"w={word.lower()}", f"shape={shape(word)}", f"title={word.istitle()}", f"upper={word.isupper()}"]
    found += [f"prefix={word[:n].lower()}" for n in (2, 3, 4)] + [f"suffix={word[-n:].lower()}" for n in (2, 3, 4)]
    found += [f"digit={any(c.isdigit() for c in word)}", f"sign={not word[0].isalnum()}"]
    for distance in (-2, -1, 1, 2):
        if 0 <= position + distance < len(tokens):
            other = tokens[position + distance]
            found += [f"{distance}:w={other.lower()}", f"{distance}:shape={shape(other)}"]
        else:
            found.append(f"{distance}:edge")
    if position:
        found.append(f"pair-={tokens[position - 1].lower()} {word.lower()}")
    if position + 1 < len(tokens):
        found.append(f"pair+={word.lower()} {tokens[position + 1].lower()}")
    return found


def rows(document):
    """Yield (offsets, features, tags) of each paragraph."""
    for row in words(document):
        tokens = [document["text"][start:end] for start, end, _ in row]
        yield [(start, end) for start, end, _ in row], [features(tokens, k) for k in range(len(tokens))], [tag for _, _, tag in row]


def main():
    """Choose the L2 penalty on dev, train, tag test."""
    arguments = parse()
    train, dev, test = read(arguments.train), read(arguments.dev), read(arguments.test)
    best = None
    for c2 in (0.01, 0.1, 1.0):
        trainer = pycrfsuite.Trainer(verbose=False)
        for document in train:
            for _, observed, tags in rows(document):
                trainer.append(observed, tags)
        trainer.set_params({"c1": 0.05, "c2": c2, "max_iterations": 150, "feature.possible_transitions": True})
        model = f"{arguments.output}.{c2}.crfsuite"
        trainer.train(model)
        tagger = pycrfsuite.Tagger()
        tagger.open(model)
        right = wrong = 0
        for document in dev:
            for offsets, observed, tags in rows(document):
                gold, found = set(spans_of(offsets, tags)), set(spans_of(offsets, tagger.tag(observed)))
                right, wrong = right + len(gold & found), wrong + len(gold ^ found)
        score = 2 * right / max(2 * right + wrong, 1)
        print(f"c2 {c2}: dev F1 {score:.4f}", flush=True)
        best = max(best or (score, tagger), (score, tagger), key=lambda pair: pair[0])
    found = [[span for offsets, observed, _ in rows(document) for span in spans_of(offsets, best[1].tag(observed))] for document in test]
    write(arguments.output, test, found)


if __name__ == "__main__":
    main()
