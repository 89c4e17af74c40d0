"""Full-text search over the words of live and finished calls.

    words role:agent --> query.py --> index.py <-- calls.py <-- events of Redis, or of the archive
                                        |
                                        +--> sqlite.py (one file), postgres.py (a server)

words      what is a word: how text is folded and cut, for texts and queries alike
query      the query language, parsed to a neutral tree
index      what every index does, and the values that go in and come out
facets     what a segment can be filtered by, as terms of the index
calls      folds the events of a call into changes of the index
snippets   the text around the words that were found
results    a result as JSON, for the API and the command line
rows       what the two indexes have in common: positions, cursors, checks
sqlite     the default: FTS5, one file per machine; sqlite_reader answers from it
postgres   PostgreSQL, for several machines (extra `search-postgres`)
driver     the driver of PostgreSQL, if it is installed
indexes    opens the index that the settings name
settings   which text is indexed, and where
worker     the worker: events in, changes of the index out
rebuild    fills a new index: from Redis and archive_source

docs/search.md describes the language, the worker and the API.
"""
