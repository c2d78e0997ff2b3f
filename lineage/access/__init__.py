"""Who may do what: tokens, scopes, namespaces, an authenticating proxy, limits and the audit log.

Knows no web framework and no store: `lineage.api.gate` asks it about each request. What a token
of some namespaces sees of the store is `lineage.queries.within`.
"""
