"""Pages of our own in every layout and format, as their sources write them."""

FIRST = (
    "A lighthouse that shines without a pause can be mistaken for a window, a fire or a star. Sailors learned this at "
    "the cost of ships, and keepers learned it from the sailors."
)
SECOND = (
    "The answer was to hide the lamp and show it again, at a pace that no cottage could imitate. Screens of tin were "
    "turned by a falling weight, which a keeper wound up twice in a night."
)
LAST = (
    "Every light now has its own rhythm, printed on the chart beside its name. A mate with a watch in hand can tell "
    "two towers apart before he sees either of them."
)

LAYOUT_A = f"""\
How lighthouses learned to blink
Weights, screens and lenses gave each tower a signature that a sailor could time with a watch.
Published March 03, 2025
Facebook X Reddit Pinterest Email
{FIRST}
A lamp that hides
{SECOND}
ADVERTISEMENT
ADVERTISEMENT
{LAST}
Related Articles
Sea marks
Buoys were once barrels with a flag on a stick, and they drifted away in every winter storm.
-
January 14, 2025
Sea marks
A bell that rings under water was heard farther than any horn, until engines drowned it.
-
February 02, 2025
"""

LAYOUT_B = f"""\
Sea marks
How lighthouses learned to blink
Weights, screens and lenses gave each tower a signature that a sailor could time with a watch.
X Linkedin Facebook Reddit Email Bluesky
Published by Ada Keeper
March 03, 2025 - 4 min Read
{FIRST}
A lamp that hides
{SECOND}
ADVERTISEMENT
{LAST}
Related Articles
Sea marks
Buoys were once barrels with a flag on a stick, and they drifted away in every winter storm.
January 14, 2025
Sea marks
A bell that rings under water was heard farther than any horn, until engines drowned it.
February 02, 2025
"""

BLURB_TEXTS = (
    "Buoys were once barrels with a flag on a stick, and they drifted away in every winter storm.",
    "A bell that rings under water was heard farther than any horn, until engines drowned it.",
)

HTML = f"""\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>How lighthouses learned to blink</title>
<meta name="description" content="Weights, screens and lenses gave each tower a signature.">
<meta property="article:published_time" content="2025-03-03"></head>
<body><article><h1>How lighthouses learned to blink</h1>
<p>{FIRST}</p><h2>A lamp that hides</h2><p>{SECOND}</p><p>{LAST}</p></article>
<aside class="related"><h2>Related Articles</h2><ul>
<li><a href="/buoys">Barrels on a chain</a><p>{BLURB_TEXTS[0]}</p>
<time datetime="2025-01-14">January 14, 2025</time></li>
</ul></aside></body></html>
"""

MARKDOWN = f"""\
---
title: How lighthouses learned to blink
description: Weights, screens and lenses gave each tower a signature.
date: 2025-03-03
related: [buoys, bells]
---
{FIRST}

## A lamp that hides

{SECOND}

{LAST}
"""

RECORDS = (
    '{"id": "lights", "title": "How lighthouses learned to blink", "published": "2025-03-03", '
    f'"body": "{FIRST}\\n\\n{LAST}", "related": ["buoys"]}}\n'
    f'{{"id": "buoys", "body": "{SECOND}", "blurbs": [{{"text": "{BLURB_TEXTS[1]}", "published": "2025-02-02"}}]}}\n'
)
