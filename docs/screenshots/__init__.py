"""The pictures of the status page in docs/img, taken by a browser: `python -m docs.screenshots`, which is
`make screenshots`."""
