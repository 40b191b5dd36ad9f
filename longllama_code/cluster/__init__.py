"""Beyond one machine: a team's engine on Ray Serve, and bulk encoding with Ray tasks.

Ray schedules, replicates and balances. All of it is in the extra ``cluster``: nothing
outside this package needs Ray.
"""
