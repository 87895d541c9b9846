"""How the pages of docs/ and a few files beside them become a web site: `make docs`.

Owns what MkDocs is told. The pages are written for a reader of the repository; nothing in them knows the site.
"""
