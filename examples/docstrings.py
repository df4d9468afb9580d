r"""Builds a corpus of technical English from the docstrings of the running interpreter.

The corpus has the first sentence of each docstring of the standard library and the installed
packages, one per line. Sources are parsed, not imported. The standard library gives a few thousand
sentences; with torch and its dependencies installed, there are tens of thousands.

    python examples/docstrings.py corpus.txt
    python examples/docstrings.py small.txt --max-sentences 2000

Steps:

    docstring -> summary -> plain text -> tokens -> line

    summary     the first sentence of the first paragraph that is prose
    plain text  the summary without reStructuredText and Markdown markup
    tokens      words and punctuation, lower case, clitics split as in the Penn Treebank
    line        the tokens separated by single spaces, if they are an English sentence

The same files always give the same lines in the same order.
"""

from __future__ import annotations

__all__ = ["build_corpus", "first_sentence", "read_docstrings", "sample", "source_files"]

import argparse
import ast
import inspect
import os
import re
import sys
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

MIN_TOKENS, MAX_TOKENS = 4, 25

# site-packages and dist-packages are separate roots; docstrings of tests are not documentation
SKIPPED_DIRECTORIES = frozenset(
    {"__pycache__", "dist-packages", "idle_test", "node_modules", "site-packages", "test", "tests"}
)

# almost every English sentence has one of these; titles and lists of names do not
FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        """a about after all also an and any are as at be been before between both but by can cannot
        do does during each either every for from given has have how if in into is it its like may
        more must no not of off on one only or other out over same should some such than that the
        their them then there these they this those through to under until up upon used using was
        we were what when where whether which while will with within without you your""",
    )
)


def source_files(root: Path) -> Iterator[Path]:
    """Yields the Python files under a root in sorted order, without tests."""
    for directory, subdirectories, names in os.walk(root):
        subdirectories[:] = sorted(set(subdirectories) - SKIPPED_DIRECTORIES)
        for name in sorted(names):
            if name.endswith(".py") and not name.startswith("test_"):
                yield Path(directory, name)


def read_docstrings(root: Path) -> Iterator[str]:
    """Yields the docstrings of modules, classes and functions under a root, in source order.

    Files that cannot be read or parsed are skipped.
    """
    for path in source_files(root):
        yield from _docstrings_of(path)


def first_sentence(docstring: str) -> str | None:
    """Returns the first sentence of a docstring as a line of the corpus.

    Returns:
        Lower-case tokens separated by single spaces, ending with '.', '!' or '?'; None if the
        docstring does not start with plain English.
    """
    summary = _summary(docstring)
    if summary is None:
        return None
    text = _plain(summary)
    if text is None:
        return None
    tokens = _tokens(text)
    return " ".join(tokens).lower() if _reads_as_english(tokens) else None


def build_corpus(roots: Iterable[Path]) -> list[str]:
    """Returns the distinct first sentences under some roots, in order of first appearance."""
    sentences = (first_sentence(text) for root in roots for text in read_docstrings(root))
    return list(dict.fromkeys(line for line in sentences if line is not None))


def sample(sentences: Sequence[str], count: int) -> list[str]:
    """Returns the sentences with the smallest hashes, in the given order.

    Hashes are independent of the source, so all sources are represented. Adding or removing a
    sentence changes at most one other sentence of the sample.
    """

    def digest(sentence: str) -> bytes:
        return blake2b(sentence.encode(), digest_size=16).digest()

    chosen = set(sorted(sentences, key=digest)[:count])
    return [sentence for sentence in sentences if sentence in chosen]


# --- from a file to its docstrings ---


