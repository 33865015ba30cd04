"""A web page to try a model on: paste or upload a text, see what is marked, choose a threshold, take the result away.

Examples:
    python -m conflict_ner.demo models/conflict-minilm
    python -m conflict_ner.demo models/conflict-minilm --port 8000 --host 0.0.0.0

The page asks nothing of any other server and keeps no text: what is downloaded is made in the page itself, an upload is deleted when read.
"""

from __future__ import annotations

import argparse
import base64
import html
import importlib.util
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conflict_ner.colours import COLOURS
from conflict_ner.errors import InputError, decode_utf8, exit_2_on_bad_input
from conflict_ner.outputs import pieces, whole
from conflict_ner.showcase import NOT_FOR, Facts, at_least, facts_of, sample_articles, tagged_row
from conflict_ner.tagger import Tagger

if TYPE_CHECKING:
    import gradio

LONGEST = 100_000  # characters: a book chapter; what a browser still shows at once and two cores tag within seconds
LARGEST_UPLOAD = "2mb"  # gradio refuses more with a sentence of its own
DOWNLOADS = {"JSON": "application/json", "CSV": "text/csv", "HTML": "text/html"}
BLUE = COLOURS[1]  # dark enough for white letters
HINT = "Paste an English text here; Shift+Enter tags it."
STYLE = Path(__file__).with_name("demo.css")


class Page:
    """What the page's controls call, for one tagger; nothing here needs gradio."""

    def __init__(self, tagger: Tagger) -> None:
        """Read once what the page says of the model."""
        self.tagger, self.facts, self.labels = tagger, facts_of(tagger.model), tagger.labels.names

    def tag(self, text: str) -> dict[str, Any]:
        """Return the tagged row of a text; raises InputError for one that is empty or longer than the page takes."""
        text = whole(text)  # a lone surrogate could not be sent back
        if not text.strip():
            raise InputError("There is no text yet: paste one, open a file, or choose a sample article.")
        if len(text) > LONGEST:
            raise InputError(f"The text has {len(text):,} characters; this page takes at most {LONGEST:,}. Shorten it, or use tag.py.")
        return tagged_row("text", text, self.tagger.tag([text])[0], self.facts)

    def views(self, row: dict[str, Any] | None, min_score: float) -> tuple[dict[str, Any] | None, list[list[Any]], str, str]:
        """Return what is shown of a row at a threshold: marked text, table, download links, and a sentence that sums it up."""
        if row is None:
            return None, [], "", ""
        kept = at_least(row, min_score)
        marks = [{"entity": span["label"], "start": span["start"], "end": span["end"]} for span in kept["spans"]]
        table = [[" ".join(span["text"].split()), span["label"], f"{span['score']:.3f}"] for span in kept["spans"]]
        counts = ", ".join(f"{sum(span['label'] == label for span in kept['spans'])} {label}" for label in self.labels)
        hidden = len(row["spans"]) - len(marks)
        summary = f"{len(marks)} mentions: {counts}" + (f"; {hidden} below the threshold are hidden" if hidden else "")
        return {"text": row["text"], "entities": marks}, table, downloads(kept, self.labels), said(summary)

    def answer(self, text: str, min_score: float) -> tuple[Any, ...]:
        """Return the row, then its views; a text that cannot be tagged leaves both empty and says why."""
        try:
            row = self.tag(text)
        except InputError as error:
            return None, None, [], "", said(str(error), fault=True)
        return row, *self.views(row, min_score)

    def opened(self, file: str, min_score: float) -> tuple[Any, ...]:
        """Return the text of an uploaded file, then what `answer` returns of it; the upload is deleted."""
        path = Path(file)
        content = path.read_bytes()
        path.unlink()
        try:
            return self.shown(decode_utf8(content, path.name), min_score)
        except InputError as error:
            return "", None, None, [], "", said(f"{error}.", fault=True)

    def shown(self, text: str, min_score: float) -> tuple[Any, ...]:
        """Return the text, then what `answer` returns of it."""
        return text, *self.answer(text, min_score)


def downloads(row: dict[str, Any], labels: Sequence[str]) -> str:
    """Return links that carry the row's files with them, so that no text is left on the server's disk."""
    links = []
    for name, kind in DOWNLOADS.items():
        form = "jsonl" if name == "JSON" else name.lower()  # of one row: its line is the whole file
        content = base64.b64encode("".join(pieces([row], form, labels)).encode()).decode()
        file = f"tagged.{name.lower()}"
        links.append(f'<a download="{file}" href="data:{kind};charset=utf-8;base64,{content}">Download {name}</a>')
    return f'<p class="downloads">{" ".join(links)}</p>'


def said(sentence: str, fault: bool = False) -> str:
    """Return a sentence for the status line."""
    return f'<p class="{"fault" if fault else "fine"}">{html.escape(sentence)}</p>'


