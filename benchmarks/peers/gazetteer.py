"""The floor: every training mention, found again by longest match, case ignored; a form takes its commonest label.

A form is used when training annotates at least half of its occurrences, so that `iraq` counts and `general` does not.
"""

from collections import Counter, defaultdict

from peer import WORD, parse, read, write


def forms(documents):
    """Return label counts by form, a tuple of lower-case words."""
    found = defaultdict(Counter)
    for document in documents:
        for span in document["spans"]:
            found[tuple(m[0].lower() for m in WORD.finditer(document["text"][span["start"] : span["end"]]))][span["label"]] += 1
    return found


def matches(text, known, longest):
    """Yield (start, end, form) by longest match from the left."""
    words = [(m.start(), m.end(), m[0].lower()) for m in WORD.finditer(text)]
    position = 0
    while position < len(words):
        for length in range(min(longest, len(words) - position), 0, -1):
            form = tuple(word for _, _, word in words[position : position + length])
            if form in known:
                yield words[position][0], words[position + length - 1][1], form
                position += length
                break
        else:
            position += 1


def main():
    """Count forms in train, find them in test."""
    arguments = parse()
    train, test = read(arguments.train), read(arguments.test)
    labels = forms(train)
    longest = max(map(len, labels))
    occurrences = Counter(form for document in train for _, _, form in matches(document["text"], labels, longest))
    known = {form: counts.most_common(1)[0][0] for form, counts in labels.items() if sum(counts.values()) * 2 >= occurrences[form]}
    write(arguments.output, test, [[(s, e, known[form]) for s, e, form in matches(d["text"], known, longest)] for d in test])


if __name__ == "__main__":
    main()