def _docstrings_of(path: Path) -> Iterator[str]:
    """Yields the docstrings of one file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old files hold invalid escapes
            tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return
    # visit statements only: most nodes are expressions, which have no docstrings
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            if docstring is not None:
                yield docstring
        for field in ("finalbody", "orelse", "handlers", "cases", "body"):
            stack.extend(reversed(getattr(node, field, [])))


# --- from a docstring to its summary ---

# beginnings of paragraphs that are not prose, but that prose may follow
_NOT_PROSE = re.compile(
    r"""
      \.\.\s               # a directive or a comment
    | >>>                  # a doctest
    | :[a-z]+[^:`]*:(?!`)  # a field, such as ":param x:"
    | @\w+                 # a field of epytext, a decorator
    | [=\-~*#^+"`]{3,}     # a rule, a fence, a table
    | \#                   # a heading or a comment
    | <                    # a tag
    | \|                   # a table
    | -\*-                 # an editor's mode line
    | [\w.]+\s*\([^)]*\)\s*(?:->|:|=|$)     # a signature
    | [\w.]+\([^)]*=[^)]*\)                 # a call with defaults
    """,
    re.VERBOSE,
)
_LIST_ITEM = re.compile(r"(?:[-*+•]|\d+[.)]|[a-z]\))\s|:\w[^`]*:(?!`)|\.\.\s|>>>|@\w")
_SECTION = re.compile(
    r"(?:args?|arguments?|attributes?|examples?|inputs?|keyword arguments|notes?|outputs?"
    r"|parameters?|params|raises|references|returns?|see also|shapes?|todo|usage|warnings?"
    r"|yields?)\s*:?\s*$",
    re.IGNORECASE,
)
_RULE = re.compile(r"([=\-~*#^+\"'`.])\1{2,}\s*$")
_SENTENCE_END = re.compile(r"[.!?][\"'`*)]*(?=\s+[\"'`*(:]*[A-Z0-9`:(]|\s*$)")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:e\.g|i\.e|etc|vs|cf|al|approx|resp|incl|fig|eqs?|sec|ref|pp?|pg|no|dr|mr|st|wrt"
    r"|w\.r\.t|a\.k\.a|[A-Z])\.$",
    re.IGNORECASE,
)


def _summary(docstring: str) -> str | None:
    """Returns the first sentence of the first paragraph of prose, with its markup."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(docstring))[:3]:
        lines = paragraph.splitlines()
        if len(lines) > 1 and _RULE.match(lines[1].strip()):
            lines = lines[2:]  # a heading and its underline
        if not lines or _NOT_PROSE.match(lines[0].strip()):
            continue
        if _SECTION.match(lines[0]):
            return None
        return _sentence(lines)
    return None


def _sentence(lines: Sequence[str]) -> str:
    """Returns the text up to the first full stop, or up to a line that cannot continue it."""
    text = lines[0].strip()
    for line in lines[1:]:
        indented, line = line[:1].isspace(), line.strip()
        if _LIST_ITEM.match(line) or _SECTION.match(line) or _NOT_PROSE.match(line):
            break
        # a short line without a full stop, followed by a capital: a title
        if len(text) < 55 and (line[:1].isupper() or indented) and text[-1:] not in ",;(":
            break
        text = f"{text} {line}"
    for end in _SENTENCE_END.finditer(text):
        head = text[: end.end()]
        if end.end() == len(text) or not _ABBREVIATION.search(head):
            return head
    return text


# --- from a summary to plain text ---

_MARKUP: Sequence[tuple[re.Pattern[str], str]] = [
    (re.compile(pattern), replacement)
    for pattern, replacement in [
        (r":pep:`(\d+)`", r"PEP \1"),
        (r":rfc:`(\d+)`", r"RFC \1"),
        (r":(?:\w+:)*\w+:`([^`<]+?)\s*<[^`>]*>`", r"\1"),  # :role:`text <target>`
        (r":(?:\w+:)*\w+:`~(?:\w+\.)*(\w+)`", r"\1"),  # :role:`~the.last.part`
        (r":(?:\w+:)*\w+:`!?([^`]*)`", r"\1"),  # :role:`target`
        (r"`([^`<]+?)\s*<[^`>]*>`__?", r"\1"),  # `text <address>`_
        (r"``([^`]+)``", r"\1"),
        (r"`([^`]+)`_?_?", r"\1"),
        (r"!?\[([^\]]+)\]\([^)]*\)", r"\1"),  # [text](address)
        (r"\*\*([^*\s](?:[^*]*[^*\s])?)\*\*", r"\1"),
        (r"(?<!\w)\*([^*\s](?:[^*]*[^*\s])?)\*", r"\1"),
        (r"(?<!\w)_([^_\s]+)_(?!\w)", r"\1"),
        (r"\s*\[\d+\]_?", ""),  # a footnote
        (r"\"([^\"]*)\"", r"\1"),
        (r"(?<!\w)'([^']+)'(?!\w)", r"\1"),
        (r"(\w)\(\)", r"\1"),  # f() is a name
        (r"(\w)\(s\)", r"\1s"),  # door(s)
    ]
]
_MATHEMATICS = re.compile(r":math:|\$|\\")
_NOT_TEXT = re.compile(r":\S|www\.|@")  # an address, a field, a slice, a name of C++


def _plain(summary: str) -> str | None:
    """Returns a summary without markup; None if no sentence remains."""
    if not summary.isascii() or _MATHEMATICS.search(summary):
        return None
    for pattern, replacement in _MARKUP:
        summary = pattern.sub(replacement, summary)
    if _NOT_TEXT.search(summary):
        return None
    return re.sub(r"\s-{1,3}\s", " -- ", summary).strip()


# --- from plain text to tokens ---

