"""Data sets that go by a name: what there is, how each is had, which part of it is asked for.

:mod:`named` says what a named set is, :mod:`table` lists them, :mod:`store` keeps them in the
cache, :mod:`choice` reads ``caltech101:ketch,bonsai@50/10/20``; the other files read one set each.
"""
