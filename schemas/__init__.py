"""What is said: states, kinds of job, messages and bodies, as pure values. Imports nothing of ours and does no I/O."""