_TOKEN = re.compile(
    r"""
      (?:e\.g|i\.e|a\.k\.a|w\.r\.t|etc|vs|cf|resp)\.(?=\W*\w)
    | \d+(?:[.,]\d+)*(?:st|nd|rd|th|[a-z])?(?!\w|[-+/]\w)  # 3, 1,000, 2.5, 4th, 2d
    | [a-z]+?(?=n't\b) | n't\b                             # do n't
    | '(?:s|re|ve|ll|d|m)\b | (?<=s)'(?=\s)                # it 's, users '
    | [a-z_]\w*(?:\.[a-z_]\w*)+                            # a.dotted.name
    | \w+(?:[-/+]\w+)*                                     # word, well-formed, read/write
    | --+ | [,;:()%.!?]
    | \S                                                   # any other character
    """,
    re.VERBOSE | re.IGNORECASE,
)
_WORD = re.compile(
    r"[A-Za-z]+(?:[-/][A-Za-z]+)*|'[a-z]*|n't|(?:e\.g|i\.e|a\.k\.a|w\.r\.t|etc|vs|cf|resp)\.",
    re.IGNORECASE,
)
_CAPITALS_INSIDE = re.compile(r"\w*[a-z][A-Z]\w*|[A-Z]{2,}[a-rt-z]\w*|[A-Z]{2,}s\w+")
_STOPS = frozenset(".!?")
_MARKS = frozenset({"--", ",", ";", ":", "(", ")", "%"})
_BOILERPLATE = re.compile(r"copyright|licen[sc]ed|this file is part of|todo|fixme", re.IGNORECASE)


def _tokens(text: str) -> list[str]:
    """Returns the words and punctuation of plain text, ending with a full stop."""
    tokens = _TOKEN.findall(text)
    # styles differ on the full stop at the end of a summary; the corpus always has one
    if tokens and (tokens[-1] == ")" or tokens[-1] not in _STOPS | _MARKS):
        tokens.append(".")
    return tokens


def _kind(token: str) -> str:
    """Returns the kind of a token: word, mark, name (identifiers and numbers) or other."""
    if _WORD.fullmatch(token):
        return "name" if _CAPITALS_INSIDE.fullmatch(token) else "word"
    if token in _MARKS:
        return "mark"
    return "name" if token[0].isalnum() or token[0] == "_" else "other"


def _reads_as_english(tokens: Sequence[str]) -> bool:
    """Returns whether tokens are a sentence, not a signature, list, formula or notice."""
    if not MIN_TOKENS <= len(tokens) <= MAX_TOKENS or tokens[-1] not in _STOPS:
        return False
    body = tokens[:-1]
    kinds = Counter(map(_kind, body))
    return (
        kinds["other"] == 0
        and kinds["name"] <= 1 + len(body) // 8
        and kinds["word"] >= max(3, 0.7 * len(body))
        and body[0][0].isalpha()
        and (body[-1] == ")" or body[-1] not in _MARKS)
        and body.count("(") == body.count(")")
        and not FUNCTION_WORDS.isdisjoint(token.lower() for token in body)
        and not _BOILERPLATE.match(" ".join(body))
    )


# --- the command ---


def default_roots() -> list[Path]:
    """Returns the folders of the standard library and the installed packages."""
    names = ("stdlib", "purelib", "platlib")
    return [Path(path) for path in dict.fromkeys(map(sysconfig.get_path, names))]


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the corpus, and prints its size to stderr."""
    parser = argparse.ArgumentParser(
        description="Build a corpus of technical English from the docstrings of installed packages."
    )
    parser.add_argument(
        "out", type=Path, metavar="OUT", help="Output file: UTF-8 text, one sentence per line."
    )
    parser.add_argument(
        "--max-sentences",
        type=int,
        metavar="N",
        help="Maximum number of sentences, sampled from all sources.",
    )
    parser.add_argument(
        "--root",
        type=Path,
        action="append",
        metavar="DIRECTORY",
        help="Folder to search for Python files; may be repeated. "
        "Default: the standard library and the installed packages.",
    )
    options = parser.parse_args(arguments)
    roots: list[Path] = options.root or default_roots()
    for root in roots:
        if not root.is_dir():
            parser.error(f"no such directory: '{root}'")
    if not options.out.parent.is_dir():
        parser.error(f"no such directory: '{options.out.parent}'")
    if options.max_sentences is not None and options.max_sentences < 1:
        parser.error("--max-sentences must be at least 1")

    sentences = build_corpus(roots)
    if options.max_sentences is not None:
        sentences = sample(sentences, options.max_sentences)
    with options.out.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{sentence}\n" for sentence in sentences)

    counts = Counter(token for sentence in sentences for token in sentence.split())
    files = sum(1 for root in roots for _ in source_files(root))
    print(
        f"{len(sentences):,} sentences, {counts.total():,} words, "
        f"{sum(count > 1 for count in counts.values()):,} types that occur more than once, "
        f"from {files:,} files",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
