"""The chaos suite: break everything at random moments under load, then count.

A *round* lasts a second or two. Recorders (`recorders`) send reports (`reports`) and write what
was acknowledged into a *ledger* outside of the server (`ledger`), while *faults* (`faults`)
strike the *system* (`system`). Afterwards the store is compared with the ledger (`check`):
nothing acknowledged may be lost, nothing doubled, nothing made up. `rounds` holds it together.

Everything random comes from the seed of the round, so a round can be repeated:
`python -m tests.chaos --rounds 1 --seed N`.
"""
