"""Starts the pinned MongoDB-wire server, for a whole run of the stores' tests or for one system; takes the arguments of secantusd-py.

The server looks through all it remembers of retryable writes and of sessions at each command, and remembers both for
half an hour. In a run of a quarter of an hour those are tens of thousands, and each write then takes 10 to 100 ms, so that
stories fail for want of time. A driver retries within seconds: a minute of memory keeps retryable writes what they are.
And under its one lock it asks at each command whether the database is profiled, which none is.
"""

import sys

from secantus import cli, commands, sessions, transactions

SECONDS = 60.0

if "idle_ttl_seconds" not in sessions.SessionRegistry.__init__.__kwdefaults__:
    sys.exit("sessions.SessionRegistry has changed: see whether this file is still needed")
sessions.SessionRegistry.__init__.__kwdefaults__["idle_ttl_seconds"] = SECONDS
if not hasattr(transactions, "_RETRYABLE_RECORD_LIFETIME_SECONDS"):
    sys.exit("transactions has changed: see whether this file is still needed")
transactions._RETRYABLE_RECORD_LIFETIME_SECONDS = SECONDS
if not hasattr(commands, "_maybe_record_profile"):
    sys.exit("commands has changed: see whether this file is still needed")
commands._maybe_record_profile = lambda *_: None

sys.exit(cli.main())
