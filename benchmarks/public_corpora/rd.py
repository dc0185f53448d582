"""R's documentation format, parsed by R, to HTML: as much markup as blocks.py needs to find paragraphs and links."""

import re
from collections.abc import Iterable
from html import escape

from benchmarks.public_corpora.r_objects import Vector

TYPOGRAPHY = (("---", "—"), ("--", "–"), ("``", "“"), ("''", "”"))
SYMBOLS = {"\\dots": "...", "\\ldots": "...", "\\R": "R", "\\tab": "</td><td>", "\\cr": "</td></tr><tr><td>"}
QUOTES = {"\\sQuote": "‘’", "\\dQuote": "“”"}
LISTS = {"\\itemize": "ul", "\\enumerate": "ol", "\\describe": "dl"}
# Code blocks, pictures, raw HTML or LaTeX, and what only marks the source.
SILENT = frozenset(("COMMENT", "USERMACRO", "\\Sexpr", "\\figure", "\\out", "\\preformatted"))
# Of these one argument alone is text: of a formula its plain form, of a link to the web its words.
CHOICES = {"\\eqn": -1, "\\deqn": -1, "\\href": -1, "\\enc": 0, "\\tabular": -1}

COLON = re.compile(r":\s*</td>")  # blocks.py sets one, after a term, too


def tag(node: Vector) -> str:
    """What a node is, such as "\\emph" or "TEXT"; "" where it is a mere argument of the node above."""
    return next(iter(node.attributes.get("Rd_tag", ())), "")


def plain(node: Vector | str) -> str:
    """The characters of a node and of all below it."""
    return node if isinstance(node, str) else "".join(map(plain, node))


def to_html(nodes: Iterable[Vector | str]) -> str:
    """The nodes as HTML; a blank line begins a paragraph."""
    return re.sub(r"\n[ \t]*\n\s*", "\n<p>", "".join(map(_node, nodes)))


def _node(node: Vector | str) -> str:
    """One node as HTML."""
    if isinstance(node, str):
        return escape(node)
    kind = tag(node)
    if kind in SILENT:
        return ""
    if kind in SYMBOLS:
        return SYMBOLS[kind]
    if kind == "TEXT":
        return _typeset(plain(node))
    if kind.startswith("\\link"):
        return f'<a href="{escape(link_target(node))}">{to_html(node)}</a>'
    if kind in ("\\if", "\\ifelse"):
        return _alternative(node)
    return _container(kind, to_html([node[CHOICES[kind]]] if kind in CHOICES and node else node), node)


def _container(kind: str, content: str, node: Vector) -> str:
    """A node whose text stays, with what its kind puts around it."""
    if kind == "\\item":
        return _term(node) if len(node) == 2 else "<li>"
    if kind in ("\\section", "\\subsection"):
        level = 2 if kind == "\\section" else 3
        return f"<h{level}>{to_html(node[0])}</h{level}>{to_html(node[1])}"
    if kind in QUOTES:
        return content.join(QUOTES[kind])
    if kind in LISTS:
        return f"<{LISTS[kind]}>{content}</{LISTS[kind]}>"
    if kind == "\\tabular":
        return f"<table><tr><td>{COLON.sub('</td>', content)}</td></tr></table>"
    return f"<p>{content}<p>" if kind == "\\deqn" else content


def _term(node: Vector) -> str:
    """A term and what it means, outside of a list, too."""
    return f"<dl><dt>{to_html(node[0]).strip().rstrip(':')}</dt><dd>{to_html(node[1])}</dd></dl>"


def _typeset(text: str) -> str:
    """Running text with the dashes and quotes that R makes of ASCII."""
    for ascii_form, character in TYPOGRAPHY:
        text = text.replace(ascii_form, character)
    return escape(text)


def _alternative(node: Vector) -> str:
    """What plain text has where the output formats differ."""
    formats = re.split(r"\W+", plain(node[0]))
    if "text" in formats or "TRUE" in formats:
        return to_html(node[1])
    return to_html(node[2]) if len(node) > 2 else ""


def link_target(node: Vector) -> str:
    r"""What a \link names, as "package:topic"; the package may be empty."""
    option, text = plain(node.attributes.get("Rd_option", "")), plain(node)
    if tag(node) == "\\linkS4class":
        text += "-class"
    if option.startswith("="):
        return f":{option[1:]}"
    return option if ":" in option else f"{option}:{text}"


def links(nodes: Iterable[Vector | str]) -> list[str]:
    r"""What each \link in the nodes names, in order; those that plain text does not have are the same links again."""
    found: list[str] = []
    for node in nodes:
        if isinstance(node, Vector) and tag(node) not in SILENT:
            found += [link_target(node)] if tag(node).startswith("\\link") else links(node)
    return found