def introduction(facts: Facts) -> str:
    """Return the head of the page."""
    headline = f"; strict {facts.headline}" if facts.headline else ""
    said_of_it = (facts.words.title, facts.words.what, facts.name, facts.revision[:12], headline)
    title, what, name, revision, score = map(html.escape, said_of_it)
    return (
        f"<header><h1>{title}</h1><p>{what}</p><p class='soft'>{NOT_FOR}</p>"
        f"<p class='soft'>Model <code>{name}</code>, revision <code>{revision}</code>{score}.</p>"
        "<p>Try a sample article, written for this project:</p></header>"
    )


def legend(facts: Facts) -> str:
    """Return what the labels mean, each in its colour."""
    rows = "".join(
        f'<dt style="border-color: {COLOURS[number % len(COLOURS)]}">{html.escape(label)}</dt><dd>{html.escape(meaning)}</dd>'
        for number, (label, meaning) in enumerate(facts.definitions.items())
    )
    return f"<dl class='legend'>{rows}</dl>"


def build(page: Page) -> gradio.Blocks:
    """Return the page's layout, with the first sample article already tagged."""
    import gradio as gr

    samples = sample_articles()
    first = page.tag(samples[0].text)
    blocks = gr.Blocks(title=page.facts.words.title, analytics_enabled=False)
    with blocks:
        gr.HTML(introduction(page.facts))
        row = gr.State(first)
        with gr.Row(elem_id="samples"):
            buttons = [gr.Button(sample.meta["title"], size="sm", min_width=130) for sample in samples]
        text = gr.Textbox(samples[0].text, label="Text", placeholder=HINT, lines=8, max_lines=16, autoscroll=False, elem_id="text")
        with gr.Row(elem_id="actions"):
            tag = gr.Button("Tag", variant="primary", min_width=90, elem_id="tag")
            upload = gr.UploadButton("Open file", file_types=[".txt", ".md"], min_width=90, elem_id="upload")
            clear = gr.Button("Clear", min_width=90, elem_id="clear")
        threshold = gr.Slider(0, 1, 0, step=0.01, label="Threshold: hide mentions with a lower score", elem_id="threshold")
        marks, table, links, status = page.views(first, 0)
        line = gr.HTML(status, elem_id="status")
        colours = {label: COLOURS[number % len(COLOURS)] for number, label in enumerate(page.labels)}
        marked = gr.HighlightedText(marks, color_map=colours, label="Marked text", elem_id="marked", show_whitespaces=True)
        table_view = gr.Dataframe(
            table,
            headers=["mention", "label", "score"],
            label="Mentions",
            interactive=False,
            wrap=True,
            column_widths=["46%", "31%", "23%"],
            elem_id="table",
        )
        link_line = gr.HTML(links, elem_id="downloads")
        gr.HTML(legend(page.facts))
        views = [marked, table_view, link_line, line]
        tag.click(page.answer, [text, threshold], [row, *views])
        text.submit(page.answer, [text, threshold], [row, *views])
        upload.upload(page.opened, [upload, threshold], [text, row, *views])
        threshold.change(page.views, [row, threshold], views, show_progress="hidden", trigger_mode="always_last")
        clear.click(lambda: ("", None, None, [], "", ""), None, [text, row, *views])
        for button, sample in zip(buttons, samples, strict=True):
            button.click(partial(page.shown, sample.text), threshold, [text, row, *views])
        blocks.load(None, js="() => document.getElementById('status').setAttribute('role', 'status')")
    return blocks


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("model", help="model folder or Hub id")
    parser.add_argument("--revision", help="commit, branch or tag of a Hub id")
    parser.add_argument("--host", help="address to listen on; default: this machine alone (in a Space, what the Space says)")
    parser.add_argument("--port", type=int, help="default: the first free one from 7860")
    return parser.parse_args(argv)


@exit_2_on_bad_input
def main(argv: Sequence[str] | None = None) -> int:
    """Serve the page until interrupted; exit code 2 for a model or a port that cannot be used."""
    arguments = parse(argv)
    if importlib.util.find_spec("gradio") is None:
        raise InputError("the demo needs gradio, which is not installed: pip install -e '.[demo]'")
    page = Page(Tagger.from_pretrained(arguments.model, revision=arguments.revision))
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before gradio is imported: nothing is sent anywhere
    import gradio as gr

    fill: Any = dict.fromkeys([f"button_primary_background_fill{state}" for state in ("", "_hover", "_dark", "_hover_dark")], BLUE)
    theme = gr.themes.Default(  # the fonts of this machine: none is fetched
        primary_hue="blue", neutral_hue="slate", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    ).set(slider_color=BLUE, **fill)
    try:
        build(page).launch(
            server_name=arguments.host,
            server_port=arguments.port,
            theme=theme,
            css_paths=STYLE,
            footer_links=[],
            max_file_size=LARGEST_UPLOAD,
            ssr_mode=False,
            share=False,
        )
    except OSError as error:
        raise InputError(f"the page cannot be served ({error}); choose another --port or --host") from None
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
