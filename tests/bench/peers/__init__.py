"""Other job systems doing the same no-op job, each as its makers would run it on two cores, with nothing to lose.

Every module is run in the environment of the bench extra, on a database and a virtual host of its own: as a worker by
the peer's own command, as the producer by `python -m tests.bench.peers <name>`, which reads numbers from its standard
input, sends that many jobs and answers with a line. Settings were tuned on this kind of machine; what did not help is
said in each module.
"""
