"""Corpora of articles with human-made "see also" lists, made from documentation that Debian ships.

    python -m benchmarks.public_corpora --list
    python -m benchmarks.public_corpora grass_gis linux_man_pages --out benchmarks/corpora

Each corpus is fetched with ``apt-get download``, unpacked with ``dpkg -x`` into a temporary folder (nothing is
installed) and written to ``OUT/NAME/``:

* ``articles.jsonl.gz``  one article a line: id, title, description, category, published, author, body
* ``related.jsonl.gz``   one list a line: id, related (ids in the order of the list, all of them in the articles)
* ``README.txt``         where it came from, under which licence, and what is in it

To add a corpus: write a module with a function which takes the unpacked tree and yields a ``Page`` for each page (its
body free of the list, its ``links`` naming pages by id or alias) and a ``CORPUS``, then name it in ``__main__.py``.
"""
