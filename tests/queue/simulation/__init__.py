"""The queue in virtual time: its real parts, workers and accounts that misbehave, crashes; one seed decides everything."""
