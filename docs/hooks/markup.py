r"""A Markdown extension for docstrings: formulas as MathML, and examples as code.

Formulas are `$...$` and `$$...$$` in pages, and the roles `:math:` and `.. math::` in docstrings.
MathML needs no script. Examples are the lines from `>>>` to the next empty line.
"""

__all__ = ["DocstringMarkup"]

import re
import xml.etree.ElementTree as etree

from latex2mathml.converter import convert
from markdown import Extension, Markdown
from markdown.inlinepatterns import InlineProcessor
from markdown.preprocessors import Preprocessor

ROLE = re.compile(r":math:`([^`]+)`")
DIRECTIVE = re.compile(r"^( *)\.\. math:: ?(.*(?:\n(?:\1 +.*|[ ]*(?=\n\1 +\S)))*)", re.MULTILINE)
DISPLAYED = re.compile(r"^( *)\$\$(.+?)\$\$ *$", re.MULTILINE | re.DOTALL)
# Lines that start with a bar but are no rows of a table: lists, or columns two spaces apart
BARRED = re.compile(r"^(?:\| .*[^|\n]\n(?: {2,}\S.*\n)*)+", re.MULTILINE)
FUNCTION = re.compile(r"\\(log|ln|exp|max|min)\s+(?=\w)")  # which needs a space after its name
INLINE = r"(?<![\\$\w])\$(?=[^\s$])((?:[^$\n\\]|\\.)*?[^\s$])\$(?![\w$])"


class _Examples(Preprocessor):
    """Puts examples into fenced blocks, before other preprocessors look for these."""

    def run(self, lines: list[str]) -> list[str]:
        found: list[str] = []
        fenced = example = False
        for line in [*lines, ""]:
            fenced ^= line.lstrip().startswith("```")
            if not fenced and not example and line.startswith(">>> "):
                found.append("```pycon")
                example = True
            elif example and not line.strip():
                found.append("```")
                example = False
            found.append(line)
        return found


class _Displayed(Preprocessor):
    """Replaces displayed formulas and line blocks before Markdown splits the text into blocks."""

    def run(self, lines: list[str]) -> list[str]:
        text = BARRED.sub(_line_block, "\n".join([*lines, ""]))
        text = ROLE.sub(r"$\1$", text)
        text = DIRECTIVE.sub(self._stash, text)
        text = DISPLAYED.sub(self._stash, text)
        return text.split("\n")

    def _stash(self, found: re.Match[str]) -> str:
        latex = " ".join(found[2].split())
        place = self.md.htmlStash.store(f"<div class='formula'>{_mathml(latex, 'block')}</div>")
        return f"\n{found[1]}{place}\n"


class _Inline(InlineProcessor):
    def handleMatch(self, m: re.Match[str], data: str) -> tuple[etree.Element | str, int, int]:
        return self.md.htmlStash.store(_mathml(m[1], "inline")), m.start(0), m.end(0)


class DocstringMarkup(Extension):
    """Adds formulas and examples to Markdown."""

    def extendMarkdown(self, md: Markdown) -> None:
        """Registers the parts; the numbers place formulas after code."""
        md.preprocessors.register(_Examples(md), "examples", 35)
        md.preprocessors.register(_Displayed(md), "formulas", 22)
        md.inlinePatterns.register(_Inline(INLINE, md), "formula", 185)


def _line_block(found: re.Match[str]) -> str:
    """Returns a line block as a list, or as a table without heads if it has columns."""
    lines = re.sub(r"\n {2,}", " ", found[0]).splitlines()
    rows = [re.split(r" {2,}", line.removeprefix("| ").rstrip()) for line in lines]
    width = max(map(len, rows))
    if width == 1:
        return "\n" + "".join(f"* {text}\n" for (text,) in rows)
    rows = [[""] * width, ["---"] * width, *rows]
    return "\n" + "".join(f"| {' | '.join(row + [''] * (width - len(row)))} |\n" for row in rows)


def _mathml(latex: str, display: str) -> str:
    return str(convert(FUNCTION.sub(r"\\\1\\,", latex), display=display))
